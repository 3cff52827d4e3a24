# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib

from lichen.model.data import Data, field
from lichen.model.kind import Resource, kind


@kind("roleassignments", group="identity", short=("ra",), namespaced=False, subresources=())
class RoleAssignment(Resource):
    """One role, of one user or group, on one project, domain or the system. Its name is a digest of all of that."""

    class Spec(Data):
        role_id: str = field("Role's id.", immutable=True, column="Role", selectable=True)
        user_id: str = field("User's id.", default="", immutable=True, column="User", selectable=True)
        group_id: str = field("Group's id.", default="", immutable=True, column="Group", selectable=True)
        project_id: str = field("Project's id.", default="", immutable=True, column="Project", selectable=True)
        domain_id: str = field("Domain's id.", default="", immutable=True, selectable=True)
        system: bool = field("On the whole system.", default=False, immutable=True)
        inherited: bool = field("For the projects below, not for the thing itself.", default=False, immutable=True)

        def handle(self) -> str:
            """The name of this assignment: the same for the same content, so that create is the lock on it."""
            parts = (self.role_id, self.user_id, self.group_id, self.project_id, self.domain_id)
            text = "\0".join((*parts, str(self.system), str(self.inherited)))
            return hashlib.sha256(text.encode()).hexdigest()[:40]

    spec: Spec = field("Who may do what where.")
