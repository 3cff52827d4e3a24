# SPDX-License-Identifier: Apache-2.0
"""Benchmarks: `scripts/bench [name…]`. One file for each, with a `run(report)`; helpers are in lib.py and http.py.

Each prints what was measured beside a limit or peer measured in the same run, and what Kubernetes 1.36 and OpenStack
2026.1 measured on a machine of this kind once. Figures drift from machine to machine: quote ratios within one run.
"""
