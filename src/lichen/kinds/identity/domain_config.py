# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from lichen.model.data import Data, field
from lichen.model.kind import Resource, kind


@kind("domainconfigs", group="identity", namespaced=False, subresources=())
class DomainConfig(Resource):
    """The configuration that Keystone would give a domain's identity driver. It is kept for the tools that write it and
    NOT ACTED ON: users come from Lichen's own directory, there is no LDAP driver. Secret options are in Secret
    `domain-config-<name>` of `lichen-system`."""

    class Spec(Data):
        domain_id: str = field("Domain's id.", immutable=True, column="Domain", selectable=True)
        options: dict[str, str] = field("`group.option` to its value, as JSON.", default_factory=dict)
        secrets: dict[str, str] = field("Secret options. Taken out at admission.", default_factory=dict)

    spec: Spec = field("The configuration.")
