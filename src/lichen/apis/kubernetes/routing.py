# SPDX-License-Identifier: Apache-2.0
"""From a path to what it names, by splitting: no patterns, no tables, whatever the number of kinds."""

from __future__ import annotations

from typing import NamedTuple

from lichen.kinds.catalog import Catalog
from lichen.kinds.columns import Column
from lichen.model.errors import NotFound
from lichen.model.kind import Kind


class Target(NamedTuple):
    """What a request is about. namespace None: across all namespaces; "": the kind has none.
    name "": the collection. subresource "" or e.g. `status`, `log`."""

    kind: Kind
    namespace: str | None
    name: str
    subresource: str
    catalog: Catalog

    def columns(self) -> tuple[Column, ...]:
        """What a table of the kind shows."""
        return self.catalog.columns_of(self.kind)


def target_of(catalog: Catalog, path: str) -> Target:
    """The target of a path below /api/v1 or /apis/<group>/<version>. NotFound: it names nothing."""
    parts = path.split("/")
    if parts[-1] == "":
        parts.pop()
    if parts[1] == "api":
        group, version, at = "", parts[2] if len(parts) > 2 else "", 3
    else:
        group, version, at = parts[2], parts[3] if len(parts) > 3 else "", 4
    count = len(parts) - at
    if count > 2 and parts[at] == "namespaces" and (group or parts[1] == "api"):
        return _in_namespace(catalog, group, version, parts, at, count)
    if not 1 <= count <= 3:
        raise no_such_path()
    kind = catalog.by_resource(group, version, parts[at])
    if kind is None or (parts[1] == "apis" and not group):
        raise no_such_path()
    if count > 1 and kind.namespaced:
        raise no_such_path()
    return Target(
        kind,
        None if kind.namespaced else "",
        parts[at + 1] if count > 1 else "",
        parts[at + 2] if count > 2 else "",
        catalog,
    )


def _in_namespace(catalog: Catalog, group: str, version: str, parts: list[str], at: int, count: int) -> Target:
    kind = catalog.by_resource(group, version, parts[at + 2])
    if kind is None or not kind.namespaced:
        return _of_the_namespace(catalog, group, version, parts, at, count)
    if count > 5:
        raise no_such_path()
    return Target(
        kind,
        parts[at + 1],
        parts[at + 3] if count > 3 else "",
        parts[at + 4] if count > 4 else "",
        catalog,
    )


def _of_the_namespace(catalog: Catalog, group: str, version: str, parts: list[str], at: int, count: int) -> Target:
    """`namespaces/x/status`: a subresource of the Namespace itself."""
    kind = catalog.by_resource(group, version, "namespaces")
    if kind is None or count != 3 or parts[at + 2] not in kind.subresources:
        raise no_such_path()
    return Target(kind, "", parts[at + 1], parts[at + 2], catalog)


def no_such_path() -> NotFound:
    return NotFound("the server could not find the requested resource")
