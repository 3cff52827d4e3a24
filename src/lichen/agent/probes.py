# SPDX-License-Identifier: Apache-2.0
"""Probes of running containers: startup first, then readiness and liveness, each a small loop of its own.

exec probes run through the pod's engine; tcpSocket and httpGet need a network engine that can `reach` into a network,
grpc an engine that can connect to a pod's own loopback. Where it cannot, the probe says so and fails: a container is
not called ready by default.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from lichen.drivers.base import Dialable, PodDriver
from lichen.model.data import Object
from lichen.model.errors import LichenError, Permanent, in_words
from lichen.model.meta import uid_of
from lichen.planning.pod_restart import container_specs
from lichen.planning.pod_steps import ContainerActual, Probes
from lichen.runtime.clock import Clock

log = logging.getLogger(__name__)

Reach = Callable[[Object, int, bytes], Awaitable[bytes]]
"""(pod, port, bytes to send) → the first bytes of the answer; raises what keeps it from connecting."""
Tell = Callable[[Object, str, str, str], None]
"""(pod, container, Startup, Readiness or Liveness, what was wrong): told of each probe that fails."""
_FIELDS = {"startupProbe": "started", "readinessProbe": "ready", "livenessProbe": "alive"}
TOLD_AGAIN = 10.0
"""Seconds after which a probe that keeps failing is told of again."""
_WORDS = {"startupProbe": "Startup", "readinessProbe": "Readiness", "livenessProbe": "Liveness"}


@dataclass(slots=True)
class _Watch:
    """The probes of one attempt at one container."""

    attempt: int
    results: Probes
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class Prober:
    """Keeps probes running for what runs. changed(pod uid): told when a result changed."""

    def __init__(self, clock: Clock, changed: Callable[[str], None], reach: Reach, tell: Tell) -> None:
        self._clock = clock
        self._changed = changed
        self._reach = reach
        self._tell = tell
        self._watches: dict[tuple[str, str], _Watch] = {}

    def results(
        self, pod: Object, driver: PodDriver | None, containers: Sequence[ContainerActual]
    ) -> dict[str, Probes]:
        """What the probes of each container say now; begins and ends them as containers come and go."""
        uid = uid_of(pod)
        running = {c.name: c.attempt for c in containers if c.phase == "Running"}
        found: dict[str, Probes] = {}
        for spec in container_specs(pod):
            name = spec["name"]
            if not any(probe in spec for probe in _FIELDS):
                continue
            watch = self._watches.get((uid, name))
            if watch is not None and running.get(name) != watch.attempt:
                self._end(uid, name)
                watch = None
            if name in running and watch is None and driver is not None:
                watch = self._begin(pod, driver, spec, running[name])
            found[name] = watch.results if watch is not None else _initial(spec)
        return found

    def forget(self, uid: str) -> None:
        for key in [key for key in self._watches if key[0] == uid]:
            self._end(*key)

    async def close(self) -> None:
        tasks = [task for watch in self._watches.values() for task in watch.tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._watches.clear()

    def _begin(self, pod: Object, driver: PodDriver, spec: Object, attempt: int) -> _Watch:
        watch = _Watch(attempt, _initial(spec))
        self._watches[uid_of(pod), spec["name"]] = watch
        started = asyncio.Event()
        if "startupProbe" not in spec:
            started.set()
        for kind in _FIELDS:
            if kind in spec:
                loop = self._loop(pod, driver, spec, kind, watch, started)
                watch.tasks.append(asyncio.get_running_loop().create_task(loop))
        return watch

    def _end(self, uid: str, name: str) -> None:
        for task in self._watches.pop((uid, name)).tasks:
            task.cancel()

    async def _loop(
        self, pod: Object, driver: PodDriver, spec: Object, kind: str, watch: _Watch, started: asyncio.Event
    ) -> None:
        probe = spec[kind]
        if kind != "startupProbe":
            await started.wait()
        await self._clock.sleep(float(probe.get("initialDelaySeconds") or 0))
        row, last, told = 0, None, -TOLD_AGAIN
        while True:
            good, words = await self._once(pod, driver, spec["name"], probe)
            row = row + 1 if good is last else 1
            last = good
            if not good and (row == 1 or self._clock.now() >= told + TOLD_AGAIN):
                told = self._clock.now()
                self._tell(pod, spec["name"], _WORDS[kind], words)
            needed = int(probe.get("successThreshold" if good else "failureThreshold") or (1 if good else 3))
            if row >= needed:
                self._settle(uid_of(pod), watch, kind, good, words)
                if kind == "startupProbe" and good:
                    started.set()
                    return
            await self._clock.sleep(float(probe.get("periodSeconds") or 10))

    def _settle(self, uid: str, watch: _Watch, kind: str, good: bool, words: str) -> None:
        held = watch.results
        values: dict[str, Any] = {"started": held.started, "ready": held.ready, "alive": held.alive}
        values[_FIELDS[kind]] = good
        if kind == "startupProbe" and not good:
            values["alive"] = False
        new = Probes(**values, message="" if good else words)
        if new != held:
            watch.results = new
            self._changed(uid)

    async def _once(self, pod: Object, driver: PodDriver, name: str, probe: Object) -> tuple[bool, str]:
        limit = float(probe.get("timeoutSeconds") or 1)
        try:
            return await asyncio.wait_for(self._ask(pod, driver, name, probe), limit)
        except TimeoutError:
            return False, f"timed out after {limit:g} s"
        except (LichenError, OSError) as error:
            return False, in_words(error)

    async def _ask(self, pod: Object, driver: PodDriver, name: str, probe: Object) -> tuple[bool, str]:
        if "exec" in probe:
            return await run_command(driver, uid_of(pod), name, tuple(probe["exec"].get("command") or ()))
        action = "httpGet" if "httpGet" in probe else "tcpSocket" if "tcpSocket" in probe else "grpc"
        port = port_of(pod, name, probe[action].get("port"))
        if action == "grpc":
            return await _ask_grpc(driver, uid_of(pod), port, probe["grpc"].get("service") or "")
        if action == "tcpSocket":
            await self._reach(pod, port, b"")
            return True, ""
        answer = await self._reach(pod, port, http_request(probe["httpGet"]))
        code = _status_code(answer)
        words = f"HTTP probe failed with statuscode: {code}" if code else "what answers speaks no HTTP"
        return 200 <= code < 400, words


async def run_command(driver: PodDriver, uid: str, name: str, command: tuple[str, ...]) -> tuple[bool, str]:
    """Run a command in a container: whether it ended well, and how. One that is no longer waited for is ended."""
    run = await driver.exec(uid, name, command, tty=False, stdin=False)
    output = b""
    try:
        async for _, data in run.output:
            output = (output + data)[:1024]
        code = await cast(Awaitable[int], run.wait())
    except asyncio.CancelledError:
        run.kill()
        raise
    said = output.decode(errors="replace").strip()
    return code == 0, f"the command ended with code {code}{f': {said}' if said else ''}"


async def _ask_grpc(driver: PodDriver, uid: str, port: int, service: str) -> tuple[bool, str]:
    if not isinstance(driver, Dialable):
        return False, "grpc probes are not possible with this runtime"
    from lichen.agent.grpc_health import check  # h2 takes 40 ms, and few ask

    reader, writer = await driver.dial(uid, port)
    try:
        return await check(reader, writer, service)
    finally:
        writer.close()


async def speak(ip: str, port: int, data: bytes) -> bytes:
    """Connect by TCP, send `data` if there is any, and give the first bytes of the answer. OSError."""
    reader, writer = await asyncio.open_connection(ip, port)
    try:
        if not data:
            return b""
        writer.write(data)
        await writer.drain()
        return await reader.read(4096)
    finally:
        writer.close()


def _initial(spec: Object) -> Probes:
    return Probes(
        started=False if "startupProbe" in spec else None,
        ready=False if "readinessProbe" in spec else None,
        alive=True if "livenessProbe" in spec else None,
    )


def port_of(pod: Object, name: str, port: int | str | None) -> int:
    if isinstance(port, int):
        return port
    for spec in container_specs(pod):
        if spec["name"] == name:
            for declared in spec.get("ports") or []:
                if declared.get("name") == port:
                    return int(declared["containerPort"])
    if port and port.isascii() and port.isdigit():
        return int(port)
    raise Permanent("UnknownPort", f"container {name} has no port that is named {port}")


def _status_code(answer: bytes) -> int:
    """0: the container speaks no HTTP."""
    found = re.match(rb"HTTP/[0-9.]+ ([0-9]{3})(?![0-9])", answer)
    return int(found[1]) if found else 0


def http_request(action: Object) -> bytes:
    headers = {h["name"]: h["value"] for h in action.get("httpHeaders") or []}
    lines = [f"GET {action.get('path') or '/'} HTTP/1.1"]
    lines += [f"{key}: {value}" for key, value in ({"Host": "localhost", "Connection": "close"} | headers).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
