# SPDX-License-Identifier: Apache-2.0
"""Settings and wiring: the only place where rooms are put together into processes."""
