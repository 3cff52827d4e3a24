# SPDX-License-Identifier: Apache-2.0
"""What a pod costs by containerd's driver alone, in time and memory. Needs root."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from bench.http import timed
from bench.lib import Report, folder, median, memory
from lichen.drivers.base import ContainerSpec, PodSpec
from lichen.drivers.containerd import ContainerdPods, leftovers, rpc
from lichen.drivers.containerd import cri_pb2 as pb
from lichen.drivers.containerd.busybox import build_busybox

SLEEPER = ContainerSpec("main", "busybox", command=("sleep", "100000"))
PODS = 10


def run(report: Report) -> None:
    with folder() as place:
        asyncio.run(_measure(report, place))


async def no_port(uid: str, netns: str) -> None:
    return None


async def nothing(uid: str) -> None:
    return None


@contextlib.asynccontextmanager
async def bare_containerd(place: Path) -> AsyncIterator[ContainerdPods]:
    """A containerd of its own that knows the image `busybox`; its pods have no network."""
    pods = ContainerdPods(place / "state", place / "run", plug=no_port, unplug=nothing, cgroup=place.name)
    try:
        await pods.open()
        build_busybox(place / "busybox.tar")
        await pods.import_image(place / "busybox.tar")
        yield pods
    finally:
        await pods.cleanup()


def a_pod(number: int, runtime: str = "runc") -> PodSpec:
    return PodSpec(f"{runtime}-{number}", "bench", f"{runtime}-{number}", runtime=runtime)


async def _each(report: Report, what: str, call: Callable[[int], Awaitable[Any]]) -> None:
    """Ten pods, one after another."""
    numbers = iter(range(PODS))
    took = await timed(PODS, lambda: call(next(numbers)))
    report.row(what, median(took), "ms", note=f"worst {max(took):.0f}")


async def _measure(report: Report, place: Path) -> None:
    start = time.perf_counter()
    async with bare_containerd(place) as pods:
        report.row("containerd up, images imported", (time.perf_counter() - start) * 1e3, "ms")
        for runtime in ("runc", "crun"):
            await _runtime(report, pods, runtime)
        client = rpc.Client(pods.layout.socket)
        calls = await timed(200, lambda: client.call(rpc.STATUS, pb.StatusRequest()))
        report.row("one CRI call (Status)", median(calls), "ms")
        client.close()
        report.row(f"discover, {2 * PODS} pods", median(await timed(10, pods.discover)), "ms")
        report.row("memory of containerd, PSS", memory(pods.daemon.pid)[0], "MiB")
        shims = [memory(pid)[0] for pid in leftovers.shims(pods.layout)]
        report.row("memory of a pod's shim, PSS", median(shims), "MiB")
        await _each(report, "remove a pod", lambda n: pods.remove_sandbox(f"runc-{n}", grace=0))


async def _runtime(report: Report, pods: ContainerdPods, runtime: str) -> None:
    await _each(report, f"{runtime}: sandbox and CNI", lambda n: pods.start_sandbox(a_pod(n, runtime)))
    await _each(report, f"{runtime}: container", lambda n: pods.start_container(a_pod(n, runtime), SLEEPER, attempt=0))

    async def execute(number: int) -> None:
        command = await pods.exec(f"{runtime}-{number}", "main", ("true",), tty=False, stdin=False)
        async for _ in command.output:
            pass
        await command.wait()  # type: ignore[misc]

    await _each(report, f"{runtime}: exec of `true`, to its end", execute)
