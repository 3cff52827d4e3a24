# SPDX-License-Identifier: Apache-2.0
"""What a container asks for right after its start and before its end: lifecycle.postStart and lifecycle.preStop.

A container whose postStart fails is stopped, and started again by the pod's restartPolicy. What preStop takes is taken
from the grace in which the container ends; that it fails is told, and changes nothing. Semantics: Kubernetes core/v1.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from lichen.agent.pod_events import PodEvents
from lichen.agent.probes import Reach, http_request, port_of, run_command
from lichen.drivers.base import PodDriver
from lichen.model.data import Object
from lichen.model.errors import LichenError, in_words
from lichen.model.meta import uid_of
from lichen.planning.pod import grace_of
from lichen.planning.pod_restart import container_specs
from lichen.runtime.clock import Clock

LEAST_GRACE = 2.0
"""Seconds that a container has to end when its preStop has taken all the others."""


class Hooks:
    """leaves: returns when a pod is deleted; nobody waits for a postStart any more then."""

    def __init__(
        self, events: PodEvents, clock: Clock, reach: Reach, leaves: Callable[[Object], Awaitable[None]]
    ) -> None:
        self._events = events
        self._clock = clock
        self._reach = reach
        self._leaves = leaves

    async def after_start(self, pod: Object, driver: PodDriver, name: str) -> None:
        """Returns when postStart is done, or the pod is deleted."""
        if (hook := _hook(pod, name, "postStart")) is None:
            return
        doing = asyncio.ensure_future(self._do(pod, driver, name, hook))
        leaving = asyncio.ensure_future(self._leaves(pod))
        try:
            await asyncio.wait((doing, leaving), return_when=asyncio.FIRST_COMPLETED)
            failure = doing.result() if doing.done() else ""
        finally:
            for task in (doing, leaving):
                task.cancel()
            await asyncio.gather(doing, leaving, return_exceptions=True)
        if failure:
            self._events.hook_failed(pod, name, "PostStart", failure)
            await driver.stop_container(uid_of(pod), name, grace=grace_of(pod))

    async def before_end(self, pod: Object, driver: PodDriver, name: str, grace: float) -> float:
        """Returns when preStop is done, or the grace is over; the seconds that are left of it."""
        hook = _hook(pod, name, "preStop")
        if hook is None or grace <= 0:
            return grace
        began = self._clock.now()
        try:
            failure = await asyncio.wait_for(self._do(pod, driver, name, hook), grace)
        except TimeoutError:
            failure = f"it took longer than the {grace:g} s in which the container is to end"
        if failure:
            self._events.hook_failed(pod, name, "PreStop", failure)
        return max(began + grace - self._clock.now(), LEAST_GRACE)

    async def _do(self, pod: Object, driver: PodDriver, name: str, hook: Object) -> str:
        """What went wrong; "" if nothing did."""
        try:
            if "exec" in hook:
                good, words = await run_command(driver, uid_of(pod), name, tuple(hook["exec"].get("command") or ()))
                return "" if good else words
            if "httpGet" in hook:  # whatever is answered
                await self._reach(pod, port_of(pod, name, hook["httpGet"].get("port")), http_request(hook["httpGet"]))
            elif "sleep" in hook:
                await self._clock.sleep(float(hook["sleep"].get("seconds") or 0))
            else:
                return f"there is no such hook as {', '.join(hook) or 'an empty one'}"
        except (LichenError, OSError) as error:
            return in_words(error)
        return ""


def _hook(pod: Object, name: str, which: str) -> Object | None:
    spec = next((spec for spec in container_specs(pod) if spec["name"] == name), {})
    hook: Object | None = (spec.get("lifecycle") or {}).get(which)
    return hook
