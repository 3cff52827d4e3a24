# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from lichen.agent.app import NodeApp
from lichen.agent.consoles import follow_console, what_is_new
from lichen.drivers.base import Speaking
from lichen.kinds.builtin import POD
from lichen.model.data import Object
from lichen.model.meta import uid_of
from tests.agent.world import World, a_pod, an_agent, boot, run_pod


class Client:
    """Speaks ASGI to the application, as a server in front of it would."""

    def __init__(self, app: NodeApp) -> None:
        self._app = app

    async def get(self, path: str, query: str = "", token: str = "") -> tuple[int, bytes]:
        stream = Stream(self._app, path, query, token)
        async with asyncio.timeout(5):
            body = b"".join([chunk async for chunk in stream])
        return stream.status, body

    def stream(self, path: str, query: str = "") -> Stream:
        return Stream(self._app, path, query, "")

    def socket(self, path: str, query: str, protocols: tuple[str, ...] = ("v5.channel.k8s.io",)) -> Socket:
        return Socket(self._app, path, query, protocols)


class Stream:
    """One GET: its body chunk by chunk."""

    def __init__(self, app: NodeApp, path: str, query: str, token: str) -> None:
        headers = [(b"authorization", f"Bearer {token}".encode())] if token else []
        self._scope = {"type": "http", "path": path, "query_string": query.encode(), "headers": headers}
        self._app = app
        self.status = 0
        self._sent: asyncio.Queue[Any] = asyncio.Queue()
        self.gone = asyncio.Event()

    async def __aiter__(self) -> Any:
        task = asyncio.create_task(self._app(self._scope, self._receive, self._sent.put))
        try:
            while True:
                message = await self._sent.get()
                if message["type"] == "http.response.start":
                    self.status = message["status"]
                    continue
                if message.get("body"):
                    yield message["body"]
                if not message.get("more_body"):
                    return
        finally:
            self.gone.set()
            await asyncio.wait_for(task, 5)

    async def _receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}


class Socket:
    """One WebSocket, entered with `async with`."""

    def __init__(self, app: NodeApp, path: str, query: str, protocols: tuple[str, ...]) -> None:
        self._scope = {
            "type": "websocket", "path": path, "query_string": query.encode(), "headers": [],
            "subprotocols": list(protocols),
        }  # fmt: skip
        self._app = app
        self._to: asyncio.Queue[Any] = asyncio.Queue()
        self._from: asyncio.Queue[Any] = asyncio.Queue()

    async def __aenter__(self) -> Socket:
        self._to.put_nowait({"type": "websocket.connect"})
        self._task = asyncio.create_task(self._app(self._scope, self._to.get, self._from.put))
        self.first = await asyncio.wait_for(self._from.get(), 5)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._to.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await asyncio.wait_for(self._task, 5)

    def send(self, channel: int, data: bytes) -> None:
        self._to.put_nowait({"type": "websocket.receive", "bytes": bytes([channel]) + data})

    async def receive(self) -> tuple[int, bytes]:
        message = await asyncio.wait_for(self._from.get(), 5)
        assert message["type"] == "websocket.send", message
        return message["bytes"][0], message["bytes"][1:]

    async def all(self) -> tuple[bytes, bytes, Object]:
        """(stdout, stderr, the Status at the end)"""
        said = {1: b"", 2: b"", 3: b""}
        while True:
            message = await asyncio.wait_for(self._from.get(), 5)
            if message["type"] == "websocket.close":
                return said[1], said[2], msgspec.json.decode(said[3])
            said[message["bytes"][0]] += message["bytes"][1:]


@pytest.fixture
def client(world: World) -> Client:
    return Client(world.agent.app)


def a_talker(script: str, **spec: Any) -> Object:
    return a_pod("web", {"name": "main", "image": "busybox", "command": ["sh", "-c", script]}, **spec)


LOG = "/pods/demo/web/main/log"
EXEC = "/pods/demo/web/main/exec"


async def test_a_node_says_that_it_is_well(client: Client):
    assert await client.get("/healthz") == (200, b"ok")


async def test_a_log_is_what_the_container_said(world: World, client: Client):
    await run_pod(world, a_talker("echo one; echo two >&2; echo three; sleep 1000"))
    assert await client.get(LOG) == (200, b"one\ntwo\nthree\n")


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("tailLines=1", b"three\n"),
        ("tailLines=0", b""),
        ("tailLines=99", b"one\ntwo\nthree\n"),
        ("limitBytes=5", b"one\nt"),
        ("sinceSeconds=3600", b"one\ntwo\nthree\n"),
        ("sinceTime=2999-01-01T00:00:00Z", b""),
        ("stream=Stderr", b"two\n"),
        ("stream=Stdout&tailLines=1", b"three\n"),
    ],
)
async def test_a_log_can_be_asked_for_in_part(world: World, client: Client, query: str, body: bytes):
    await run_pod(world, a_talker("echo one; echo two >&2; echo three; sleep 1000"))
    assert await client.get(LOG, query) == (200, body)


async def test_who_asks_an_agent_that_has_just_begun_is_answered_when_it_knows_its_pods(world: World):
    await run_pod(world, a_talker("echo one; sleep 1000"))
    await world.stop()
    world.agent, world.guests, world.pods = an_agent(world.store, world.machine, world.root, pool=world.pool)
    asked = asyncio.create_task(Client(world.agent.app).get(LOG))
    await asyncio.sleep(0.05)
    assert not asked.done()
    world.task = asyncio.create_task(world.agent.run())
    assert await asked == (200, b"one\n")


async def test_a_log_can_have_its_times(world: World, client: Client):
    await run_pod(world, a_talker("echo one; sleep 1000"))
    _, body = await client.get(LOG, "timestamps=true")
    stamp, text = body.split(b" ")
    assert (stamp[-1:], text) == (b"Z", b"one\n")


async def test_a_followed_log_goes_on_until_the_container_ends(world: World, client: Client):
    await run_pod(world, a_talker("echo one; sleep 0.3; echo two; sleep 0.3; echo three", restartPolicy="Never"))
    assert await client.get(LOG, "follow=true") == (200, b"one\ntwo\nthree\n")


async def test_a_follower_may_go_away(world: World, client: Client):
    await run_pod(world, a_talker("echo one; sleep 1000"))
    async for chunk in (stream := client.stream(LOG, "follow=true")):
        assert chunk == b"one\n"
        break
    await asyncio.sleep(0)
    assert stream.status == 200


async def test_the_log_of_the_attempt_before_is_kept(world: World, client: Client):
    pod = await run_pod(world, a_talker("echo $HOSTNAME; sleep 1000"))
    await world.pods.kill(uid_of(pod), "main")
    await world.until(POD, "web", lambda p: p["status"]["containerStatuses"][0]["restartCount"] == 1)
    assert await client.get(LOG, "previous=true") == (200, b"web\n")


@pytest.mark.parametrize(
    ("path", "query", "code", "words"),
    [
        ("/pods/demo/absent/main/log", "", 404, b'pods \\"absent\\" not found'),
        ("/pods/demo/web/absent/log", "", 400, b"container absent is not valid for pod web"),
        (LOG, "tailLines=x", 400, b"tailLines must be a number"),
        (LOG, "tailLines=-1", 400, b"tailLines must be a number"),
        (LOG, "stream=x", 400, b"stream must be"),
        (LOG, "previous=true", 400, b"previous terminated container"),
        ("/servers/demo/absent/log", "", 404, b'servers \\"absent\\" not found'),
        ("/nowhere", "", 404, b"no page"),
    ],
)
async def test_bad_questions_are_answered_with_a_status(
    world: World, client: Client, path: str, query: str, code: int, words: bytes
):
    await run_pod(world, a_talker("sleep 1000"))
    status, body = await client.get(path, query)
    assert status == code
    assert words in body
    assert msgspec.json.decode(body)["kind"] == "Status"


async def test_exec_carries_output_and_exit_code(world: World, client: Client):
    await run_pod(world, a_pod())
    query = "command=sh&command=-c&command=echo+out%3B+echo+err+%3E%262%3B+exit+7&stdout=true&stderr=true"
    async with client.socket(EXEC, query) as socket:
        assert socket.first == {"type": "websocket.accept", "subprotocol": "v5.channel.k8s.io"}
        out, err, status = await socket.all()
    assert (out, err) == (b"out\n", b"err\n")
    assert status["reason"] == "NonZeroExitCode"
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "7"}]


async def test_exec_that_ends_well_says_success(world: World, client: Client):
    await run_pod(world, a_pod())
    async with client.socket(EXEC, "command=hostname&stdout=true", ("v4.channel.k8s.io",)) as socket:
        assert socket.first["subprotocol"] == "v4.channel.k8s.io"
        assert await socket.all() == (b"web\n", b"", {"metadata": {}, "status": "Success"})


async def test_exec_reads_stdin_until_it_is_closed(world: World, client: Client):
    await run_pod(world, a_pod())
    async with client.socket(EXEC, "command=cat&stdin=true&stdout=true") as socket:
        socket.send(0, b"hello\n")
        socket.send(4, b'{"Width":80,"Height":24}')
        socket.send(4, b"nonsense")
        socket.send(255, b"\x00")
        assert (await socket.all())[0] == b"hello\n"


async def test_exec_with_a_terminal_is_a_shell(world: World, client: Client):
    await run_pod(world, a_pod())
    async with client.socket(EXEC, "command=sh&stdin=true&stdout=true&tty=true") as socket:
        socket.send(0, b"hostname\n")
        socket.send(0, b"exit 3\n")
        out, _, status = await socket.all()
    assert b"web\n" in out
    assert status["details"]["causes"][0]["message"] == "3"


async def test_a_client_that_goes_away_ends_its_command(world: World, client: Client):
    await run_pod(world, a_pod())
    async with client.socket(EXEC, "command=sleep&command=1000&stdout=true"):
        pass


@pytest.mark.parametrize("protocols", [(), ("v1.channel.k8s.io",)])
async def test_exec_needs_a_protocol_that_both_speak(world: World, client: Client, protocols: tuple[str, ...]):
    await run_pod(world, a_pod())
    async with client.socket(EXEC, "command=true", protocols) as socket:
        assert socket.first["type"] == "websocket.close"


async def test_exec_in_a_container_that_ended_is_refused(world: World, client: Client):
    await run_pod(world, a_talker("exit 0", restartPolicy="Never"), "Succeeded")
    async with client.socket(EXEC, "command=true") as socket:
        assert socket.first["type"] == "websocket.accept"
        _, _, status = await socket.all()
    assert (status["code"], status["reason"]) == (404, "NotFound")
    assert status["message"] == 'container "main" of pod "web" is not running'


async def test_attach_gives_a_container_its_input_and_shows_its_output(world: World, client: Client):
    pod = a_talker("cat; echo over", restartPolicy="Never")
    pod["spec"]["containers"][0] |= {"stdin": True, "stdinOnce": True}
    await run_pod(world, pod)
    async with client.socket("/pods/demo/web/main/attach", "stdin=true&stdout=true&stderr=true") as socket:
        socket.send(0, b"one\n")
        socket.send(255, b"\x00")
        assert (await socket.all())[0] == b"one\nover\n"


async def test_attach_shows_what_comes(world: World, client: Client):
    await run_pod(world, a_talker("sleep 0.3; echo later", restartPolicy="Never"))
    async with client.socket("/pods/demo/web/main/attach", "stdout=true") as socket:
        assert (await socket.all())[0] == b"later\n"


async def test_a_console_is_what_the_guest_wrote(world: World, client: Client):
    await boot(world)
    await asyncio.sleep(0.1)
    status, body = await client.get("/servers/demo/web/log")
    assert (status, b"hostname set to web" in body) == (200, True)
    assert await client.get("/servers/demo/web/log", "tail=1") == (200, b"web login:\n")


async def test_a_console_is_followed_as_the_guest_writes_it(world: World, client: Client):
    await boot(world)
    server = next(iter(world.agent._shared.sources.servers.items.values()))
    driver = world.agent.servers.driver
    assert isinstance(driver, Speaking)
    said = b""
    async with asyncio.timeout(10):
        async for chunk in follow_console(driver, server["spec"]["id"], 0):
            said += chunk
            if b"web login:" in said:
                break
    assert said.count(b"hostname set to web") == 1


def test_what_a_console_adds_is_found_again_after_its_beginning_was_forgotten():
    old = b"".join(b"line %d\n" % n for n in range(100))
    assert what_is_new(b"a\nb\n", b"a\nb\nc\n") == b"c\n"
    assert what_is_new(old, old[300:] + b"more\n") == b"more\n"
    assert what_is_new(b"old\n", b"quite new\n") == b"quite new\n"


@pytest.mark.parametrize(("token", "code"), [("", 401), ("wrong", 403), ("right", 200)])
async def test_only_the_kernel_may_call(world: World, token: str, code: int):
    await run_pod(world, a_talker("sleep 1000"))
    agent = world.agent
    app = NodeApp(
        agent.pods,
        agent.servers,
        agent._shared.sources,
        world.machine.clock,
        agent.meter,
        may_call=lambda t: t == "right",
    )
    assert (await Client(app).get(LOG, token=token))[0] == code
    assert (await Client(app).get("/healthz"))[0] == 200
