# SPDX-License-Identifier: Apache-2.0
"""The Kubernetes API over a kernel in memory, on a unix socket, and a client for it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from lichen.apis.kubernetes.app import create_app
from lichen.client.remote import RemoteCloud
from lichen.kernel.kernel import Kernel
from lichen.kinds.builtin import SELF_SUBJECT_REVIEW
from lichen.model.caller import to_user_info
from lichen.model.data import Object
from lichen.model.errors import NotFound, Unauthorized
from lichen.model.kind import Kind
from lichen.model.state import Caller
from lichen.store import MemoryStore

ADMIN = Caller("admin", ("system:masters",), user_id="1" * 32, roles=("admin", "reader"), scope="project")
NOBODY = Caller("nobody", ("system:authenticated",))
CALLERS = {"admin-token": ADMIN, "nobody-token": NOBODY}


class TwoCallers:
    """Access for tests: an admin who may do all, and one who may do nothing."""

    async def authenticate(self, token: str) -> Caller:
        if token not in CALLERS:
            raise Unauthorized("Unauthorized")
        return CALLERS[token]

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
        return None if caller.is_admin else ""


async def who_am_i(caller: Caller, obj: Object) -> Object:
    return {**obj, "status": {"userInfo": to_user_info(caller)}}


async def no_node(name: str) -> Any:
    raise NotFound(name)


@asynccontextmanager
async def served(app: Any, path: Path) -> AsyncIterator[uvicorn.Server]:
    """An ASGI app on a unix socket while the block lasts."""
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        config = uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve([listening]))
        while not server.started:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        try:
            yield server
        finally:
            server.should_exit = True
            await task


@pytest.fixture
async def kernel() -> Kernel:
    kernel = Kernel(MemoryStore(), TwoCallers())
    kernel.virtual.register(SELF_SUBJECT_REVIEW, who_am_i, public=True)
    await kernel.start()
    return kernel


@pytest.fixture
async def cloud(kernel: Kernel, tmp_path: Path) -> AsyncIterator[RemoteCloud]:
    path = tmp_path / "api.sock"
    async with (
        served(create_app(kernel, no_node), path),
        RemoteCloud(f"unix://{path}", token="admin-token", patience=2) as cloud,
    ):
        yield cloud
