# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from lichen.model.data import Data, field
from lichen.model.kind import Resource, kind


@kind("users", group="identity", namespaced=False, subresources=())
class User(Resource):
    """A person or a service that can log in. The password's hash is in Secret `user-<name>` of `lichen-system`."""

    class Spec(Data):
        id: str = field("OpenStack id.", default="", immutable=True, openstack="id", selectable=True)
        display_name: str = field(
            "Login name as the user wrote it, unique in its domain.", default="", openstack="name", selectable=True
        )
        domain_id: str = field(
            "Domain's id.", default="default", immutable=True, column="Domain", openstack="domain_id", selectable=True
        )
        description: str = field("Free text.", default="", openstack="description")
        email: str = field("Address.", default="", openstack="email")
        enabled: bool = field("May log in.", default=True, column="Enabled", openstack="enabled")
        default_project_id: str = field(
            "Project of a token without a scope.", default="", openstack="default_project_id"
        )
        tokens_valid_after: str = field("Tokens issued before are revoked, RFC 3339.", default="")
        password_expires_at: str = field("When its password must be changed, RFC 3339; empty: never.", default="")
        options: dict[str, bool] = field("Keystone's user options.", default_factory=dict, openstack="options")
        extra: dict[str, str] = field("Further attributes.", default_factory=dict)

    spec: Spec = field("The user.", default_factory=Spec)
