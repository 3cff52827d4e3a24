# SPDX-License-Identifier: Apache-2.0
"""One run of a compiled schema over an object: what it found, and where."""

from __future__ import annotations

from typing import Any, NamedTuple

from lichen.kinds.faults import Faults

Path = tuple[Any, str | int] | None
"""(path of the parent, key or index); None is the object itself."""


class WrongType(NamedTuple):
    path: Path
    want: str
    got: str


class Run:
    """faults: broken rules. types: values of a wrong JSON type. unknown: paths of fields that no schema has."""

    __slots__ = ("faults", "types", "unknown")

    def __init__(self) -> None:
        self.faults = Faults()
        self.types: list[WrongType] = []
        self.unknown: list[Path] = []

    def wrong_type(self, path: Path, want: str, value: Any) -> Any:
        self.types.append(WrongType(path, want, json_type(value)))
        return value


def text_of(path: Path) -> str:
    """`spec.ports[0].port`."""
    parts: list[str] = []
    while path is not None:
        path, key = path
        parts.append(f"[{key}]" if isinstance(key, int) else f".{key}")
    return "".join(reversed(parts)).lstrip(".")


def keys_of(path: Path) -> list[str | int]:
    """From the object down."""
    keys: list[str | int] = []
    while path is not None:
        path, key = path
        keys.append(key)
    return keys[::-1]


def at(obj: Any, keys: list[str | int]) -> Any:
    """What is there; None: nothing is."""
    for key in keys:
        if isinstance(key, int):
            obj = obj[key] if isinstance(obj, list) and key < len(obj) else None
        else:
            obj = obj.get(key) if isinstance(obj, dict) else None
    return obj


_NAMES = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}


def json_type(value: Any) -> str:
    return _NAMES.get(type(value), "null")


def known_as(obj: Any) -> str:
    """The object's name as far as it has one."""
    metadata = obj.get("metadata") if isinstance(obj, dict) else None
    name = metadata.get("name") or metadata.get("generateName") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) else ""
