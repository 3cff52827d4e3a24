# SPDX-License-Identifier: Apache-2.0
"""What a write stands on stays until the write is done: the deletion of a network waits for the ports that are being
made on it, and a port that comes meanwhile waits for the deletion, and then finds no network. Each of them looks at the
other's objects first and writes a moment later; without this both could be answered with success. Within one process,
which is the only one that writes to its store."""

from __future__ import annotations

import asyncio
import contextlib
import typing
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager

from lichen.kernel.admission import Request
from lichen.kinds.catalog import own_kinds
from lichen.kinds.network.subnet import Subnet
from lichen.model.data import Data, Object, camel
from lichen.model.kind import Kind

Path = tuple[str, ...]
DEVICE = "deviceId"
"""A port names what it belongs to by id."""


class Holds:
    """Writes hold what they refer to, any number of them at once; a deletion has its object for itself. Whoever waits
    holds nothing yet, so that nobody waits in a circle."""

    def __init__(self) -> None:
        specs = {kind: getattr(kind.model, "Spec", None) for kind in own_kinds()}
        self._paths = {kind: tuple(references(spec)) for kind, spec in specs.items() if spec is not None}
        self._held: Counter[str] = Counter()
        self._going: set[str] = set()
        self._waiting: list[asyncio.Future[None]] = []

    def of(self, request: Request) -> AbstractAsyncContextManager[None]:
        """For the time of a write."""
        if request.verb == "delete":
            return self._alone(self._names(request)) if request.kind in self._paths else contextlib.nullcontext()
        keys = set() if request.subresource else self._keys(request.kind, request.object.get("spec") or {})
        return self._together(keys) if keys else contextlib.nullcontext()

    def _names(self, request: Request) -> set[str]:
        """By what others may name it: its name and its id, and of a subnet its network, for a port may say no more."""
        spec = request.object.get("spec") or {}
        network = self._keys(request.kind, spec) if request.kind == Subnet.KIND else ()
        return {f"{request.kind.kind}/{request.name}", *network, *([str(spec["id"])] if spec.get("id") else ())}

    def _keys(self, kind: Kind, spec: Object) -> set[str]:
        found = {
            f"{to}/{name.rpartition('/')[2]}" for path, to in self._paths.get(kind, ()) for name in _values(spec, path)
        }
        return found | {str(spec[DEVICE])} if spec.get(DEVICE) else found

    @contextlib.asynccontextmanager
    async def _together(self, keys: set[str]) -> AsyncIterator[None]:
        await self._until(lambda: not keys & self._going)
        self._held.update(keys)
        try:
            yield
        finally:
            self._held -= Counter(keys)
            self._wake()

    @contextlib.asynccontextmanager
    async def _alone(self, keys: set[str]) -> AsyncIterator[None]:
        await self._until(lambda: not any(key in self._going or self._held[key] for key in keys))
        self._going |= keys
        try:
            yield
        finally:
            self._going -= keys
            self._wake()

    async def _until(self, free: Callable[[], bool]) -> None:
        while not free():
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await waiter

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)


def references(data: type[Data]) -> Iterator[tuple[Path, str]]:
    """Where a struct's fields name other objects, and of which kind."""
    hints = typing.get_type_hints(data)
    for name, info in data.declared_fields.items():
        wire = info.wire or camel(name)
        if info.to:
            yield (wire,), info.to
        for inner in _structs(hints[name]):
            yield from (((wire, *path), to) for path, to in references(inner))


def _structs(hint: typing.Any) -> Iterator[type[Data]]:
    if isinstance(hint, type) and issubclass(hint, Data):
        yield hint
    for argument in typing.get_args(hint):
        yield from _structs(argument)


def _values(value: typing.Any, path: Path) -> Iterator[str]:
    """The words at a path, through lists."""
    if isinstance(value, list):
        for item in value:
            yield from _values(item, path)
    elif not path:
        yield from [value] if isinstance(value, str) and value else []
    elif isinstance(value, dict):
        yield from _values(value.get(path[0]), path[1:])
