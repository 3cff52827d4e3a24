# SPDX-License-Identifier: Apache-2.0
"""Admission of DomainConfig: its secret options go into a Secret; whoever writes one is told that nothing follows."""

from __future__ import annotations

import msgspec

from lichen.kernel.admission import Request
from lichen.kernel.identity.directory import Directory
from lichen.kernel.identity.kept import Kept
from lichen.kinds.identity.domain_config import DomainConfig
from lichen.model.errors import BadRequest
from lichen.model.kind import Kind
from lichen.model.state import State

WARNING = "it is kept and not acted on: users come from Lichen's own directory, there is no LDAP driver"


class DomainConfigs:
    kinds: tuple[Kind, ...] | None = (DomainConfig.KIND,)
    verbs: tuple[str, ...] = ("create", "update", "delete")

    def __init__(self, store: State, directory: Directory) -> None:
        self._kept = Kept(store)
        self._directory = directory

    async def admit(self, request: Request) -> None:
        secret = f"domain-config-{request.name}"
        if request.verb == "delete":
            request.done.append(lambda: self._kept.remove(secret))
            return
        spec = request.object["spec"]
        if self._directory.domain(spec.get("domainId") or "-") is None:
            raise BadRequest(f"Could not find domain: {spec.get('domainId')}.")
        request.warnings.append(WARNING)
        if secrets := spec.pop("secrets", None):
            text = msgspec.json.encode(secrets).decode()
            request.done.append(lambda: self._kept.put(secret, spec["domainId"], text))
