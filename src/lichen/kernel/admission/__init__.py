# SPDX-License-Identifier: Apache-2.0
"""What the answer of a write must contain (ids, addresses, defaults from other objects, a refusal by quota) is settled
here, before the answer. One plugin per concern; plugins run in the order of `Kernel.admission`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from lichen.kinds.faults import invalid
from lichen.model.data import Object
from lichen.model.errors import Cause, Forbidden, Invalid
from lichen.model.kind import Kind
from lichen.model.state import Caller, State


@dataclass(slots=True)
class Request:
    """One write on its way in. verb: create, update or delete (a patch is an update).

    object: what is to be stored, free to change (for delete: what is stored); old: what is stored, not to be changed.
    state: unrestricted. undo: run, newest first, if the write fails after all. done: run after it succeeded.
    """

    verb: str
    kind: Kind
    name: str
    namespace: str
    object: Object
    old: Object | None
    caller: Caller
    state: State
    subresource: str = ""
    dry_run: bool = False
    warnings: list[str] = field(default_factory=list)
    undo: list[Callable[[], Awaitable[Any]]] = field(default_factory=list)
    done: list[Callable[[], Awaitable[Any]]] = field(default_factory=list)


class Plugin(Protocol):
    """kinds: what it looks at; None: everything. verbs: of create, update, delete."""

    kinds: tuple[Kind, ...] | None
    verbs: tuple[str, ...]

    async def admit(self, request: Request) -> None:
        """Change request.object, or refuse by raising an ApiError. It is called before validation."""
        ...


@runtime_checkable
class Releasing(Protocol):
    """A plugin that lets go of something once an object is really gone."""

    kinds: tuple[Kind, ...] | None

    async def removed(self, kind: Kind, obj: Object, state: State) -> None:
        """`obj` has just been removed from the store."""
        ...


@runtime_checkable
class Resuming(Protocol):
    """A plugin that has something to do when a kernel starts."""

    async def resume(self, state: State) -> None:
        """state: unrestricted."""
        ...


def refused(request: Request, why: str) -> Forbidden:
    """`pods "x" is forbidden: …`."""
    kind = request.kind
    return Forbidden(
        f'{kind.resource} "{request.name}" is forbidden: {why}', kind=kind.plural, group=kind.group, name=request.name
    )


def faulty(request: Request, *causes: Cause) -> Invalid:
    """`Port.network.lichen.dev "x" is invalid: …`."""
    return invalid(request.kind, request.name, causes)


def missing(field: str, value: str, what: str) -> Cause:
    """A reference that leads nowhere."""
    return Cause(field, f'Not found: "{value}": {what}', "FieldValueNotFound")
