# SPDX-License-Identifier: Apache-2.0
"""Fields that a text gives twice, of which a parser silently keeps the last."""

from __future__ import annotations

import json
from typing import Any

import yaml

from lichen.apis.kubernetes.wire import PROTOBUF, media_type

_MOST = 16
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def doubled_in(raw: bytes, content_type: str) -> tuple[str, ...]:
    """In words, as Kubernetes says it; () for a text that cannot be read, which is told elsewhere."""
    media = media_type(content_type)
    try:
        if media == PROTOBUF:
            return ()
        if media.endswith("yaml") and not raw.lstrip().startswith(b"{"):
            return tuple(_in_yaml(yaml.compose(raw, Loader=_Loader)))[:_MOST]
        return tuple(_in_json(json.loads(raw, object_pairs_hook=_Pairs)))[:_MOST]
    except (ValueError, RecursionError, yaml.YAMLError):
        return ()


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with all its pairs."""


def _in_json(value: Any, path: str = "") -> list[str]:
    found: list[str] = []
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for key, inner in value:
            here = f"{path}.{key}" if path else key
            if key in seen:
                found.append(f'duplicate field "{here}"')
            seen.add(key)
            found += _in_json(inner, here)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            found += _in_json(inner, f"{path}[{index}]")
    return list(dict.fromkeys(found))


def _in_yaml(node: Any) -> list[str]:
    found: list[str] = []
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, inner in node.value:
            if key.value in seen:
                found.append(f'line {key.start_mark.line + 1}: key "{key.value}" already set in map')
            seen.add(key.value)
            found += _in_yaml(inner)
    elif isinstance(node, yaml.SequenceNode):
        for inner in node.value:
            found += _in_yaml(inner)
    return found
