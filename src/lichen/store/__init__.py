# SPDX-License-Identifier: Apache-2.0
"""State over memory and SQLite: an event log with revisions. Knows nothing of schemas, callers or kinds' meaning."""
