# SPDX-License-Identifier: Apache-2.0
"""Installed kinds: what a CustomResourceDefinition says, as kinds, schemas and columns. Pure.

Any process may ask `kinds_of(definition)` which kinds a definition (read through State) stands for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from lichen.kinds import bundle
from lichen.kinds.columns import AGE, NAME, Column, age
from lichen.kinds.jsonpath import jsonpath, split_path
from lichen.model.data import Object
from lichen.model.kind import Kind

Schema = dict[str, Any]
_VERSION = re.compile(r"v(\d+)(?:(alpha|beta)(\d+))?")
_STAGE = {None: 2, "beta": 1, "alpha": 0}


@dataclass(frozen=True, slots=True)
class Scale:
    """Where an installed kind keeps its replicas; `selector` () if it has none."""

    spec: tuple[str, ...]
    status: tuple[str, ...]
    selector: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Installed:
    """One served version. storage: the kind in the version that is stored. own_form: what is stored may look
    otherwise than this version shows it. warning: told to everyone who uses it."""

    kind: Kind
    schema: Schema
    columns: tuple[Column, ...]
    storage: Kind
    scale: Scale | None = None
    own_form: bool = False
    warning: str = ""


def kinds_of(definition: Object) -> tuple[Kind, ...]:
    """The served versions of a definition, the preferred one first."""
    return tuple(_kind(definition["spec"], version) for version in _served(definition))


def stored_kind(definition: Object) -> Kind:
    """The kind in the version in which its objects are stored."""
    spec = definition["spec"]
    return _kind(spec, next(v for v in spec["versions"] if v["storage"]))


def is_established(definition: Object) -> bool:
    conditions = (definition.get("status") or {}).get("conditions") or ()
    return any(c.get("type") == "Established" and c.get("status") == "True" for c in conditions)


def installed_of(definition: Object) -> tuple[Installed, ...]:
    """All that is served of a definition that was validated."""
    spec, stored = definition["spec"], stored_kind(definition)
    changed = len(spec["versions"]) > 1 or definition["metadata"].get("generation", 1) > 1
    return tuple(_installed(spec, version, stored, changed) for version in _served(definition))


def _installed(spec: Object, version: Object, stored: Kind, changed: bool) -> Installed:
    scale = (version.get("subresources") or {}).get("scale")
    return Installed(
        _kind(spec, version),
        published(version, spec),
        columns_of_version(version),
        stored,
        None if scale is None else scale_of(scale),
        changed,
        _warning(spec, version),
    )


def _kind(spec: Object, version: Object) -> Kind:
    names, parts = spec["names"], version.get("subresources") or {}
    return Kind(
        group=spec["group"],
        version=version["name"],
        kind=names["kind"],
        plural=names["plural"],
        namespaced=spec["scope"] == "Namespaced",
        singular=names.get("singular") or names["kind"].lower(),
        short=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        subresources=tuple(part for part in ("status", "scale") if part in parts),
        installed=True,
    )


def _served(definition: Object) -> list[Object]:
    served = [version for version in definition["spec"]["versions"] if version["served"]]
    return sorted(served, key=lambda version: version_rank(version["name"]))


def version_rank(name: str) -> tuple[Any, ...]:
    """A key that sorts versions as clients prefer them: v2, v1, v1beta2, v1alpha1, then others by name."""
    match = _VERSION.fullmatch(name)
    if match is None:
        return 1, 0, 0, 0, name
    major, stage, minor = match.groups()
    return 0, -_STAGE[stage], -int(major), -int(minor or 0), name


def _warning(spec: Object, version: Object) -> str:
    if not version.get("deprecated"):
        return ""
    named = f"{spec['group']}/{version['name']} {spec['names']['kind']}"
    return version.get("deprecationWarning") or f"{named} is deprecated"


def published(version: Object, spec: Object) -> Schema:
    """The schema of one version, with what every object has."""
    schema: Schema = dict((version.get("schema") or {}).get("openAPIV3Schema") or {})
    gvk = {"group": spec["group"], "version": version["name"], "kind": spec["names"]["kind"]}
    schema["properties"] = {**(schema.get("properties") or {}), **_what_every_object_has()}
    return {**schema, "type": "object", "x-kubernetes-group-version-kind": [gvk]}


@cache
def _what_every_object_has() -> Schema:
    """As a built-in kind has it, descriptions included."""
    like = bundle.definition("io.k8s.api.core.v1.ConfigMap")["properties"]
    return {key: like[key] for key in ("apiVersion", "kind", "metadata")}


def scale_of(scale: Object) -> Scale:
    """ValueError: a path cannot be read."""
    selector = scale.get("labelSelectorPath") or ""
    return Scale(
        split_path(scale["specReplicasPath"]),
        split_path(scale["statusReplicasPath"]),
        split_path(selector) if selector else (),
    )


def columns_of_version(version: Object) -> tuple[Column, ...]:
    """NAME, then what the definition lists; with nothing listed, the age. ValueError: a path cannot be read."""
    listed = version.get("additionalPrinterColumns") or ()
    return (NAME, *map(_column, listed)) if listed else (NAME, AGE)


def _column(declared: Object) -> Column:
    find, type_ = jsonpath(declared["jsonPath"]), declared["type"]

    def cell(obj: Object, now: float) -> Any:
        found = find(obj)
        return _typed(found, type_, now) if found else None

    return Column(
        declared["name"],
        cell,
        type_,
        declared.get("priority", 0),
        declared.get("description") or f"Custom resource definition column: {declared['jsonPath']}",
        declared.get("format", ""),
    )


def _typed(found: list[Any], type_: str, now: float) -> Any:
    value = found[0]
    if type_ == "integer":
        return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    if type_ == "number":
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None
    if type_ == "boolean":
        return value if isinstance(value, bool) else None
    if type_ == "date":
        return age(value if isinstance(value, str) else None, now)
    return ",".join(_text(item) for item in found)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return bundle.compact(value)
