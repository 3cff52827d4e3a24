# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from lichen.model.data import Data, field
from lichen.model.kind import Resource, kind
from lichen.model.meta import Condition


@kind("volumesnapshots", group="volume", short=("volsnap",))
class VolumeSnapshot(Resource):
    """A volume as it was at one moment; volumes can be made from it."""

    class Spec(Data):
        id: str = field(
            "OpenStack id; a fresh UUID by default.", default="", immutable=True, openstack="id", selectable=True
        )
        display_name: str = field(
            "Name as the user wrote it; may repeat.", default="", openstack="name", selectable=True
        )
        description: str | None = field("Free text.", default=None, openstack="description", max_length=255)
        volume: str = field("The volume, in this namespace.", to="Volume", immutable=True, column="Volume")
        volume_id: str = field(
            "Id of that volume, pinned at admission.",
            default="",
            immutable=True,
            openstack="volume_id",
            selectable=True,
        )
        size: int = field("GiB the volume had.", default=0, immutable=True, column="GiB", openstack="size")
        metadata: dict[str, str] = field("Pairs of the user.", default_factory=dict, openstack="metadata")
        node: str = field("Node whose disks hold it: the volume's.", default="", selectable=True)
        user_id: str = field("User who made it.", default="", openstack="user_id")

    class Status(Data):
        phase: str = field(
            "Creating, Available, Deleting or Error.", default="Creating", column="Status", selectable=True
        )
        fault: str = field("Why it is in Error, in words.", default="")
        conditions: list[Condition] = field("Observations.", default_factory=list)

    spec: Spec = field("What is wanted.")
    status: Status = field("What is observed.", default_factory=Status)
