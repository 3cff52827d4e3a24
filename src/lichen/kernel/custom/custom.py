# SPDX-License-Identifier: Apache-2.0
"""Serves what CustomResourceDefinitions say: at once when one is created or changed, and again after a restart."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING

from lichen.kernel.admission import Request
from lichen.kernel.cel.language import apart, size_of
from lichen.kernel.custom.definitions import FINALIZER, check, check_change, collision, fill, observe, set_condition
from lichen.kinds.builtin import CRD
from lichen.kinds.faults import Faults
from lichen.kinds.installed import installed_of, is_established, stored_kind
from lichen.model.data import Object
from lichen.model.errors import ApiError, MethodNotAllowed, NotFound
from lichen.model.kind import Kind
from lichen.model.meta import is_deleting, name_of, namespace_of
from lichen.model.state import EventType, State
from lichen.model.times import rfc3339

if TYPE_CHECKING:
    from lichen.kernel.kernel import Kernel
    from lichen.kernel.session import Session

log = logging.getLogger(__name__)
RETRY_SECONDS = 1.0


class Definitions:
    """An admission plugin that keeps the catalog as the definitions say."""

    kinds: tuple[Kind, ...] | None = (CRD,)
    verbs: tuple[str, ...] = ("create", "update", "delete")

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._taken = frozenset(kind.group for kind in kernel.catalog.all_kinds())
        self._ending: dict[str, asyncio.Task[None]] = {}

    async def start(self, session: Session) -> None:
        """Serve all that is defined, and go on with what was being taken away."""
        self._session = session
        for definition in (await session.list(CRD)).items:
            self._serve(definition)
            if is_deleting(definition):
                await self._end(definition)

    async def admit(self, request: Request) -> None:
        definition = request.object
        if request.verb == "delete":
            if is_deleting(definition):
                now = rfc3339(self._kernel.clock.now())
                status = definition["status"] = dict(definition.get("status") or {})
                said = "CustomResource deletion is in progress"
                set_condition(status, "Terminating", True, "InstanceDeletionInProgress", said, now)
                request.done.append(partial(self._end, definition))
            return
        fill(definition)
        faults = Faults()
        warnings = await apart(size_of(definition), lambda: check(definition, faults, self._taken))
        if request.old is not None:
            check_change(definition, request.old, faults)
        faults.raise_any(CRD, request.name)
        if not request.subresource:
            request.warnings.extend(warnings)
        if request.verb == "create":
            held = definition["metadata"].get("finalizers") or []
            definition["metadata"]["finalizers"] = [*held, *(f for f in [FINALIZER] if f not in held)]
        conflict = collision(definition, self._kernel.catalog.all_kinds())
        observe(definition, conflict, rfc3339(self._kernel.clock.now()))
        request.done.append(partial(self._serve_stored, request.name))

    async def removed(self, kind: Kind, obj: Object, state: State) -> None:
        """Releasing: the definition is gone, and with it its routes."""
        self._kernel.catalog.install(obj["spec"]["group"], obj["spec"]["names"]["plural"], ())

    def refuse_new(self, kind: Kind) -> None:
        """MethodNotAllowed: nothing is created of a kind that is being taken away."""
        if f"{kind.plural}.{kind.group}" in self._ending:
            raise MethodNotAllowed(
                "create not allowed while custom resource definition is terminating", kind=kind.plural, group=kind.group
            )

    async def _serve_stored(self, name: str) -> None:
        self._serve(await self._kernel.store.get(CRD, name))

    def _serve(self, definition: Object) -> None:
        spec = definition["spec"]
        self._kernel.catalog.install(
            spec["group"], spec["names"]["plural"], installed_of(definition) if is_established(definition) else ()
        )

    async def _end(self, definition: Object) -> None:
        """Remove all objects of the kind, then the definition, in the background."""
        name = name_of(definition)
        if name not in self._ending and FINALIZER in (definition["metadata"].get("finalizers") or []):
            task = self._ending[name] = asyncio.create_task(self._take_away(definition))
            task.add_done_callback(lambda _: self._ending.pop(name, None))

    async def _take_away(self, definition: Object) -> None:
        name = name_of(definition)
        while True:
            try:
                await self._empty(stored_kind(definition))
                current = await self._session.get(CRD, name)
                kept = [f for f in current["metadata"].get("finalizers") or [] if f != FINALIZER]
                revision = current["metadata"]["resourceVersion"]
                patch = {"metadata": {"finalizers": kept or None, "resourceVersion": revision}}
                await self._session.patch(CRD, name, "", patch)
                return
            except NotFound:
                return
            except ApiError as error:
                log.info("taking away %s goes on: %s", name, error.message)
                await asyncio.sleep(RETRY_SECONDS)

    async def _empty(self, kind: Kind) -> None:
        """Delete everything of a kind; returns when the last of it is gone."""
        watch = self._kernel.store.watch(kind)
        left: set[tuple[str, str]] = set()
        async with aclosing(watch):  # type: ignore[type-var]
            if not (await self._kernel.store.list(kind, limit=1)).items:
                return
            async for event in watch:
                key = (namespace_of(event.object), event.object["metadata"].get("name", ""))
                if event.type is EventType.DELETED:
                    left.discard(key)
                elif event.type is EventType.ADDED:
                    left.add(key)
                    await self._delete(kind, *key)
                if not left and not (await self._kernel.store.list(kind, limit=1)).items:
                    return

    async def _delete(self, kind: Kind, namespace: str, name: str) -> None:
        try:
            await self._session.delete(kind, name, namespace)
        except NotFound:
            return
