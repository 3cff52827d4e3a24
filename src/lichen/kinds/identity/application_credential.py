# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from lichen.model.data import Data, field
from lichen.model.kind import Resource, kind


class AllowedCall(Data):
    """A call that the bearer may make. path: `*` is one segment, `**` any number of them."""

    id: str = field("Id of the AccessRule that keeps it.", default="")
    service: str = field("Service's type.")
    method: str = field("HTTP method.")
    path: str = field("Path of the service.")


@kind("applicationcredentials", group="identity", short=("appcred",), namespaced=False, subresources=())
class ApplicationCredential(Resource):
    """A way to log in as a user in one project, with some of its roles, without its password. The hash of its secret is
    in Secret `application-credential-<name>` of `lichen-system`."""

    class Spec(Data):
        id: str = field("OpenStack id.", default="", immutable=True, openstack="id", selectable=True)
        display_name: str = field("Name, unique for its user.", default="", openstack="name", selectable=True)
        description: str = field("Free text.", default="", openstack="description")
        user_id: str = field("User it logs in.", default="", immutable=True, openstack="user_id", selectable=True)
        project_id: str = field(
            "Project it is for.", default="", immutable=True, openstack="project_id", column="Project"
        )
        roles: list[str] = field("Ids of the roles it has; none: all that its user has.", default_factory=list)
        unrestricted: bool = field(
            "Its bearer may make further credentials and trusts.",
            default=False,
            immutable=True,
            openstack="unrestricted",
        )
        expires_at: str = field("When it ends, RFC 3339; empty: never.", default="", column="Expires")
        access_rules: list[AllowedCall] | None = field("The only calls it may be used for.", default=None)
        secret: str = field("What its bearer proves itself with. Hashed and taken out at admission.", default="")

    spec: Spec = field("Whom it logs in, and for what.", default_factory=Spec)


@kind("accessrules", group="identity", namespaced=False, subresources=())
class AccessRule(Resource):
    """A call that application credentials of a user are limited to; kept for the next one when a credential goes."""

    class Spec(Data):
        id: str = field("OpenStack id.", default="", immutable=True, openstack="id", selectable=True)
        user_id: str = field("User it belongs to.", default="", immutable=True, selectable=True)
        service: str = field("Service's type.", immutable=True, column="Service")
        method: str = field("HTTP method.", immutable=True, column="Method")
        path: str = field("Path of the service.", immutable=True, column="Path")

    spec: Spec = field("The call.")
