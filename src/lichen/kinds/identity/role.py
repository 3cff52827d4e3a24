# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from lichen.model.data import Data, field
from lichen.model.kind import Resource, kind


@kind("roles", group="identity", namespaced=False, subresources=())
class Role(Resource):
    """A named set of rights. admin, manager, member, reader and service mean something to Lichen; others are labels."""

    class Spec(Data):
        id: str = field("OpenStack id.", default="", immutable=True, openstack="id", selectable=True)
        display_name: str = field("Name as the user wrote it.", default="", openstack="name", selectable=True)
        domain_id: str | None = field("Domain, for a domain's own role.", default=None, openstack="domain_id")
        description: str = field("Free text.", default="", openstack="description")
        implies: list[str] = field("Ids of the roles that come with it.", default_factory=list)
        options: dict[str, bool] = field("Keystone's role options.", default_factory=dict, openstack="options")

    spec: Spec = field("The role.", default_factory=Spec)
