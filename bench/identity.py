# SPDX-License-Identifier: Apache-2.0
"""Tokens, through the OpenStack dialect of a simulated cloud: issued for a password, validated."""

from __future__ import annotations

import uvloop

from bench.http import load
from bench.lib import Cloud, Report, cloud, share
from bench.limits import bare
from bench.openstack import Client, password_body

TOKENS = "/identity/v3/auth/tokens"
JSON = {"Content-Type": "application/json"}


def run(report: Report) -> None:
    with cloud() as here:
        url, limit = here.openstack_url, bare(here, 16).rate
        report.row("limit: bare ASGI, TLS, 16 clients", limit, "/s")
        token = uvloop.run(token_of(here))
        for clients, peer in ((1, "OpenStack 4.5/s"), (16, "OpenStack 9.0/s")):
            got = load(url, "POST", TOKENS, JSON, body=password_body(here), clients=clients)
            report.row(
                f"password token, warm, {clients} client{'s' * (clients > 1)}", got.rate, "/s", note=got.note,
                beside=f"{share(got.rate, limit)} of bare ASGI", peer=peer, budget=("≥", 500),
            )  # fmt: skip
        got = load(url, "GET", TOKENS, {"X-Auth-Token": token, "X-Subject-Token": token}, clients=16)
        beside = f"{share(got.rate, limit)} of bare ASGI"
        report.row(
            "validate token, 16 clients", got.rate, "/s", note=got.note, beside=beside,
            peer="OpenStack 495/s", budget=("≥", 3000),
        )  # fmt: skip


async def token_of(here: Cloud) -> str:
    client = await Client.login(here)
    client.close()
    return client.token
