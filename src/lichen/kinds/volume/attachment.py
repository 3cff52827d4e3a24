# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from lichen.model.data import Data, field
from lichen.model.kind import Resource, kind
from lichen.model.meta import Condition


@kind("volumeattachments", group="volume", short=("vola",))
class VolumeAttachment(Resource):
    """Who uses a volume: one server, or the pods of one node. It is named as its volume, so that there is one at
    most; whoever creates it holds the volume."""

    class Spec(Data):
        id: str = field("Id of its own; a fresh UUID by default.", default="", immutable=True, selectable=True)
        volume: str = field("The volume, in this namespace.", to="Volume", immutable=True, column="Volume")
        volume_id: str = field("Id of that volume, pinned at admission.", default="", immutable=True, selectable=True)
        server: str = field(
            "Server that has it as a disk, in this namespace.", default="", to="Server", immutable=True, column="Server"
        )
        server_id: str = field("Id of that server, pinned at admission.", default="", immutable=True, selectable=True)
        pods: bool = field("The pods of `node` mount it.", default=False, immutable=True)
        node: str = field(
            "Node it is used on: the server's, or that of the pods.", default="", column="Node", selectable=True
        )
        device: str = field("What the disk is probably called in the guest, filled at admission.", default="")
        boot: bool = field("The server boots from it.", default=False, immutable=True)
        declared: bool = field("Made for an entry of the server's spec.volumes, and gone with it.", default=False)
        delete_on_termination: bool = field("The volume goes with the server.", default=False)
        tag: str = field("Tag that the guest can read.", default="")
        file_system: str = field("What pods find on it; made on first use.", default="ext4", immutable=True)
        read_only: bool = field("It is only read.", default=False)

    class Status(Data):
        phase: str = field("Attaching, Attached or Detaching.", default="Attaching", column="Status", selectable=True)
        attached_at: str = field("When it became Attached, RFC 3339.", default="")
        fault: str = field("Why it does not get on, in words.", default="")
        conditions: list[Condition] = field("Observations.", default_factory=list)

    spec: Spec = field("What is wanted.")
    status: Status = field("What is observed.", default_factory=Status)
