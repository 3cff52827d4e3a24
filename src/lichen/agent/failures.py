# SPDX-License-Identifier: Apache-2.0
"""What fails on this node again and again, said where people look: in the object's condition and an Event; and if the
object cannot be told, or there is none, in the condition of the node itself.

    failures = Failures("node-1", state, recorder, clock)
    Workers(reconcile, clock, failures.teller(lambda key: (Server.KIND, key[0], key[1])))
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import NamedTuple

from lichen.agent.reporting import patch_status
from lichen.model.data import Object
from lichen.model.errors import ApiError, LichenError, NotFound, Permanent, Temporary
from lichen.model.kind import Kind
from lichen.model.meta import find_condition, with_condition
from lichen.model.names import STALLED
from lichen.model.state import State
from lichen.planning.times import rfc3339
from lichen.runtime.clock import Clock
from lichen.runtime.events import Recorder

log = logging.getLogger(__name__)

PATIENCE = 3
"""Failures in a row before they are told: one alone may be a write that lost a race, or a kernel that starts."""
EVENT = "FailedStep"

Tell = Callable[[Hashable, Exception | None, int], Awaitable[None]]
"""(key, what it failed with or None if it went well, failures in a row)"""


class Told(Temporary):
    """To be tried again; the object's own conditions say so already."""


class Place(NamedTuple):
    """The object that a key stands for. held: as it is known here, None if it is not."""

    kind: Kind
    namespace: str
    name: str
    held: Object | None


class Failures:
    """`unsaid`: what fails and no object says, in words, by who tried and at what."""

    def __init__(self, node: str, state: State, recorder: Recorder, clock: Clock) -> None:
        self.unsaid: dict[tuple[str, Hashable], str] = {}
        self._node = node
        self._state = state
        self._recorder = recorder
        self._clock = clock

    def teller(self, locate: Callable[[Hashable], Place]) -> Tell:
        """For work at objects."""

        async def tell(key: Hashable, error: Exception | None, failures: int) -> None:
            place = locate(key)
            if error is None or isinstance(error, Told):
                self.unsaid.pop((place.kind.kind, key), None)
                await self._clear(place)
            elif failures >= PATIENCE:
                await self._say(key, place, error, failures)

        return tell

    def teller_of(self, what: str) -> Tell:
        """For work at what is no object of the node's own: `what`, and the key."""

        async def tell(key: Hashable, error: Exception | None, failures: int) -> None:
            if error is None:
                self.unsaid.pop((what, key), None)
            elif failures >= PATIENCE:
                self.unsaid[what, key] = f"{what} {_text(key)}: {_words(error)}"

        return tell

    async def _say(self, key: Hashable, place: Place, error: Exception, failures: int) -> None:
        self._note(place, error)
        if not _is_told_now(failures):
            return
        who = (place.kind.kind, key)
        try:
            await self._write(place, error)
            self.unsaid.pop(who, None)
        except (LichenError, OSError) as refusal:
            self.unsaid[who] = f"{place.kind.kind.lower()} {place.namespace}/{place.name}: {_words(error)}"
            log.info("%s cannot be told why it does not get on: %s", self.unsaid[who], refusal)

    def _note(self, place: Place, error: Exception) -> None:
        if place.held is not None:
            whole = {"apiVersion": place.kind.api_version, "kind": place.kind.kind, **place.held}
            self._recorder.note(whole, EVENT, self._sentence(error), warning=True, story="")

    async def _write(self, place: Place, error: Exception) -> None:
        """Into the object as it is now: what is held may be what the kernel refuses to change."""
        obj = await self._state.get(place.kind, place.name, place.namespace)
        new = {"type": STALLED, "status": "True", "reason": _reason(error), "message": self._sentence(error)}
        told = find_condition(obj, STALLED)
        if told is None or (told["reason"], told["message"]) != (new["reason"], new["message"]):
            held = (obj.get("status") or {}).get("conditions") or []
            conditions = with_condition(held, new, rfc3339(self._clock.now()))
            await patch_status(self._state, place.kind, obj, {"conditions": conditions})

    async def _clear(self, place: Place) -> None:
        """Said by this agent, or by one before it."""
        if place.held is None or find_condition(place.held, STALLED) is None:
            return
        rest = [c for c in place.held["status"]["conditions"] if c["type"] != STALLED]
        try:
            await patch_status(self._state, place.kind, place.held, {"conditions": rest})
        except NotFound:
            log.debug("%s %s/%s is gone", place.kind.kind, place.namespace, place.name)

    def _sentence(self, error: Exception) -> str:
        return f"Node {self._node} tries again and again: {_words(error)}"


def _is_told_now(failures: int) -> bool:
    """At the third in a row, the 6th, the 12th…: what is said of an object changes it, and a change has it tried again
    at once."""
    times = failures // PATIENCE
    return failures % PATIENCE == 0 and times & (times - 1) == 0


def _reason(error: Exception) -> str:
    if isinstance(error, ApiError | Permanent):
        return error.reason
    return "Retrying" if isinstance(error, Temporary) else "StepFailed"


def _words(error: Exception) -> str:
    """What a tenant may read: of an error nobody thought of, its name only."""
    if isinstance(error, ApiError | Permanent | Temporary):
        return error.message
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}."
    return f"{type(error).__name__} (the node's log tells more)."


def _text(key: Hashable) -> str:
    return "/".join(map(str, key)) if isinstance(key, tuple) else str(key)
