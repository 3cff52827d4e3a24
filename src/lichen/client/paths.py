# SPDX-License-Identifier: Apache-2.0
"""Where the Kubernetes API has things: paths, and queries from options. Pure."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from lichen.model.errors import BadRequest
from lichen.model.kind import Kind
from lichen.model.state import WriteOptions


def collection_path(kind: Kind, namespace: str | None) -> str:
    """All objects of a kind in a namespace; in all namespaces if that is None."""
    root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    if namespace and kind.namespaced:
        return f"{root}/namespaces/{_segment(namespace)}/{kind.plural}"
    return f"{root}/{kind.plural}"


def object_path(kind: Kind, name: str, namespace: str, subresource: str = "") -> str:
    """One object. BadRequest: its name or namespace cannot be one."""
    if kind.namespaced and not namespace:
        raise BadRequest(f"{kind.resource} need a namespace")
    path = f"{collection_path(kind, namespace)}/{_segment(name)}"
    return f"{path}/{subresource}" if subresource else path


def query(**parameters: str | int | bool | None) -> str:
    """`?a=1&b=true` of what is neither empty nor None nor False; "" of nothing."""
    kept = {k: "true" if v is True else str(v) for k, v in parameters.items() if v not in ("", None, False)}
    return f"?{urlencode(kept)}" if kept else ""


def write_query(options: WriteOptions) -> str:
    return query(
        dryRun="All" if options.dry_run else "",
        fieldManager=options.field_manager,
        fieldValidation=options.field_validation,
        force=options.force,
    )


def _segment(text: str) -> str:
    if not text or text in (".", "..") or "/" in text or "%" in text:
        raise BadRequest(f"{text[:64]!r} cannot be the name of an object")
    return quote(text, safe="")
