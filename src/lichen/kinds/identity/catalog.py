# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from lichen.model.data import Data, field
from lichen.model.kind import Resource, kind


@kind("regions", group="identity", namespaced=False, subresources=())
class Region(Resource):
    """A part of the cloud, as the catalog speaks of it. The cloud's own region needs no object."""

    class Spec(Data):
        id: str = field("OpenStack id, chosen or made.", default="", immutable=True, openstack="id", selectable=True)
        description: str = field("Free text.", default="", openstack="description")
        parent_id: str = field("Region it lies in.", default="", openstack="parent_region_id", selectable=True)

    spec: Spec = field("The region.", default_factory=Spec)


@kind("catalogservices", group="identity", namespaced=False, subresources=())
class CatalogService(Resource):
    """A service that the catalog shows beside those that this cloud serves itself."""

    class Spec(Data):
        id: str = field("OpenStack id.", default="", immutable=True, openstack="id", selectable=True)
        display_name: str = field("Name.", default="", openstack="name")
        type: str = field("Type, by which clients find it.", column="Type", openstack="type")
        description: str = field("Free text.", default="", openstack="description")
        enabled: bool = field("It is shown in tokens.", default=True, openstack="enabled")

    spec: Spec = field("The service.")


@kind("catalogendpoints", group="identity", namespaced=False, subresources=())
class CatalogEndpoint(Resource):
    """Where a CatalogService answers."""

    class Spec(Data):
        id: str = field("OpenStack id.", default="", immutable=True, openstack="id", selectable=True)
        service_id: str = field("Id of the service.", openstack="service_id", selectable=True)
        region_id: str = field("Region.", default="", openstack="region_id")
        interface: str = field("For whom.", enum=("public", "internal", "admin"), column="Interface")
        url: str = field("Address.", column="URL", openstack="url")
        enabled: bool = field("It is shown in tokens.", default=True, openstack="enabled")

    spec: Spec = field("The endpoint.")


@kind("policydocuments", group="identity", namespaced=False, subresources=())
class PolicyDocument(Resource):
    """A document that a service keeps here (Keystone's /v3/policies). Lichen itself reads none."""

    class Spec(Data):
        id: str = field("OpenStack id.", default="", immutable=True, openstack="id", selectable=True)
        type: str = field("Media type.", openstack="type", column="Type")
        blob: str = field("The document.", openstack="blob", max_length=65535)

    spec: Spec = field("The document.")
