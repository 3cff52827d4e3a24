# SPDX-License-Identifier: Apache-2.0
"""A store that refuses what a test says, as a kernel does."""

from __future__ import annotations

import asyncio
from typing import Any

from lichen.model.data import Object
from lichen.model.errors import ApiError
from lichen.model.kind import Kind
from lichen.model.state import DEFAULT_OPTIONS, PatchType, WriteOptions
from lichen.store.memory import MemoryStore


class RefusingStore(MemoryStore):
    """`refuse(kind, "status", error)`: patches of that kind's status fail from now on; `relent()`: no more."""

    def __init__(self) -> None:
        super().__init__()
        self._refused: dict[tuple[Kind, str], ApiError] = {}
        self.refused = asyncio.Event()

    def refuse(self, kind: Kind, subresource: str, error: ApiError) -> None:
        self._refused[kind, subresource] = error

    def relent(self) -> None:
        self._refused.clear()

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
        if (kind, subresource) in self._refused:
            self.refused.set()
            raise self._refused[kind, subresource]
        return await super().patch(kind, name, namespace, patch, type=type, subresource=subresource, options=options)
