# SPDX-License-Identifier: Apache-2.0
"""The State as one caller may see and change it: every verb is authorised, then done.

Beside State's verbs: raw reads (bytes as they are stored), delete_collection, and subresources of get and create.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lichen.kernel import applying, subresources
from lichen.kernel.access import Guard, RawList
from lichen.kernel.guarded import GuardedWatcher, guarded_events
from lichen.kernel.patching import patched
from lichen.kernel.views import ShownWatcher, shown_events, shown_raw
from lichen.kernel.writes import Moved
from lichen.model.data import Object
from lichen.model.errors import BadRequest, Conflict, Forbidden, MethodNotAllowed, NotFound
from lichen.model.kind import Kind
from lichen.model.selectors import Matcher
from lichen.model.state import (
    DEFAULT_OPTIONS,
    Caller,
    Event,
    EventType,
    Page,
    PatchType,
    Preconditions,
    WriteOptions,
)
from lichen.store.codec import decode
from lichen.store.state import missing

if TYPE_CHECKING:
    from lichen.kernel.kernel import Kernel

_PATCH_ATTEMPTS = 500
Objects = list[Object]
ANY = Preconditions()


class Session:
    """One caller's State. Cheap: make one per request.

    agent: what its program calls itself, for fields that it writes without naming a manager. created: an apply made the
    object that it returned.
    """

    def __init__(self, kernel: Kernel, caller: Caller) -> None:
        self._kernel = kernel
        self._store = kernel.store
        self._writes = kernel.writes
        self._views = kernel.views
        self.caller = caller
        self.agent = ""
        self.created = False

    async def authorize(self, verb: str, kind: Kind, name: str, namespace: str, subresource: str = "") -> None:
        """Forbidden: the caller may not."""
        self._check(verb, kind, namespace, name, subresource)

    def _check(
        self, verb: str, kind: Kind, namespace: str | None, name: str, subresource: str = "", fields: str = ""
    ) -> None:
        reason = self._kernel.access.refusal(self.caller, verb, kind, namespace or "", name, subresource, fields)
        if reason is not None:
            raise _forbidden(self.caller, verb, kind, namespace or "", name, subresource, reason)

    async def _check_get(self, kind: Kind, name: str, namespace: str, subresource: str = "") -> None:
        self._check("get", kind, namespace, name, subresource)
        if self._kernel.guarding is not None:
            await self._kernel.guarding.guard_get(self.caller, kind, name, namespace)

    def _guard(self, kind: Kind, namespace: str | None, fields: str) -> Guard | None:
        guarding = self._kernel.guarding
        return None if guarding is None else guarding.guard_picked(self.caller, kind, namespace or "", fields)

    async def _check_list(self, kind: Kind, namespace: str | None, fields: str) -> None:
        self._check("list", kind, namespace, "", fields=fields)
        if (guard := self._guard(kind, namespace, fields)) is not None:
            await guard()

    def _seen(self, verb: str, kind: Kind, name: str = "") -> Matcher | None:
        narrowing = self._kernel.narrowing
        return None if narrowing is None else narrowing.seen(self.caller, verb, kind, name)

    def _must_see(self, kind: Kind, name: str, obj: Object | bytes) -> None:
        """NotFound: the caller is not told of it."""
        seen = self._seen("get", kind, name)
        if seen is not None and not seen(decode(obj) if isinstance(obj, bytes) else obj):
            raise missing(kind, name)

    # --- reads ----------------------------------------------------------------------------------------------------

    async def get(self, kind: Kind, name: str, namespace: str = "", *, subresource: str = "") -> Object:
        await self._check_get(kind, name, namespace, subresource)
        view = self._views.of(kind)
        obj = await self._store.get(kind if view is None else view.storage, name, namespace)
        self._must_see(kind, name, obj)
        return subresources.view(self._kernel, kind, subresource, obj if view is None else view.shown(obj))

    async def get_raw(self, kind: Kind, name: str, namespace: str = "") -> bytes:
        await self._check_get(kind, name, namespace)
        view = self._views.of(kind)
        raw = await self._store.get_raw(kind if view is None else view.storage, name, namespace)
        self._must_see(kind, name, raw)
        return raw if view is None else shown_raw(view, raw)

    async def list(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        limit: int = 0,
        continue_token: str = "",
    ) -> Page:
        await self._check_list(kind, namespace, fields)
        seen = self._seen("list", kind)
        view = self._views.of(kind)
        if view is None:
            return await self._store.list(
                kind, namespace, labels=labels, fields=fields, limit=limit, continue_token=continue_token, seen=seen
            )
        page = await self._store.list(
            view.storage,
            namespace,
            labels=labels,
            fields=view.fields(fields),
            limit=limit,
            continue_token=continue_token,
            seen=seen,
        )
        return replace(page, items=[view.shown(item) for item in page.items])

    async def list_raw(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        limit: int = 0,
        continue_token: str = "",
    ) -> RawList:
        """Like list, without decoding."""
        await self._check_list(kind, namespace, fields)
        seen = self._seen("list", kind)
        view = self._views.of(kind)
        if view is None:
            return await self._store.list_raw(
                kind, namespace, labels=labels, fields=fields, limit=limit, continue_token=continue_token, seen=seen
            )
        items, *rest = await self._store.list_raw(
            view.storage,
            namespace,
            labels=labels,
            fields=view.fields(fields),
            limit=limit,
            continue_token=continue_token,
            seen=seen,
        )
        return [shown_raw(view, item) for item in items], *rest  # type: ignore[return-value]

    def watch(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        since: int | None = None,
        bookmarks: bool = False,
    ) -> AsyncIterator[Event]:
        self._check("watch", kind, namespace, "", fields=fields)
        seen = self._seen("watch", kind)
        view = self._views.of(kind)
        if view is None:
            events = self._store.watch(
                kind, namespace, labels=labels, fields=fields, since=since, bookmarks=bookmarks, seen=seen
            )
            guard = self._guard(kind, namespace, fields)
            return events if guard is None else guarded_events(guard, events)
        fields = view.fields(fields)
        events = self._store.watch(
            view.storage, namespace, labels=labels, fields=fields, since=since, bookmarks=bookmarks, seen=seen
        )
        return shown_events(view, events)

    def watch_raw(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        since: int | None = None,
        bookmarks: bool = False,
    ) -> AsyncIterator[tuple[EventType, bytes, int]]:
        """(type, the object as JSON, revision) of every change."""
        self._check("watch", kind, namespace, "", fields=fields)
        seen = self._seen("watch", kind)
        view = self._views.of(kind)
        if view is None:
            raw = self._store.watch_raw(
                kind, namespace, labels=labels, fields=fields, since=since, bookmarks=bookmarks, seen=seen
            )
            guard = self._guard(kind, namespace, fields)
            return raw if guard is None else GuardedWatcher(guard, raw)
        fields = view.fields(fields)
        watcher = self._store.watch_raw(
            view.storage, namespace, labels=labels, fields=fields, since=since, bookmarks=bookmarks, seen=seen
        )
        return ShownWatcher(view, watcher)

    # --- writes ---------------------------------------------------------------------------------------------------

    async def create(
        self, kind: Kind, obj: Object, options: WriteOptions = DEFAULT_OPTIONS, *, subresource: str = ""
    ) -> Object:
        """With a subresource (binding, eviction, token), `obj` is its body, named as what it is about."""
        kind = self._kernel.known(kind)
        metadata = _metadata(obj)
        name, namespace = metadata.get("name") or "", _namespace(kind, metadata)
        if not (self._kernel.virtual.is_public(kind) and not subresource):
            self._check("create", kind, namespace, name if subresource else "", subresource)
        if subresource:
            return await subresources.create(
                self._kernel, self.caller, kind, name, namespace, subresource, obj, options
            )
        handler = self._kernel.virtual.get(kind)
        if handler is not None:
            return await handler(self.caller, self._kernel.schemas.of(kind).decode(obj, options))
        if "list" not in kind.verbs:
            raise MethodNotAllowed(f"{kind.resource} cannot be created here", kind=kind.plural, group=kind.group)
        if kind.installed:
            self.begin(kind, options)
        view = self._views.of(kind)
        if view is None:
            return await self._writes.create(self.caller, kind, obj, options)
        kept = view.kept(self._kernel.schemas.of(kind).decode(obj, options))
        return view.shown(await self._writes.create(self.caller, view.storage, kept, applying.unchecked(options)))

    def begin(self, kind: Kind, options: WriteOptions) -> None:
        """MethodNotAllowed: the kind is installed and being taken away. Tells of a version that is deprecated."""
        self._kernel.custom.refuse_new(kind)
        installed = self._kernel.catalog.installed(kind)
        if installed is not None and installed.warning:
            options.warnings.append(installed.warning)

    async def update(
        self, kind: Kind, obj: Object, *, subresource: str = "", options: WriteOptions = DEFAULT_OPTIONS
    ) -> Object:
        kind = self._kernel.known(kind)
        metadata = _metadata(obj)
        name, namespace = metadata.get("name") or "", _namespace(kind, metadata)
        if not name:
            raise BadRequest("name is required")
        self._check("update", kind, namespace, name, subresource)
        if subresource == "scale":
            return await subresources.update_scale(self._kernel, self.caller, kind, obj, options, self.agent)
        view = self._views.of(kind)
        if view is None:
            return await self._writes.update(self.caller, kind, obj, subresource, options, agent=self.agent)
        kept = view.kept(self._kernel.schemas.of(kind).decode(obj, options))
        plain = applying.unchecked(options)
        return view.shown(
            await self._writes.update(self.caller, view.storage, kept, subresource, plain, agent=self.agent)
        )

    async def patch(
        self,
        kind: Kind,
        name: str,
        namespace: str,
        patch: Any,
        *,
        type: PatchType = PatchType.MERGE,
        subresource: str = "",
        options: WriteOptions = DEFAULT_OPTIONS,
    ) -> Object:
        kind = self._kernel.known(kind)
        self._check("patch", kind, namespace, name, subresource)
        if type is PatchType.APPLY:
            return await applying.apply(self._kernel, self, kind, name, namespace, patch, subresource, options)
        for _ in range(_PATCH_ATTEMPTS):
            try:
                return await self._patch_once(kind, name, namespace, patch, type, subresource, options)
            except Moved:
                if _names_a_revision(patch):
                    raise
        raise Conflict(f'{kind.resource} "{name}" is changed too often to be patched; try again', kind=kind.plural)

    async def _patch_once(
        self,
        kind: Kind,
        name: str,
        namespace: str,
        patch: Any,
        type: PatchType,
        subresource: str,
        options: WriteOptions,
    ) -> Object:
        """Moved: what was read has been changed meanwhile."""
        view = self._views.of(kind)
        stored = await self._store.get(self._views.stored(kind), name, namespace)
        whole = stored if view is None else view.shown(stored)
        seen = subresources.view(self._kernel, kind, subresource, whole)
        new = patched(self._kernel.catalog, kind, subresource, seen, patch, type)
        if subresource == "scale":
            return await subresources.update_scale(self._kernel, self.caller, kind, new, options, self.agent)
        if view is None:
            return await self._writes.update(
                self.caller, kind, new, subresource, options, read=stored, agent=self.agent
            )
        kept = view.kept(self._kernel.schemas.of(kind).decode(new, options))
        plain = applying.unchecked(options)
        return view.shown(await self._writes.update(self.caller, view.storage, kept, subresource, plain, read=stored))

    async def delete(
        self,
        kind: Kind,
        name: str,
        namespace: str = "",
        *,
        preconditions: Preconditions = ANY,
        propagation: str = "Background",
        grace_seconds: int | None = None,
        options: WriteOptions = DEFAULT_OPTIONS,
    ) -> Object:
        kind = self._kernel.known(kind)
        self._check("delete", kind, namespace, name)
        view = self._views.of(kind)
        stored = kind if view is None else view.storage
        last = await self._writes.delete(
            self.caller, stored, name, namespace, preconditions, propagation, grace_seconds, options
        )
        return last if view is None else view.shown(last)

    async def delete_collection(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        propagation: str = "Background",
        grace_seconds: int | None = None,
        options: WriteOptions = DEFAULT_OPTIONS,
    ) -> Objects:
        """Delete whatever the selectors match; returns the last states."""
        kind = self._kernel.known(kind)
        self._check("deletecollection", kind, namespace, "", fields=fields)
        view = self._views.of(kind)
        if view is not None:
            kind, fields = view.storage, view.fields(fields)
        page = await self._store.list(kind, namespace, labels=labels, fields=fields)
        gone = []
        for item in page.items:
            metadata = item["metadata"]
            preconditions = Preconditions(uid=metadata["uid"])
            try:
                gone.append(
                    await self._writes.delete(
                        self.caller,
                        kind,
                        metadata["name"],
                        metadata.get("namespace", ""),
                        preconditions,
                        propagation,
                        grace_seconds,
                        options,
                    )
                )
            except NotFound:
                continue
        return gone if view is None else [view.shown(last) for last in gone]


def _metadata(obj: Any) -> Object:
    metadata = obj.get("metadata") if isinstance(obj, dict) else None
    if metadata is None and isinstance(obj, dict):
        metadata = obj["metadata"] = {}
    if not isinstance(metadata, dict):
        raise BadRequest("the body is not an object with metadata")
    for key in ("name", "namespace", "generateName", "resourceVersion", "uid"):
        if not isinstance(metadata.get(key) or "", str):
            raise BadRequest(f"metadata.{key} must be a string")
    return metadata


def _namespace(kind: Kind, metadata: Object) -> str:
    namespace: str = metadata.get("namespace") or ""
    if kind.namespaced and not namespace and "list" in kind.verbs:
        raise BadRequest("an empty namespace may not be set when a resource name is provided")
    return namespace if kind.namespaced else ""


def _names_a_revision(patch: Any) -> bool:
    if isinstance(patch, list):
        return any(isinstance(op, dict) and op.get("path") == "/metadata/resourceVersion" for op in patch)
    return isinstance(patch, dict) and bool((patch.get("metadata") or {}).get("resourceVersion"))


def _forbidden(
    caller: Caller, verb: str, kind: Kind, namespace: str, name: str, subresource: str, reason: str
) -> Forbidden:
    where = f' in the namespace "{namespace}"' if namespace else " at the cluster scope"
    resource = f"{kind.plural}/{subresource}" if subresource else kind.plural
    subject = f'{kind.resource} "{name}"' if name else kind.resource
    because = f": {reason}" if reason else ""
    return Forbidden(
        f'{subject} is forbidden: User "{caller.name}" cannot {verb} resource "{resource}" in API group '
        f'"{kind.group}"{where}{because}',
        kind=kind.plural,
        group=kind.group,
        name=name,
    )
