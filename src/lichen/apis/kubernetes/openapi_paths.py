# SPDX-License-Identifier: Apache-2.0
"""The paths of one kind for OpenAPI v3: what clients look up there (kind, verbs, query parameters), and no more."""

from __future__ import annotations

from lichen.kinds import bundle
from lichen.kinds.catalog import definition_name
from lichen.model.data import Object
from lichen.model.kind import Kind

_PATCHES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)
_READ = ("pretty",)
_LIST = (
    "allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit", "pretty", "resourceVersion",
    "resourceVersionMatch", "sendInitialEvents", "timeoutSeconds", "watch",
)  # fmt: skip
_WRITE = ("dryRun", "fieldManager", "fieldValidation", "pretty")
_PATCH = (*_WRITE, "force")
_DELETE = ("dryRun", "gracePeriodSeconds", "orphanDependents", "pretty", "propagationPolicy")
_BOOLEAN = frozenset(("allowWatchBookmarks", "force", "orphanDependents", "sendInitialEvents", "watch"))
_INTEGER = frozenset(("gracePeriodSeconds", "limit", "timeoutSeconds"))

_OPERATIONS = {
    # verb: (on the collection, method, action, query parameters)
    "list": (True, "get", "list", _LIST),
    "create": (True, "post", "post", _WRITE),
    "deletecollection": (True, "delete", "deletecollection", _DELETE),
    "get": (False, "get", "get", _READ),
    "update": (False, "put", "put", _WRITE),
    "patch": (False, "patch", "patch", _PATCH),
    "delete": (False, "delete", "delete", _DELETE),
}


def paths_of(kind: Kind) -> Object:
    """Collection, item and status paths of a kind."""
    root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    scope = f"{root}/namespaces/{{namespace}}" if kind.namespaced else root
    collection = f"{scope}/{kind.plural}"
    item = f"{collection}/{{name}}"
    paths: Object = {
        collection: _operations(kind, collection=True),
        item: _operations(kind, collection=False),
    }
    if kind.namespaced and "list" in kind.verbs:
        paths[f"{root}/{kind.plural}"] = {"get": _operation(kind, "list", "get", "list", _LIST)}
    if "status" in kind.subresources:
        paths[f"{item}/status"] = _operations(kind, collection=False, verbs=("get", "update", "patch"))
    return {path: operations for path, operations in paths.items() if operations}


def _operations(kind: Kind, *, collection: bool, verbs: tuple[str, ...] = ()) -> Object:
    return {
        method: _operation(kind, verb, method, action, query)
        for verb, (on_collection, method, action, query) in _OPERATIONS.items()
        if on_collection is collection and verb in (verbs or kind.verbs)
    }


def _operation(kind: Kind, verb: str, method: str, action: str, query: tuple[str, ...]) -> Object:
    schema = {"$ref": bundle.PREFIX + definition_name(kind)}
    operation: Object = {
        "description": f"{verb} {kind.kind}",
        "tags": [f"{kind.group or 'core'}_{kind.version}"],
        "parameters": [*_path_parameters(kind, verb), *(_query_parameter(name) for name in query)],
        "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": schema}}}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
    }
    if method in ("post", "put"):
        operation["requestBody"] = {"content": {"application/json": {"schema": schema}}, "required": True}
    if method == "patch":
        known = [media for media in _PATCHES if not (kind.installed and "strategic" in media)]
        operation["requestBody"] = {"content": {media: {"schema": {"type": "object"}} for media in known}}
    return operation


def _path_parameters(kind: Kind, verb: str) -> list[Object]:
    names = [*(["namespace"] if kind.namespaced else []), *([] if _OPERATIONS[verb][0] else ["name"])]
    return [{"name": n, "in": "path", "required": True, "schema": {"type": "string"}} for n in names]


def _query_parameter(name: str) -> Object:
    type_ = "boolean" if name in _BOOLEAN else "integer" if name in _INTEGER else "string"
    return {"name": name, "in": "query", "schema": {"type": type_, "uniqueItems": True}}
