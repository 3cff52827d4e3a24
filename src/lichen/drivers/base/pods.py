# SPDX-License-Identifier: Apache-2.0
"""Pods and their containers, CRI-shaped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol, runtime_checkable

from lichen.drivers.base.streams import Exec
from lichen.model.usage import Usage


class ContainerPhase(StrEnum):
    CREATED = "Created"
    RUNNING = "Running"
    EXITED = "Exited"


@dataclass(frozen=True, slots=True)
class Mount:
    """sub_path: a place in host_path, "" for all of it. Who has host_path mounted already may move what is in it."""

    host_path: str
    container_path: str
    read_only: bool = False
    sub_path: str = ""

    @property
    def source(self) -> Path:
        """What is mounted, for engines whose containers move nothing."""
        return Path(self.host_path) / self.sub_path


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """One container of a pod, with everything resolved (environment, mounts, limits)."""

    name: str
    image: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    working_dir: str = ""
    tty: bool = False
    stdin: bool = False
    stdin_once: bool = False  # its input ends with the first client that attaches to it
    cpu_millis: int = 0  # limit; 0: none
    cpu_request_millis: int = 0
    memory_bytes: int = 0  # limit; 0: none
    oom_score: int = 0  # oom_score_adj: up to 1000, the first to be ended when the machine has no memory left
    mounts: tuple[Mount, ...] = ()
    run_as_user: int | None = None
    run_as_group: int | None = None
    groups: tuple[int, ...] = ()  # beside its own and those that its image gives its user
    privileged: bool = False
    no_new_privileges: bool = False
    not_root: bool = False  # whoever its image says it runs as
    read_only_root: bool = False
    capabilities_add: tuple[str, ...] = ()
    capabilities_drop: tuple[str, ...] = ()
    listen: str = ""  # process class only: name of the listening socket it inherits


@dataclass(frozen=True, slots=True)
class PodSpec:
    """A pod as an engine needs it. `port_id`: what the CNI plugin (or the driver's caller) plugs in."""

    uid: str
    namespace: str
    name: str
    hostname: str = ""
    host_network: bool = False
    port_id: str = ""
    dns_nameservers: tuple[str, ...] = ()
    dns_searches: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    runtime: str = "runc"  # runc | crun | microvm | process
    privileged: bool = False  # some container of it is
    sysctls: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ContainerState:
    """One attempt at a container. Times are unix seconds; `attempt` counts from 0."""

    id: str
    name: str
    attempt: int
    phase: ContainerPhase
    image: str = ""
    image_id: str = ""
    created_at: float = 0.0
    started_at: float = 0.0
    finished_at: float = 0.0
    exit_code: int = 0
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class PodState:
    """What is really there of one pod: its sandbox and the newest attempt of each of its containers."""

    uid: str
    namespace: str
    name: str
    ready: bool  # the sandbox runs
    sandbox_id: str = ""
    ips: tuple[str, ...] = ()
    containers: tuple[ContainerState, ...] = ()


@runtime_checkable
class Dialable(Protocol):
    """Optional, of a PodDriver: the node can connect to a pod's own loopback (port forwarding)."""

    async def dial(self, pod_uid: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """By TCP. OSError: nothing listens there. Temporary: the pod does not run."""
        ...


@runtime_checkable
class Attachable(Protocol):
    """Optional, of a PodDriver: a client can join the streams of a container's own process."""

    async def attach(self, pod_uid: str, name: str) -> Exec:
        """What the process says from now on, and its input, if it has one. `kill` lets go: the input ends with that if
        it is for one client only (stdin_once). `wait` is over with the process and always 0. Permanent: it does not
        run."""
        ...


ContainerUsage = dict[tuple[str, str, int], Usage]
"""What running containers have used since their start: by pod's uid, name and attempt."""


@runtime_checkable
class Measuring(Protocol):
    """Optional, of a PodDriver: what its containers use can be told."""

    async def usage(self) -> ContainerUsage:
        """Counters of all that run. One that ends meanwhile is left out."""
        ...


@runtime_checkable
class Storing(Protocol):
    """Optional, of a PodDriver: what its containers wrote can be told."""

    async def written(self, pod_uid: str) -> Mapping[str, int]:
        """Bytes in the own file systems of a pod's containers, by their names: without volumes and logs. What has just
        been written may be told some seconds later. Temporary."""
        ...


class PodDriver(Protocol):
    """Pods by uid, CRI-shaped."""

    async def discover(self) -> dict[str, PodState]: ...

    async def ensure_image(self, image: str) -> str:
        """The image's id. Temporary reason ErrImagePull / Permanent InvalidImageName when it cannot be had."""
        ...

    async def images(self) -> list[tuple[tuple[str, ...], int]]:
        """(names, bytes) of every image here, for the node's status."""
        ...

    async def start_sandbox(self, pod: PodSpec) -> tuple[str, ...]:
        """Make the sandbox and its network; returns the pod's addresses."""
        ...

    async def start_container(self, pod: PodSpec, container: ContainerSpec, *, attempt: int) -> str:
        """Create and start one attempt; returns its id."""
        ...

    async def stop_container(self, pod_uid: str, name: str, *, grace: float = 30.0) -> None: ...

    async def remove_container(self, pod_uid: str, name: str) -> None:
        """Remove ended attempts of a container but for the newest, whose log is kept."""
        ...

    async def remove_sandbox(self, pod_uid: str, *, grace: float = 30.0) -> None:
        """Stop and remove all containers, the sandbox, its network and logs."""
        ...

    def log_path(self, pod_uid: str, name: str, attempt: int) -> Path:
        """The CRI-format log (`RFC3339Nano stdout|stderr F|P line`) of an attempt."""
        ...

    async def exec(self, pod_uid: str, name: str, command: tuple[str, ...], *, tty: bool, stdin: bool) -> Exec: ...

    def changes(self) -> AsyncIterator[str]:
        """Uids of pods in which something changed by itself, as it happens."""
        ...

    async def cleanup(self) -> None:
        """Stop everything this driver started and remove what keeps no data."""
        ...
