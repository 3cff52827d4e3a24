# SPDX-License-Identifier: Apache-2.0
"""Image records, through the OpenStack dialect of a simulated cloud."""

from __future__ import annotations

import uvloop

from bench.http import load
from bench.lib import Cloud, Report, cloud, share
from bench.limits import bare
from bench.openstack import Client

RECORD = {"name": "@", "disk_format": "raw", "container_format": "bare"}


def run(report: Report) -> None:
    with cloud() as here:
        limit = bare(here, 16).rate
        headers = uvloop.run(headers_of(here))
        got = load(here.openstack_url, "POST", "/image/v2/images", headers, body=RECORD, clients=16)
        report.row("limit: bare ASGI, TLS, 16 clients", limit, "/s")
        report.row(
            "create image record, 16 clients", got.rate, "/s", note=got.note,
            beside=f"{share(got.rate, limit)} of bare ASGI", peer="OpenStack 117/s", budget=("≥", 1000),
        )  # fmt: skip


async def headers_of(here: Cloud) -> dict[str, str]:
    client = await Client.login(here)
    client.close()
    return client.headers
