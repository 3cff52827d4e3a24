# SPDX-License-Identifier: Apache-2.0
"""What of a kind's schema merging asks: which maps and lists have parts that are owned one by one, and their keys."""

from __future__ import annotations

from typing import Any

import msgspec

from lichen.kinds.bundle import PREFIX
from lichen.kinds.catalog import Catalog
from lichen.model.kind import Kind

Schema = dict[str, Any]

_KEY_DEFAULTS = {"protocol": "TCP"}
"""Of keys of lists of built-in kinds."""
_encode = msgspec.json.Encoder(order="sorted").encode


class Shape:
    """One value's: a map (`is_map`), a list whose items have keys or are values of a set (`is_list`), or a whole."""

    __slots__ = (
        "_children", "_extra", "_extra_shape", "_fields", "_item", "_schema", "_shapes", "is_list", "is_map", "keyed",
        "keys",
    )  # fmt: skip

    def __init__(self, shapes: Shapes, schema: Schema) -> None:
        self._shapes = shapes
        self._schema = schema
        self._fields: Schema = schema.get("properties") or {}
        extra = schema.get("additionalProperties")
        if extra is None and (schema.get("x-kubernetes-preserve-unknown-fields") or _is_untyped(schema)):
            extra = {}
        self._extra: Schema | None = extra if isinstance(extra, dict) else {} if extra else None
        atomic = schema.get("x-kubernetes-map-type") == "atomic"
        self.is_map = not atomic and (schema.get("type") == "object" or _is_untyped(schema) or bool(self._fields))
        listed = schema.get("x-kubernetes-list-type")
        self.is_list = schema.get("type") == "array" and listed in ("map", "set")
        self.keyed = listed == "map"
        self.keys: tuple[tuple[str, Any], ...] = ()
        self._children: dict[str, Shape] = {}
        self._extra_shape: Shape | None = None
        self._item: Shape | None = None

    def child(self, name: str) -> Shape | None:
        """The shape of a map's entry; None: there is none of that name."""
        if (found := self._children.get(name)) is not None:
            return found
        if name in self._fields:
            found = self._children[name] = self._shapes.compile(self._fields[name])
            return found
        if self._extra_shape is None and self._extra is not None:
            self._extra_shape = self._shapes.compile(self._extra)
        return self._extra_shape

    def declares(self, name: str) -> bool:
        return name in self._fields

    @property
    def is_free(self) -> bool:
        """A map whose entries are named by who writes them."""
        return self._extra is not None and not self._fields

    @property
    def item(self) -> Shape:
        if self._item is None:
            self._item = self._shapes.compile(self._schema["items"])
            self.keys = tuple(
                (key, self._item.default_of(key))
                for key in sorted(self._schema.get("x-kubernetes-list-map-keys") or ())
            )
        return self._item

    def default_of(self, name: str) -> Any:
        default = (self._fields.get(name) or {}).get("default")
        return _KEY_DEFAULTS.get(name) if default is None else default

    def edge(self, item: Any) -> str:
        """The edge to a list's item."""
        shape = self.item
        if not self.keyed:
            return "v:" + _encode(item).decode()
        if not isinstance(item, dict) or shape is None:
            return "v:" + _encode(item).decode()
        named = {key: item.get(key, default) for key, default in self.keys}
        return "k:" + _encode({key: value for key, value in named.items() if value is not None}).decode()


def _is_untyped(schema: Schema) -> bool:
    return "type" not in schema and "$ref" not in schema and not schema.get("x-kubernetes-int-or-string")


class Shapes:
    """Shapes of one catalog, made on first use."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._kinds: dict[Kind, Shape] = {}
        self._definitions: dict[str, Shape] = {}
        self._free: Shape | None = None
        catalog.follow(self._forget_installed)

    def of(self, kind: Kind) -> Shape:
        shape = self._kinds.get(kind)
        if shape is None:
            shape = self._kinds[kind] = Shape(self, self._catalog.schema_of(kind))
        return shape

    def compile(self, schema: Schema) -> Shape:
        if "$ref" in schema:
            name = schema["$ref"].removeprefix(PREFIX)
            shape = self._definitions.get(name)
            if shape is None:
                shape = self._definitions[name] = Shape(self, self._catalog.definition(name))
            return shape
        if not schema:
            if self._free is None:
                self._free = Shape(self, {})
            return self._free
        return Shape(self, schema)

    def _forget_installed(self) -> None:
        for kind in [kind for kind in self._kinds if kind.installed]:
            del self._kinds[kind]
