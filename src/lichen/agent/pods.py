# SPDX-License-Identifier: Apache-2.0
"""The pods of one node: discover sandbox and containers, plan, run the steps, report."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from lichen.agent.counting import counted
from lichen.agent.failures import Failures, Place
from lichen.agent.hooks import Hooks
from lichen.agent.leniency import Leniency
from lichen.agent.networks import Networks
from lichen.agent.pod_events import PodEvents
from lichen.agent.pod_making import PodMaking, needs_port, runtime_of
from lichen.agent.probes import Prober, speak
from lichen.agent.reporting import patch_status
from lichen.agent.sources import Sources
from lichen.agent.storage import PodStorage
from lichen.agent.volumes import Volumes
from lichen.agent.workers import Workers
from lichen.drivers.base import (
    ContainerPhase,
    ContainerState,
    ContainerUsage,
    Measuring,
    MemoryMounts,
    PodDriver,
    PortSpec,
    Reachable,
)
from lichen.kinds.builtin import POD
from lichen.model.data import Object
from lichen.model.errors import Forbidden, LichenError, NotFound, Permanent, Temporary
from lichen.model.meta import is_deleting, name_of, namespace_of, revision_of, uid_of
from lichen.model.names import SYSTEM_NAMESPACE
from lichen.model.state import Preconditions, State
from lichen.model.tracing import follow
from lichen.planning import pod_steps as plan
from lichen.planning.pod import plan_pod
from lichen.runtime.clock import Clock
from lichen.runtime.events import Recorder

log = logging.getLogger(__name__)

Key = tuple[str, str]
ROUNDS = 50
"""Plans in a row after which a pod that does not settle is put off."""


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
        memory: MemoryMounts | None = None,
    ) -> None:
        self.drivers = drivers
        self._events = PodEvents(recorder)
        self.workers = Workers(self._reconcile, clock, failures.teller(self._place))
        self.volumes = Volumes(root / "volumes", memory)
        self._node = node
        self._state = state
        self._networks = networks
        self._sources = sources
        self._clock = clock
        self._host_ip = host_ip
        self._engine = engine
        self.making = PodMaking(
            state, networks, sources, self.volumes, self._events, clock,
            host_ip=host_ip, api=api, tell=self.pod_changed,
        )  # fmt: skip
        self._uids: dict[Key, tuple[str, str]] = {}
        self._written: dict[Key, Object] = {}
        self._wakes: dict[str, set[asyncio.Event]] = {}
        self._hooks = Hooks(self._events, clock, self._reach, self._leaves)
        self._prober = Prober(clock, self.pod_changed, self._reach, self._events.unhealthy)
        self._leniency = Leniency()
        self._storage = PodStorage(self.volumes, clock, self.pod_changed)

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
        for uid, _ in self._uids.values():
            self.making.upkeep.forget(uid)
            self._storage.forget(uid)

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
        return self.drivers.get(runtime_of(pod))

    async def plug(self, uid: str, netns: str) -> PortSpec | None:
        """What the CNI plugin asks for: plug the pod's Port into `netns`; None: the pod has no network of its own."""
        pod = self.by_uid(uid)
        if pod is None:
            raise Temporary(f"Pod {uid} is not known on node {self._node}.")
        if not needs_port(pod):
            return None
        port = self.making.port(uid)
        if port is None:
            raise Temporary(f"The Port of pod {name_of(pod)} does not exist yet.")
        return await self._networks.plug_namespace(port, netns)

    async def unplug(self, uid: str) -> None:
        for port in self._sources.ports_of(uid):
            await self._networks.unplug(port["spec"]["id"])

    def is_mine(self, pod: Object) -> bool:
        """Whether the pod is bound to this node."""
        return (pod["spec"].get("nodeName") or "") == self._node

    async def _leaves(self, pod: Object) -> None:
        """Returns when the pod is deleted or gone."""
        event = asyncio.Event()
        with self.waking(uid_of(pod), event):
            while (held := self.by_uid(uid_of(pod))) is not None and not is_deleting(held):
                await event.wait()
                event.clear()

    async def _reach(self, pod: Object, port: int, data: bytes) -> bytes:
        """Speak to a port of the pod from this node: through its network's engine, or directly if it is the host's."""
        if not needs_port(pod):
            return await speak(self._host_ip or "127.0.0.1", port, data)
        engine, own = self._networks.driver, self.making.port(uid_of(pod))
        if not isinstance(engine, Reachable):
            raise Permanent("Unreachable", "this node's network engine cannot speak to pods")
        if own is None or not own["spec"].get("fixedIps"):
            raise Temporary("the pod has no address yet")
        return await engine.reach(own["spec"]["networkId"], own["spec"]["fixedIps"][0]["ipAddress"], port, data)

    async def _reconcile(self, key: Hashable) -> float | None:
        place = cast(Key, key)
        for _ in range(ROUNDS):
            pod = self._current(place)
            known = self._uids.get(place)
            if known is not None and (pod is None or uid_of(pod) != known[0]):
                await self._forget(place)
            if pod is None:
                return None
            self._uids[place] = (uid_of(pod), runtime_of(pod))
            follow(pod)
            actual = await self._gather(pod)
            later = await self.making.upkeep.refresh(pod, _running(actual))
            steps = plan_pod(pod, actual, self._clock.now())
            settled = all(isinstance(step, plan.Report | plan.Wait) for step in steps)
            await self._run(place, pod, steps)
            if plan.Release() in steps:
                return None
            if settled:
                waits = [step.until for step in steps if isinstance(step, plan.Wait)] + later
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
        failures = self.making.failures(uid)
        refusal = self._refusal(pod, driver)
        if refusal:
            failures[""] = plan.Failure("FailedCreatePodSandBox", refusal, self._clock.now(), 30)
        elif state is None and (claimed := await self.making.claims(pod)).missing:
            reason = "WaitingForVolume" if claimed.on_its_way else "FailedMount"
            failures[""] = plan.Failure(reason, claimed.missing, self._clock.now(), 1)
        containers = self._leniency.judge(uid, [_container(c) for c in state.containers] if state else [])
        port = self.making.port(uid)
        return plan.PodActual(
            sandbox="" if state is None else "Ready" if state.ready else "Dead",
            ips=self.making.ips(pod, state),
            containers=containers,
            failures=failures,
            probes=self._prober.results(pod, driver, containers),
            engine=self._engine,
            host_ip=self._host_ip,
            evicted=self._storage.follow(pod, driver, running=any(c.phase == "Running" for c in containers)),
            address_ready=not needs_port(pod) or (port is not None and self._networks.spec(port) is not None),
        )

    def _refusal(self, pod: Object, driver: PodDriver | None) -> str:
        """Why this node must not run the pod at all; "" if it may."""
        if driver is None:
            return f"node {self._node} has no runtime {runtime_of(pod)}"
        if runtime_of(pod) == "process" and namespace_of(pod) != SYSTEM_NAMESPACE:
            return f"RuntimeClass process is allowed in namespace {SYSTEM_NAMESPACE} only"
        return ""

    async def _run(self, key: Key, pod: Object, steps: list[plan.PodStep]) -> Object:
        stops = [step for step in steps if isinstance(step, plan.StopContainer)]
        for stop in stops:
            self._events.stopping(pod, stop.name, stop.why)
        for step in steps:
            if not isinstance(step, plan.StopContainer):
                with counted("pod", pod, step):
                    pod = await self._step(key, pod, step)
        driver = self.driver_of(pod)
        if stops and driver is not None:
            await asyncio.gather(*(self._stop(driver, pod, stop) for stop in stops))
        return pod

    async def _stop(self, driver: PodDriver, pod: Object, step: plan.StopContainer) -> None:
        with counted("pod", pod, step):
            grace = await self._hooks.before_end(pod, driver, step.name, step.grace)
            await driver.stop_container(uid_of(pod), step.name, grace=grace)

    async def _step(self, key: Key, pod: Object, step: plan.PodStep) -> Object:
        """Carry out one step; the pod as it is then."""
        uid, driver = uid_of(pod), self.driver_of(pod)
        match step:
            case plan.Report():
                self._events.reported(pod, step.status)
                pod = await patch_status(self._state, POD, pod, step.status)
                self._written[key] = pod
            case plan.StartSandbox() if driver is not None:
                await self.making.start_sandbox(pod, driver)
            case plan.StartContainer() if driver is not None:
                if await self.making.start_container(pod, driver, step):
                    await self._hooks.after_start(pod, driver, step.name)
            case plan.RemoveSandbox() if driver is not None:
                await driver.remove_sandbox(uid, grace=step.grace)
                await self.unplug(uid)
            case plan.RemoveVolumes():
                await self.volumes.remove(uid)
            case plan.Release():
                await self._release(key, pod)
            case _:
                pass
        return pod

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
        self._storage.forget(uid)
        self._leniency.forget(uid)
        self.making.forget(uid)
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


def _container(state: ContainerState) -> plan.ContainerActual:
    return plan.ContainerActual(
        name=state.name, phase=str(state.phase), attempt=state.attempt, id=state.id, image=state.image,
        image_id=state.image_id, started_at=state.started_at, finished_at=state.finished_at,
        exit_code=state.exit_code, reason=state.reason, message=state.message,
    )  # fmt: skip


def _running(actual: plan.PodActual) -> set[str]:
    return {container.name for container in actual.containers if container.phase == ContainerPhase.RUNNING}
