# SPDX-License-Identifier: Apache-2.0
"""Kinds of group `identity.lichen.dev`."""
