# SPDX-License-Identifier: Apache-2.0
"""The two dialects: translation, no state of their own."""
