# SPDX-License-Identifier: Apache-2.0
"""Objects reduced to their metadata."""

from __future__ import annotations

from typing import Any

from lichen.model.data import Object

META_VERSION = "meta.k8s.io/v1"


def partial_metadata(obj: Object) -> Object:
    return {"kind": "PartialObjectMetadata", "apiVersion": META_VERSION, "metadata": obj["metadata"]}


def partial_list(objects: list[Object], meta: dict[str, Any]) -> Object:
    return {
        "kind": "PartialObjectMetadataList",
        "apiVersion": META_VERSION,
        "metadata": meta,
        "items": [partial_metadata(obj) for obj in objects],
    }
