# SPDX-License-Identifier: Apache-2.0
"""Lichen: one cloud in one Python package, spoken to as OpenStack and as Kubernetes."""

__version__ = "0.1.0"
