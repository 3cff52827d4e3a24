# SPDX-License-Identifier: Apache-2.0
"""What was asked for names the request that asked for it, so that whoever makes it true can say whose it is."""

from __future__ import annotations

from lichen.kernel.admission import Request
from lichen.kinds.builtin import (
    CRON_JOB,
    DAEMON_SET,
    DEPLOYMENT,
    JOB,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    REPLICA_SET,
    REPLICATION_CONTROLLER,
    STATEFUL_SET,
)
from lichen.kinds.compute.server import Server
from lichen.kinds.image.image import Image
from lichen.kinds.network.port import Port
from lichen.kinds.volume.attachment import VolumeAttachment
from lichen.kinds.volume.snapshot import VolumeSnapshot
from lichen.kinds.volume.volume import Volume
from lichen.model.kind import Kind
from lichen.model.meta import annotations_of, is_deleting
from lichen.model.names import ASKED_BY
from lichen.model.tracing import REQUEST_ID


class Traced:
    """Of machines, containers, their disks and ports, and of what makes them. The annotation is the kernel's own: it
    moves with spec and with deletion, but not in a rehearsal (`kubectl diff` would show it); nobody else writes or
    removes it."""

    kinds: tuple[Kind, ...] | None = (
        Server.KIND, Volume.KIND, VolumeSnapshot.KIND, VolumeAttachment.KIND, Image.KIND, Port.KIND, POD, DEPLOYMENT,
        REPLICA_SET, REPLICATION_CONTROLLER, STATEFUL_SET, DAEMON_SET, JOB, CRON_JOB, PERSISTENT_VOLUME_CLAIM,
    )  # fmt: skip
    verbs: tuple[str, ...] = ("create", "update", "delete")

    async def admit(self, request: Request) -> None:
        held = annotations_of(request.old).get(ASKED_BY, "") if request.old else ""
        wanted = REQUEST_ID.get() if _asks(request) and not request.dry_run else held
        annotations = annotations_of(request.object)
        if annotations.get(ASKED_BY, "") != wanted:
            rest = {key: value for key, value in annotations.items() if key != ASKED_BY}
            request.object["metadata"]["annotations"] = rest | ({ASKED_BY: wanted} if wanted else {})


def _asks(request: Request) -> bool:
    """It changes what is wanted."""
    if request.old is None:
        return True
    if request.verb == "delete":
        return is_deleting(request.object) and not is_deleting(request.old)
    return bool(request.object.get("spec") != request.old.get("spec"))
