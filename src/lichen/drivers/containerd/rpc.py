# SPDX-License-Identifier: Apache-2.0
"""The calls that Lichen makes to containerd: one table, one client over its unix socket.

A call raises Gone where the thing does not exist, Refused where containerd says no, and Unreachable where nobody
answers. All three are Temporary: by themselves they are worth another try.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from grpclib.client import UnaryStreamMethod, UnaryUnaryMethod
from grpclib.const import Status
from grpclib.exceptions import GRPCError, StreamTerminatedError

from lichen.drivers.containerd import cri_pb2 as pb
from lichen.drivers.containerd.lasting import SECONDS, LastingChannel
from lichen.model.errors import Temporary

NAMESPACE = "k8s.io"
"""containerd's namespace of everything made through CRI."""

_STARTING = "server is not initialized yet"


class Gone(Temporary):
    """containerd knows no such thing."""


class Unreachable(Temporary):
    """containerd does not answer: not started, or on its way back."""


class Refused(Temporary):
    """containerd could not do it; `status` is the gRPC code."""

    def __init__(self, message: str, status: Status) -> None:
        super().__init__(message)
        self.status = status


Q = TypeVar("Q")
A = TypeVar("A")
T = TypeVar("T")


class Rpc(NamedTuple, Generic[Q, A]):
    """One call: its path and its messages."""

    path: str
    request: type[Q]
    answer: type[A]


_RUNTIME, _IMAGES = "/runtime.v1.RuntimeService/", "/runtime.v1.ImageService/"
_TASKS = "/containerd.services.tasks.v1.Tasks/"

STATUS = Rpc(_RUNTIME + "Status", pb.StatusRequest, pb.StatusResponse)
RUN_SANDBOX = Rpc(_RUNTIME + "RunPodSandbox", pb.RunPodSandboxRequest, pb.RunPodSandboxResponse)
STOP_SANDBOX = Rpc(_RUNTIME + "StopPodSandbox", pb.PodSandboxRequest, pb.Empty)
REMOVE_SANDBOX = Rpc(_RUNTIME + "RemovePodSandbox", pb.PodSandboxRequest, pb.Empty)
SANDBOX_STATUS = Rpc(_RUNTIME + "PodSandboxStatus", pb.PodSandboxRequest, pb.PodSandboxStatusResponse)
LIST_SANDBOXES = Rpc(_RUNTIME + "ListPodSandbox", pb.ListPodSandboxRequest, pb.ListPodSandboxResponse)
CREATE_CONTAINER = Rpc(_RUNTIME + "CreateContainer", pb.CreateContainerRequest, pb.CreateContainerResponse)
ATTACH = Rpc(_RUNTIME + "Attach", pb.AttachRequest, pb.AttachResponse)
START_CONTAINER = Rpc(_RUNTIME + "StartContainer", pb.ContainerRequest, pb.Empty)
STOP_CONTAINER = Rpc(_RUNTIME + "StopContainer", pb.StopContainerRequest, pb.Empty)
REMOVE_CONTAINER = Rpc(_RUNTIME + "RemoveContainer", pb.ContainerRequest, pb.Empty)
REOPEN_LOG = Rpc(_RUNTIME + "ReopenContainerLog", pb.ContainerRequest, pb.Empty)
LIST_CONTAINERS = Rpc(_RUNTIME + "ListContainers", pb.ListContainersRequest, pb.ListContainersResponse)
CONTAINER_STATUS = Rpc(_RUNTIME + "ContainerStatus", pb.ContainerRequest, pb.ContainerStatusResponse)
CONTAINER_STATS = Rpc(_RUNTIME + "ContainerStats", pb.ContainerRequest, pb.ContainerStatsResponse)

LIST_IMAGES = Rpc(_IMAGES + "ListImages", pb.Empty, pb.ListImagesResponse)
IMAGE_STATUS = Rpc(_IMAGES + "ImageStatus", pb.ImageRequest, pb.ImageStatusResponse)
PULL_IMAGE = Rpc(_IMAGES + "PullImage", pb.ImageRequest, pb.PullImageResponse)

SUBSCRIBE = Rpc("/containerd.services.events.v1.Events/Subscribe", pb.SubscribeRequest, pb.Envelope)
GET_CONTAINER = Rpc(
    "/containerd.services.containers.v1.Containers/Get", pb.GetContainerRequest, pb.GetContainerResponse
)

EXEC = Rpc(_TASKS + "Exec", pb.ExecProcessRequest, pb.Empty)
START_PROCESS = Rpc(_TASKS + "Start", pb.ProcessRequest, pb.StartResponse)
WAIT_PROCESS = Rpc(_TASKS + "Wait", pb.ProcessRequest, pb.WaitResponse)
DELETE_PROCESS = Rpc(_TASKS + "DeleteProcess", pb.ProcessRequest, pb.Empty)
KILL_PROCESS = Rpc(_TASKS + "Kill", pb.KillRequest, pb.Empty)
RESIZE = Rpc(_TASKS + "ResizePty", pb.ResizePtyRequest, pb.Empty)
CLOSE_IO = Rpc(_TASKS + "CloseIO", pb.CloseIORequest, pb.Empty)


class Client:
    """containerd at a unix socket. Connects when first used, and again when the connection was lost."""

    def __init__(self, socket: Path) -> None:
        self._channel = LastingChannel(str(socket))
        self._making: set[asyncio.Task[Any]] = set()

    async def call(self, rpc: Rpc[Q, A], request: Q, *, timeout: float | None = 120.0) -> A:
        method = UnaryUnaryMethod[Any, Any](self._channel, rpc.path, rpc.request, rpc.answer)
        try:
            answer: A = await method(request, timeout=timeout, metadata={"containerd-namespace": NAMESPACE})
        except (GRPCError, StreamTerminatedError, OSError) as error:
            raise _translated(rpc.path, error) from error
        return answer

    async def whole(self, making: Coroutine[Any, Any, T]) -> T:
        """What is not broken off in the middle, though its caller may be: what containerd has begun to make would be
        left half made, and what it is made of taken away."""
        task = asyncio.create_task(making)
        self._making.add(task)
        task.add_done_callback(self._made)
        return await asyncio.shield(task)

    def _made(self, task: asyncio.Task[Any]) -> None:
        self._making.discard(task)
        if not task.cancelled():
            task.exception()  # nobody may be left who wants to know

    async def stream(self, rpc: Rpc[Q, A], request: Q) -> AsyncIterator[A]:
        """Messages as they come; ends only by an error. The first is preceded by nothing: subscribe, then look."""
        method = UnaryStreamMethod[Any, Any](self._channel, rpc.path, rpc.request, rpc.answer)
        try:
            async with method.open(metadata={"containerd-namespace": NAMESPACE}) as stream:
                await stream.send_message(request, end=True)
                async for message in stream:
                    yield message
        except (GRPCError, StreamTerminatedError, OSError) as error:
            raise _translated(rpc.path, error) from error

    async def ready(self, *, timeout: float = 30.0) -> None:
        """Wait until containerd serves CRI: it listens some moments before it has found its pods again."""
        until = asyncio.get_running_loop().time() + timeout
        while True:
            try:
                await self.call(STATUS, pb.StatusRequest(), timeout=timeout)
                return
            except Unreachable:
                if asyncio.get_running_loop().time() > until:
                    raise
            await asyncio.sleep(0.01)

    async def close(self) -> None:
        """Once what is being made is made, or has taken its time."""
        if self._making:
            await asyncio.wait(self._making, timeout=SECONDS)
        self._channel.close()


def _translated(path: str, error: Exception) -> Temporary:
    call = path.rpartition("/")[2]
    if not isinstance(error, GRPCError) or error.status is Status.UNAVAILABLE:
        return Unreachable(f"containerd does not answer {call}: {error or type(error).__name__}", delay=1.0)
    if _STARTING in (error.message or ""):
        return Unreachable(f"{call}: containerd is still starting", delay=1.0)
    if error.status is Status.NOT_FOUND:
        return Gone(f"{call}: {error.message}")
    return Refused(f"{call}: {error.message}", error.status)
