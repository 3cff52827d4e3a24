# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from lichen.model.data import Data, field
from lichen.model.kind import Resource, kind


class PasswordRules(Data):
    """What Keystone calls security_compliance: all off until it is set. What needs a history or an age counts from the
    next change of a password on."""

    regex: str = field("Regular expression that a new password matches.", default="")
    regex_description: str = field("What that asks for, in words: told to whoever misses it.", default="")
    unique_last: int = field("How many of its last passwords a user may not choose again.", default=0, minimum=0)
    minimum_age_days: int = field("Days before users change a password again themselves.", default=0, minimum=0)
    expires_days: int = field("Days after which a password must be changed.", default=0, minimum=0)
    change_upon_first_use: bool = field("A password that an admin gave must be changed first.", default=False)
    lockout_attempts: int = field("Wrong passwords in a row that lock a user out.", default=0, minimum=0)
    lockout_seconds: int = field("For how long; 0: until an admin sets a password.", default=1800, minimum=0)


@kind("domains", group="identity", namespaced=False, subresources=())
class Domain(Resource):
    """A space of names for users, groups and projects. The first is `default`."""

    class Spec(Data):
        id: str = field("OpenStack id.", default="", immutable=True, openstack="id", selectable=True)
        display_name: str = field("Name as the user wrote it.", default="", openstack="name", selectable=True)
        description: str = field("Free text.", default="", openstack="description")
        enabled: bool = field("Its users may log in.", default=True, column="Enabled", openstack="enabled")
        tags: list[str] = field("OpenStack tags.", default_factory=list, openstack="tags")
        password_rules: PasswordRules | None = field("What its users' passwords must be.", default=None)

    spec: Spec = field("The domain.", default_factory=Spec)
