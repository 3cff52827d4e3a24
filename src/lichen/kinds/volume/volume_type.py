# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from lichen.model.data import Data, field
from lichen.model.kind import Resource, kind


@kind("volumetypes", group="volume", short=("voltype",), namespaced=False, subresources=())
class VolumeType(Resource):
    """What a volume is made of and promises."""

    class Spec(Data):
        id: str = field(
            "OpenStack id; a fresh UUID by default.", default="", immutable=True, openstack="id", selectable=True
        )
        display_name: str = field("Name as the user wrote it.", default="", openstack="name", selectable=True)
        description: str | None = field("Free text.", default=None, openstack="description", max_length=255)
        is_default: bool = field(
            "Taken by a volume that names no type.", default=False, column="Default", selectable=True
        )
        public: bool = field("Every project may use it.", default=True, column="Public", openstack="is_public")
        backend: str = field("Engine that keeps its volumes.", default="files", column="Backend", immutable=True)
        extra_specs: dict[str, str] = field("Further properties.", default_factory=dict, openstack="extra_specs")

    spec: Spec = field("What it promises.", default_factory=Spec)
