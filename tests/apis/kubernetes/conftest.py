# SPDX-License-Identifier: Apache-2.0
"""A kernel in memory behind the API, on a real port, and kubectl for its admin and for a member of one namespace."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from lichen.apis.kubernetes.app import create_app
from lichen.kernel.kernel import Kernel
from lichen.model.errors import Unauthorized
from lichen.model.kind import Kind
from lichen.model.state import Caller
from lichen.store.memory import MemoryStore
from tests.apis.kubernetes.fake_node import FakeNode
from tests.conformance.kubectl import Kubectl, serving

ADMIN = Caller("admin", ("system:masters", "system:authenticated"))
MEMBER = Caller("mia", ("system:authenticated",))


class TwoCallers:
    """Access for tests: an admin who may do all, and a member who may do all in namespace `team` and get any pod."""

    async def authenticate(self, token: str) -> Caller:
        known = {"admin-token": ADMIN, "member-token": MEMBER}
        if token not in known:
            raise Unauthorized("Unauthorized")
        return known[token]

    def refusal(
        self,
        caller: Caller,
        verb: str,
        kind: Kind,
        namespace: str,
        name: str,
        subresource: str = "",
        fields: str = "",
    ) -> str | None:
        if caller.is_admin:
            return None
        reads_a_pod = verb == "get" and kind.plural == "pods" and not subresource
        return None if caller.name == MEMBER.name and (namespace == "team" or reads_a_pod) else ""

    def refusal_of_path(self, caller: Caller, verb: str, path: str) -> str | None:
        return None if caller.is_admin else ""


@dataclass
class Cloud:
    """What a test talks to."""

    url: str
    certificate: Path
    kernel: Kernel
    node: FakeNode
    folder: Path
    callers: dict[str, Kubectl] = field(default_factory=dict)

    def kubectl(self, token: str, namespace: str = "default") -> Kubectl:
        key = f"{token or 'nobody'}-{namespace}"
        if key not in self.callers:
            self.callers[key] = Kubectl(self.folder / key, self.url, self.certificate, token, namespace)
        return self.callers[key]

    async def apply(self, *objects: dict[str, Any]) -> None:
        """Create objects as the kernel itself."""
        session = self.kernel.acting(ADMIN)
        for obj in objects:
            kind = self.kernel.catalog.by_kind(obj["apiVersion"], obj["kind"])
            assert kind is not None
            await session.create(kind, obj)


@pytest_asyncio.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    kernel = Kernel(MemoryStore(), TwoCallers())
    await kernel.start()
    node = FakeNode()
    async with serving(create_app(kernel, node.app), tmp_path / "tls") as (url, certificate):
        yield Cloud(url, certificate, kernel, node, tmp_path)


@pytest.fixture
def kubectl(cloud: Cloud) -> Kubectl:
    """kubectl of the admin."""
    return cloud.kubectl("admin-token")
