# SPDX-License-Identifier: Apache-2.0
"""Pods with limits on the node's disk are measured from time to time while they run; others never are."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from lichen.agent.volumes import Volumes
from lichen.drivers.base import PodDriver, Storing
from lichen.model.data import Object
from lichen.model.errors import LichenError
from lichen.model.meta import uid_of
from lichen.planning.pod_restart import container_specs
from lichen.planning.pod_storage import Taken, empty_dirs, has_limits, overuse
from lichen.runtime.clock import Clock

log = logging.getLogger(__name__)

PERIOD = 10.0
"""Seconds between two looks, as a kubelet's."""


class PodStorage:
    """tell: called with the uid of a pod that took more than it may."""

    def __init__(self, volumes: Volumes, clock: Clock, tell: Callable[[str], None]) -> None:
        self._volumes = volumes
        self._clock = clock
        self._tell = tell
        self._watching: dict[str, asyncio.Task[None]] = {}
        self._excess: dict[str, str] = {}

    def follow(self, pod: Object, driver: PodDriver | None, *, running: bool) -> str:
        """Have it measured while something of it runs. Why it is to be evicted, "" if it is not."""
        uid = uid_of(pod)
        if driver is None or not running or not has_limits(pod):
            self._stop(uid)
        elif uid not in self._watching and uid not in self._excess:
            self._watching[uid] = asyncio.create_task(self._watch(pod, driver))
        return self._excess.get(uid, "")

    def forget(self, uid: str) -> None:
        self._stop(uid)
        self._excess.pop(uid, None)

    def _stop(self, uid: str) -> None:
        if (task := self._watching.pop(uid, None)) is not None:
            task.cancel()

    async def _watch(self, pod: Object, driver: PodDriver) -> None:
        uid = uid_of(pod)
        while not (excess := await self._look(pod, driver)):
            await self._clock.sleep(PERIOD)
        self._excess[uid] = excess
        self._watching.pop(uid, None)
        self._tell(uid)

    async def _look(self, pod: Object, driver: PodDriver) -> str:
        try:
            return overuse(pod, await self._taken(pod, driver))
        except (LichenError, OSError) as error:
            log.warning("pod %s: what it takes of the disk cannot be measured: %s", uid_of(pod), error)
            return ""

    async def _taken(self, pod: Object, driver: PodDriver) -> Taken:
        uid = uid_of(pod)
        volumes = {volume["name"]: self._volumes.folder(uid, volume["name"]) for volume in empty_dirs(pod)}
        logs = {spec["name"]: driver.log_path(uid, spec["name"], 0).parent for spec in container_specs(pod)}
        sizes = await disk_usage([*volumes.values(), *logs.values()])
        written = await driver.written(uid) if isinstance(driver, Storing) else {}
        return Taken(
            volumes={name: sizes.get(folder, 0) for name, folder in volumes.items()},
            containers={name: sizes.get(folder, 0) + written.get(name, 0) for name, folder in logs.items()},
        )


async def disk_usage(folders: Iterable[Path]) -> dict[Path, int]:
    """Bytes that each takes of the disk; those that are not there are left out. By `du`, at the lowest priority:
    containers may nest folders deeper than we could follow, and move them meanwhile."""
    there = [folder for folder in folders if folder.is_dir()]
    if not there:
        return {}
    command = ("nice", "-n", "19", "du", "-s", "-x", "--block-size=1", "--", *map(str, there))
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        out, _ = await process.communicate()  # it fails, too, if something went away while it looked
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    lines = (line.partition("\t") for line in out.decode(errors="surrogateescape").splitlines())
    return {Path(path): int(size) for size, _, path in lines}
