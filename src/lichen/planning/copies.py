# SPDX-License-Identifier: Apache-2.0
"""What volumes and images are copied from, and whether that is still needed. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from lichen.model.data import Object
from lichen.model.meta import is_deleting

FIELDS = {"Volume": ("source", "snapshot"), "Image": ("volume",)}
"""By kind of the copy: where its spec names what it is copied from; the same with `Id` has its id."""
SOURCES = {"source": "Volume", "volume": "Volume", "snapshot": "VolumeSnapshot"}
UNMADE = {"Volume": ("", "Creating"), "Image": ("", "queued", "saving")}
"""Phases of a copy that still needs its source."""


def sources_of(copy: Object) -> list[tuple[str, str]]:
    """(kind, name) of what a volume or an image is copied from."""
    return [(SOURCES[field], copy["spec"][field]) for field in FIELDS[copy["kind"]] if copy["spec"].get(field)]


def pending_copy(source: Object, candidates: Iterable[Object]) -> Object | None:
    """One of the volumes and images that are still to be made from a volume or a snapshot."""
    id = source["spec"].get("id")
    for copy in candidates:
        fields = [f"{field}Id" for field in FIELDS[copy["kind"]] if SOURCES[field] == source["kind"]]
        if id and is_unmade(copy) and any(copy["spec"].get(field) == id for field in fields):
            return copy
    return None


def is_unmade(copy: Object) -> bool:
    return not is_deleting(copy) and ((copy.get("status") or {}).get("phase") or "") in UNMADE[copy["kind"]]
