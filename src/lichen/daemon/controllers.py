# SPDX-License-Identifier: Apache-2.0
"""The controllers' process: reconcilers and scheduler over HTTP. Unprivileged."""

from __future__ import annotations

import asyncio

from lichen.controllers.image_bytes import ImageBytes
from lichen.controllers.run import manage
from lichen.daemon.life import end_with_parent, run_until_stopped, until_first
from lichen.daemon.own import own_cloud
from lichen.daemon.settings import Settings
from lichen.daemon.system_pods import ensure_system_pods
from lichen.drivers.files.images import ImageStore
from lichen.runtime.clock import SystemClock
from lichen.runtime.scrape import showing_metrics


def run(settings: Settings) -> int:
    end_with_parent()

    async def main(stopped: asyncio.Event) -> None:
        async with own_cloud(settings, "controllers") as cloud:
            state = cloud.state
            clock = SystemClock()
            root_ca = (settings.tls_dir / "ca.crt").read_text()
            await until_first(
                stopped.wait(),
                manage(state, clock, root_ca=root_ca),
                ImageBytes(state, ImageStore(settings.images_dir), clock).run(),
                ensure_system_pods(state, settings),
            )

    with showing_metrics(settings.metrics_dir, "controllers"):
        return run_until_stopped(main)
