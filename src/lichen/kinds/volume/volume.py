# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from lichen.model.data import Data, field
from lichen.model.kind import Resource, kind
from lichen.model.meta import Condition


@kind("volumes", group="volume", short=("vol",))
class Volume(Resource):
    """A disk that lives longer than what uses it: a server (VolumeAttachment) or pods (PersistentVolume).

    Its content begins empty, or as a copy of one image, snapshot or volume.
    """

    class Spec(Data):
        id: str = field(
            "OpenStack id; a fresh UUID by default.", default="", immutable=True, openstack="id", selectable=True
        )
        display_name: str = field(
            "Name as the user wrote it; may repeat.", default="", openstack="name", selectable=True
        )
        description: str | None = field("Free text.", default=None, openstack="description", max_length=255)
        size: int = field(
            "GiB; it can grow. 0: as large as what it is copied from.",
            default=0,
            minimum=0,
            maximum=65536,
            column="GiB",
            openstack="size",
        )
        type: str = field("Its VolumeType; the default one if none is named.", default="", to="VolumeType")
        type_id: str = field("Id of that type, pinned at admission.", default="")
        image: str = field(
            "Image it is copied from: a name in this namespace, or namespace/name of a public one.",
            default="",
            immutable=True,
            to="Image",
        )
        image_id: str = field(
            "Id of that image, pinned at admission.", default="", immutable=True, openstack="imageRef"
        )
        snapshot: str = field("VolumeSnapshot it is copied from.", default="", immutable=True, to="VolumeSnapshot")
        snapshot_id: str = field(
            "Id of that snapshot, pinned at admission.",
            default="",
            immutable=True,
            openstack="snapshot_id",
            selectable=True,
        )
        source: str = field("Volume it is copied from.", default="", immutable=True, to="Volume")
        source_id: str = field(
            "Id of that volume, pinned at admission.", default="", immutable=True, openstack="source_volid"
        )
        bootable: bool = field("A server can boot from it.", default=False, openstack="bootable")
        claim: str = field(
            "PersistentVolumeClaim it was made for, whose quota it counts to.", default="", to="PersistentVolumeClaim"
        )
        read_only: bool | None = field("Nobody writes to it.", default=None)
        metadata: dict[str, str] = field("Pairs of the user.", default_factory=dict, openstack="metadata")
        image_metadata: dict[str, str] = field(
            "What the image said of itself.", default_factory=dict, openstack="volume_image_metadata"
        )
        node: str = field("Node whose disks hold it.", default="", column="Node", selectable=True)
        availability_zone: str = field("Zone of that node.", default="", openstack="availability_zone")
        user_id: str = field("User who made it.", default="", openstack="user_id")

    class Status(Data):
        phase: str = field(
            "Creating, Available, Extending, Deleting or Error.",
            default="Creating",
            column="Status",
            selectable=True,
        )
        size: int = field("GiB it has.", default=0)
        fault: str = field("Why it is in Error, in words.", default="")
        conditions: list[Condition] = field("Observations.", default_factory=list)

    spec: Spec = field("What is wanted.", default_factory=Spec)
    status: Status = field("What is observed.", default_factory=Status)
