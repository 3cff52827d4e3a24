# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from lichen.model.data import Data, field
from lichen.model.kind import Resource, kind


@kind("domains", group="identity", namespaced=False, subresources=())
class Domain(Resource):
    """A space of names for users, groups and projects. The first is `default`."""

    class Spec(Data):
        id: str = field("OpenStack id.", default="", immutable=True, openstack="id", selectable=True)
        display_name: str = field("Name as the user wrote it.", default="", openstack="name", selectable=True)
        description: str = field("Free text.", default="", openstack="description")
        enabled: bool = field("Its users may log in.", default=True, column="Enabled", openstack="enabled")
        tags: list[str] = field("OpenStack tags.", default_factory=list, openstack="tags")

    spec: Spec = field("The domain.", default_factory=Spec)
