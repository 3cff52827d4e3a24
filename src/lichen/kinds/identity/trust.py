# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from lichen.model.data import Data, field
from lichen.model.kind import Resource, kind


@kind("trusts", group="identity", namespaced=False, subresources=())
class Trust(Resource):
    """A user lets another act with some of its roles in one project."""

    class Spec(Data):
        id: str = field("OpenStack id.", default="", immutable=True, openstack="id", selectable=True)
        trustor_user_id: str = field("Who trusts.", default="", immutable=True, selectable=True)
        trustee_user_id: str = field("Who is trusted.", immutable=True, selectable=True)
        project_id: str = field("Where.", default="", immutable=True)
        roles: list[str] = field("Ids of the roles that are delegated.", immutable=True)
        impersonation: bool = field("The trustee appears as the trustor.", default=False, immutable=True)
        expires_at: str = field("When it ends, RFC 3339; empty: never.", default="", immutable=True, column="Expires")

    spec: Spec = field("Who lets whom do what.")
