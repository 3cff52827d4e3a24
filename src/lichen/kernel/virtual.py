# SPDX-License-Identifier: Apache-2.0
"""Kinds that are never stored: creating one is a question, and the answer is its status."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from lichen.model.data import Object
from lichen.model.kind import Kind
from lichen.model.state import Caller

Handler = Callable[[Caller, Object], Awaitable[Object]]
"""Takes who asks and the object (schema checked); returns the object with its answer in `status`."""

SubresourceHandler = Callable[[Caller, Object, Object], Awaitable[Object]]
"""Takes who asks, the object it is about, and the body; returns the answer."""


class VirtualKinds:
    """Handlers by kind, and by kind and subresource (`serviceaccounts/token`)."""

    def __init__(self) -> None:
        self._kinds: dict[Kind, Handler] = {}
        self._public: set[Kind] = set()
        self._subresources: dict[tuple[Kind, str], SubresourceHandler] = {}

    def register(self, kind: Kind, handler: Handler, *, public: bool = False) -> None:
        """public: everyone may ask, without a rule that says so (Token)."""
        self._kinds[kind] = handler
        if public:
            self._public.add(kind)

    def register_subresource(self, kind: Kind, subresource: str, handler: SubresourceHandler) -> None:
        self._subresources[kind, subresource] = handler

    def get(self, kind: Kind) -> Handler | None:
        return self._kinds.get(kind)

    def is_public(self, kind: Kind) -> bool:
        return kind in self._public

    def subresource(self, kind: Kind, subresource: str) -> SubresourceHandler | None:
        return self._subresources.get((kind, subresource))

    def kinds(self) -> tuple[Kind, ...]:
        return tuple(self._kinds)
