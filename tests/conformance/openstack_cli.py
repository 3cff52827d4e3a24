# SPDX-License-Identifier: Apache-2.0
"""A cloud that really listens, and the real clients: the openstack CLI as a process, openstacksdk as a library."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import uvicorn

CLI = Path(sys.executable).with_name("openstack")
CLI_SECONDS = 120


@dataclass
class Finished:
    """What a command left behind."""

    code: int
    out: str
    err: str


@dataclass
class Clients:
    """The real clients, logged in to one project of a cloud at `url` (without a path).
    extra: environment of the CLI; "" takes a variable away."""

    url: str
    password: str
    user: str = "admin"
    project: str = "admin"
    home: Path = Path("/nonexistent")
    extra: dict[str, str] = field(default_factory=dict)

    def as_user(self, user: str, project: str, password: str) -> Clients:
        return Clients(self.url, password, user, project, self.home)

    @property
    def auth(self) -> dict[str, str]:
        """What openstacksdk and the CLI log in with."""
        return {
            "auth_url": f"{self.url}/identity",
            "username": self.user,
            "password": self.password,
            "project_name": self.project,
            "user_domain_name": "Default",
            "project_domain_name": "Default",
        }

    async def run(self, *args: str, stdin: bytes = b"") -> Finished:
        """`openstack ARGS`, with nothing of this machine's own settings."""
        settings = {f"OS_{key.upper()}": value for key, value in self.auth.items()}
        env = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(self.home),
            "OS_IDENTITY_API_VERSION": "3",
            "OS_REGION_NAME": "RegionOne",
            "NO_PROXY": "*",
            **settings,
            **self.extra,
        }
        env = {name: value for name, value in env.items() if value}
        process = await asyncio.create_subprocess_exec(
            CLI, *args, env=env, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            out, err = await asyncio.wait_for(process.communicate(stdin), CLI_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise
        return Finished(process.returncode or 0, out.decode(), err.decode())

    async def ok(self, *args: str) -> str:
        """What the command wrote; it must succeed."""
        done = await self.run(*args)
        assert done.code == 0, f"openstack {' '.join(args)} failed:\n{done.err}\n{done.out}"
        return done.out

    async def json(self, *args: str) -> Any:
        """`openstack ARGS -f json`, read."""
        return msgspec.json.decode(await self.ok(*args, "-f", "json"))

    async def refused(self, *args: str) -> str:
        """What the command complained of; it must fail."""
        done = await self.run(*args)
        assert done.code != 0, f"openstack {' '.join(args)} succeeded:\n{done.out}"
        return done.err

    def sdk(self) -> Any:
        """An openstacksdk connection: blocking, so use it through asyncio.to_thread."""
        import openstack

        return openstack.connect(
            auth=self.auth, region_name="RegionOne", identity_interface="public", load_yaml_config=False,
            load_envvars=False,
        )  # fmt: skip


@contextlib.asynccontextmanager
async def listening(app: Any) -> AsyncIterator[str]:
    """The URL of an ASGI app on a free port of this machine."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[method-assign,attr-defined]
    task = asyncio.create_task(server._serve())
    try:
        while not server.started:
            if task.done():
                await task
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task
