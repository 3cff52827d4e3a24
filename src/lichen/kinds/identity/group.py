# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from lichen.model.data import Data, field
from lichen.model.kind import Resource, kind


@kind("groups", group="identity", namespaced=False, subresources=())
class Group(Resource):
    """A set of users that roles are given to."""

    class Spec(Data):
        id: str = field("OpenStack id.", default="", immutable=True, openstack="id", selectable=True)
        display_name: str = field(
            "Name as the user wrote it, unique in its domain.", default="", openstack="name", selectable=True
        )
        domain_id: str = field(
            "Domain's id.", default="default", immutable=True, column="Domain", openstack="domain_id", selectable=True
        )
        description: str = field("Free text.", default="", openstack="description")
        users: list[str] = field("Ids of its users.", default_factory=list)

    spec: Spec = field("The group.", default_factory=Spec)
