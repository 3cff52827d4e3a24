# SPDX-License-Identifier: Apache-2.0
"""Virtual machines by QEMU: one process per guest in a cgroup of its own, spoken to by QMP.

Belongs here: QEMU's command line, its control socket, disks (qemu-img), config drives, the boot probe and the
builder of the `lichen-tiny` image. Does not belong here: taps and bridges (linuxnet), which guests should run (agent).
"""

from lichen.drivers.qemu.guests import QemuGuests
from lichen.drivers.qemu.probe import choose_accelerator
from lichen.drivers.qemu.tiny import build_tiny

__all__ = ["QemuGuests", "build_tiny", "choose_accelerator"]
