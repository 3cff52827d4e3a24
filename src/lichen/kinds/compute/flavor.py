# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from lichen.model.data import Data, field
from lichen.model.kind import Resource, kind


@kind("flavors", group="compute", namespaced=False, subresources=())
class Flavor(Resource):
    """A size of machine, for VM and micro-VM alike. Copied into a server when it is made."""

    class Spec(Data):
        id: str = field(
            "OpenStack id, chosen freely; a fresh UUID by default.",
            default="",
            immutable=True,
            openstack="id",
            selectable=True,
        )
        display_name: str = field("Name as the user wrote it.", default="", openstack="name", selectable=True)
        description: str | None = field("Free text.", default=None, openstack="description")
        vcpus: int = field("Virtual CPUs.", minimum=1, immutable=True, column="VCPUs", openstack="vcpus")
        memory: int = field("Memory, MiB.", minimum=1, immutable=True, column="Memory", openstack="ram")
        disk: int = field(
            "Root disk, GiB; 0: as large as the image.",
            default=0,
            minimum=0,
            immutable=True,
            column="Disk",
            openstack="disk",
        )
        ephemeral: int = field(
            "Second disk, GiB.", default=0, minimum=0, immutable=True, openstack="OS-FLV-EXT-DATA:ephemeral"
        )
        swap: int = field("Swap disk, MiB.", default=0, minimum=0, immutable=True, openstack="swap")
        rxtx_factor: float = field("Kept for old clients.", default=1.0, openstack="rxtx_factor")
        public: bool = field(
            "Every project may use it.", default=True, column="Public", openstack="os-flavor-access:is_public"
        )
        projects: list[str] = field("Ids of the projects that may use it if it is not public.", default_factory=list)
        extra_specs: dict[str, str] = field("Traits and limits.", default_factory=dict, openstack="extra_specs")

    spec: Spec = field("The size.")
