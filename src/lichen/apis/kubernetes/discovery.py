# SPDX-License-Identifier: Apache-2.0
"""Discovery: which groups, versions and resources there are. Derived from the catalog."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lichen.apis.kubernetes.subresources import resource_of_subresource
from lichen.kinds.installed import version_rank
from lichen.model.data import Object
from lichen.model.errors import NotFound
from lichen.model.kind import Kind

Kinds = tuple[Kind, ...]

_FIRST = ("", "apps", "batch")
"""Groups that win where two of them have a resource of one name; then the built-in ones, then Lichen's own."""


Groups = dict[str, dict[str, Kinds]]
"""Kinds by group and version, in the order in which clients prefer them."""


def groups_of(kinds: Kinds) -> Groups:
    groups: Groups = {}
    for kind in sorted(kinds, key=_preference):
        versions = groups.setdefault(kind.group, {})
        versions[kind.version] = (*versions.get(kind.version, ()), kind)
    return groups


def _preference(kind: Kind) -> tuple[Any, ...]:
    place = _FIRST.index(kind.group) if kind.group in _FIRST else len(_FIRST)
    return place, kind.installed, kind.model is not None, kind.group, version_rank(kind.version)


def api_versions() -> Object:
    """GET /api of the old form."""
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def api_groups(groups: Groups) -> Object:
    """GET /apis of the old form."""
    listed = [_group(group, versions) for group, versions in groups.items() if group]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}


def api_group(groups: Groups, group: str) -> Object:
    """GET /apis/<group>. NotFound."""
    versions = groups.get(group)
    if not group or versions is None:
        raise NotFound("the server could not find the requested resource")
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(group, versions)}


def api_resources(groups: Groups, group: str, version: str) -> Object:
    """GET /api/v1 or /apis/<group>/<version>. NotFound."""
    members = groups.get(group, {}).get(version)
    if members is None:
        raise NotFound("the server could not find the requested resource")
    resources = [entry for kind in members for entry in _resources(kind)]
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group}/{version}" if group else version,
        "resources": resources,
    }


def aggregated(groups: Groups, *, core: bool) -> Object:
    """The aggregated form of /api (core) and /apis (the rest): everything in one answer."""
    items = [_aggregated_group(g, versions) for g, versions in groups.items() if (g == "") is core]
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    }


def _group(group: str, versions: Iterable[str]) -> Object:
    listed = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
    return {"name": group, "versions": listed, "preferredVersion": listed[0]}


def _resources(kind: Kind) -> list[Object]:
    entry: Object = {
        "name": kind.plural,
        "singularName": _singular(kind),
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": list(kind.verbs),
    }
    if kind.short:
        entry["shortNames"] = list(kind.short)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    return [entry, *(_subresource(kind, name) for name in kind.subresources)]


def _subresource(kind: Kind, name: str) -> Object:
    known = resource_of_subresource(kind, name)
    entry: Object = {
        "name": f"{kind.plural}/{name}",
        "singularName": "",
        "namespaced": kind.namespaced,
        "kind": known.kind,
        "verbs": list(known.verbs),
    }
    if (known.group, known.version) != (kind.group, kind.version):
        entry["group"], entry["version"] = known.group, known.version
    return entry


def _aggregated_group(group: str, versions: dict[str, Kinds]) -> Object:
    return {
        "metadata": {"name": group, "creationTimestamp": None},
        "versions": [
            {"version": version, "freshness": "Current", "resources": [_aggregated_resource(kind) for kind in members]}
            for version, members in versions.items()
        ],
    }


def _aggregated_resource(kind: Kind) -> Object:
    entry: Object = {
        "resource": kind.plural,
        "responseKind": _gvk(kind.group, kind.version, kind.kind),
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": _singular(kind),
        "verbs": list(kind.verbs),
    }
    if kind.short:
        entry["shortNames"] = list(kind.short)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    if kind.subresources:
        entry["subresources"] = [_aggregated_subresource(kind, name) for name in kind.subresources]
    return entry


def _aggregated_subresource(kind: Kind, name: str) -> Object:
    known = resource_of_subresource(kind, name)
    return {
        "subresource": name,
        "responseKind": _gvk(known.group, known.version, known.kind),
        "verbs": list(known.verbs),
    }


def _gvk(group: str, version: str, kind: str) -> Object:
    return {"group": group, "version": version, "kind": kind}


def _singular(kind: Kind) -> str:
    return kind.singular or kind.kind.lower()
