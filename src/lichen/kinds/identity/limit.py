# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from lichen.model.data import Data, field
from lichen.model.kind import Resource, kind


@kind("registeredlimits", group="identity", namespaced=False, subresources=())
class RegisteredLimit(Resource):
    """The default limit on a resource of a service beside this cloud (Keystone's unified limits). What Lichen serves
    itself is limited by ResourceQuota."""

    class Spec(Data):
        id: str = field("OpenStack id.", default="", immutable=True, openstack="id", selectable=True)
        service_id: str = field("Id of the CatalogService.", openstack="service_id", column="Service")
        region_id: str = field("Region; empty: any.", default="", openstack="region_id")
        resource_name: str = field("What is counted.", openstack="resource_name", column="Resource")
        default_limit: int = field("How many; -1: any number.", openstack="default_limit", column="Limit", minimum=-1)
        description: str = field("Free text.", default="", openstack="description")

    spec: Spec = field("The limit.")


@kind("ownlimits", group="identity", namespaced=False, subresources=())
class Limit(Resource):
    """A project's or a domain's own limit, in the place of a RegisteredLimit."""

    class Spec(Data):
        id: str = field("OpenStack id.", default="", immutable=True, openstack="id", selectable=True)
        service_id: str = field("Id of the CatalogService.", immutable=True, openstack="service_id", column="Service")
        region_id: str = field("Region; empty: any.", default="", immutable=True, openstack="region_id")
        resource_name: str = field("What is counted.", immutable=True, openstack="resource_name", column="Resource")
        project_id: str = field("Project's id.", default="", immutable=True, openstack="project_id", selectable=True)
        domain_id: str = field("Domain's id.", default="", immutable=True, openstack="domain_id", selectable=True)
        resource_limit: int = field("How many; -1: any number.", openstack="resource_limit", column="Limit", minimum=-1)
        description: str = field("Free text.", default="", openstack="description")

    spec: Spec = field("The limit.")
