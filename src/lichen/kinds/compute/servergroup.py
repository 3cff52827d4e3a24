# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from lichen.model.data import Data, field
from lichen.model.kind import Resource, kind

POLICIES = ("affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity")


@kind("servergroups", group="compute", subresources=())
class ServerGroup(Resource):
    """Servers that are to share a host, or are not to."""

    class Spec(Data):
        id: str = field(
            "OpenStack id; a fresh UUID by default.", default="", immutable=True, openstack="id", selectable=True
        )
        display_name: str = field("Name as the user wrote it.", default="", openstack="name", selectable=True)
        policy: str = field("How its servers are placed.", immutable=True, enum=POLICIES, column="Policy")
        user_id: str = field("User who made it.", default="", openstack="user_id")

    spec: Spec = field("The rule.")
