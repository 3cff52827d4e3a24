# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from lichen.model.data import Data, field
from lichen.model.kind import Resource, kind
from lichen.model.meta import Condition


@kind("images", group="image", short=("img",))
class Image(Resource):
    """A disk image. Its bytes are uploaded through the image API (`openstack image create --file`)."""

    class Spec(Data):
        id: str = field(
            "OpenStack id; a fresh UUID by default.", default="", immutable=True, openstack="id", selectable=True
        )
        display_name: str = field(
            "Name as the user wrote it; may repeat.", default="", openstack="name", selectable=True
        )
        disk_format: str = field(
            "raw, qcow2, vmdk, vdi, iso, aki, ari, ami, vhd or vhdx.",
            default="",
            column="Format",
            openstack="disk_format",
        )
        container_format: str = field("bare, docker, ovf…", default="", openstack="container_format")
        visibility: str = field(
            "Who may use it.",
            default="shared",
            enum=("public", "private", "shared", "community"),
            column="Visibility",
            openstack="visibility",
            selectable=True,
        )
        members: list[str] = field(
            "Ids of the projects that may use it while it is `shared`; each has an ImageShare of it.",
            default_factory=list,
        )
        protected: bool = field("Refuses deletion.", default=False, openstack="protected")
        hidden: bool = field("Left out of lists.", default=False, openstack="os_hidden")
        min_disk: int = field("Smallest root disk it needs, GiB.", default=0, minimum=0, openstack="min_disk")
        min_ram: int = field("Least memory it needs, MiB.", default=0, minimum=0, openstack="min_ram")
        server: str = field(
            "Server of this namespace whose root disk it is to be a copy of; its bytes are not uploaded then.",
            default="",
            immutable=True,
            to="Server",
        )
        server_id: str = field("Id of that server, pinned at admission.", default="")
        volume: str = field(
            "The same, of a volume of this namespace that nobody uses.", default="", immutable=True, to="Volume"
        )
        volume_id: str = field("Id of that volume, pinned at admission.", default="")
        node: str = field("Node that takes the bytes, pinned at admission.", default="", selectable=True)
        owner_id: str = field("Project's id.", default="", openstack="owner")
        tags: list[str] = field("OpenStack tags.", default_factory=list, openstack="tags")
        properties: dict[str, str] = field("Further properties (hw_*, os_*, …).", default_factory=dict)

    class Status(Data):
        phase: str = field(
            "queued, saving, active, deactivated or killed.", default="queued", column="Status", openstack="status"
        )
        size: int | None = field("Bytes stored.", default=None, column="Size", openstack="size")
        virtual_size: int | None = field("Bytes of the disk it describes.", default=None, openstack="virtual_size")
        checksum: str | None = field("MD5 of the bytes, for old clients.", default=None, openstack="checksum")
        hash_algo: str | None = field("Always sha512 once stored.", default=None, openstack="os_hash_algo")
        hash_value: str | None = field("Digest of the bytes.", default=None, openstack="os_hash_value")
        decisions: dict[str, str] = field(
            "What members decided, by project's id: pending, accepted or rejected.", default_factory=dict
        )
        location: str = field("Where the bytes are, relative to the image store.", default="")
        fault: str = field("Why it is killed, in words.", default="")
        conditions: list[Condition] = field("Observations.", default_factory=list)

    spec: Spec = field("What is wanted.", default_factory=Spec)
    status: Status = field("What is observed.", default_factory=Status)
