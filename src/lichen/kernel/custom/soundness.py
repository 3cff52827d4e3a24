# SPDX-License-Identifier: Apache-2.0
"""Whether a schema in a CustomResourceDefinition is structural: every value has one type, so that it can be pruned,
defaulted and merged."""

from __future__ import annotations

from typing import Any

from lichen.kernel.checking import Path, Run
from lichen.kernel.custom.rules import VALIDATIONS, told_faults
from lichen.kernel.custom.structural import EMBEDDED, INT_OR_STRING, PRESERVE, compile_value
from lichen.kernel.custom.values import TYPES
from lichen.kernel.patterns import compiled_pattern
from lichen.kinds.faults import Faults

Schema = dict[str, Any]

_FORBIDDEN = ("$ref", "definitions", "dependencies", "patternProperties", "additionalItems", "id")
_NOT_IN_LOGIC = (
    "type", "default", "additionalProperties", "nullable", "description", "title", PRESERVE, EMBEDDED,
    INT_OR_STRING, "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type",
)  # fmt: skip
_LOGIC = ("allOf", "anyOf", "oneOf")
_EITHER = [{"type": "integer"}, {"type": "string"}]
_MAX_DEPTH = 64


class Soundness:
    """Collects what is wrong with a schema, and what is understood but not enforced (`warnings`)."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self.warnings: list[str] = []

    def check(self, schema: Schema, path: str) -> None:
        """The root of a version's schema."""
        if schema.get("type") != "object":
            self._faults.invalid(f"{path}.type", schema.get("type", ""), "must be object at the root")
        if schema.get("nullable"):
            self._faults.forbidden(f"{path}.nullable", "nullable cannot be true at the root")
        if "default" in schema:
            self._faults.forbidden(f"{path}.default", "must not be set at the root")
        meta = (schema.get("properties") or {}).get("metadata") or {}
        if set(meta.get("properties") or ()) - {"name", "generateName"} or "default" in meta:
            self._faults.forbidden(
                f"{path}.properties[metadata]", "must not specify anything other than name and generateName"
            )
        self._node(schema, path, 0, root=True)

    def _node(self, schema: Any, path: str, depth: int, *, root: bool = False) -> None:
        if not isinstance(schema, dict):
            self._faults.invalid(path, schema, "must be a schema")
            return
        if depth > _MAX_DEPTH:
            self._faults.forbidden(path, f"schemas may be nested {_MAX_DEPTH} deep")
            return
        self._type(schema, path, root=root)
        self._words(schema, path)
        self._lists(schema, path)
        self._logic(schema, path, depth)
        for name, inner in (schema.get("properties") or {}).items():
            self._node(inner, f"{path}.properties[{name}]", depth + 1)
        if isinstance(schema.get("items"), dict):
            self._node(schema["items"], f"{path}.items", depth + 1)
        if isinstance(schema.get("additionalProperties"), dict):
            self._node(schema["additionalProperties"], f"{path}.additionalProperties", depth + 1)
        self._default(schema, path)

    def _type(self, schema: Schema, path: str, *, root: bool) -> None:
        type_ = schema.get("type")
        if schema.get(INT_OR_STRING):
            if type_:
                self._faults.forbidden(f"{path}.type", f"must be empty if {INT_OR_STRING} is true")
        elif not type_:
            if not schema.get(PRESERVE) and not root:
                self._faults.required(f"{path}.type", "must not be empty for specified object fields")
        elif type_ not in TYPES:
            self._faults.unsupported(f"{path}.type", type_, TYPES)
        if schema.get(EMBEDDED) and type_ != "object":
            self._faults.invalid(f"{path}.type", type_ or "", f"must be object if {EMBEDDED} is true")
        if type_ == "array" and not isinstance(schema.get("items"), dict):
            self._faults.required(f"{path}.items", "must be specified for an array, as one schema")

    def _words(self, schema: Schema, path: str) -> None:
        for word in _FORBIDDEN:
            if schema.get(word):
                self._faults.forbidden(f"{path}.{word}", f"{word} is not supported")
        if schema.get("uniqueItems"):
            self._faults.forbidden(f"{path}.uniqueItems", "uniqueItems cannot be set to true")
        if schema.get("multipleOf", 1) <= 0:
            self._faults.invalid(f"{path}.multipleOf", schema["multipleOf"], "must be greater than 0")
        extra = schema.get("additionalProperties")
        if extra is False:
            self._faults.forbidden(f"{path}.additionalProperties", "additionalProperties cannot be set to false")
        if extra and schema.get("properties"):
            self._faults.forbidden(
                f"{path}.additionalProperties", "additionalProperties and properties are mutual exclusive"
            )
        if PRESERVE in schema and schema[PRESERVE] is not True:
            self._faults.invalid(f"{path}.{PRESERVE}", schema[PRESERVE], "must be true or undefined")
        pattern = schema.get("pattern")
        if pattern and compiled_pattern(pattern) is None:
            self.warnings.append(f"{path}.pattern: {pattern!r} is not understood and not enforced")
        if schema.get(VALIDATIONS):
            self.warnings.extend(told_faults(schema[VALIDATIONS], path, self._faults))

    def _lists(self, schema: Schema, path: str) -> None:
        kind, keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys")
        if kind and schema.get("type") != "array":
            self._faults.invalid(
                f"{path}.type", schema.get("type", ""), "must be array if x-kubernetes-list-type is set"
            )
        if kind not in (None, "atomic", "set", "map"):
            self._faults.unsupported(f"{path}.x-kubernetes-list-type", kind, ("atomic", "set", "map"))
        if (kind == "map") is not bool(keys):
            self._faults.required(
                f"{path}.x-kubernetes-list-map-keys", "goes with x-kubernetes-list-type map, and with no other"
            )
        item = schema.get("items") if isinstance(schema.get("items"), dict) else {}
        assert isinstance(item, dict)
        for key in keys or ():
            inner = (item.get("properties") or {}).get(key)
            if not isinstance(inner, dict):
                self._faults.invalid(f"{path}.x-kubernetes-list-map-keys", key, "must be a property of the items")
            elif key not in (item.get("required") or ()) and "default" not in inner:
                self._faults.required(
                    f"{path}.items.properties[{key}].default", "a key of a list must be required or have a default"
                )

    def _logic(self, schema: Schema, path: str, depth: int) -> None:
        either = bool(schema.get(INT_OR_STRING))
        for word in _LOGIC:
            for index, inner in enumerate(schema.get(word) or ()):
                if not (either and (inner in _EITHER or inner == {"anyOf": _EITHER})):
                    self._branch(inner, f"{path}.{word}[{index}]", depth + 1)
        if schema.get("not"):
            self._branch(schema["not"], f"{path}.not", depth + 1)

    def _branch(self, schema: Any, path: str, depth: int) -> None:
        """A part of allOf, anyOf, oneOf or not: it may only say what values are allowed."""
        if not isinstance(schema, dict) or depth > _MAX_DEPTH:
            self._faults.invalid(path, schema, "must be a schema, not nested too deep")
            return
        for word in _NOT_IN_LOGIC:
            if schema.get(word):
                self._faults.forbidden(f"{path}.{word}", "must be empty to be structural")
        for name, inner in (schema.get("properties") or {}).items():
            self._branch(inner, f"{path}.properties[{name}]", depth + 1)
        if isinstance(schema.get("items"), dict):
            self._branch(schema["items"], f"{path}.items", depth + 1)
        for word in _LOGIC:
            for index, inner in enumerate(schema.get(word) or ()):
                self._branch(inner, f"{path}.{word}[{index}]", depth + 1)

    def _default(self, schema: Schema, path: str) -> None:
        if schema.get("default") is None or self._faults:
            return
        run = Run()
        kept = compile_value(schema, _as_it_is)(schema["default"], None, run)
        self._faults.extend(cause._replace(field=f"{path}.default") for cause in run.faults)
        if run.unknown and kept != schema["default"]:
            self._faults.invalid(f"{path}.default", schema["default"], "must not have unknown fields")


def _as_it_is(value: Any, path: Path, run: Run) -> Any:
    return value
