# SPDX-License-Identifier: Apache-2.0
"""Containers' logs, and containerd's own, are kept from filling the disk: one that has grown too long is set aside as
`<attempt>.log.1`, or `containerd.log.1`."""

from __future__ import annotations

import asyncio
import contextlib

from lichen.drivers.appended import move_over
from lichen.drivers.containerd import cri_pb2 as pb
from lichen.drivers.containerd import rpc, spec
from lichen.drivers.containerd.config import Layout
from lichen.model.errors import Temporary

LONGEST = 16 << 20
"""Bytes of a log before it is set aside; the one set aside before it is dropped."""

_INTERVAL = 60.0  # seconds; containerd tells nobody how much it has written


async def keep_rotating(client: rpc.Client, layout: Layout) -> None:
    """Look after all logs until cancelled."""
    while True:
        await asyncio.sleep(_INTERVAL)
        with contextlib.suppress(Temporary, OSError):
            await rotate(client, layout)
            await asyncio.to_thread(move_over, layout.log, LONGEST, [layout.log.with_name(layout.log.name + ".1")])


async def rotate(client: rpc.Client, layout: Layout, *, longest: int = LONGEST) -> None:
    """Set aside each running container's log that is longer than `longest`."""
    for container in (await client.call(rpc.LIST_CONTAINERS, pb.ListContainersRequest())).containers:
        name, attempt = container.metadata.name, container.metadata.attempt
        path = layout.logs / container.labels[spec.UID] / name / f"{attempt}.log"
        if container.state != pb.CONTAINER_RUNNING or not path.exists() or path.stat().st_size <= longest:
            continue
        path.rename(path.with_name(path.name + ".1"))
        await client.call(rpc.REOPEN_LOG, pb.ContainerRequest(container_id=container.id))
