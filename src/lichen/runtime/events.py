# SPDX-License-Identifier: Apache-2.0
"""Events: what happened to an object, in words, for `kubectl describe` and `kubectl events`. Shape: core/v1.

    recorder = Recorder(state, clock, "default-scheduler")
    recorder.note(pod, "Scheduled", "Successfully assigned demo/web to node-1")   # never waits, never fails
    await recorder.run()                                                          # writes them, for ever

The same event again counts up the one that is there.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from dataclasses import dataclass

from lichen.kinds.builtin import EVENT
from lichen.model.data import Object
from lichen.model.errors import ApiError, NotFound
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


@dataclass(slots=True)
class _Written:
    name: str
    namespace: str
    count: int


class Recorder:
    """component: who reports (`default-scheduler`, `lichen-agent`); host: the node it runs on, if that matters."""

    def __init__(self, state: State, clock: Clock, component: str, host: str = "") -> None:
        self._state = state
        self._clock = clock
        self._component = component
        self._host = host
        self._waiting: asyncio.Queue[tuple[_Key, Object]] = asyncio.Queue(MOST_WAITING)
        self._written: OrderedDict[_Key, _Written] = OrderedDict()
        self._last = 0

    def note(self, about: Object, reason: str, message: str, *, warning: bool = False) -> None:
        """Record in a while; if too many wait to be written, it is lost."""
        kind = "Warning" if warning else "Normal"
        event = self._event(about, reason, message[:LONGEST], kind)
        try:
            self._waiting.put_nowait(((uid_of(about) or name_of(about), kind, reason, message), event))
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
        held = self._written.get(key)
        if held is not None:
            self._written.move_to_end(key)
            held.count += 1
            patch = {"count": held.count, "lastTimestamp": event["lastTimestamp"]}
            try:
                await self._state.patch(EVENT, held.name, held.namespace, patch)
            except NotFound:
                del self._written[key]
            else:
                return
        created = await self._state.create(EVENT, event)
        self._written[key] = _Written(name_of(created), namespace_of(created), 1)
        if len(self._written) > REMEMBERED:
            self._written.popitem(last=False)

    def _event(self, about: Object, reason: str, message: str, kind: str) -> Object:
        namespace = namespace_of(about) or "default"
        now = self._clock.now()
        self._last = max(int(now * 1e9), self._last + 1)
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
            "metadata": {"name": f"{name_of(about)[:236]}.{self._last:x}", "namespace": namespace},
            "involvedObject": involved,
            "reason": reason,
            "message": message,
            "source": source,
            "firstTimestamp": rfc3339(now),
            "lastTimestamp": rfc3339(now),
            "count": 1,
            "type": kind,
            "reportingComponent": self._component,
            "reportingInstance": self._host,
        }
