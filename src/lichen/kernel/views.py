# SPDX-License-Identifier: Apache-2.0
"""Kinds that show what another kind (or another version of the same) stores: events.k8s.io over Events, versions of an
installed kind over the one that is stored. Reads are shown, writes are kept; nothing is stored twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol

import msgspec

from lichen.kernel.checking import Run
from lichen.kernel.schema import Schemas
from lichen.kinds.catalog import Catalog
from lichen.kinds.installed import Installed
from lichen.kinds.resources import SHOWN
from lichen.kinds.shown import FORMS, Forms
from lichen.model.data import Object
from lichen.model.kind import Kind
from lichen.model.state import Event, EventType

_encode, _decode = msgspec.json.Encoder().encode, msgspec.json.Decoder().decode


class View(Protocol):
    """storage: the kind that is stored."""

    storage: Kind

    def shown(self, obj: Object) -> Object:
        """A stored object as this kind shows it; what is given may be changed."""
        ...

    def kept(self, obj: Object) -> Object:
        """An object of this kind as it is stored; what is given may be changed."""
        ...

    def fields(self, selector: str) -> str:
        """A field selector of this kind in the words of what is stored."""
        ...


class InstalledView:
    """One version of an installed kind. What was stored under an older schema is shown as the present one says:
    pruned, with its defaults."""

    def __init__(self, installed: Installed, schemas: Schemas) -> None:
        self.storage = installed.storage
        self._kind = installed.kind
        self._schemas = schemas

    def shown(self, obj: Object) -> Object:
        managed = obj["metadata"].get("managedFields")
        seen: Object = self._schemas.of(self._kind).seen(obj, Run())
        seen["apiVersion"], seen["kind"] = self._kind.api_version, self._kind.kind
        if managed:
            seen["metadata"]["managedFields"] = managed
        return seen

    def kept(self, obj: Object) -> Object:
        return {**obj, "apiVersion": self.storage.api_version, "kind": self.storage.kind}

    def fields(self, selector: str) -> str:
        return selector


class BuiltinView:
    """A built-in kind that shows another one."""

    def __init__(self, kind: Kind, storage: Kind, forms: Forms) -> None:
        self.storage = storage
        self._kind = kind
        self._forms = forms

    def shown(self, obj: Object) -> Object:
        return {**self._forms.shown(obj), "apiVersion": self._kind.api_version, "kind": self._kind.kind}

    def kept(self, obj: Object) -> Object:
        return {**self._forms.kept(obj), "apiVersion": self.storage.api_version, "kind": self.storage.kind}

    def fields(self, selector: str) -> str:
        for ours, theirs in self._forms.fields:
            selector = selector.replace(ours, theirs)
        return selector


def _builtin_views(catalog: Catalog) -> dict[Kind, View]:
    views: dict[Kind, View] = {}
    for (group, version, plural), storage in SHOWN.items():
        kind, stored = catalog.by_resource(group, version, plural), catalog.by_resource(*storage, plural)
        assert kind is not None and stored is not None
        views[kind] = BuiltinView(kind, stored, FORMS[group, plural])
    return views


class Views:
    """All views of a kernel; a kind without one is stored as it is."""

    def __init__(self, catalog: Catalog, schemas: Schemas) -> None:
        self._catalog = catalog
        self._schemas = schemas
        self._fixed = _builtin_views(catalog)
        self._found: dict[Kind, View] = dict(self._fixed)
        catalog.follow(self._changed)

    def of(self, kind: Kind) -> View | None:
        return self._found.get(kind)

    def stored(self, kind: Kind) -> Kind:
        """The kind that is stored for `kind`."""
        view = self._found.get(kind)
        return kind if view is None else view.storage

    def _changed(self) -> None:
        self._found = dict(self._fixed)
        for kind in self._catalog.all_kinds():
            installed = self._catalog.installed(kind) if kind.installed else None
            if installed is not None and installed.own_form:
                self._found[kind] = InstalledView(installed, self._schemas)


def shown_raw(view: View, raw: bytes) -> bytes:
    shown: bytes = _encode(view.shown(_decode(raw)))
    return shown


async def shown_events(view: View, events: AsyncIterator[Event]) -> AsyncIterator[Event]:
    """A watch's events as the view shows them."""
    try:
        async for event in events:
            yield Event(event.type, event.object if event.type is EventType.BOOKMARK else view.shown(event.object))
    finally:
        await events.aclose()  # type: ignore[attr-defined]


class ShownEvent:
    """One event of a raw watch."""

    __slots__ = ("raw", "revision", "type")

    def __init__(self, type: EventType, raw: bytes, revision: int) -> None:
        self.type = type
        self.raw = raw
        self.revision = revision

    @property
    def line(self) -> bytes:
        return b'{"type":"%b","object":%b}\n' % (self.type.encode(), self.raw)


class ShownWatcher:
    """A raw watch as the view shows it."""

    def __init__(self, view: View, watcher: Any) -> None:
        self._view = view
        self._watcher = watcher

    async def batch(self, most: int = 1024) -> list[ShownEvent]:
        return [self._event(event) for event in await self._watcher.batch(most)]

    def __aiter__(self) -> ShownWatcher:
        return self

    async def __anext__(self) -> tuple[EventType, bytes, int]:
        event = self._event(await self._watcher.__anext__())
        return event.type, event.raw, event.revision

    async def aclose(self) -> None:
        await self._watcher.aclose()

    def _event(self, event: Any) -> ShownEvent:
        if event.type is EventType.BOOKMARK:
            head = _decode(event.raw)
            head.update({k: v for k, v in self._view.shown({"metadata": {}}).items() if k in ("apiVersion", "kind")})
            return ShownEvent(event.type, _encode(head), event.revision)
        return ShownEvent(event.type, shown_raw(self._view, event.raw), event.revision)
