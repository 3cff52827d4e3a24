# SPDX-License-Identifier: Apache-2.0
"""Kinds of group `network.lichen.dev`."""
