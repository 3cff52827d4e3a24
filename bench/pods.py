# SPDX-License-Identifier: Apache-2.0
"""Real pods of a real cloud, from `create` to Running with an address, beside the same pods by containerd alone."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import uvloop

from bench import containers
from bench.http import Connection, connect, timed
from bench.lib import Cloud, Report, cloud, folder, median
from bench.watching import Watching

SPACE = "/api/v1/namespaces/demo"
ONE_BY_ONE, AT_ONCE = 7, 20


def run(report: Report) -> None:
    with folder() as place:
        bare = asyncio.run(by_containerd(place))
    report.row("containerd alone: a pod without network", bare, "ms", peer="CRI 120–160 ms")
    with cloud(simulate=False) as here:
        uvloop.run(by_lichen(report, here, bare))


async def by_containerd(place: Any) -> float:
    """Milliseconds of sandbox and container, median."""
    numbers = iter(range(ONE_BY_ONE))
    async with containers.bare_containerd(place) as pods:

        async def start() -> None:
            pod = containers.a_pod(next(numbers))
            await pods.start_sandbox(pod)
            await pods.start_container(pod, containers.SLEEPER, attempt=0)

        return median(await timed(ONE_BY_ONE, start))


def a_pod(name: str) -> dict[str, Any]:
    container = {"name": "main", "image": "busybox", "command": ["sleep", "100000"]}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def is_running(pod: Any) -> bool:
    status = pod.get("status") or {}
    return status.get("phase") == "Running" and bool(status.get("podIP"))


async def by_lichen(report: Report, here: Cloud, bare: float) -> None:
    seen = Watching(here, f"{SPACE}/pods", is_running)
    await seen.start()
    connection = await connect(here.kubernetes_url)
    await started(connection, here, seen, ["warm"])
    took = [await started(connection, here, seen, [f"one-{n}"]) for n in range(ONE_BY_ONE)]
    beside = f"containerd alone {bare:.0f} ms"
    report.row("a pod: create → Running with an address", median(took) * 1e3, "ms", beside=beside)
    took = [await started(connection, here, seen, [f"many-{n}" for n in range(AT_ONCE)])]
    report.row(f"{AT_ONCE} pods at once: the last is Running", took[0], "s", beside=f"{AT_ONCE / took[0]:.1f} pods/s")
    connection.close()
    seen.close()


async def started(connection: Connection, here: Cloud, seen: Watching, names: list[str]) -> float:
    """Seconds until all of the pods run."""
    start, count = time.perf_counter(), len(seen.when)
    for name in names:
        await connection.ok("POST", f"{SPACE}/pods", here.admin, a_pod(name))
    await seen.until(count + len(names))
    return time.perf_counter() - start
