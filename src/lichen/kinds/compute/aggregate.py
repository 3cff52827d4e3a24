# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from lichen.model.data import Data, field
from lichen.model.kind import Resource, kind


@kind("aggregates", group="compute", namespaced=False, subresources=())
class Aggregate(Resource):
    """A set of hosts with something in common. Its zone and metadata become labels of its nodes, which is what the
    scheduler looks at: flavors ask for them by `aggregate_instance_extra_specs:<key>`."""

    class Spec(Data):
        id: str = field("A UUID.", default="", immutable=True, openstack="uuid", selectable=True)
        number: int = field("The number that old calls name it by.", default=0, immutable=True, openstack="id")
        display_name: str = field("Name as the user wrote it.", default="", openstack="name", selectable=True)
        zone: str = field("Availability zone of its hosts.", default="", openstack="availability_zone", column="Zone")
        hosts: list[str] = field("Nodes, by name.", default_factory=list)
        metadata: dict[str, str] = field("Pairs that flavors can ask for.", default_factory=dict)

    spec: Spec = field("The hosts.", default_factory=Spec)
