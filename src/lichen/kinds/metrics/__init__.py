# SPDX-License-Identifier: Apache-2.0
"""Kinds of group `metrics.k8s.io`."""
