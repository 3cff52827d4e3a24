# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib

from lichen.model.data import Data, field
from lichen.model.kind import Resource, kind


@kind("endpointgroups", group="identity", namespaced=False, subresources=())
class EndpointGroup(Resource):
    """Endpoints that have something in common, to be shown to the projects of its EndpointAssociations."""

    class Spec(Data):
        id: str = field("OpenStack id.", default="", immutable=True, openstack="id", selectable=True)
        display_name: str = field("Name.", default="", openstack="name")
        description: str = field("Free text.", default="", openstack="description")
        filters: dict[str, str] = field("service_id, region_id, interface: what its endpoints have.", column="Filters")

    spec: Spec = field("Which endpoints.")


@kind("endpointassociations", group="identity", namespaced=False, subresources=())
class EndpointAssociation(Resource):
    """One endpoint, or one group of them, in the catalog of one project. A project that has any sees no other
    endpoints; one that has none sees all. Its name is a digest of all of that."""

    class Spec(Data):
        project_id: str = field("Project's id.", immutable=True, column="Project", selectable=True)
        endpoint_id: str = field("Endpoint's id.", default="", immutable=True, column="Endpoint", selectable=True)
        group_id: str = field("Endpoint group's id.", default="", immutable=True, column="Group", selectable=True)

        def handle(self) -> str:
            """The name of this association: the same for the same content, so that create is the lock on it."""
            return hashlib.sha256("\0".join((self.project_id, self.endpoint_id, self.group_id)).encode()).hexdigest()[
                :40
            ]

    spec: Spec = field("What is shown where.")
