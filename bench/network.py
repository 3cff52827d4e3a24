# SPDX-License-Identifier: Apache-2.0
"""Ports, through the OpenStack dialect of a simulated cloud: created with an address each, listed."""

from __future__ import annotations

import uvloop

from bench.http import load, timed
from bench.lib import Cloud, Report, cloud, median, share
from bench.limits import bare, commits
from bench.openstack import Client

PORTS = "/network/v2.0/ports"
LISTED = 230


def run(report: Report) -> None:
    with cloud() as here:
        uvloop.run(listing(report, here))
        creating(report, here)


async def listing(report: Report, here: Cloud) -> None:
    client = await Client.login(here)
    network = await client.network("few", "10.50.0.0/16")
    for n in range(LISTED):
        await client.post(PORTS, {"port": {"network_id": network, "name": f"p-{n}"}})
    if len((await client.get(f"{PORTS}?network_id={network}"))["ports"]) != LISTED:
        raise RuntimeError("the list is not whole")
    took = await timed(30, lambda: client.get(f"{PORTS}?network_id={network}"))
    client.close()
    report.row(f"list {LISTED} ports", median(took), "ms", peer="OpenStack 344 ms", budget=("≤", 20))


def creating(report: Report, here: Cloud) -> None:
    limit, group = bare(here, 16).rate, commits(16)
    network, headers = uvloop.run(a_network(here))
    body = {"port": {"network_id": network, "name": "@"}}
    got = load(here.openstack_url, "POST", PORTS, headers, body=body, clients=16)
    report.row("limit: bare ASGI, TLS, 16 clients", limit, "/s")
    report.row("limit: SQLite WAL, fsync, 16 rows a commit", group, "rows/s")
    report.row(
        "create port, 16 clients", got.rate, "/s", note=got.note, beside=f"{share(got.rate, limit)} of bare ASGI",
        peer="OpenStack 16.7/s", budget=("≥", 500),
    )  # fmt: skip


async def a_network(here: Cloud) -> tuple[str, dict[str, str]]:
    client = await Client.login(here)
    network = await client.network("many", "10.60.0.0/16")
    client.close()
    return network, client.headers
