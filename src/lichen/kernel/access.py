# SPDX-License-Identifier: Apache-2.0
"""What the kernel asks of its surroundings: who a bearer is, what a caller may do, what time it is, where to store."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple, Protocol, runtime_checkable

from lichen.model.data import Object
from lichen.model.kind import Kind
from lichen.model.selectors import Matcher
from lichen.model.state import Caller, Event, EventType, Page, State

Guard = Callable[[], Awaitable[None]]
"""Forbidden: what was asked for must not be told now."""


class Authorizer(Protocol):
    """Decides from memory; never waits."""

    def refusal(
        self,
        caller: Caller,
        verb: str,
        kind: Kind,
        namespace: str,
        name: str,
        subresource: str = "",
        fields: str = "",
    ) -> str | None:
        """None: `caller` may. Else why not, which may be "" (no rule allows it).

        verb: get, list, watch, create, update, patch, delete, deletecollection, or a special one (bind, use…).
        namespace: "" for cluster-scoped kinds and for all namespaces together. fields: the field selector of a list or
        watch: some may list only what it picks (`spec.shared=true`).
        """
        ...


class Authenticator(Protocol):
    async def authenticate(self, token: str) -> Caller:
        """Who bears `token`. Unauthorized: it is forged, expired or revoked."""
        ...


@runtime_checkable
class Guarding(Protocol):
    """Access that depends on what is stored now, beside what the rules say."""

    async def guard_get(self, caller: Caller, kind: Kind, name: str, namespace: str) -> None:
        """Forbidden: a rule lets `caller` get such things, but not this one."""
        ...

    def guard_picked(self, caller: Caller, kind: Kind, namespace: str, fields: str) -> Guard | None:
        """What to ask each time before objects that a field selector picks are told; None: nothing."""
        ...


@runtime_checkable
class Narrowing(Protocol):
    """Reads that show only some of a kind's objects."""

    def seen(self, caller: Caller, verb: str, kind: Kind, name: str) -> Matcher | None:
        """Which objects `caller` is told of, who is not refused; None: of all."""
        ...


class Clock(Protocol):
    def now(self) -> float:
        """Unix seconds."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        return time.time()


class RawPage(NamedTuple):
    """A list's answer, each item as the JSON it is stored in."""

    items: list[bytes]
    revision: int
    continue_token: str = ""
    remaining: int = 0


class RawEvent(NamedTuple):
    """One change, as the JSON it is stored in."""

    type: EventType
    object: bytes
    revision: int


RawList = tuple[list[bytes], int, str, int]
"""(items as JSON, revision, where to go on, how many remain)."""


class Store(State, Protocol):
    """A State that also gives bytes as they are stored, for answers that need no decoding.

    seen: of which objects the caller is told at all."""

    async def list(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        limit: int = 0,
        continue_token: str = "",
        seen: Matcher | None = None,
    ) -> Page: ...

    def watch(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        since: int | None = None,
        bookmarks: bool = False,
        seen: Matcher | None = None,
    ) -> AsyncIterator[Event]: ...

    async def get_raw(self, kind: Kind, name: str, namespace: str = "") -> bytes: ...

    async def list_raw(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        limit: int = 0,
        continue_token: str = "",
        seen: Matcher | None = None,
    ) -> RawList: ...

    def watch_raw(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        since: int | None = None,
        bookmarks: bool = False,
        seen: Matcher | None = None,
    ) -> AsyncIterator[tuple[EventType, bytes, int]]: ...


class Access(Authenticator, Authorizer, Protocol):
    """Both questions, answered by one (`kernel.identity.Identity`)."""


@runtime_checkable
class Publishing(Protocol):
    """An Access whose tokens others can verify by themselves."""

    def jwks(self) -> Object:
        """The public keys of its tokens, as a JSON Web Key Set."""
        ...

    def issuer(self) -> str:
        """What its tokens name as their issuer."""
        ...

    def refusal_of_path(self, caller: Caller, verb: str, path: str) -> str | None:
        """None: the caller may ask for that path; else why not."""
        ...
