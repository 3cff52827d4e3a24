# SPDX-License-Identifier: Apache-2.0
"""Schemas, compiled once per kind into closures that check, prune, default and copy an object in one pass.

A closure takes (value, path, run) and returns the value to keep; faults go to the run. A path is a linked pair
(parent path, key), so that nothing is formatted while all is well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lichen.kernel import scalars
from lichen.kernel.checking import Path, Run, at, keys_of, known_as, text_of
from lichen.kernel.custom.structural import compile_kind
from lichen.kinds.bundle import META, OBJECT_META, PREFIX
from lichen.kinds.catalog import Catalog
from lichen.kinds.faults import invalid
from lichen.model.data import Object
from lichen.model.errors import BadRequest
from lichen.model.kind import Kind
from lichen.model.state import DEFAULT_OPTIONS, WriteOptions

Check = Callable[[Any, Path, Run], Any]
Definition = dict[str, Any]

_DROPPED = {f"{META}.ObjectMeta": frozenset(("managedFields", "selfLink"))}
_OPTIONAL = {
    "io.k8s.api.batch.v1.PodFailurePolicy": frozenset(("rules",)),
    "io.k8s.api.core.v1.LimitRangeSpec": frozenset(("limits",)),
    "io.k8s.api.discovery.v1.EndpointSlice": frozenset(("endpoints",)),
    "io.k8s.api.networking.v1.NetworkPolicySpec": frozenset(("podSelector",)),
    "io.k8s.api.storage.v1.CSINodeSpec": frozenset(("drivers",)),
}
"""Required in the published schema, but upstream takes a zero value: protobuf cannot even send an empty list."""
_PLAIN = {"string": str, "boolean": bool, "integer": int}
_STATUS = "Status"


class Schema:
    """One kind's compiled schema."""

    def __init__(self, kind: Kind, check: Check) -> None:
        self.kind = kind
        self._check = check

    def decode(
        self,
        obj: Any,
        options: WriteOptions = DEFAULT_OPTIONS,
        *,
        applied: bool = False,
        unused: str = "",
        stored: Object | None = None,
    ) -> Object:
        """A checked, pruned and defaulted copy of `obj`. Parts of free form may be shared with it. Of the field
        `unused` nothing will be taken: it may lack whatever it likes. stored: what it is to replace: fields of it that
        no schema here has are a later release's, and stay as they are if `obj` has them.

        BadRequest: not an object, or (built-in kinds) of wrong types, or unknown fields under Strict.
        Invalid: fields required, bounded or enumerated that are not so.
        """
        run = Run()
        out: Object = self._check(obj, None, run)
        if run.types:
            self._refuse_types(run)
        if run.unknown and stored is not None and not self.kind.installed:
            run.unknown = [path for path in run.unknown if not _kept(keys_of(path), obj, stored, out)]
        if (run.unknown or options.doubled) and options.field_validation != "Ignore":
            self._tell_unknown(run, options, known_as(out) if applied else "")
        faults = run.faults.outside(unused) if unused else run.faults
        if faults:
            raise invalid(self.kind, known_as(out), faults)
        return out

    def seen(self, obj: Object, run: Run) -> Object:
        """A pruned and defaulted copy of `obj`, whatever is wrong with it goes to `run`."""
        out: Object = self._check(obj, None, run)
        return out

    def _refuse_types(self, run: Run) -> None:
        first = run.types[0]
        said = f"{text_of(first.path)}: expected {first.want}, got {first.got}".lstrip(": ")
        raise BadRequest(f"{self._subject()}: {said}")

    def _tell_unknown(self, run: Run, options: WriteOptions, applied: str) -> None:
        said = [*(f'unknown field "{text_of(path)}"' for path in run.unknown), *options.doubled]
        if options.field_validation == "Strict" and applied and not options.doubled:
            said = [f".{text_of(path)}: field not declared in schema" for path in run.unknown]
            listed = said[0] if len(said) == 1 else "errors:\n  " + "\n  ".join(said)
            what = f"(/{applied}; {self.kind.api_version}, Kind={self.kind.kind})"
            raise BadRequest(f"failed to create typed patch object {what}: {listed}")
        if options.field_validation == "Strict":
            raise BadRequest(f"{self._subject()}: strict decoding error: {', '.join(said)}")
        options.warnings.extend(said)

    def _subject(self) -> str:
        return f'{self.kind.kind} in version "{self.kind.version}" cannot be handled as a {self.kind.kind}'


def _kept(keys: list[str | int], obj: Any, stored: Any, out: Any) -> bool:
    """Leave in `out` what is stored of an unknown field; whether it is what `obj` says."""
    value = at(stored, keys)
    if value is None:
        return False
    at(out, keys[:-1])[keys[-1]] = value
    return bool(at(obj, keys) == value)


class Schemas:
    """Compiled schemas of one catalog."""

    def __init__(self, catalog: Catalog, *, bare: bool = False) -> None:
        """bare: nothing is filled in or required, as in a part of an object that somebody applies."""
        self._catalog = catalog
        self._bare = bare
        self._kinds: dict[Kind, Schema] = {}
        self._definitions: dict[str, Check] = {}
        catalog.follow(self._forget_installed)

    def of(self, kind: Kind) -> Schema:
        schema = self._kinds.get(kind)
        if schema is None:
            schema = self._kinds[kind] = Schema(kind, self._compile_kind(kind))
        return schema

    def _compile_kind(self, kind: Kind) -> Check:
        schema = self._catalog.schema_of(kind)
        if kind.installed:
            return compile_kind(schema, self.metadata(), bare=self._bare)
        return self.compile(schema, lenient=self._bare)

    def metadata(self) -> Check:
        """The check of every object's metadata."""
        return self._definition(OBJECT_META, lenient=self._bare)

    def _forget_installed(self) -> None:
        for kind in [kind for kind in self._kinds if kind.installed]:
            del self._kinds[kind]

    def named(self, kind: Kind, definition: str) -> Schema:
        """The schema of a body that is no kind of its own (Scale, Eviction), called `kind` in errors."""
        return Schema(kind, self._definition(definition))

    def compile(self, schema: Definition, name: str = "", *, lenient: bool = False) -> Check:
        """A closure for a schema. lenient: required fields may be missing (what is observed, not wanted)."""
        if "$ref" in schema:
            return self._reference(schema, lenient)
        if schema.get("x-kubernetes-preserve-unknown-fields") or schema.get("x-kubernetes-int-or-string"):
            return scalars.anything if "type" not in schema else scalars.any_object
        match schema.get("type"):
            case "object":
                return self._object(schema, name, lenient)
            case "array":
                return _array(self.compile(schema["items"], lenient=lenient))
            case None:
                return scalars.anything
            case _:
                return scalars.scalar(schema)

    def _reference(self, schema: Definition, lenient: bool) -> Check:
        name = schema["$ref"].removeprefix(PREFIX)
        return self._definition(name, lenient=lenient or name.endswith(_STATUS))

    def _definition(self, name: str, *, lenient: bool = False) -> Check:
        key = name + "?" if lenient else name
        check = self._definitions.get(key)
        if check is None:
            self._definitions[key] = lambda value, path, run: self._definitions[key](value, path, run)
            check = self.compile(self._catalog.definition(name), name, lenient=lenient)
            self._definitions[key] = check
        return check

    def _object(self, schema: Definition, name: str, lenient: bool) -> Check:
        properties: dict[str, Definition] = schema.get("properties", {})
        extra = schema.get("additionalProperties")
        if not properties:
            return self._map(extra, lenient) if isinstance(extra, dict) else scalars.any_object
        dropped = _DROPPED.get(name, frozenset())
        plain: dict[str, type] = {}
        checks: dict[str, Check] = {}
        for key, sub in properties.items():
            kept = None if sub.get("$ref") or key in dropped else _plain_type(sub)
            if kept is not None:
                plain[key] = kept
            if key not in dropped:
                checks[key] = self.compile(sub, lenient=lenient or key == "status")
        required = () if lenient else tuple(k for k in schema.get("required", ()) if k not in _OPTIONAL.get(name, ()))
        nullable = frozenset(key for key, sub in properties.items() if sub.get("nullable"))
        defaulted = {} if self._bare else {key: sub for key, sub in properties.items() if "default" in sub}
        defaults = tuple((key, sub["default"], checks[key]) for key, sub in defaulted.items())
        return _struct(plain, checks, dropped, nullable, required, defaults)

    def _map(self, values: Definition, lenient: bool) -> Check:
        if values.get("type") == "string" and set(values) <= {"type", "description", "default"}:
            return scalars.string_map
        return _map_of(self.compile(values, lenient=lenient))


def _plain_type(schema: Definition) -> type | None:
    """The type of a value that needs no look but at its type."""
    if set(schema) & {"enum", "pattern", "maxLength", "minimum", "maximum"}:
        return None
    if schema.get("format") not in (None, "int64"):
        return None
    return _PLAIN.get(schema.get("type", ""))


def _struct(
    plain: dict[str, type],
    checks: dict[str, Check],
    dropped: frozenset[str],
    nullable: frozenset[str],
    required: tuple[str, ...],
    defaults: tuple[tuple[str, Any, Check], ...],
) -> Check:
    plain_type, find = plain.get, checks.get

    def check(value: Any, path: Path, run: Run) -> Any:
        if type(value) is not dict:
            return run.wrong_type(path, "object", value)
        out = {}
        for key, item in value.items():
            if type(item) is plain_type(key):
                out[key] = item
                continue
            inner = find(key)
            if inner is None:
                if key not in dropped:
                    run.unknown.append((path, key))
            elif item is not None:
                out[key] = inner(item, (path, key), run)
            elif key in nullable:
                out[key] = None
        for key in required:
            if key not in out:
                run.faults.required(text_of((path, key)))
        for key, default, inner in defaults:
            if key not in out:
                out[key] = inner(default, (path, key), run)
        return out

    return check


def _array(inner: Check) -> Check:
    def check(value: Any, path: Path, run: Run) -> Any:
        if type(value) is not list:
            return run.wrong_type(path, "array", value)
        return [inner(item, (path, index), run) for index, item in enumerate(value)]

    return check


def _map_of(inner: Check) -> Check:
    def check(value: Any, path: Path, run: Run) -> Any:
        if type(value) is not dict:
            return run.wrong_type(path, "object", value)
        return {key: inner(item, (path, key), run) for key, item in value.items()}

    return check
