# SPDX-License-Identifier: Apache-2.0
"""The kernel alone, over HTTPS, its store on disk with fsync: create, get, list, patch, watch."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
import uvloop

from bench.http import Connection, Load, connect, load, timed
from bench.lib import Cloud, Report, kernel, median, number, percentile, share
from bench.limits import bare, commits

SPACE = "/api/v1/namespaces/default"
CONFIG_MAP = {
    "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "@", "labels": {"app": "bench"}},
    "data": {"payload": "x" * 880},
}  # fmt: skip
PODS = 10_000


def a_pod(name: str) -> dict[str, Any]:
    """About 2.5 KB once it has its defaults, as the peers' were."""
    env = [{"name": f"SETTING_{n}", "value": f"value-{n}-{'y' * 24}"} for n in range(14)]
    container = {
        "name": "main", "image": "registry.example/app/web:1.2.3", "command": ["serve", "--port", "8080"], "env": env,
        "ports": [{"containerPort": 8080, "name": "http"}],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
    }  # fmt: skip
    metadata = {"name": name, "labels": {"app": "bench", "tier": "web"}, "annotations": {"note": "z" * 200}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}


def run(report: Report) -> None:
    with kernel() as cloud:
        one, many = bare(cloud, 1), bare(cloud, 32)
        report.row("limit: bare ASGI, TLS, 1 client", one.rate, "/s", beside=one.note)
        report.row("limit: bare ASGI, TLS, 32 clients", many.rate, "/s", beside=many.note)
        single, groups = commits(1), commits(32)
        report.row("limit: SQLite WAL, fsync, 1 row a commit", single, "/s")
        report.row("limit: SQLite WAL, fsync, 32 rows a commit", groups, "rows/s")
        creates(report, cloud, single, many.rate)
        gets(report, cloud, one, many)
        patches(report, cloud, many.rate)
        applies(report, cloud, many.rate)
        uvloop.run(watches(report, cloud, many.rate))
    with kernel() as cloud:
        pods(report, cloud, many.rate)


def creates(report: Report, cloud: Cloud, single: float, many: float) -> None:
    for clients, limit, name, peer, budget in (
        (1, single, "SQLite, 1 row", "k8s 834/s, p50 1.1 ms", None),
        (32, many, "bare ASGI", "k8s 2,070/s (wrk 3,340)", ("≥", 4000)),
    ):
        got = load(cloud.kubernetes_url, "POST", f"{SPACE}/configmaps", cloud.admin, body=CONFIG_MAP, clients=clients)
        beside = f"{share(got.rate, limit)} of {name}"
        what = f"create 1 KB ConfigMap, {clients} client{'s' * (clients > 1)}"
        report.row(what, got.rate, "/s", note=got.note, beside=beside, peer=peer, budget=budget)


def gets(report: Report, cloud: Cloud, one: Load, many: Load) -> None:
    body = {**CONFIG_MAP, "metadata": {"name": "one"}}
    uvloop.run(send(cloud, "POST", f"{SPACE}/configmaps", body))
    for clients, limit, peer, budget in ((1, one, "", None), (32, many, "k8s 6,200/s (wrk 7,140)", ("≥", 10_000))):
        got = load(cloud.kubernetes_url, "GET", f"{SPACE}/configmaps/one", cloud.admin, clients=clients)
        beside = f"{share(got.rate, limit.rate)} of bare ASGI"
        what = f"get 1 KB ConfigMap, {clients} client{'s' * (clients > 1)}"
        report.row(what, got.rate, "/s", note=got.note, beside=beside, peer=peer, budget=budget)


def patches(report: Report, cloud: Cloud, many: float) -> None:
    """Each of 64 pods in turn, as each client of the peers' run had objects of its own."""
    uvloop.run(some_pods(cloud, 64))
    headers = cloud.admin | {"Content-Type": "application/strategic-merge-patch+json"}
    path = f"{SPACE}/pods/p-#"
    body = {"metadata": {"annotations": {"touched": "@"}}}
    got = load(cloud.kubernetes_url, "PATCH", path, headers, body=body, clients=32)
    beside = f"{share(got.rate, many)} of bare ASGI"
    report.row(
        "strategic merge patch of a pod, 32 clients", got.rate, "/s", note=got.note, beside=beside, peer="k8s 2,090/s",
        budget=("≥", 2500),
    )  # fmt: skip


def applies(report: Report, cloud: Cloud, many: float) -> None:
    """The same pods, by a field manager that owns one annotation of each."""
    headers = cloud.admin | {"Content-Type": "application/apply-patch+yaml"}
    path = f"{SPACE}/pods/p-#?fieldManager=bench&force=true"
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"annotations": {"applied": "@"}}}
    got = load(cloud.kubernetes_url, "PATCH", path, headers, body=body, clients=32)
    report.row(
        "server-side apply of a pod, 32 clients", got.rate, "/s", note=got.note,
        beside=f"{share(got.rate, many)} of bare ASGI", peer="k8s 1,780/s", budget=("≥", 2000),
    )  # fmt: skip


async def some_pods(cloud: Cloud, count: int) -> None:
    connection = await connect(cloud.kubernetes_url)
    for n in range(count):
        await connection.ok("POST", f"{SPACE}/pods", cloud.admin, a_pod(f"p-{n}"))
    connection.close()


def pods(report: Report, cloud: Cloud, many: float) -> None:
    """10,000 pods are made, then listed."""
    got, made = load(cloud.kubernetes_url, "POST", f"{SPACE}/pods", cloud.admin, body=a_pod("@"), clients=32), 0
    beside = f"{share(got.rate, many)} of bare ASGI"
    report.row(
        "create Pods, 32 clients", got.rate, "/s", note=got.note, beside=beside, peer="k8s 1,880/s", budget=("≥", 2500)
    )
    while made < PODS:
        load(cloud.kubernetes_url, "POST", f"{SPACE}/pods", cloud.admin, body=a_pod("@"), clients=32, seconds=2)
        made = uvloop.run(count_pods(cloud))
    took, size = uvloop.run(list_pods(cloud))
    report.row(
        f"list {number(PODS)} Pods ({size / 1e6:.0f} MB)", took, "s", peer="k8s 0.26–0.45 s (25 MB)", budget=("≤", 0.3)
    )


async def send(cloud: Cloud, method: str, path: str, body: Any = b"") -> bytes:
    connection = await connect(cloud.kubernetes_url)
    answer = await connection.ok(method, path, cloud.admin, body)
    connection.close()
    return answer


async def count_pods(cloud: Cloud) -> int:
    connection = await connect(cloud.kubernetes_url)
    page = await connection.json("GET", f"{SPACE}/pods?limit=1", cloud.admin)
    connection.close()
    return 1 + int(page["metadata"].get("remainingItemCount", 0))


async def list_pods(cloud: Cloud) -> tuple[float, int]:
    """Seconds and bytes of a list of 10,000, median of 5."""
    connection = await connect(cloud.kubernetes_url)
    size = 0

    def count(data: bytes) -> None:
        nonlocal size
        size += len(data)

    connection.on_data = count
    took = await timed(5, lambda: connection.ok("GET", f"{SPACE}/pods?limit={PODS}", cloud.admin))
    connection.close()
    return median(took) / 1e3, size // 5


# --- watch ----------------------------------------------------------------------------------------------------------


async def watches(report: Report, cloud: Cloud, many: float) -> None:
    took = await watch_latency(cloud)
    p50, p99 = percentile(took, 50), percentile(took, 99)
    report.row(
        "watch, 1 watcher: create sent → event, p50", p50, "ms", note=f"p99 {p99:.1f}", peer="k8s p50 3.7, p99 5.5 ms",
        budget=("≤", 2.0),
    )  # fmt: skip
    rate, writes = await fan_out(cloud, 100)
    report.row(
        "watch, 100 watchers, full speed", rate, "events/s", note=f"{number(writes)} writes/s", peer="k8s 95,800/s",
        budget=("≥", 100_000),
    )  # fmt: skip


async def watcher(cloud: Cloud, space: str, on_data: Any) -> Connection:
    connection = await connect(cloud.kubernetes_url)
    connection.on_data = on_data
    revision = (await send_json(cloud, f"{SPACE}/{space}?limit=1"))["metadata"]["resourceVersion"]
    connection.send("GET", f"{SPACE}/{space}?watch=1&resourceVersion={revision}", cloud.admin)
    return connection


async def send_json(cloud: Cloud, path: str) -> Any:
    connection = await connect(cloud.kubernetes_url)
    answer = await connection.json("GET", path, cloud.admin)
    connection.close()
    return answer


async def watch_latency(cloud: Cloud, count: int = 1000) -> list[float]:
    """Milliseconds from sending a create until its event is here."""
    arrived: asyncio.Queue[float] = asyncio.Queue()
    connection = await watcher(cloud, "secrets", lambda _: arrived.put_nowait(time.perf_counter()))
    writer = await connect(cloud.kubernetes_url)
    await asyncio.sleep(0.3)
    took = []
    for n in range(count):
        secret = {"metadata": {"name": f"w-{n}"}, "data": {"payload": "eHh4" * 220}}
        start = time.perf_counter()
        answer = writer.send("POST", f"{SPACE}/secrets", cloud.admin, msgspec.json.encode(secret))
        took.append((await arrived.get() - start) * 1e3)
        status, body, _ = await answer
        if status != 201:
            raise RuntimeError(f"create secret: {status} {body!r}")
        await asyncio.sleep(0.002)
    connection.close()
    writer.close()
    return took


async def fan_out(cloud: Cloud, count: int) -> tuple[float, float]:
    """(events that all watchers got, writes) per second, while 32 clients write as fast as they can."""
    lines = 0

    def on_data(data: bytes) -> None:
        nonlocal lines
        lines += data.count(b"\n")

    connections = [await watcher(cloud, "configmaps", on_data) for _ in range(count)]
    await asyncio.sleep(0.5)
    start = time.perf_counter()
    got = await asyncio.to_thread(
        load, cloud.kubernetes_url, "POST", f"{SPACE}/configmaps", cloud.admin, body=CONFIG_MAP, clients=32
    )
    seen, took = lines, time.perf_counter() - start
    for connection in connections:
        connection.close()
    return seen / took, got.rate
