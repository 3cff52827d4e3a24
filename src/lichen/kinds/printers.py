# SPDX-License-Identifier: Apache-2.0
"""The columns of Kubernetes' kinds, as kubectl's users know them, by (group, plural)."""

from __future__ import annotations

from lichen.kinds.columns import Column

PRINTERS: dict[tuple[str, str], tuple[Column, ...]] = {}
