# SPDX-License-Identifier: Apache-2.0
"""A patch of any type, applied to an object of a kind."""

from __future__ import annotations

from typing import Any

from lichen.kernel.jsonpatch import json_patch
from lichen.kernel.strategic import strategic_merge
from lichen.kinds import bundle
from lichen.kinds.catalog import Catalog
from lichen.model.data import Object
from lichen.model.errors import BadRequest, UnsupportedMediaType
from lichen.model.kind import Kind
from lichen.model.patch import merge_patch
from lichen.model.state import PatchType


def patched(catalog: Catalog, kind: Kind, subresource: str, obj: Object, patch: Any, type: PatchType) -> Object:
    """A changed copy of `obj`, which stays the same object whatever the patch says. BadRequest, Invalid."""
    new = _apply(catalog, kind, subresource, obj, patch, type)
    if not isinstance(new, dict) or not isinstance(new.get("metadata"), dict):
        raise BadRequest("the patch leaves nothing of the object's metadata")
    _keep_identity(new, obj)
    return new


def _apply(catalog: Catalog, kind: Kind, subresource: str, obj: Object, patch: Any, type: PatchType) -> Any:
    if type is PatchType.JSON:
        return json_patch(obj, patch)
    if not isinstance(patch, dict):
        raise BadRequest("the patch must be an object")
    if type is PatchType.MERGE:
        return merge_patch(obj, patch)
    if kind.installed and subresource != "scale":
        known = (PatchType.JSON, PatchType.MERGE, PatchType.APPLY)
        raise UnsupportedMediaType(
            "the body of the request was in an unknown format - accepted media types include: " + ", ".join(known)
        )
    if subresource == "scale":
        schema = catalog.definition(bundle.definition_name("autoscaling", "v1", "Scale"))
    else:
        schema = catalog.schema_of(kind)
    return strategic_merge(obj, patch, schema, catalog.definition)


def _keep_identity(new: Object, old: Object) -> None:
    for key in ("name", "namespace"):
        given, stored = new["metadata"].get(key, ""), old["metadata"].get(key, "")
        if given and given != stored:
            raise BadRequest(f"metadata.{key} cannot be changed by a patch, from {stored!r} to {str(given)[:64]!r}")
        if stored:
            new["metadata"] = {**new["metadata"], key: stored}
    for key in ("apiVersion", "kind"):
        if new.get(key, old.get(key)) != old.get(key):
            raise BadRequest(f"{key} cannot be changed by a patch, from {old.get(key)!r} to {str(new.get(key))[:64]!r}")
        new[key] = old[key]
