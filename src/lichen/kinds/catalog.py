# SPDX-License-Identifier: Apache-2.0
"""All kinds: Kubernetes' own, Lichen's (every `Resource` in the packages beside this file), and installed ones.

A `Catalog` is an object, so that installed kinds belong to one kernel; the functions below speak of the kinds that
are always there.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import lichen.kinds
from lichen.kinds import bundle
from lichen.kinds.columns import Column, columns_of_builtin, columns_of_model
from lichen.kinds.installed import Installed
from lichen.kinds.resources import SHOWN, builtin_kinds
from lichen.kinds.structs import schema_of_struct
from lichen.model.kind import Kind, Resource

Schema = dict[str, Any]


class Catalog:
    """Kinds by name, with their schemas and columns. `version` grows with every change; `follow` tells of it."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str, str], Kind] = {}
        self._by_kind: dict[tuple[str, str], Kind] = {}
        self._installed: dict[Kind, Installed] = {}
        self._definitions: dict[str, Schema] = {}
        self._columns: dict[Kind, tuple[Column, ...]] = {}
        self._followers: list[Callable[[], None]] = []
        self._all: tuple[Kind, ...] = ()
        self.version = 0
        for kind in (*builtin_kinds(), *own_kinds()):
            self._add(kind)
        self._all = tuple(self._kinds.values())

    def _add(self, kind: Kind) -> None:
        self._kinds[kind.group, kind.version, kind.plural] = kind
        self._by_kind[kind.api_version, kind.kind] = kind

    def follow(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` after every change of the kinds, from now on; returns how to stop."""
        self._followers.append(changed)
        return lambda: self._followers.remove(changed)

    def install(self, group: str, plural: str, versions: tuple[Installed, ...]) -> None:
        """What is served of an installed kind from now on: all its versions; none takes it away."""
        for kind in [k for k in self._installed if (k.group, k.plural) == (group, plural)]:
            del self._installed[kind], self._kinds[kind.group, kind.version, kind.plural]
            del self._by_kind[kind.api_version, kind.kind], self._definitions[definition_name(kind)]
            self._columns.pop(kind, None)
        for version in versions:
            self._add(version.kind)
            self._installed[version.kind] = version
            self._definitions[definition_name(version.kind)] = version.schema
            self._columns[version.kind] = version.columns
        self._all = tuple(self._kinds.values())
        self.version += 1
        for changed in tuple(self._followers):
            changed()

    def installed(self, kind: Kind) -> Installed | None:
        """What a CustomResourceDefinition says of the kind, None if it comes from none."""
        return self._installed.get(kind)

    def by_resource(self, group: str, version: str, plural: str) -> Kind | None:
        return self._kinds.get((group, version, plural))

    def by_kind(self, api_version: str, kind: str) -> Kind | None:
        return self._by_kind.get((api_version, kind))

    def all_kinds(self) -> tuple[Kind, ...]:
        return self._all

    def stored_kinds(self) -> tuple[Kind, ...]:
        """Each kind once, in a version that is served, without those that only show another one's objects."""
        found: dict[tuple[str, str], Kind] = {}
        for kind in self._all:
            if (kind.group, kind.version, kind.plural) not in SHOWN:
                found.setdefault((kind.group, kind.plural), kind)
        return tuple(found.values())

    def canonical(self, kind: Kind) -> Kind | None:
        """The same kind with all it declares."""
        return self._kinds.get((kind.group, kind.version, kind.plural))

    def definition(self, name: str) -> Schema:
        """A schema by the name that refs use, shared: read only. KeyError."""
        if name in self._definitions:
            return self._definitions[name]
        return own_definitions().get(name) or bundle.definition(name)

    def schema_of(self, kind: Kind) -> Schema:
        """OpenAPI v3; refs (`#/components/schemas/<name>`) are resolved by `definition`. Shared: read only."""
        return self.definition(definition_name(kind))

    def definitions_of(self, kind: Kind) -> dict[str, Schema]:
        """The kind's schema and every schema it refers to, by name."""
        found: dict[str, Schema] = {}
        waiting = [definition_name(kind)]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found[name] = self.definition(name)
                waiting.extend(_refs(found[name]))
        return found

    def columns_of(self, kind: Kind) -> tuple[Column, ...]:
        """What `kubectl get` shows."""
        columns = self._columns.get(kind)
        if columns is None:
            known = self.canonical(kind) or kind
            columns = columns_of_model(known) if known.model else columns_of_builtin(known)
            self._columns[kind] = columns
        return columns


def definition_name(kind: Kind) -> str:
    """`io.k8s.api.core.v1.Pod`, `dev.lichen.compute.v1.Server`: what refs to the kind's schema say."""
    if kind.model is None and (kind.group, kind.plural) in _builtin_names():
        return bundle.definition_name(kind.group, kind.version, kind.kind)
    return ".".join([*reversed(kind.group.split(".")), kind.version, kind.kind])


def _refs(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        ref = node.get("$ref")
        if isinstance(ref, str):
            yield ref.removeprefix(bundle.PREFIX)
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from _refs(item)


@cache
def _builtin_names() -> frozenset[tuple[str, str]]:
    return frozenset((kind.group, kind.plural) for kind in builtin_kinds())


@cache
def own_kinds() -> tuple[Kind, ...]:
    """Lichen's kinds: each `Resource` that a module below `lichen.kinds` declares."""
    found: dict[str, Kind] = {}
    for module in pkgutil.walk_packages(lichen.kinds.__path__, "lichen.kinds."):
        if module.name.count(".") < 3:
            continue
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, type) and issubclass(value, Resource) and hasattr(value, "KIND"):
                found[value.KIND.resource] = value.KIND
    return tuple(found[name] for name in sorted(found))


@cache
def own_definitions() -> dict[str, Schema]:
    """The schemas of Lichen's kinds by name."""
    return {definition_name(kind): schema_of_struct(kind) for kind in own_kinds()}


@cache
def default_catalog() -> Catalog:
    """The kinds that are always there."""
    return Catalog()


def by_resource(group: str, version: str, plural: str) -> Kind | None:
    return default_catalog().by_resource(group, version, plural)


def by_kind(api_version: str, kind: str) -> Kind | None:
    return default_catalog().by_kind(api_version, kind)


def all_kinds() -> tuple[Kind, ...]:
    return default_catalog().all_kinds()


def schema_of(kind: Kind) -> Schema:
    return default_catalog().schema_of(kind)


def columns_of(kind: Kind) -> tuple[Column, ...]:
    return default_catalog().columns_of(kind)
