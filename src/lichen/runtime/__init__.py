# SPDX-License-Identifier: Apache-2.0
"""The reconcile engine: informer, work queue, back-off, leader election, clock. Knows no kind."""
