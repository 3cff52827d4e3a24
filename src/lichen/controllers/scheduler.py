# SPDX-License-Identifier: Apache-2.0
"""The scheduler: gives every pod and server without a node the best one, many at a time."""

from __future__ import annotations

import asyncio
import logging

from lichen.controllers.base import World
from lichen.kinds.builtin import NODE, POD
from lichen.kinds.compute.server import Server
from lichen.model.data import Object
from lichen.model.errors import ApiError, Conflict, NotFound
from lichen.model.meta import find_condition, is_deleting, name_of, revision_of, with_condition
from lichen.model.names import NODE_FINALIZER
from lichen.model.state import EventType
from lichen.planning.steps import Patch
from lichen.scheduling.columns import Columns, Placement
from lichen.scheduling.request import Request, pod_request, server_request

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

    def __init__(self, world: World) -> None:
        self.world = world
        self.columns = Columns()
        self.waiting: dict[WorkKey, Request] = {}
        self.refused: dict[WorkKey, Request] = {}
        self._wake = asyncio.Event()
        self.nodes = world.informer(NODE)
        self.pods = world.informer(POD)
        self.servers = world.informer(Server.KIND)
        self.nodes.subscribe(self._node_changed)
        self.pods.subscribe(self._pod_changed)
        self.servers.subscribe(self._server_changed)

    async def run(self) -> None:
        """Place what waits, for ever."""
        for informer in (self.nodes, self.pods, self.servers):
            await informer.synced()
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self.waiting:
                await self._round()

    async def _round(self) -> None:
        chosen = sorted(self.waiting.values(), key=lambda r: (-r.priority, r.created, r.key))[:ROUND]
        bound: list[tuple[Request, str]] = []
        failed: list[tuple[Request, Placement]] = []
        for request in chosen:
            del self.waiting[request.key]
            placement = self.columns.place(request)
            if placement.node:
                self.columns.assume(placement.node, request)
                bound.append((request, placement.node))
            else:
                self.refused[request.key] = request
                failed.append((request, placement))
        gate = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(*(self._bind(gate, *one) for one in bound), *(self._refuse(gate, *one) for one in failed))

    async def _bind(self, gate: asyncio.Semaphore, request: Request, node: str) -> None:
        async with gate:
            try:
                await (self._bind_pod if request.key[0] == "Pod" else self._bind_server)(request, node)
            except (NotFound, Conflict):
                self.columns.release(request.key)  # it is gone or was changed: its next event brings it back
            except ApiError as error:
                log.warning("binding %s to %s failed: %s", "/".join(request.key), node, error.message)
                self.columns.release(request.key)
                self.waiting[request.key] = request
                await self.world.clock.sleep(1.0)
                self._wake.set()

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

    async def _refuse(self, gate: asyncio.Semaphore, request: Request, placement: Placement) -> None:
        kind, namespace, name = request.key
        informer, object_kind, type_ = (
            (self.pods, POD, "PodScheduled") if kind == "Pod" else (self.servers, Server.KIND, "Scheduled")
        )
        obj = informer.get(name, namespace)
        sentence = placement.sentence(len(self.columns))
        held = find_condition(obj, type_) if obj else None
        if obj is None or (held is not None and held.get("message") == sentence):
            return
        condition = {"type": type_, "status": "False", "reason": "Unschedulable", "message": sentence}
        conditions = with_condition((obj.get("status") or {}).get("conditions") or [], condition, self.world.now_text())
        async with gate:
            await self.world.apply(
                [Patch(object_kind, name, namespace, {"status": {"conditions": conditions}}, "status")]
            )

    # --- what changed -------------------------------------------------------------------------------------------------

    def _node_changed(self, type_: EventType, node: Object, _old: Object | None) -> None:
        if type_ == EventType.DELETED:
            self.columns.remove_node(name_of(node))
        else:
            self.columns.set_node(node)
        self._retry()

    def _pod_changed(self, type_: EventType, pod: Object, _old: Object | None) -> None:
        ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
        ours = pod["spec"].get("schedulerName", SCHEDULER) == SCHEDULER
        gone = type_ == EventType.DELETED or ended
        self._workload_changed(pod_request(pod), pod["spec"].get("nodeName", ""), gone=gone, wants=ours, obj=pod)

    def _server_changed(self, type_: EventType, server: Object, _old: Object | None) -> None:
        gone = type_ == EventType.DELETED
        self._workload_changed(
            server_request(server), server["spec"].get("node", ""), gone=gone, wants=True, obj=server
        )

    def _workload_changed(self, request: Request, node: str, *, gone: bool, wants: bool, obj: Object) -> None:
        if gone or node or is_deleting(obj) or not wants:
            self.waiting.pop(request.key, None)
            self.refused.pop(request.key, None)
        if gone:
            self.columns.release(request.key)
            self._retry()
        elif node:
            self.columns.assume(node, request)
        elif wants and not is_deleting(obj) and request.key not in self.refused:
            self.waiting[request.key] = request
            self._wake.set()

    def _retry(self) -> None:
        """There may be room now: what was refused is tried again."""
        if self.refused:
            self.waiting.update(self.refused)
            self.refused.clear()
            self._wake.set()
