# SPDX-License-Identifier: Apache-2.0
"""How a pod is made on its node: the sandbox, then each container with its image, files, environment and tokens."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from lichen.agent.networks import Networks
from lichen.agent.pod_events import PodEvents
from lichen.agent.pod_spec import container_spec, environment, pod_spec
from lichen.agent.service_links import service_links
from lichen.agent.sources import Sources
from lichen.agent.upkeep import VolumeUpkeep
from lichen.agent.volumes import MACHINE_BYTES, Volumes
from lichen.drivers.base import PodDriver, PodSpec, PodState
from lichen.model.data import Object
from lichen.model.errors import Permanent, Temporary
from lichen.model.meta import uid_of
from lichen.model.metrics import STEP_FAILURES
from lichen.model.state import State
from lichen.planning import pod_steps as plan
from lichen.planning.pod_restart import container_specs
from lichen.runtime.clock import Clock

log = logging.getLogger(__name__)

DEFAULT_RUNTIME = "runc"
_REASONS = {
    "ErrImagePull", "InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError", "CreateContainerError",
    "RunContainerError", "FailedMount", "FailedCreatePodSandBox",
}  # fmt: skip
"""What clients know of why a container waits; other reasons of an engine are told as that of the stage."""


def runtime_of(pod: Object) -> str:
    name: str = pod["spec"].get("runtimeClassName") or DEFAULT_RUNTIME
    return name


def needs_port(pod: Object) -> bool:
    return not pod["spec"].get("hostNetwork") and runtime_of(pod) != "process"


class Claimed(NamedTuple):
    """Where the claims of a pod are mounted, by their names. missing: what is not there, in words; on_its_way: it will
    be without anybody's doing."""

    folders: Mapping[str, Path]
    missing: str = ""
    on_its_way: bool = False


async def no_claims(pod: Object) -> Claimed:
    """Of a node that mounts no volumes."""
    claims = [v for v in pod["spec"].get("volumes") or [] if "persistentVolumeClaim" in v]
    return Claimed({}, "this node mounts no volumes" if claims else "")


class PodMaking:
    """Makes pods, and remembers what of them could not be made. api: where the Kubernetes API is reached from pods."""

    def __init__(
        self,
        state: State,
        networks: Networks,
        sources: Sources,
        volumes: Volumes,
        events: PodEvents,
        clock: Clock,
        *,
        host_ip: str,
        api: tuple[str, int] | None,
        tell: Callable[[str], None],
    ) -> None:
        """tell: called with the uid of a pod whose volumes may have to change."""
        self.claims: Callable[[Object], Awaitable[Claimed]] = no_claims
        self._networks = networks
        self._sources = sources
        self._volumes = volumes
        self._events = events
        self._clock = clock
        self._host_ip = host_ip
        self._api = api
        self.upkeep = VolumeUpkeep(state, sources.followed, volumes, events, clock, tell)
        self._references = self.upkeep.references
        self._failures: dict[str, dict[str, plan.Failure]] = {}

    def failures(self, uid: str) -> dict[str, plan.Failure]:
        """What failed last, by container; "" is the sandbox."""
        return dict(self._failures.get(uid) or {})

    def forget(self, uid: str) -> None:
        self.upkeep.forget(uid)
        self._failures.pop(uid, None)

    def port(self, uid: str) -> Object | None:
        """The pod's own Port, once it is there."""
        return next((p for p in self._sources.ports_of(uid) if p["spec"].get("deviceOwner") == "pod"), None)

    def ips(self, pod: Object, state: PodState | None) -> tuple[str, ...]:
        if state is None:
            return ()
        if not needs_port(pod):
            return (self._host_ip,) if self._host_ip else ()
        return state.ips

    async def start_sandbox(self, pod: Object, driver: PodDriver) -> None:
        stage = _Stage("FailedCreatePodSandBox")
        with self._trying(pod, "", stage, plan.StartSandbox):
            await driver.start_sandbox(self._sandbox(pod))

    async def start_container(self, pod: Object, driver: PodDriver, step: plan.StartContainer) -> bool:
        """Whether it runs; why it does not is remembered."""
        spec = next(c for c in container_specs(pod) if c["name"] == step.name)
        stage = _Stage("ErrImagePull")
        with self._trying(pod, step.name, stage, plan.StartContainer):
            await _have_image(driver, spec)
            self._events.pulled(pod, spec)
            stage.reason = "CreateContainerConfigError"
            find = await self._references.of(pod, spec)
            tokens, claims = await self._references.tokens(pod, [spec]), (await self.claims(pod)).folders
            ips = self.ips(pod, (await driver.discover()).get(uid_of(pod)))
            links = service_links(pod, self._sources.services.items.values(), self._api)
            env = environment(pod, spec, find, self._host_ip, ips, links)
            mounts = await self._volumes.mounts(pod, spec, find, tokens, claims, env)
            self.upkeep.made(pod, spec, find)
            container = container_spec(pod, spec, mounts, env, machine_bytes=MACHINE_BYTES)
            stage.reason = "RunContainerError"
            await driver.remove_container(uid_of(pod), step.name)
            await driver.start_container(self._sandbox(pod), container, attempt=step.attempt)
            self._events.started(pod, step.name)
            return True
        return False

    def _sandbox(self, pod: Object) -> PodSpec:
        port = self.port(uid_of(pod))
        port_id = port["spec"]["id"] if port is not None and needs_port(pod) else ""
        return pod_spec(pod, port_id, runtime_of(pod), self._name_server(port))

    def _name_server(self, port: Object | None) -> str:
        """The address at which the port's network answers questions for names."""
        spec = self._networks.spec(port) if port is not None else None
        return spec.gateway if spec is not None else ""

    @contextmanager
    def _trying(self, pod: Object, name: str, stage: _Stage, step: type) -> Iterator[None]:
        """What fails within is remembered and told; it is the plan that decides when to try again."""
        try:
            yield
        except (Temporary, Permanent) as error:
            STEP_FAILURES.add("pod", step.__name__)
            self._failed(pod, name, stage.reason, error)
        else:
            self._failures.get(uid_of(pod), {}).pop(name, None)

    def _failed(self, pod: Object, name: str, reason: str, error: Temporary | Permanent) -> None:
        uid = uid_of(pod)
        before = self._failures.setdefault(uid, {}).get(name)
        own = error.reason if isinstance(error, Permanent) else reason
        reason = own if own in _REASONS else reason
        count = before.count + 1 if before is not None and before.reason == reason else 1
        self._failures[uid][name] = plan.Failure(reason, error.message, self._clock.now(), count)
        self._events.failed(pod, name, reason, error.message)
        log.info("pod %s %s: %s: %s", uid, name, reason, error.message)


class _Stage:
    """What is being tried. reason: what it is called if it fails."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


async def _have_image(driver: PodDriver, spec: Object) -> None:
    image = spec.get("image") or ""
    if spec.get("imagePullPolicy") == "Never":
        names = {name for known, _ in await driver.images() for name in known}
        if not names & {image, *_full_names(image)}:
            raise Permanent("ErrImageNeverPull", f'Container image "{image}" is not present with pull policy of Never')
        return
    await driver.ensure_image(image)


def _full_names(image: str) -> set[str]:
    """How an engine may write the name of an image that was written short."""
    tagged = image if ":" in image.rpartition("/")[2] or "@" in image else f"{image}:latest"
    names = {tagged}
    if "." not in image.partition("/")[0] and ":" not in image.partition("/")[0]:
        names |= {f"docker.io/{tagged}", f"docker.io/library/{tagged}", f"docker.io/library/{image}"}
    return names
