# SPDX-License-Identifier: Apache-2.0
"""Files in the volumes of running containers follow what they are made of: ConfigMaps, Secrets, the pod, its tokens.

What is watched says when; what is written is read afresh. Places inside volumes (`subPath`) and the environment stay
those of a container's start, as upstream.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from lichen.agent.followed import Followed
from lichen.agent.pod_events import PodEvents
from lichen.agent.pod_spec import Find
from lichen.agent.references import References, mounts_tokens
from lichen.agent.tokens import PodTokens
from lichen.agent.volumes import Volumes
from lichen.model.data import Object
from lichen.model.errors import LichenError
from lichen.model.meta import namespace_of, uid_of
from lichen.model.state import State
from lichen.planning.pod_restart import container_specs
from lichen.planning.volume_files import (
    Known,
    Made,
    is_outdated,
    made_of,
    mounted_references,
    volumes_with_files,
)
from lichen.runtime.clock import Clock

log = logging.getLogger(__name__)

AGAIN_SECONDS = 10.0
"""After a try that failed."""


class VolumeUpkeep:
    """tell: called with the uid of a pod whose volumes are to be looked at."""

    def __init__(
        self,
        state: State,
        followed: Followed,
        volumes: Volumes,
        events: PodEvents,
        clock: Clock,
        tell: Callable[[str], None],
    ) -> None:
        self._tokens = PodTokens(state, clock)
        self.references = References(state, self._tokens)
        self._followed = followed
        self._volumes = volumes
        self._events = events
        self._clock = clock
        self._tell = tell
        self._made: dict[str, dict[str, Made]] = {}
        self._again: dict[str, float] = {}

    def made(self, pod: Object, container: Object, find: Find) -> None:
        """The container's volumes were written, of what `find` finds."""
        self._made.setdefault(uid_of(pod), {})[container["name"]] = made_of(pod, container, find)

    def forget(self, uid: str) -> None:
        self._followed.forget(uid)
        self._tokens.forget(uid)
        self._made.pop(uid, None)
        self._again.pop(uid, None)

    async def refresh(self, pod: Object, running: set[str]) -> list[float]:
        """Bring the files of running containers up to date, if they are not; when they are to be looked at again though
        nothing changes, [] for never."""
        uid, now = uid_of(pod), self._clock.now()
        containers = [c for c in container_specs(pod) if c["name"] in running and volumes_with_files(pod, c)]
        bearing = any(mounts_tokens(pod, container) for container in containers)
        self._follow(pod, containers)
        outdated = (bearing and self._tokens.due(uid) <= now) or self._are_outdated(pod, containers)
        if outdated and self._again.get(uid, 0.0) <= now:
            await self._rewrite(pod, containers)
        if uid in self._again:
            return [self._again[uid]]
        return [self._tokens.due(uid)] if bearing else []

    def _follow(self, pod: Object, containers: list[Object]) -> None:
        uid, names = uid_of(pod), {container["name"] for container in containers}
        self._made[uid] = {name: made for name, made in self._made.get(uid, {}).items() if name in names}
        wanted = {each for container in containers for each in mounted_references(pod, container)}
        self._followed.follow(uid, namespace_of(pod), wanted, partial(self._tell, uid))

    def _known(self, namespace: str) -> Known:
        return lambda reference: self._followed.revision(*reference, namespace)

    def _are_outdated(self, pod: Object, containers: list[Object]) -> bool:
        made, known = self._made[uid_of(pod)], self._known(namespace_of(pod))
        return any(is_outdated(pod, made.get(container["name"]), known) for container in containers)

    async def _rewrite(self, pod: Object, containers: list[Object]) -> None:
        uid = uid_of(pod)
        volumes = {v["name"]: v for container in containers for v in volumes_with_files(pod, container)}
        try:
            find = await self.references.mounted(pod, containers)
            tokens = await self.references.tokens(pod, containers)
            faults = await self._volumes.refill(pod, volumes.values(), find, tokens)
        except (LichenError, OSError) as error:
            log.warning("pod %s: the files of its volumes cannot be brought up to date: %s", uid, error)
            self._again[uid] = self._clock.now() + AGAIN_SECONDS
            return
        self._again.pop(uid, None)
        for volume, why in faults.items():
            self._events.outdated(pod, volume, why)
        for container in containers:
            self.made(pod, container, find)
