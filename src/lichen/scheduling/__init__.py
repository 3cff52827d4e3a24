# SPDX-License-Identifier: Apache-2.0
"""Placement: filters and scores over columns of nodes, for pods and servers alike. Pure, NumPy."""
