# SPDX-License-Identifier: Apache-2.0
"""The kernel's memory with 100,000 objects of 1 KB, and how long it takes to start with them."""

from __future__ import annotations

import uvloop

from bench.http import connect, load
from bench.kernel import CONFIG_MAP, SPACE
from bench.lib import Cloud, Report, kernel, memory, number

OBJECTS = 100_000


def run(report: Report) -> None:
    with kernel() as cloud:
        empty, _ = memory(cloud.pid)
        count = 0
        while count < OBJECTS:
            url, path = cloud.kubernetes_url, f"{SPACE}/configmaps"
            load(url, "POST", path, cloud.admin, body=CONFIG_MAP, clients=32, seconds=5)
            count = uvloop.run(counted(cloud))
        pss, rss = memory(cloud.pid)
        disk = sum(path.stat().st_size for path in (cloud.data_dir / "store").iterdir()) / 2**20
        what = f"kernel, {OBJECTS:,} objects of 1 KB, PSS"
        beside = f"empty {number(empty)} MiB; payload {count * 1.15 / 1024:.0f} MiB"
        fit = (pss - empty) * OBJECTS / count + empty
        note, peer = f"RSS {number(rss)}", "k8s 1,350 + 123 MiB"
        report.row(what, fit, "MiB", note=note, beside=beside, peer=peer, budget=("≤", 600))
        report.row("its files", disk, "MiB")


async def counted(cloud: Cloud) -> int:
    connection = await connect(cloud.kubernetes_url)
    page = await connection.json("GET", f"{SPACE}/configmaps?limit=1", cloud.admin)
    connection.close()
    return 1 + int(page["metadata"].get("remainingItemCount", 0))
