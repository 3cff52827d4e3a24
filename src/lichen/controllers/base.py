# SPDX-License-Identifier: Apache-2.0
"""What a controller is given and what it declares. Each file here holds one; the engine is `lichen.runtime`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar, Protocol

from lichen.controllers.batches import batches
from lichen.model.data import Object
from lichen.model.errors import AlreadyExists, ApiError, Conflict, Forbidden, NotFound
from lichen.model.kind import Kind
from lichen.model.meta import controller_of, is_deleting, name_of, namespace_of, owners_of, revision_of, uid_of
from lichen.model.state import Preconditions, State
from lichen.planning.steps import Create, Delete, Note, Patch, Step
from lichen.planning.times import rfc3339
from lichen.planning.workload import plan_claims
from lichen.runtime.clock import Clock
from lichen.runtime.events import Recorder
from lichen.runtime.informer import Informer

log = logging.getLogger(__name__)

Key = tuple[str, str]
"""(namespace, name); namespace is "" for cluster-scoped kinds."""
Mapper = Callable[[Object], Iterable[Key]]
"""From an object that changed to the keys that must be looked at again."""
OWNER, ORPHAN = "owner", "orphan"
"""Indexes: objects by the uids of their owners; objects that nobody manages by namespace."""


class World:
    """What all controllers share: the state, the clock, one informer for each kind, and a recorder of events.

    An informer may lag behind the state; it never lags behind what its own controllers wrote: `apply` returns once
    the informers show it, and a key is never worked on twice at once, so that nothing is made twice.
    """

    def __init__(
        self, state: State, clock: Clock, informer: Callable[[Kind], Informer], recorder: Recorder | None = None
    ) -> None:
        self.state = state
        self.clock = clock
        self.root_ca = ""  # PEM of the API's authority, "" where it has none
        self.recorder = recorder or Recorder(state, clock, "lichen-controllers")
        self._informer = informer
        self._informers: dict[Kind, Informer] = {}

    def informer(self, kind: Kind) -> Informer:
        return self._informers.setdefault(kind, self._informer(kind))

    def owned(self, kind: Kind) -> Informer:
        """The informer of a kind whose objects are looked up by their owners."""
        informer = self.informer(kind)
        informer.add_index(OWNER, owner_uids)
        informer.add_index(ORPHAN, lambda obj: [] if controller_of(obj) else [namespace_of(obj)])
        return informer

    def now(self) -> float:
        return self.clock.now()

    def now_text(self) -> str:
        """RFC 3339, to the second, as Kubernetes writes times."""
        return rfc3339(self.clock.now())

    async def apply(self, steps: Iterable[Step], about: Object | None = None) -> None:
        """Run steps in order, equal ones a few at a time; then wait until the informers show what was written.

        about: whose doing it is; what is made and deleted is recorded as events about it. A step that fails lets the
        others of its batch and all later batches run, but no more of its own kind; the first failure is raised.
        """
        failures: list[BaseException] = []
        shown: dict[Kind, int] = {}
        stopped: set[tuple[type, Kind]] = set()
        for batch in batches(steps):
            first = batch[0]
            what = None if isinstance(first, Note) else (type(first), first.kind)
            if what in stopped:
                continue
            for outcome in await asyncio.gather(*(self._run(s, about) for s in batch), return_exceptions=True):
                if isinstance(outcome, BaseException):
                    failures.append(outcome)
                    if what is not None:
                        stopped.add(what)
                elif outcome is not None and what is not None:
                    shown[what[1]] = max(shown.get(what[1], 0), revision_of(outcome))
        for kind, revision in shown.items():
            if kind in self._informers:
                await self._informers[kind].caught_up(revision)
        if failures:
            raise failures[0]

    async def apply_told(self, steps: Iterable[Step], about: Object, reason: str) -> None:
        """Like `apply`, recording nothing but a failure: as a warning about `about`."""
        try:
            await self.apply(steps)
        except ApiError as error:
            self.recorder.note(about, reason, error.message, warning=True, story="")
            raise

    async def claim(self, kind: Kind, owner_kind: Kind, owner: Object) -> list[Object]:
        """What `owner` manages of a kind, after it took in what matches its selector and let go of what does not."""
        orphans = self.informer(kind).by_index(ORPHAN, namespace_of(owner))
        steps = plan_claims(kind, owner, [*self.managed(kind, owner), *orphans])
        if steps and await self._still_there(owner_kind, owner):
            await self.apply(steps)
        return self.managed(kind, owner)

    def managed(self, kind: Kind, owner: Object) -> list[Object]:
        """What `owner` manages of a kind."""
        mine = self.informer(kind).by_index(OWNER, uid_of(owner))
        return [obj for obj in mine if (controller_of(obj) or {}).get("uid") == uid_of(owner)]

    async def _still_there(self, kind: Kind, owner: Object) -> bool:
        """Asked of the state itself: an owner that goes and leaves its own behind must not take them in again."""
        try:
            fresh = await self.state.get(kind, name_of(owner), namespace_of(owner))
        except NotFound:
            return False
        return uid_of(fresh) == uid_of(owner) and not is_deleting(fresh)

    async def _run(self, step: Step, about: Object | None) -> Object | None:
        """What was written; None if there was nothing to do."""
        match step:
            case Note(subject, reason, message, warning):
                self.recorder.note(subject, reason, message, warning=warning)
                return None
            case Patch(kind, name, namespace, patch, subresource):
                try:
                    return await self.state.patch(kind, name, namespace, patch, subresource=subresource)
                except NotFound:
                    return None
            case Create(kind, obj):
                return await self._create(kind, obj, about)
            case Delete():
                return await self._delete(step, about)

    async def _create(self, kind: Kind, obj: Object, about: Object | None) -> Object | None:
        try:
            made = await self.state.create(kind, obj)
        except AlreadyExists:
            if obj["metadata"].get("name"):
                return None
            return await self.state.create(kind, obj)  # a made-up name that was taken: another is made up
        except Forbidden as error:
            if any(cause.reason == "NamespaceTerminating" for cause in error.causes):
                return None
            self._note_failure(about, "FailedCreate", f"Error creating: {error.message}")
            raise
        except ApiError as error:
            self._note_failure(about, "FailedCreate", f"Error creating: {error.message}")
            raise
        log.info("%s/%s is made%s", kind.plural, "/".join(place_of(made)), _for(about))
        if about is not None:
            self.recorder.note(about, "SuccessfulCreate", f"Created {kind.kind.lower()}: {name_of(made)}")
        return made

    async def _delete(self, step: Delete, about: Object | None) -> Object | None:
        exactly = Preconditions(uid=step.uid)
        try:
            gone = await self.state.delete(
                step.kind, step.name, step.namespace, preconditions=exactly, grace_seconds=step.grace
            )
        except (NotFound, Conflict):
            return None  # it is gone, or another of the same name is there
        except ApiError as error:
            self._note_failure(about, "FailedDelete", f"Error deleting: {error.message}")
            raise
        log.info("%s/%s is deleted%s", step.kind.plural, "/".join(place_of(gone)), _for(about))
        if about is not None:
            self.recorder.note(about, "SuccessfulDelete", f"Deleted {step.kind.kind.lower()}: {step.name}")
        return gone

    def _note_failure(self, about: Object | None, reason: str, message: str) -> None:
        if about is not None:
            self.recorder.note(about, reason, message, warning=True, story="")


def place_of(obj: Object) -> list[str]:
    return [part for part in (namespace_of(obj), name_of(obj)) if part]


def _for(about: Object | None) -> str:
    return f" for {about['kind'].lower()} {'/'.join(place_of(about))}" if about is not None else ""


class Reconciler(Protocol):
    """One controller: it makes objects of `kind` true, and looks again when objects of `watches` change."""

    name: ClassVar[str]
    kind: ClassVar[Kind]
    watches: Mapping[Kind, Mapper]

    def __init__(self, world: World) -> None: ...

    async def reconcile(self, key: Key) -> float | None:
        """Look at one object afresh; seconds after which to look again, None for when something changes."""
        ...


def by_owner(kind: str) -> Mapper:
    """To the owner of this kind that manages the object."""

    def keys(obj: Object) -> list[Key]:
        owner = controller_of(obj)
        return [(namespace_of(obj), owner["name"])] if owner and owner["kind"] == kind else []

    return keys


def by_owner_or_selector(kind: Kind, owners: Informer) -> Mapper:
    """To the owner of this kind that manages the object; of an object without one, to all that select it."""
    owners.add_index("namespace", lambda obj: [namespace_of(obj)])
    owned = by_owner(kind.kind)

    def keys(obj: Object) -> list[Key]:
        if controller_of(obj) is not None:
            return list(owned(obj))
        return [
            (namespace_of(owner), name_of(owner))
            for owner in owners.by_index("namespace", namespace_of(obj))
            if plan_claims(kind, owner, [obj])
        ]

    return keys


def owner_uids(obj: Object) -> list[str]:
    """For an index of objects by the uids of their owners."""
    return [owner["uid"] for owner in owners_of(obj)]


def itself(obj: Object) -> list[Key]:
    return [(namespace_of(obj), name_of(obj))]
