# SPDX-License-Identifier: Apache-2.0
"""JSON merge patch (RFC 7386), as a pure function."""

from __future__ import annotations

from typing import Any


def merge_patch(target: Any, patch: Any) -> Any:
    """`target` changed by `patch`: objects merge, null removes, anything else (a list too) replaces.

    Neither argument is changed. The result may share parts with both: copy it before changing it in place.
    """
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged
