# SPDX-License-Identifier: Apache-2.0
"""The pods of one node: discover sandbox and containers, plan, run the steps, report."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from lichen.agent.counting import counted
from lichen.agent.failures import Failures, Place
from lichen.agent.networks import Networks
from lichen.agent.pod_events import PodEvents
from lichen.agent.pod_spec import container_spec, pod_spec
from lichen.agent.probes import Prober, speak
from lichen.agent.references import References, mounts_tokens
from lichen.agent.reporting import patch_status
from lichen.agent.service_links import service_links
from lichen.agent.sources import Sources
from lichen.agent.tokens import PodTokens
from lichen.agent.volumes import Volumes
from lichen.agent.workers import Workers
from lichen.drivers.base import (
    ContainerPhase,
    ContainerState,
    ContainerUsage,
    Measuring,
    PodDriver,
    PodState,
    PortSpec,
    Reachable,
)
from lichen.kinds.builtin import POD
from lichen.model.data import Object
from lichen.model.errors import Forbidden, LichenError, NotFound, Permanent, Temporary
from lichen.model.meta import name_of, namespace_of, revision_of, uid_of
from lichen.model.metrics import STEP_FAILURES
from lichen.model.names import SYSTEM_NAMESPACE
from lichen.model.state import Preconditions, State
from lichen.model.tracing import follow
from lichen.planning import pod_steps as plan
from lichen.planning.pod import plan_pod
from lichen.planning.pod_restart import container_specs
from lichen.runtime.clock import Clock
from lichen.runtime.events import Recorder

log = logging.getLogger(__name__)

Key = tuple[str, str]
ROUNDS = 50
"""Plans in a row after which a pod that does not settle is put off."""
DEFAULT_RUNTIME = "runc"
MACHINE_BYTES = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


class Pods:
    """Brings the pods of a node to life. drivers: by RuntimeClass."""

    def __init__(
        self,
        node: str,
        state: State,
        drivers: Mapping[str, PodDriver],
        networks: Networks,
        sources: Sources,
        clock: Clock,
        *,
        root: Path,
        host_ip: str = "",
        engine: str = "containerd",
        recorder: Recorder,
        failures: Failures,
        api: tuple[str, int] | None = None,
    ) -> None:
        self.drivers = drivers
        self._events = PodEvents(recorder)
        self.workers = Workers(self._reconcile, clock, failures.teller(self._place))
        self.volumes = Volumes(root / "volumes")
        self._node = node
        self._state = state
        self._networks = networks
        self._sources = sources
        self._tokens = PodTokens(state, clock)
        self._references = References(state, self._tokens)
        self._clock = clock
        self._host_ip = host_ip
        self._engine = engine
        self._api = api
        self.claims: Callable[[Object], Awaitable[tuple[Mapping[str, Path], str]]] = _no_claims
        """Where the claims of a pod are mounted, and what is missing."""
        self._uids: dict[Key, tuple[str, str]] = {}
        self._failures: dict[str, dict[str, plan.Failure]] = {}
        self._written: dict[Key, Object] = {}
        self._wakes: dict[str, set[asyncio.Event]] = {}
        self._prober = Prober(clock, self.pod_changed, self._reach)

    async def start(self) -> None:
        """Adopt what runs, remove what belongs to no pod, and begin with all."""
        known = {uid_of(pod): pod for pod in self._sources.pods_of(self._node)}
        for driver in set(self.drivers.values()):
            for uid, state in (await driver.discover()).items():
                if uid not in known and await self._is_gone(state.namespace, state.name, uid):
                    log.warning("pod %s/%s (%s) belongs to no Pod: removed", state.namespace, state.name, uid)
                    await driver.remove_sandbox(uid, grace=1.0)
        for uid in set(await self.volumes.known()) - known.keys():
            await self.volumes.remove(uid)
        for pod in known.values():
            self.told(pod)

    async def close(self) -> None:
        await self._prober.close()
        await self.workers.close()

    def told(self, pod: Object) -> None:
        """Something about the pod changed."""
        for event in self._wakes.get(uid_of(pod), ()):
            event.set()
        self.workers.poke((namespace_of(pod), name_of(pod)))

    def pod_changed(self, uid: str) -> None:
        """Something in the pod changed by itself."""
        pod = self.by_uid(uid)
        if pod is not None:
            self.told(pod)

    async def usage(self) -> ContainerUsage:
        """Counters of all containers here, of engines that tell."""
        measuring = [driver for driver in set(self.drivers.values()) if isinstance(driver, Measuring)]
        found: ContainerUsage = {}
        for told in await asyncio.gather(*(driver.usage() for driver in measuring)):
            found |= told
        return found

    @contextmanager
    def waking(self, uid: str, event: asyncio.Event) -> Iterator[None]:
        """While it lasts, `event` is set whenever something in the pod changes."""
        events = self._wakes.setdefault(uid, set())
        events.add(event)
        try:
            yield
        finally:
            events.discard(event)
            if not events:
                self._wakes.pop(uid, None)

    def by_uid(self, uid: str) -> Object | None:
        return next((p for p in self._sources.pods.by_index("uid", uid) if self.is_mine(p)), None)

    def driver_of(self, pod: Object) -> PodDriver | None:
        """The engine of the pod's RuntimeClass; None if this node has none."""
        return self.drivers.get(_runtime(pod))

    async def plug(self, uid: str, netns: str) -> PortSpec | None:
        """What the CNI plugin asks for: plug the pod's Port into `netns`; None: the pod has no network of its own."""
        pod = self.by_uid(uid)
        if pod is None:
            raise Temporary(f"Pod {uid} is not known on node {self._node}.")
        if not _needs_port(pod):
            return None
        port = self._port(uid)
        if port is None:
            raise Temporary(f"The Port of pod {name_of(pod)} does not exist yet.")
        return await self._networks.plug_namespace(port, netns)

    async def unplug(self, uid: str) -> None:
        for port in self._sources.ports_of(uid):
            await self._networks.unplug(port["spec"]["id"])

    def is_mine(self, pod: Object) -> bool:
        """Whether the pod is bound to this node."""
        return (pod["spec"].get("nodeName") or "") == self._node

    async def _reach(self, pod: Object, port: int, data: bytes) -> bytes:
        """Speak to a port of the pod from this node: through its network's engine, or directly if it is the host's."""
        if not _needs_port(pod):
            return await speak(self._host_ip or "127.0.0.1", port, data)
        engine, own = self._networks.driver, self._port(uid_of(pod))
        if not isinstance(engine, Reachable):
            raise Permanent("Unreachable", "this node's network engine cannot speak to pods")
        if own is None or not own["spec"].get("fixedIps"):
            raise Temporary("the pod has no address yet")
        return await engine.reach(own["spec"]["networkId"], own["spec"]["fixedIps"][0]["ipAddress"], port, data)

    def _port(self, uid: str) -> Object | None:
        return next((p for p in self._sources.ports_of(uid) if p["spec"].get("deviceOwner") == "pod"), None)

    async def _reconcile(self, key: Hashable) -> float | None:
        place = cast(Key, key)
        for _ in range(ROUNDS):
            pod = self._current(place)
            known = self._uids.get(place)
            if known is not None and (pod is None or uid_of(pod) != known[0]):
                await self._forget(place)
            if pod is None:
                return None
            self._uids[place] = (uid_of(pod), _runtime(pod))
            follow(pod)
            actual = await self._gather(pod)
            renewal = await self._renew_tokens(pod, actual)
            steps = plan_pod(pod, actual, self._clock.now())
            settled = all(isinstance(step, plan.Report | plan.Wait) for step in steps)
            await self._run(place, pod, steps)
            if plan.Release() in steps:
                return None
            if settled:
                waits = [step.until for step in steps if isinstance(step, plan.Wait)] + renewal
                return max(0.0, min(waits) - self._clock.now()) if waits else None
        raise Temporary(f"Pod {place[1]} does not settle.", delay=5.0)

    def _current(self, key: Key) -> Object | None:
        """The newest we know: what was watched, or what the last write answered."""
        watched = self._sources.pods.get(key[1], key[0])
        if watched is None or not self.is_mine(watched):
            self._written.pop(key, None)
            return None
        written = self._written.get(key)
        if written is None or revision_of(watched) >= revision_of(written) or uid_of(watched) != uid_of(written):
            self._written.pop(key, None)
            return watched
        return written

    def _place(self, key: Hashable) -> Place:
        namespace, name = cast(Key, key)
        return Place(POD, namespace, name, self._current((namespace, name)))

    async def _gather(self, pod: Object) -> plan.PodActual:
        uid, driver = uid_of(pod), self.driver_of(pod)
        state = (await driver.discover()).get(uid) if driver is not None else None
        failures = dict(self._failures.get(uid) or {})
        refusal = self._refusal(pod, driver)
        if refusal:
            failures[""] = plan.Failure("FailedCreatePodSandBox", refusal, self._clock.now(), 30)
        elif state is None and (missing := (await self.claims(pod))[1]):
            failures[""] = plan.Failure("FailedMount", missing, self._clock.now(), 1)
        containers = tuple(_container(c) for c in state.containers) if state else ()
        port = self._port(uid)
        return plan.PodActual(
            sandbox="" if state is None else "Ready" if state.ready else "Dead",
            ips=self._ips(pod, state),
            containers=containers,
            failures=failures,
            probes=self._prober.results(pod, driver, containers),
            engine=self._engine,
            host_ip=self._host_ip,
            address_ready=not _needs_port(pod) or (port is not None and self._networks.spec(port) is not None),
        )

    def _ips(self, pod: Object, state: PodState | None) -> tuple[str, ...]:
        if state is None:
            return ()
        if not _needs_port(pod):
            return (self._host_ip,) if self._host_ip else ()
        return state.ips

    def _refusal(self, pod: Object, driver: PodDriver | None) -> str:
        """Why this node must not run the pod at all; "" if it may."""
        if driver is None:
            return f"node {self._node} has no runtime {_runtime(pod)}"
        if _runtime(pod) == "process" and namespace_of(pod) != SYSTEM_NAMESPACE:
            return f"RuntimeClass process is allowed in namespace {SYSTEM_NAMESPACE} only"
        return ""

    async def _run(self, key: Key, pod: Object, steps: list[plan.PodStep]) -> Object:
        stops = [step for step in steps if isinstance(step, plan.StopContainer)]
        for stop in stops:
            self._events.stopping(pod, stop.name)
        for step in steps:
            if not isinstance(step, plan.StopContainer):
                with counted("pod", pod, step):
                    pod = await self._step(key, pod, step)
        driver = self.driver_of(pod)
        if stops and driver is not None:
            await asyncio.gather(*(self._stop(driver, pod, stop) for stop in stops))
        return pod

    @staticmethod
    async def _stop(driver: PodDriver, pod: Object, step: plan.StopContainer) -> None:
        with counted("pod", pod, step):
            await driver.stop_container(uid_of(pod), step.name, grace=step.grace)

    async def _step(self, key: Key, pod: Object, step: plan.PodStep) -> Object:
        """Carry out one step; the pod as it is then."""
        uid, driver = uid_of(pod), self.driver_of(pod)
        match step:
            case plan.Report():
                self._events.reported(pod, step.status)
                pod = await patch_status(self._state, POD, pod, step.status)
                self._written[key] = pod
            case plan.StartSandbox() if driver is not None:
                await self._start_sandbox(pod, driver)
            case plan.StartContainer() if driver is not None:
                await self._start_container(pod, driver, step)
            case plan.RemoveSandbox() if driver is not None:
                await driver.remove_sandbox(uid, grace=step.grace)
                await self.unplug(uid)
            case plan.Release():
                await self._release(key, pod)
            case _:
                pass
        return pod

    async def _start_sandbox(self, pod: Object, driver: PodDriver) -> None:
        port = self._port(uid_of(pod))
        port_id = port["spec"]["id"] if port is not None and _needs_port(pod) else ""
        try:
            await driver.start_sandbox(pod_spec(pod, port_id, _runtime(pod), self._name_server(port)))
        except (Temporary, Permanent) as error:
            STEP_FAILURES.add("pod", plan.StartSandbox.__name__)
            self._failed(pod, "", "FailedCreatePodSandBox", error)
        else:
            self._succeeded(uid_of(pod), "")

    def _name_server(self, port: Object | None) -> str:
        """The address at which the port's network answers questions for names."""
        spec = self._networks.spec(port) if port is not None else None
        return spec.gateway if spec is not None else ""

    async def _start_container(self, pod: Object, driver: PodDriver, step: plan.StartContainer) -> None:
        uid = uid_of(pod)
        spec = next(c for c in container_specs(pod) if c["name"] == step.name)
        reason = "ErrImagePull"
        try:
            await self._have_image(driver, spec)
            self._events.pulled(pod, spec)
            reason = "CreateContainerConfigError"
            find = await self._references.of(pod, spec)
            tokens = await self._references.tokens(pod, spec)
            claims, _ = await self.claims(pod)
            mounts = await self.volumes.mounts(pod, spec, find, tokens, claims)
            state = (await driver.discover()).get(uid)
            links = service_links(pod, self._sources.services.items.values(), self._api)
            ips = self._ips(pod, state)
            container = container_spec(pod, spec, mounts, find, self._host_ip, ips, links, machine_bytes=MACHINE_BYTES)
            reason = "RunContainerError"
            port = self._port(uid)
            port_id = port["spec"]["id"] if port is not None else ""
            sandbox = pod_spec(pod, port_id, _runtime(pod), self._name_server(port))
            await driver.remove_container(uid, step.name)
            await driver.start_container(sandbox, container, attempt=step.attempt)
        except (Temporary, Permanent) as error:
            STEP_FAILURES.add("pod", type(step).__name__)
            self._failed(pod, step.name, reason, error)
        else:
            self._events.started(pod, step.name)
            self._succeeded(uid, step.name)

    async def _renew_tokens(self, pod: Object, actual: plan.PodActual) -> list[float]:
        """Renew the tokens of running containers if it is time; when it will be time again, [] for never."""
        running = {container.name for container in actual.containers if container.phase == ContainerPhase.RUNNING}
        bearing = [c for c in container_specs(pod) if c["name"] in running and mounts_tokens(pod, c)]
        if not bearing:
            return []
        uid = uid_of(pod)
        if self._tokens.due(uid) <= self._clock.now():
            self._tokens.begin(uid)
            try:
                for spec in bearing:
                    find, tokens = await self._references.of(pod, spec), await self._references.tokens(pod, spec)
                    await self.volumes.mounts(pod, spec, find, tokens, (await self.claims(pod))[0])
            except (LichenError, OSError) as error:
                log.warning("pod %s: its tokens cannot be renewed: %s", uid, error)
        return [self._tokens.due(uid)]

    async def _have_image(self, driver: PodDriver, spec: Object) -> None:
        image = spec.get("image") or ""
        if spec.get("imagePullPolicy") == "Never":
            names = {name for known, _ in await driver.images() for name in known}
            if not names & {image, *_full_names(image)}:
                raise Permanent(
                    "ErrImageNeverPull", f'Container image "{image}" is not present with pull policy of Never'
                )
            return
        await driver.ensure_image(image)

    def _failed(self, pod: Object, name: str, reason: str, error: Temporary | Permanent) -> None:
        uid = uid_of(pod)
        before = self._failures.setdefault(uid, {}).get(name)
        own = error.reason if isinstance(error, Permanent) else reason
        reason = own if own in _REASONS else reason
        count = before.count + 1 if before is not None and before.reason == reason else 1
        self._failures[uid][name] = plan.Failure(reason, error.message, self._clock.now(), count)
        self._events.failed(pod, name, reason, error.message)
        log.info("pod %s %s: %s: %s", uid, name, reason, error.message)

    def _succeeded(self, uid: str, name: str) -> None:
        self._failures.get(uid, {}).pop(name, None)

    async def _release(self, key: Key, pod: Object) -> None:
        """Nothing of the pod is left here: let the object go."""
        await self._clear(uid_of(pod))
        try:
            await self._state.delete(POD, key[1], key[0], preconditions=Preconditions(uid=uid_of(pod)), grace_seconds=0)
        except NotFound:
            log.debug("pod %s/%s was gone already", *key)
        self._written.pop(key, None)
        self._uids.pop(key, None)

    async def _forget(self, key: Key) -> None:
        """The pod is gone without a word (deleted with grace 0, or taken by another node): so is what ran."""
        uid, runtime = self._uids.pop(key)
        driver = self.drivers.get(runtime)
        if driver is not None and await self._is_gone(*key, uid):
            await driver.remove_sandbox(uid, grace=1.0)
            await self.unplug(uid)
        await self._clear(uid)

    async def _clear(self, uid: str) -> None:
        self._prober.forget(uid)
        self._tokens.forget(uid)
        self._failures.pop(uid, None)
        await self.volumes.remove(uid)

    async def _is_gone(self, namespace: str, name: str, uid: str) -> bool:
        """Whether no Pod with this uid is bound to this node, asked afresh."""
        try:
            pod = await self._state.get(POD, name, namespace)
        except (NotFound, Forbidden):  # a node is shown the pods that are bound to it, and no others
            return True
        except LichenError:
            return False
        return uid_of(pod) != uid or not self.is_mine(pod)


async def _no_claims(pod: Object) -> tuple[Mapping[str, Path], str]:
    claims = [v for v in pod["spec"].get("volumes") or [] if "persistentVolumeClaim" in v]
    return {}, "this node mounts no volumes" if claims else ""


_REASONS = {
    "ErrImagePull", "InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError", "CreateContainerError",
    "RunContainerError", "FailedMount", "FailedCreatePodSandBox",
}  # fmt: skip


def _runtime(pod: Object) -> str:
    name: str = pod["spec"].get("runtimeClassName") or DEFAULT_RUNTIME
    return name


def _needs_port(pod: Object) -> bool:
    return not pod["spec"].get("hostNetwork") and _runtime(pod) != "process"


def _full_names(image: str) -> set[str]:
    """How an engine may write the name of an image that was written short."""
    tagged = image if ":" in image.rpartition("/")[2] or "@" in image else f"{image}:latest"
    names = {tagged}
    if "." not in image.partition("/")[0] and ":" not in image.partition("/")[0]:
        names |= {f"docker.io/{tagged}", f"docker.io/library/{tagged}", f"docker.io/library/{image}"}
    return names


def _container(state: ContainerState) -> plan.ContainerActual:
    return plan.ContainerActual(
        name=state.name, phase=str(state.phase), attempt=state.attempt, id=state.id, image=state.image,
        image_id=state.image_id, started_at=state.started_at, finished_at=state.finished_at,
        exit_code=state.exit_code, reason=state.reason, message=state.message,
    )  # fmt: skip
