# SPDX-License-Identifier: Apache-2.0
"""Simulated servers and pods: boots, GET /servers/detail of 1,000, placements among 1,000 and 5,000 nodes."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
import uvloop

from bench.http import connect, timed
from bench.kernel import SPACE, a_pod
from bench.lib import Cloud, Report, cloud, controllers, kernel, median, percentile
from bench.openstack import Client
from bench.watching import Watching
from lichen.kinds.compute.server import Server
from lichen.scheduling.columns import Columns
from lichen.scheduling.request import server_request

SERVERS = "/compute/v2.1/servers"
BOOTS, LISTED, PLACED = 50, 1000, 3000


def run(report: Report) -> None:
    with cloud() as here:
        uvloop.run(boots(report, here))
    with cloud(nodes=100) as here:
        uvloop.run(details(report, here))
    decisions(report, 1000)
    for nodes, budget, peer in ((1000, 2000, "k8s 470/s"), (5000, 1000, "k8s 371/s")):
        with kernel() as here:
            uvloop.run(placements(report, here, nodes, ("≥", budget), peer))
    with kernel() as here:
        uvloop.run(placements(report, here, 1000, None, "", ports=True))


def is_running(server: Any) -> bool:
    return bool((server.get("status") or {}).get("phase") == "Running")


async def boots(report: Report, here: Cloud) -> None:
    """50 servers with a port each on one simulated host, asked for at once; the host takes 0.03 s for each."""
    client = await Client.login(here)
    body = await client.server_body(await client.network("boots", "10.70.0.0/16"))
    seen = Watching(here, "/apis/compute.lichen.dev/v1/namespaces/demo/servers", is_running)
    await seen.start()
    text = msgspec.json.encode(body).decode()
    connections = [await connect(here.openstack_url) for _ in range(BOOTS)]
    asked: dict[str, float] = {}

    async def ask(number: int) -> None:
        asked[f"boot-{number}"] = time.perf_counter()
        await connections[number].ok("POST", SERVERS, client.headers, text.replace("@", f"boot-{number}").encode())

    began = time.perf_counter()
    await asyncio.gather(*(ask(number) for number in range(BOOTS)))
    accepted = time.perf_counter() - began
    await seen.until(BOOTS)
    took = [seen.when[name] - asked[name] for name in asked]
    rate = BOOTS / (max(seen.when.values()) - began)
    beside = f"all accepted after {accepted:.2f} s"
    report.row(f"{BOOTS} boots at once, 1 host", rate, "/s", beside=beside, peer="OpenStack 1.5/s", budget=("≥", 50))
    report.row("  to ACTIVE, p50", median(took), "s", peer="OpenStack 8.5 s", budget=("≤", 1.0))
    report.row("  to ACTIVE, p99", percentile(took, 99), "s")
    one = await one_by_one(here, client, text, seen)
    report.row("  to ACTIVE, one at a time, p50", median(one), "s", beside="of which 0.03 s are the host's")
    for connection in (*connections, client.connection):
        connection.close()
    seen.close()


async def one_by_one(here: Cloud, client: Client, text: str, seen: Watching) -> list[float]:
    took = []
    for number in range(10):
        start, name = time.perf_counter(), f"single-{number}"
        await client.connection.ok("POST", SERVERS, client.headers, text.replace("@", name).encode())
        await seen.until(BOOTS + number + 1)
        took.append(seen.when[name] - start)
    return took


async def details(report: Report, here: Cloud) -> None:
    client = await Client.login(here)
    text = msgspec.json.encode(await client.server_body(await client.network("many", "10.80.0.0/16"))).decode()
    seen = Watching(here, "/apis/compute.lichen.dev/v1/namespaces/demo/servers", is_running)
    await seen.start()
    for number in range(LISTED):
        await client.connection.ok("POST", SERVERS, client.headers, text.replace("@", f"s-{number}").encode())
    await seen.until(LISTED)
    if len((await client.get(f"{SERVERS}/detail"))["servers"]) != LISTED:
        raise RuntimeError("the list is not whole")
    took = await timed(20, lambda: client.connection.ok("GET", f"{SERVERS}/detail", client.headers))
    report.row(
        f"GET /servers/detail, {LISTED:,} servers", median(took) / 1e3, "s", peer="OpenStack 3.9 s", budget=("≤", 0.1)
    )
    one = (await client.get(f"{SERVERS}?limit=1"))["servers"][0]["id"]
    took = await timed(50, lambda: client.get(f"{SERVERS}/{one}"))
    report.row(f"GET /servers/ID among {LISTED:,}", median(took), "ms")
    client.close()
    seen.close()


def decisions(report: Report, nodes: int) -> None:
    """What placement's GET /allocation_candidates is to nova, which has no counterpart on the wire here: the scheduler
    finds a server's node among all of them, in memory."""
    columns = Columns()
    for number in range(nodes):
        columns.set_node(a_node(number))
    beside, peer = "in the scheduler; there is no such call", "OpenStack candidates 165 ms"
    for which, selector in (
        ("its zone", "topology.kubernetes.io/zone"),
        ("a host, never asked", "kubernetes.io/hostname"),
    ):
        took = [decided(columns, a_server(number, selector)) for number in range(200)]
        what, note = f"a server's node among {nodes:,}: {which}", f"p99 {percentile(took, 99):.2f}"
        report.row(what, median(took), "ms", note=note, beside=beside, peer=peer, budget=("≤", 20.0))


def decided(columns: Columns, server: Any) -> float:
    """Milliseconds until a server's node is known; then it counts there. RuntimeError: there is none."""
    request = server_request(server)
    start = time.perf_counter()
    node = columns.place(request).node
    took = (time.perf_counter() - start) * 1e3
    if not node or not columns.assume(node, request):
        raise RuntimeError(f"{server['metadata']['name']} found no node")
    return took


def a_server(number: int, label: str) -> dict[str, Any]:
    """A server that asks for what node `number` has in `label`."""
    name = f"s-{number}"
    spec = {
        "flavor": "bench",
        "resources": {"vcpus": 1, "memory": 1024},
        "nodeSelector": {label: a_node(number)["metadata"]["labels"][label]},
    }
    metadata = {"name": f"{name}-{label[-4:]}", "namespace": "default", "uid": name}
    return {"apiVersion": Server.KIND.api_version, "kind": "Server", "metadata": metadata, "spec": spec}


async def placements(
    report: Report, here: Cloud, nodes: int, budget: tuple[str, float] | None, peer: str, *, ports: bool = False
) -> None:
    """Pods that wait are bound by the controllers' process, over HTTPS; nodes are records without an agent.

    ports: each pod gets its Port and address from the controllers meanwhile, which the peers leave to their nodes.
    """
    pods = f"{SPACE if ports else '/api/v1/namespaces/kube-system'}/pods"
    connection = await connect(here.kubernetes_url)
    for number in range(nodes):
        node = a_node(number)
        await connection.ok("POST", "/api/v1/nodes", here.admin, node)
        await connection.ok("PUT", f"/api/v1/nodes/{node['metadata']['name']}/status", here.admin, node)
    for number in range(PLACED):
        pod = a_pod(f"p-{number}")
        if not ports:
            pod["spec"]["hostNetwork"] = True
            del pod["spec"]["containers"][0]["ports"]
        await connection.ok("POST", pods, here.admin, pod)
    seen = Watching(here, pods, lambda pod: bool(pod["spec"].get("nodeName")))
    await seen.start()
    with controllers(here):
        await seen.until(PLACED)
    connection.close()
    seen.close()
    took = max(seen.when.values()) - min(seen.when.values())
    what = f"{PLACED:,} placements bound, {nodes:,} nodes{', and ports made' if ports else ''}"
    report.row(what, PLACED / took, "/s", peer=peer, budget=budget)


def a_node(number: int) -> dict[str, Any]:
    room = {"cpu": "32", "memory": "256Gi", "pods": "110", "ephemeral-storage": "1Ti"}
    name = f"n-{number:05}"
    labels = {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": f"zone-{number % 3}"}
    ready = {"type": "Ready", "status": "True", "reason": "Bench", "lastHeartbeatTime": None}
    status = {"capacity": room, "allocatable": room, "conditions": [ready]}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "status": status}
