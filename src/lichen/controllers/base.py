# SPDX-License-Identifier: Apache-2.0
"""What a controller is given and what it declares. Each file here holds one; the engine is `lichen.runtime`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import ClassVar, Protocol

from lichen.model.data import Object
from lichen.model.errors import AlreadyExists, NotFound
from lichen.model.kind import Kind
from lichen.model.meta import controller_of, name_of, namespace_of, owners_of
from lichen.model.state import Preconditions, State
from lichen.planning.steps import Create, Delete, Patch, Step
from lichen.runtime.clock import Clock
from lichen.runtime.informer import Informer

Key = tuple[str, str]
"""(namespace, name); namespace is "" for cluster-scoped kinds."""
Mapper = Callable[[Object], Iterable[Key]]
"""From an object that changed to the keys that must be looked at again."""


class World:
    """What all controllers share: the state, the clock, and one informer for each kind."""

    def __init__(self, state: State, clock: Clock, informer: Callable[[Kind], Informer]) -> None:
        self.state = state
        self.clock = clock
        self._informer = informer

    def informer(self, kind: Kind) -> Informer:
        return self._informer(kind)

    def now(self) -> float:
        return self.clock.now()

    def now_text(self) -> str:
        """RFC 3339, to the second, as Kubernetes writes times."""
        return datetime.fromtimestamp(self.clock.now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    async def apply(self, steps: Iterable[Step]) -> None:
        for step in steps:
            await self._run(step)

    async def _run(self, step: Step) -> None:
        try:
            match step:
                case Create(kind, obj):
                    await self.state.create(kind, obj)
                case Patch(kind, name, namespace, patch, subresource):
                    await self.state.patch(kind, name, namespace, patch, subresource=subresource)
                case Delete(kind, name, namespace, uid):
                    await self.state.delete(kind, name, namespace, preconditions=Preconditions(uid=uid))
        except (AlreadyExists, NotFound):
            return


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


def owner_uids(obj: Object) -> list[str]:
    """For an index of objects by the uids of their owners."""
    return [owner["uid"] for owner in owners_of(obj)]


def itself(obj: Object) -> list[Key]:
    return [(namespace_of(obj), name_of(obj))]
