# SPDX-License-Identifier: Apache-2.0
"""Kinds of group `compute.lichen.dev`."""
