# SPDX-License-Identifier: Apache-2.0
"""Kinds of group `image.lichen.dev`."""
