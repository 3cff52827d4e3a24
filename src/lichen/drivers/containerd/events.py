# SPDX-License-Identifier: Apache-2.0
"""What changes by itself, as containerd tells it: a process of a pod ended, or containerd came back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from lichen.drivers.containerd import cri_pb2 as pb
from lichen.drivers.containerd import rpc, spec
from lichen.model.errors import Temporary

_TOPICS = ("/tasks/exit", "/tasks/oom")
_RECONNECT = 0.2
_GLANCE = 0.005
_SETTLE = 2.0  # seconds that CRI may take to note an exit that it is told of at the same moment as we are


class Events:
    """A subscription. `ready` gives the client once containerd answers."""

    def __init__(self, ready: Callable[[], Awaitable[rpc.Client]]) -> None:
        self._ready = ready
        self._owners: dict[str, str] = {}  # container or sandbox id → pod uid
        self._sandboxes: set[str] = set()

    async def changes(self) -> AsyncIterator[str]:
        """Uids of pods. After every reconnection each pod once, since what happened meanwhile is not known."""
        again = False
        while True:
            try:
                client = await self._ready()
                await self._learn(client)
                if again:
                    for uid in sorted(set(self._owners.values())):
                        yield uid
                async for uid in self._subscribed(client):
                    yield uid
            except Temporary:
                await asyncio.sleep(_RECONNECT)
            again = True

    async def _subscribed(self, client: rpc.Client) -> AsyncIterator[str]:
        request = pb.SubscribeRequest(filters=[f'topic=="{topic}"' for topic in _TOPICS])
        async for envelope in client.stream(rpc.SUBSCRIBE, request):
            event = pb.TaskEvent.FromString(envelope.event.value)
            if event.id and event.id != event.container_id and envelope.topic == "/tasks/exit":
                continue  # the end of an exec
            uid = await self._owner(client, event.container_id)
            if uid:
                yield uid

    async def _owner(self, client: rpc.Client, engine_id: str) -> str:
        """The pod that a container or sandbox belongs to, once CRI too knows that its process has ended."""
        if engine_id not in self._owners:
            await self._learn(client)
        uid = self._owners.get(engine_id, "")
        with contextlib.suppress(rpc.Gone, TimeoutError):
            async with asyncio.timeout(_SETTLE):
                await self._settled(client, engine_id)
        return uid

    async def _learn(self, client: rpc.Client) -> None:
        containers = (await client.call(rpc.LIST_CONTAINERS, pb.ListContainersRequest())).containers
        sandboxes = (await client.call(rpc.LIST_SANDBOXES, pb.ListPodSandboxRequest())).items
        self._sandboxes = {item.id for item in sandboxes}
        self._owners = {item.id: item.labels[spec.UID] for item in containers}
        self._owners |= {item.id: item.labels[spec.UID] for item in sandboxes}

    async def _settled(self, client: rpc.Client, engine_id: str) -> None:
        """CRI hears of an end at the same moment as we do, and gives no sign when it has noted it."""
        while engine_id in self._owners and await self._seems_to_run(client, engine_id):  # noqa: ASYNC110
            await asyncio.sleep(_GLANCE)

    async def _seems_to_run(self, client: rpc.Client, engine_id: str) -> bool:
        if engine_id in self._sandboxes:
            request = pb.PodSandboxRequest(pod_sandbox_id=engine_id)
            return (await client.call(rpc.SANDBOX_STATUS, request)).status.state == pb.SANDBOX_READY
        answer = await client.call(rpc.CONTAINER_STATUS, pb.ContainerRequest(container_id=engine_id))
        return answer.status.state == pb.CONTAINER_RUNNING
