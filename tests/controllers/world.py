# SPDX-License-Identifier: Apache-2.0
"""A cloud for the controllers' tests: a real kernel over a store in memory, all controllers, garbage collection, and
nodes that do no more than say that the pods bound to them run."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from lichen.controllers.run import manage
from lichen.kernel.collector import Collector
from lichen.kernel.kernel import SYSTEM
from lichen.kernel.session import Session
from lichen.kinds.builtin import LEASE, NAMESPACE, NODE, POD
from lichen.model.data import Object
from lichen.model.errors import Conflict, NotFound
from lichen.model.kind import Kind, new_object
from lichen.model.meta import is_deleting, name_of, namespace_of
from lichen.planning.times import rfc3339, rfc3339_micro
from lichen.runtime.clock import Clock, SystemClock
from tests.conformance.witness import witnessed
from tests.kernel.helpers import a_kernel

PATIENCE = 10.0
DEMO = "demo"


class Cloud:
    """state: the kernel as its administrator sees it. healthy: whether pods become ready, by pod."""

    def __init__(self, state: Session, clock: Clock) -> None:
        self.state = state
        self.clock = clock
        self.healthy: Callable[[Object], bool] = lambda pod: True
        self.lingering: Callable[[Object], bool] = lambda pod: False

    async def create(self, kind: Kind, name: str, spec: Any = None, namespace: str = DEMO, **metadata: Any) -> Object:
        return await self.state.create(kind, new_object(kind, name, namespace, spec, **metadata))

    async def get(self, kind: Kind, name: str, namespace: str = DEMO) -> Object:
        return await self.state.get(kind, name, namespace if kind.namespaced else "")

    async def patch(self, kind: Kind, name: str, patch: Any, subresource: str = "", namespace: str = DEMO) -> Object:
        where = namespace if kind.namespaced else ""
        return await self.state.patch(kind, name, where, patch, subresource=subresource)

    async def all(self, kind: Kind, namespace: str | None = DEMO, labels: str = "") -> list[Object]:
        page = await self.state.list(kind, namespace if kind.namespaced else None, labels=labels)
        return page.items

    async def names(self, kind: Kind, namespace: str | None = DEMO, labels: str = "") -> list[str]:
        return [name_of(obj) for obj in await self.all(kind, namespace, labels)]

    async def until(self, kind: Kind, name: str, test: Callable[[Object], Any], namespace: str = DEMO) -> Object:
        """The object once `test` holds of it."""
        try:
            async with asyncio.timeout(PATIENCE):
                async for event in self.state.watch(kind, namespace if kind.namespaced else None):
                    obj = event.object
                    if event.type not in ("DELETED", "BOOKMARK") and name_of(obj) == name and test(obj):
                        return obj
        except TimeoutError:
            raise AssertionError(f"never came true of {await self.get(kind, name, namespace)}") from None
        raise AssertionError("the watch ended")

    async def until_all(
        self, kind: Kind, test: Callable[[list[Object]], Any], namespace: str | None = DEMO, labels: str = ""
    ) -> list[Object]:
        """All objects of a kind once `test` holds of the list."""
        found: list[Object] = []
        try:
            async with asyncio.timeout(PATIENCE):
                while not test(found := await self.all(kind, namespace, labels)):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"never came true of {found}") from None
        return found

    async def until_gone(self, kind: Kind, name: str, namespace: str = DEMO) -> None:
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    await self.get(kind, name, namespace)
                except NotFound:
                    return
                await asyncio.sleep(0.01)

    async def settle(self, seconds: float = 0.15) -> None:
        """Long enough for whatever was going to happen."""
        await asyncio.sleep(seconds)

    async def node(self, name: str, cpu: str = "4", memory: str = "8Gi", **labels: str) -> Object:
        """A node that is ready, with a lease renewed just now."""
        labels = {"kubernetes.io/hostname": name, **labels}
        await self.state.create(NODE, new_object(NODE, name, spec={}, labels=labels))
        ready = {"type": "Ready", "status": "True", "reason": "Ready", "message": "", "lastTransitionTime": self._now()}
        status = {"allocatable": {"cpu": cpu, "memory": memory, "pods": "110"}, "conditions": [ready]}
        node = await self.patch(NODE, name, {"status": status}, "status")
        lease = {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": rfc3339_micro(self.clock.now())}
        await self.create(LEASE, name, lease, "kube-node-lease")
        return node

    async def renew(self, name: str) -> None:
        lease = {"spec": {"renewTime": rfc3339_micro(self.clock.now())}}
        await self.patch(LEASE, name, lease, namespace="kube-node-lease")

    async def run_pods(self) -> None:
        """What nodes' agents do, without any machine."""
        async for event in self.state.watch(POD):
            pod = event.object
            if event.type in ("DELETED", "BOOKMARK") or not pod["spec"].get("nodeName"):
                continue
            with contextlib.suppress(NotFound, Conflict):
                await self._run_pod(pod)

    async def _run_pod(self, pod: Object) -> None:
        if is_deleting(pod):
            if not self.lingering(pod):
                await self.state.delete(POD, name_of(pod), namespace_of(pod), grace_seconds=0)
            return
        phase = (pod.get("status") or {}).get("phase")
        if phase in ("Succeeded", "Failed"):
            return
        ready = "True" if self.healthy(pod) else "False"
        held = next((c["status"] for c in pod["status"].get("conditions") or [] if c["type"] == "Ready"), "")
        if phase != "Running" or held != ready:
            condition = {"type": "Ready", "status": ready, "lastTransitionTime": self._now()}
            status = {"phase": "Running", "podIP": "10.244.0.9", "conditions": [condition]}
            await self.patch(POD, name_of(pod), {"status": status}, "status", namespace_of(pod))

    async def ends(self, pod: Object, phase: str = "Succeeded", **status: Any) -> None:
        """A pod's containers end, as its node tells it."""
        if phase == "Failed":
            ended = {"name": "main", "state": {"terminated": {"exitCode": 1, "reason": "Error"}}}
            status = {"containerStatuses": [ended], **status}
        with contextlib.suppress(NotFound):
            await self.patch(POD, name_of(pod), {"status": {"phase": phase, **status}}, "status", namespace_of(pod))

    def _now(self) -> str:
        return rfc3339(self.clock.now())


@contextlib.asynccontextmanager
async def a_cloud(nodes: int = 2, *, clock: Clock | None = None, controllers: bool = True) -> AsyncIterator[Cloud]:
    """A running cloud with namespace `demo`."""
    clock = clock or SystemClock()
    kernel = await a_kernel(clock=clock)
    session = kernel.acting(SYSTEM)
    cloud = Cloud(session, clock)
    await session.create(NAMESPACE, new_object(NAMESPACE, DEMO))
    for number in range(nodes):
        await cloud.node(f"n{number + 1}")
    works = [Collector(session, kernel.catalog).run(), cloud.run_pods()]
    if controllers:
        works.append(manage(session, clock))
    tasks = [asyncio.create_task(work) for work in works]
    try:
        async with witnessed(session):
            yield cloud
        for task in tasks:
            assert not task.done(), task.exception() if not task.cancelled() else task
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def a_template(app: str = "web", image: str = "v1", **spec: Any) -> Object:
    return {
        "metadata": {"labels": {"app": app}},
        "spec": {"containers": [{"name": "main", "image": f"busybox:{image}"}], **spec},
    }


def a_workload(replicas: int = 2, app: str = "web", image: str = "v1", **spec: Any) -> Object:
    """The spec of a Deployment, ReplicaSet or StatefulSet."""
    return {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": app}},
        "template": a_template(app, image),
        **spec,
    }
