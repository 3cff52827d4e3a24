# SPDX-License-Identifier: Apache-2.0
"""What a pod costs by containerd, in time and memory: `sudo python bench/containers.py [pods]`. Prints a table."""

from __future__ import annotations

import asyncio
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from lichen.drivers.base import ContainerSpec, PodSpec
from lichen.drivers.containerd import ContainerdPods, leftovers, rpc
from lichen.drivers.containerd import cri_pb2 as pb
from lichen.drivers.containerd.busybox import build_busybox

SLEEPER = ContainerSpec("main", "busybox", command=("sleep", "100000"))


async def no_port(uid: str, netns: str) -> None:
    return None


async def nothing(uid: str) -> None:
    return None


async def timed(count: int, what: Callable[[int], Awaitable[object]]) -> str:
    """Median and worst of `count` runs, in milliseconds."""
    took = []
    for number in range(count):
        start = time.perf_counter()
        await what(number)
        took.append((time.perf_counter() - start) * 1e3)
    return f"{statistics.median(took):8.1f} ms   worst {max(took):8.1f} ms"


def pss(pid: int) -> float:
    """MiB of a process, shared pages counted in part."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


async def measure(pods: ContainerdPods, folder: Path, count: int) -> None:
    start = time.perf_counter()
    await pods.open()
    print(f"containerd up, pause image in   {(time.perf_counter() - start) * 1e3:8.1f} ms")
    build_busybox(folder / "busybox.tar")
    await pods.import_image(folder / "busybox.tar")

    def pod(number: int, runtime: str) -> PodSpec:
        return PodSpec(f"{runtime}-{number}", "bench", f"{runtime}-{number}", runtime=runtime)

    for runtime in ("runc", "crun"):
        sandbox = await timed(count, lambda n, r=runtime: pods.start_sandbox(pod(n, r)))  # type: ignore[misc]
        print(f"{runtime}: sandbox and CNI            {sandbox}")
        started = await timed(count, lambda n, r=runtime: pods.start_container(pod(n, r), SLEEPER, attempt=0))  # type: ignore[misc]
        print(f"{runtime}: container                  {started}")

        async def run(number: int, runtime: str = runtime) -> None:
            command = await pods.exec(f"{runtime}-{number}", "main", ("true",), tty=False, stdin=False)
            async for _ in command.output:
                pass
            await command.wait()  # type: ignore[misc]

        print(f"{runtime}: exec of `true`, to its end {await timed(count, run)}")

    client = rpc.Client(pods.layout.socket)
    print(f"one CRI call (Status)           {await timed(200, lambda _: client.call(rpc.STATUS, pb.StatusRequest()))}")
    client.close()
    print(f"discover, {2 * count:3} pods              {await timed(10, lambda _: pods.discover())}")
    print(f"memory: containerd              {pss(pods.daemon.pid):8.1f} MiB")
    shims = [pss(pid) for pid in leftovers.shims(pods.layout)]
    print(f"memory: shim of a pod           {statistics.mean(shims):8.1f} MiB")
    print(f"remove                          {await timed(count, lambda n: pods.remove_sandbox(f'runc-{n}', grace=0))}")


async def main(count: int) -> None:
    folder = Path(tempfile.mkdtemp(prefix="lichen-bench", dir="/tmp"))
    pods = ContainerdPods(folder / "state", folder / "run", plug=no_port, unplug=nothing, cgroup=folder.name)
    try:
        await measure(pods, folder, count)
    finally:
        await pods.cleanup()
        shutil.rmtree(folder)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10))
