# SPDX-License-Identifier: Apache-2.0
"""The scheduler: gives every pod and server without a node the best one, many at a time."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from lichen.controllers.base import World
from lichen.controllers.volume_places import VolumePlaces
from lichen.kinds.builtin import NODE, POD
from lichen.kinds.compute.server import Server
from lichen.model.data import Object
from lichen.model.errors import ApiError, NotFound
from lichen.model.meta import find_condition, is_deleting, name_of, revision_of, with_condition
from lichen.model.metrics import PLACEMENTS, REJECTIONS
from lichen.model.names import NODE_FINALIZER
from lichen.model.state import EventType
from lichen.model.tracing import follow, on_behalf_of
from lichen.planning.steps import Delete, Patch, Step
from lichen.planning.workload import has_ended
from lichen.runtime.events import Recorder
from lichen.scheduling.columns import Columns
from lichen.scheduling.request import Request, pod_request, server_request
from lichen.scheduling.verdicts import Placement, plain

log = logging.getLogger("lichen.scheduler")

SCHEDULER = "default-scheduler"
ROUND = 512
"""Most workloads placed before their bindings are written."""
AT_ONCE = 64
"""Most bindings under way at a time."""

WorkKey = tuple[str, str, str]


class Scheduler:
    """Not a reconciler of one object: it looks at all that waits, in order of priority, then age."""

    name = "scheduler"

    def __init__(self, world: World, recorder: Recorder) -> None:
        self.world = world
        self.recorder = recorder
        self.columns = Columns()
        self.waiting: dict[WorkKey, Request] = {}
        self.refused: dict[WorkKey, Request] = {}
        self.bound: dict[WorkKey, str] = {}
        """Workloads, by uid, that were given a node which the informer does not show yet."""
        self._ousting: dict[WorkKey, list[WorkKey]] = {}
        self._wake = asyncio.Event()
        self.nodes = world.informer(NODE)
        self.pods = world.informer(POD)
        self.servers = world.informer(Server.KIND)
        self.places = VolumePlaces(world, self._retry)
        self.nodes.subscribe(self._node_changed)
        self.pods.subscribe(self._pod_changed)
        self.servers.subscribe(self._server_changed)

    async def run(self) -> None:
        """Place what waits, for ever."""
        for informer in (self.nodes, self.pods, self.servers):
            await informer.synced()
        await self.places.synced()
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self.waiting:
                await self._round()

    async def _round(self) -> None:
        chosen = sorted(self.waiting.values(), key=lambda r: (-r.priority, r.created, r.key))[:ROUND]
        bound: list[tuple[Request, str]] = []
        failed: list[tuple[Request, str]] = []
        for request in chosen:
            del self.waiting[request.key]
            placement = self._place(request)
            if placement.node:
                self.columns.assume(placement.node, request)
                self.bound[request.key] = request.uid
                bound.append((request, placement.node))
            else:
                self.refused[request.key] = request
                failed.append((request, placement.sentence(len(self.columns))))
                for reason in {plain(reason) for reason in placement.rejected}:
                    REJECTIONS.add(request.key[0], reason)
        gate = asyncio.Semaphore(AT_ONCE)
        await self._preempt([request for request, _ in failed])
        await asyncio.gather(*(self._bind(gate, *one) for one in bound), *(self._refuse(gate, *one) for one in failed))
        if bound:
            self._retry_companions()

    def _place(self, request: Request) -> Placement:
        """A workload whose rules cannot be read is refused, and holds nobody else up."""
        obj = self._known(request.key)
        _, unplaced = self.places.of(obj) if obj is not None else ((), "")
        if unplaced:
            return Placement(rejected={unplaced: len(self.columns)})
        try:
            return self.columns.place(self._near_volumes(request))
        except (ApiError, ValueError, LookupError, TypeError) as error:
            return Placement(
                rejected={f"node(s) could not be judged by the workload's rules: {error}": len(self.columns)}
            )

    def _near_volumes(self, request: Request) -> Request:
        """What it asks for, and that its node reaches the volumes that it has."""
        obj = self._known(request.key)
        pools = self.places.of(obj)[0] if obj is not None else ()
        return replace(request, rules=replace(request.rules, pools=pools)) if pools else request

    async def _preempt(self, refused: list[Request]) -> None:
        """Pods of lower priority give way to those that fit nowhere else: once, and then their end is waited for."""
        self._ousting = {
            key: held
            for key, held in self._ousting.items()
            if key in self.refused and any(map(self.columns.is_placed, held))
        }
        ousted = {key for held in self._ousting.values() for key in held}
        for request in refused:
            if not self._may_preempt(request):
                continue
            node, victims = self.columns.victims(self._near_volumes(request))
            if not node or any(victim.key in ousted for victim in victims):
                continue
            self._ousting[request.key] = [victim.key for victim in victims]
            ousted.update(self._ousting[request.key])
            await self._oust(request, node, victims)

    def _may_preempt(self, request: Request) -> bool:
        pod = self._known(request.key) if request.key[0] == "Pod" and request.key not in self._ousting else None
        return pod is not None and pod["spec"].get("preemptionPolicy") != "Never"

    async def _oust(self, request: Request, node: str, victims: list[Request]) -> None:
        steps: list[Step] = []
        for victim in victims:
            if (pod := self._known(victim.key)) is not None and not is_deleting(pod):
                self.recorder.note(pod, "Preempted", f"Preempted by pod {'/'.join(request.key[1:])} on node {node}")
                steps.append(Delete(POD, victim.key[2], victim.key[1], victim.uid))
        nominated = {"status": {"nominatedNodeName": node}}
        steps.append(Patch(POD, request.key[2], request.key[1], nominated, "status"))
        try:
            await self.world.apply(steps)
        except (ApiError, OSError) as error:
            log.warning("room for %s is not made: %s", "/".join(request.key), error)
            del self._ousting[request.key]

    async def _bind(self, gate: asyncio.Semaphore, request: Request, node: str) -> None:
        async with gate:
            obj = self._known(request.key)
            with on_behalf_of(obj):
                try:
                    await (self._bind_pod if request.key[0] == "Pod" else self._bind_server)(request, node)
                except (ApiError, OSError) as error:
                    log.info("binding %s to %s: %s", "/".join(request.key), node, error)
                    await self._look_again(request)
                else:
                    log.info("%s is placed on %s", "/".join(request.key), node)
                    PLACEMENTS.add(request.key[0])
                    if obj is not None:
                        said = f"Successfully assigned {'/'.join(request.key[1:])} to {node}"
                        self.recorder.note(obj, "Scheduled", said)

    async def _look_again(self, request: Request) -> None:
        """A binding failed or may have: what is stored decides."""
        kind, namespace, name = request.key
        while True:
            try:
                fresh = await self.world.state.get(POD if kind == "Pod" else Server.KIND, name, namespace)
            except NotFound:
                self.bound.pop(request.key, None)
                self.columns.release(request.key)
                return
            except (ApiError, OSError) as error:
                log.warning("%s cannot be looked at: %s", "/".join(request.key), error)
                await self.world.clock.sleep(1.0)
            else:
                break
        self.bound.pop(request.key, None)
        self.columns.release(request.key)
        (self._pod_changed if kind == "Pod" else self._server_changed)(EventType.MODIFIED, fresh, None)

    def _known(self, key: WorkKey) -> Object | None:
        return (self.pods if key[0] == "Pod" else self.servers).get(key[2], key[1])

    async def _bind_pod(self, request: Request, node: str) -> None:
        _, namespace, name = request.key
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name, "namespace": namespace, "uid": request.uid},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        await self.world.state.create(POD, binding, subresource="binding")

    async def _bind_server(self, request: Request, node: str) -> None:
        _, namespace, name = request.key
        server = self.servers.get(name, namespace)
        if server is None or server["metadata"].get("uid") != request.uid:
            raise NotFound(f"server {namespace}/{name} is gone")
        finalizers = server["metadata"].get("finalizers") or []
        metadata = {
            "resourceVersion": str(revision_of(server)),
            "finalizers": finalizers if NODE_FINALIZER in finalizers else [*finalizers, NODE_FINALIZER],
        }
        await self.world.state.patch(Server.KIND, name, namespace, {"metadata": metadata, "spec": {"node": node}})

    async def _refuse(self, gate: asyncio.Semaphore, request: Request, sentence: str) -> None:
        kind, namespace, name = request.key
        object_kind, type_ = (POD, "PodScheduled") if kind == "Pod" else (Server.KIND, "Scheduled")
        obj = self._known(request.key)
        held = find_condition(obj, type_) if obj else None
        if obj is None or (held is not None and held.get("message") == sentence):
            return
        condition = {"type": type_, "status": "False", "reason": "Unschedulable", "message": sentence}
        conditions = with_condition((obj.get("status") or {}).get("conditions") or [], condition, self.world.now_text())
        self.recorder.note(obj, "FailedScheduling", sentence, warning=True, story="")
        async with gate:
            follow(obj)
            try:
                await self.world.apply(
                    [Patch(object_kind, name, namespace, {"status": {"conditions": conditions}}, "status")]
                )
            except (ApiError, OSError) as error:
                log.warning("%s is not told why it waits: %s", "/".join(request.key), error)

    # --- what changed -------------------------------------------------------------------------------------------------

    def _node_changed(self, type_: EventType, node: Object, _old: Object | None) -> None:
        if type_ == EventType.DELETED:
            self.columns.remove_node(name_of(node))
        elif self.columns.set_node(node):
            self._retry()

    def _pod_changed(self, type_: EventType, pod: Object, old: Object | None) -> None:
        if type_ == EventType.MODIFIED and old is not None and _as_wanted(pod) == _as_wanted(old):
            return  # its node told of it, as often as it likes
        spec = pod["spec"]
        gone = type_ == EventType.DELETED or has_ended(pod)
        wants = spec.get("schedulerName", SCHEDULER) == SCHEDULER and not spec.get("schedulingGates")
        self._workload_changed(pod_request(pod), spec.get("nodeName", ""), gone=gone, wants=wants, obj=pod)

    def _server_changed(self, type_: EventType, server: Object, _old: Object | None) -> None:
        gone = type_ == EventType.DELETED
        self._workload_changed(
            server_request(server), server["spec"].get("node", ""), gone=gone, wants=True, obj=server
        )

    def _workload_changed(self, request: Request, node: str, *, gone: bool, wants: bool, obj: Object) -> None:
        key = request.key
        if not gone and not node and self.bound.get(key) == request.uid:
            return  # it has a node; this was seen before that was written
        self.bound.pop(key, None)
        if gone or node or is_deleting(obj) or not wants:
            self.waiting.pop(key, None)
            self.refused.pop(key, None)
        if gone:
            if self.columns.release(key):
                self._retry()
        elif node:
            if self.columns.assume(node, request):
                self._retry_companions()
        elif wants and not is_deleting(obj) and self.refused.get(key) != request:
            self.columns.release(key)
            self.refused.pop(key, None)
            self.waiting[key] = request
            self._wake.set()

    def _retry_companions(self) -> None:
        """Something was placed: what wants to be near it may have a place now."""
        if any(refused.near for refused in self.refused.values()):
            self._retry()

    def _retry(self) -> None:
        """There may be room now: what was refused is tried again."""
        if self.refused:
            self.waiting.update(self.refused)
            self.refused.clear()
            self._wake.set()


def _as_wanted(pod: Object) -> tuple[object, ...]:
    """All of a pod that a placement depends on."""
    metadata = pod["metadata"]
    owned = metadata.get("uid"), metadata.get("labels"), metadata.get("ownerReferences")
    return *owned, is_deleting(pod), has_ended(pod), pod["spec"]
