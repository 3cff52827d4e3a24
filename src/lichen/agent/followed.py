# SPDX-License-Identifier: Apache-2.0
"""The ConfigMaps and Secrets that running containers mount: each is watched, by its name, for as long as one does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from lichen.kinds.builtin import CONFIG_MAP, SECRET
from lichen.model.meta import revision_of
from lichen.model.selectors import equal
from lichen.model.state import State
from lichen.planning.volume_files import Reference
from lichen.runtime.informer import Informer

KINDS = {"ConfigMap": CONFIG_MAP, "Secret": SECRET}
_Place = tuple[str, str, str]
"""(kind, name, namespace)."""
Tell = Callable[[], None]


class Followed:
    """Shared by the nodes of a process, as its `Sources` are. State is asked for nothing but these, one by one, as that
    is what a node may see."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._watched: dict[_Place, _Watched] = {}
        self._wanted: dict[str, frozenset[_Place]] = {}

    def follow(self, uid: str, namespace: str, references: Iterable[Reference], tell: Tell) -> None:
        """Watch for a pod what it refers to, and nothing else for it. tell: called when that may have changed."""
        wanted = frozenset((kind, name, namespace) for kind, name in references)
        before = self._wanted.get(uid, frozenset())
        for place in wanted - before:
            if place not in self._watched:
                self._watched[place] = _Watched(self._state, *place)
            self._watched[place].followers[uid] = tell
        for place in before - wanted:
            self._let_go(uid, place)
        self._wanted[uid] = wanted
        if not wanted:
            del self._wanted[uid]

    def forget(self, uid: str) -> None:
        self.follow(uid, "", (), lambda: None)

    def revision(self, kind: str, name: str, namespace: str) -> int | None:
        """Of what is watched: 0 if it is not there; None: not known yet."""
        watched = self._watched.get((kind, name, namespace))
        return watched.revision if watched is not None else None

    async def close(self) -> None:
        tasks = [watched.task for watched in self._watched.values()]
        self._watched.clear()
        self._wanted.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _let_go(self, uid: str, place: _Place) -> None:
        watched = self._watched[place]
        del watched.followers[uid]
        if not watched.followers:
            watched.task.cancel()
            del self._watched[place]


class _Watched:
    """One of them. What is immutable is looked at once."""

    def __init__(self, state: State, kind: str, name: str, namespace: str) -> None:
        self.followers: dict[str, Tell] = {}
        self._name, self._namespace = name, namespace
        self._informer = Informer(state, KINDS[kind], namespace, fields=equal("metadata.name", name))
        self.task = asyncio.create_task(self._run())

    @property
    def revision(self) -> int | None:
        found = self._informer.get(self._name, self._namespace)
        if found is None:
            return 0 if self._informer.is_synced else None
        return revision_of(found)

    async def _run(self) -> None:
        watching = asyncio.create_task(self._informer.run())
        try:
            await self._informer.synced()
            self._tell()
            self._informer.subscribe(lambda *_: self._tell())
            found = self._informer.get(self._name, self._namespace)
            if not (found or {}).get("immutable"):
                await asyncio.wait((watching,))  # which leaves it to be cancelled once, below
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    def _tell(self) -> None:
        for tell in tuple(self.followers.values()):
            tell()
