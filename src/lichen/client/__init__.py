# SPDX-License-Identifier: Apache-2.0
"""State over HTTP, and the files a user logs in with. How everything outside the kernel's process reaches it."""
