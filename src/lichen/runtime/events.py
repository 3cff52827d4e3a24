# SPDX-License-Identifier: Apache-2.0
"""Events: what happened to an object, in words, for `kubectl describe` and `kubectl events`. Shape: core/v1.

    recorder = Recorder(state, clock, "default-scheduler")
    recorder.note(pod, "Scheduled", "Successfully assigned demo/web to node-1")   # never waits, never fails
    await recorder.run()                                                          # writes them, for ever

The same event again counts up the one that is there, also one that an earlier process wrote.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import OrderedDict

from lichen.kinds.builtin import EVENT
from lichen.model.data import Object
from lichen.model.errors import AlreadyExists, ApiError, NotFound
from lichen.model.meta import name_of, namespace_of, uid_of
from lichen.model.state import State
from lichen.planning.times import rfc3339
from lichen.runtime.clock import Clock

log = logging.getLogger(__name__)

MOST_WAITING = 4096
REMEMBERED = 4096
LONGEST = 1024
"""Characters of a message."""

_Key = tuple[str, str, str, str]


class Recorder:
    """component: who reports (`default-scheduler`, `lichen-agent`); host: the node it runs on, if that matters."""

    def __init__(self, state: State, clock: Clock, component: str, host: str = "") -> None:
        self._state = state
        self._clock = clock
        self._component = component
        self._host = host
        self._waiting: asyncio.Queue[tuple[_Key, Object]] = asyncio.Queue(MOST_WAITING)
        self._written: OrderedDict[_Key, int] = OrderedDict()

    def note(
        self, about: Object, reason: str, message: str, *, warning: bool = False, story: str | None = None
    ) -> None:
        """Record in a while; if too many wait to be written, it is lost. story: what this is the next word of; of one
        story there is one event, with the newest message. By default, events of the same message are the same."""
        kind = "Warning" if warning else "Normal"
        key = (uid_of(about) or name_of(about), kind, reason, message if story is None else story)
        event = self._event(about, reason, message[:LONGEST], kind)
        event["metadata"]["name"] = f"{name_of(about)[:236]}.{_digest(self._component, self._host, *key)}"
        try:
            self._waiting.put_nowait((key, event))
        except asyncio.QueueFull:
            log.warning("event lost: %s %s: %s", name_of(about), reason, message)

    async def run(self) -> None:
        """Write what is noted until cancelled."""
        while True:
            key, event = await self._waiting.get()
            try:
                await self._write(key, event)
            except (ApiError, OSError) as error:
                log.info("event %s about %s not written: %s", event["reason"], key[0], error)
            except Exception:
                log.exception("event %s about %s not written", event["reason"], key[0])

    async def _write(self, key: _Key, event: Object) -> None:
        if key in self._written:
            self._written.move_to_end(key)
            self._written[key] += 1
            try:
                await self._count_up(event, self._written[key])
            except NotFound:
                del self._written[key]
            else:
                return
        self._written[key] = await self._begin(event)
        if len(self._written) > REMEMBERED:
            self._written.popitem(last=False)

    async def _begin(self, event: Object) -> int:
        """Its count: more than 1 if an earlier process wrote it, which nobody here remembers."""
        try:
            await self._state.create(EVENT, event)
        except AlreadyExists:
            said = await self._count_up(event, None)
            count = (said.get("count") or 1) + 1
            await self._count_up(event, count)
            return count
        return 1

    async def _count_up(self, event: Object, count: int | None) -> Object:
        """The event as it is then. A patch, as nodes may write events and not read them."""
        patch = {"lastTimestamp": event["lastTimestamp"], "message": event["message"]}
        if count is not None:
            patch["count"] = count
        return await self._state.patch(EVENT, name_of(event), namespace_of(event), patch)

    def _event(self, about: Object, reason: str, message: str, kind: str) -> Object:
        namespace = namespace_of(about) or "default"
        now = rfc3339(self._clock.now())
        source = {"component": self._component, **({"host": self._host} if self._host else {})}
        involved = {
            "apiVersion": about.get("apiVersion", ""),
            "kind": about.get("kind", ""),
            "name": name_of(about),
            "uid": uid_of(about),
            "resourceVersion": about["metadata"].get("resourceVersion", ""),
        }
        if namespace_of(about):
            involved["namespace"] = namespace
        return {
            "apiVersion": EVENT.api_version,
            "kind": EVENT.kind,
            "metadata": {"namespace": namespace},
            "involvedObject": involved,
            "reason": reason,
            "message": message,
            "source": source,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "type": kind,
            "reportingComponent": self._component,
            "reportingInstance": self._host,
        }


def _digest(*parts: str) -> str:
    """Short, and the same for the same parts in every process."""
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=8).hexdigest()
