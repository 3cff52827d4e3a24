# SPDX-License-Identifier: Apache-2.0
"""The agent of another machine, reached over HTTPS, behaves as one in the same process."""

import asyncio
import json
from pathlib import Path

import pytest

from lichen.apis.kubernetes.app import create_app
from lichen.apis.kubernetes.proxy import RemoteNode, remote_node
from lichen.apis.kubernetes.request import AsgiApp, Receive, Scope, Send
from lichen.kernel.kernel import Kernel
from lichen.model.errors import NotFound
from lichen.store.memory import MemoryStore
from tests.apis.kubernetes.conftest import ADMIN, TwoCallers
from tests.apis.kubernetes.fake_node import FakeNode
from tests.apis.kubernetes.objects import a_pod
from tests.conformance.kubectl import Kubectl, serving, trusting


async def test_logs_and_exec_through_a_remote_agent(tmp_path: Path) -> None:
    node = FakeNode()
    kernel = Kernel(MemoryStore(), TwoCallers())
    await kernel.start()
    kind = kernel.catalog.by_kind("v1", "Pod")
    assert kind is not None
    await kernel.acting(ADMIN).create(kind, a_pod("p", node="n1"))
    async with serving(await node.app("n1"), tmp_path / "agent") as (agent, agent_certificate):
        remote = remote_node(agent, trusting(agent_certificate), "node-token")

        async def node_app(name: str) -> AsgiApp:
            return remote

        async with serving(create_app(kernel, node_app), tmp_path / "api") as (url, certificate):
            kubectl = Kubectl(tmp_path / "k", url, certificate, "admin-token")
            assert await kubectl.ok("logs", "-f", "p") == "line 0\nline 1\nline 2\n"
            assert await kubectl.ok("exec", "p", "--", "echo", "a b/ü") == (
                "command=echo&command=a+b%2F%C3%BC&stderr=true&stdout=true\n"
            )
            assert (await kubectl.run("exec", "p", "--", "false")).code == 7
            result = await kubectl.run("exec", "-i", "p", "--", "cat", input="hello\n")
            assert result.out.splitlines()[-1] == "HELLO"
        await remote.close()
    assert node.calls[0][3]["authorization"] == "Bearer node-token"


async def test_an_agent_that_is_gone_is_unavailable(tmp_path: Path) -> None:
    kernel = Kernel(MemoryStore(), TwoCallers())
    await kernel.start()
    kind = kernel.catalog.by_kind("v1", "Pod")
    assert kind is not None
    await kernel.acting(ADMIN).create(kind, a_pod("p", node="n1"))
    remote = RemoteNode("http://127.0.0.1:9", None, "")

    async def node_app(name: str) -> AsgiApp:
        return remote

    async with serving(create_app(kernel, node_app), tmp_path / "api") as (url, certificate):
        kubectl = Kubectl(tmp_path / "k", url, certificate, "admin-token")
        assert "agent cannot be reached" in await kubectl.fails("logs", "p")
        assert "agent cannot be reached" in await kubectl.fails("exec", "p", "--", "ls")
    await remote.close()


async def test_a_node_that_is_not_known_is_named(tmp_path: Path) -> None:
    kernel = Kernel(MemoryStore(), TwoCallers())
    await kernel.start()
    kind = kernel.catalog.by_kind("v1", "Pod")
    assert kind is not None
    await kernel.acting(ADMIN).create(kind, a_pod("p", node="n1"))

    async def node_app(name: str) -> AsgiApp:
        raise NotFound(f'node "{name}" is not known')

    async with serving(create_app(kernel, node_app), tmp_path / "api") as (url, certificate):
        kubectl = Kubectl(tmp_path / "k", url, certificate, "admin-token")
        assert 'node "n1" is not known' in await kubectl.fails("logs", "p")
        assert 'node "n1" is not known' in await kubectl.fails("exec", "p", "--", "ls")


@pytest.mark.parametrize("status", [404, 503])
async def test_a_refusal_of_the_agent_is_passed_on(tmp_path: Path, status: int) -> None:
    async def agent(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            body = json.dumps({"kind": "Status", "message": "no such container", "code": status}).encode()
            await send({"type": "http.response.start", "status": status, "headers": [(b"x-from", b"agent")]})
            await send({"type": "http.response.body", "body": body})

    sent = []

    async def send(message: object) -> None:
        sent.append(message)

    async with serving(agent, tmp_path / "agent") as (url, certificate):
        remote = remote_node(url, trusting(certificate), "t")
        scope = {"type": "http", "method": "GET", "path": "/x", "query_string": b"", "headers": []}
        first = True

        async def receive_once() -> dict[str, object]:
            nonlocal first
            if first:
                first = False
                return {"type": "http.request", "body": b"", "more_body": False}
            await asyncio.sleep(30)
            raise AssertionError

        await remote(scope, receive_once, send)
        await remote.close()
    assert sent[0]["status"] == status  # type: ignore[index]
