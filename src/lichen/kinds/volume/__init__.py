# SPDX-License-Identifier: Apache-2.0
"""Kinds of group `volume.lichen.dev`."""
