# SPDX-License-Identifier: Apache-2.0
"""`lichen down`, the second half: stop every workload of a cloud whose processes are gone; keep its data."""

from __future__ import annotations

import asyncio
import shutil

from lichen.daemon.engines import make_engines
from lichen.daemon.settings import Settings
from lichen.drivers.base import PortSpec


def run(settings: Settings) -> int:
    asyncio.run(_clean(settings))
    return 0


async def _clean(settings: Settings) -> None:
    engines = make_engines(settings, "tcg", _no_plug, _no_unplug, {})
    await engines.cleanup()
    await asyncio.to_thread(engines.mounts.unmount_memory, settings.pods_dir)
    shutil.rmtree(settings.run_dir, ignore_errors=True)


async def _no_plug(_pod_uid: str, _netns: str) -> PortSpec | None:
    return None


async def _no_unplug(_pod_uid: str) -> None:
    return None
