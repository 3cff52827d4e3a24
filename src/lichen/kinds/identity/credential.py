# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from lichen.model.data import Data, field
from lichen.model.kind import Resource, kind


@kind("credentials", group="identity", namespaced=False, subresources=())
class Credential(Resource):
    """A secret that a user keeps here, such as an EC2 key pair. Its blob is in Secret `credential-<name>` of
    `lichen-system`; CredentialDisclosure shows it to its user."""

    class Spec(Data):
        id: str = field("OpenStack id.", default="", immutable=True, openstack="id", selectable=True)
        user_id: str = field("User it belongs to.", default="", immutable=True, selectable=True, openstack="user_id")
        project_id: str = field("Project it is for.", default="", immutable=True, openstack="project_id")
        type: str = field("ec2, totp, cert…", immutable=True, column="Type", openstack="type")
        blob: str = field("The secret. Taken out at admission.", default="", openstack="blob")

    spec: Spec = field("Whose, and what for.")


@kind("credentialdisclosures", group="identity", namespaced=False, verbs=("create",), subresources=())
class CredentialDisclosure(Resource):
    """The secrets of a user's credentials, for that user and the cloud's admin. Never stored."""

    class Spec(Data):
        names: list[str] = field("Names of the Credentials.")

    class Status(Data):
        blobs: dict[str, str] = field("Secrets by name.", default_factory=dict)

    spec: Spec = field("Which.")
    status: Status = field("The secrets.", default_factory=Status)
