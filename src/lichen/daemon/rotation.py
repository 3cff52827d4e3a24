# SPDX-License-Identifier: Apache-2.0
"""The logs of the cloud's processes, kept from filling the disk: `kernel.log` becomes `kernel.log.1`, and so on.

It is the supervisor who does it, as the logs are its children's stderr: what they say on the way down is in there, too,
and they cannot open files here.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from lichen.drivers.appended import move_over

log = logging.getLogger(__name__)

LONGEST = 16 << 20
"""Bytes of a log before it is set aside."""
KEPT = 3
"""Logs of a process that are kept beside the one it writes: 64 MiB in all."""
EVERY = 60.0
"""Seconds between looks at their sizes; a log may grow by so long beyond its limit."""


def keep_small(log_dir: Path) -> None:
    """Set aside what has grown too long."""
    for path in log_dir.glob("*.log"):
        try:
            move_over(path, LONGEST, [path.with_name(f"{path.name}.{number + 1}") for number in range(KEPT)])
        except OSError as error:
            log.warning("%s cannot be set aside: %s", path, error)


async def keep_keeping_small(log_dir: Path) -> None:
    """For a cloud of one process: until cancelled."""
    while True:
        await asyncio.to_thread(keep_small, log_dir)
        await asyncio.sleep(EVERY)
