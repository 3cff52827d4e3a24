# SPDX-License-Identifier: Apache-2.0
"""The plugins of a kernel, in order, found quickly by kind and verb."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from lichen.kernel.admission import Plugin, Releasing, Request
from lichen.kernel.admission.holds import Holds
from lichen.model.data import Object
from lichen.model.errors import ApiError
from lichen.model.kind import Kind
from lichen.model.state import State


class Chain(list[Plugin]):
    """A list of plugins; change it before the kernel starts, or `forget`."""

    def __init__(self, plugins: list[Plugin]) -> None:
        super().__init__(plugins)
        self._found: dict[tuple[Kind, str], tuple[Plugin, ...]] = {}
        self._holds = Holds()

    def of(self, kind: Kind, verb: str) -> tuple[Plugin, ...]:
        """Those that look at `verb` of `kind`."""
        found = self._found.get((kind, verb))
        if found is None:
            found = tuple(p for p in self if _takes(p, verb) and (p.kinds is None or kind in p.kinds))
            self._found[kind, verb] = found
        return found

    def put_before(self, kind: type, plugin: Plugin) -> None:
        """Insert `plugin` before the first plugin of class `kind`, else at the end."""
        self.insert(next((i for i, p in enumerate(self) if isinstance(p, kind)), len(self)), plugin)
        self.forget()

    def forget(self) -> None:
        """A plugin looks at other kinds from now on."""
        self._found.clear()

    async def removed(self, kind: Kind, obj: Object, state: State) -> None:
        """Let plugins go of what they hold for an object that is gone."""
        for plugin in self.of(kind, "removed"):
            assert isinstance(plugin, Releasing)
            await plugin.removed(kind, obj, state)

    @contextlib.asynccontextmanager
    async def admitted(self, request: Request) -> AsyncIterator[None]:
        """Admit, let the write happen in the body; undo what plugins did if it fails."""
        async with self._holds.of(request):
            try:
                for plugin in self.of(request.kind, request.verb):
                    await plugin.admit(request)
                yield
            except BaseException:
                await _undo(request)
                raise
            if request.dry_run:
                await _undo(request)
                return
            if request.done:  # all of it, though the caller goes away meanwhile: some of it lets go of locks
                await asyncio.shield(asyncio.ensure_future(_finish(request)))


def _takes(plugin: Plugin, verb: str) -> bool:
    return isinstance(plugin, Releasing) if verb == "removed" else verb in plugin.verbs


async def _finish(request: Request) -> None:
    """Every step, whatever becomes of another."""
    failures: list[Exception] = []
    for step in request.done:
        try:
            await step()
        except Exception as failure:
            failures.append(failure)
    if failures:
        raise failures[0]


async def _undo(request: Request) -> None:
    for step in reversed(request.undo):
        with contextlib.suppress(ApiError):
            await step()
