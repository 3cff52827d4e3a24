# SPDX-License-Identifier: Apache-2.0
"""Rules of the workloads: groups `apps` and `batch`."""
