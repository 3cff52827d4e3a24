# SPDX-License-Identifier: Apache-2.0
"""The plugins of a kernel, in order, found quickly by kind and verb."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from lichen.kernel.admission import Plugin, Request
from lichen.model.errors import ApiError
from lichen.model.kind import Kind


class Chain(list[Plugin]):
    """A list of plugins; change it before the kernel starts."""

    def __init__(self, plugins: list[Plugin]) -> None:
        super().__init__(plugins)
        self._found: dict[tuple[Kind, str], tuple[Plugin, ...]] = {}

    def of(self, kind: Kind, verb: str) -> tuple[Plugin, ...]:
        """Those that look at `verb` of `kind`."""
        found = self._found.get((kind, verb))
        if found is None:
            found = tuple(p for p in self if verb in p.verbs and (p.kinds is None or kind in p.kinds))
            self._found[kind, verb] = found
        return found

    @contextlib.asynccontextmanager
    async def admitted(self, request: Request) -> AsyncIterator[None]:
        """Admit, let the write happen in the body; undo what plugins did if it fails."""
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
        for step in request.done:
            await step()


async def _undo(request: Request) -> None:
    for step in reversed(request.undo):
        with contextlib.suppress(ApiError):
            await step()
