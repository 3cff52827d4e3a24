# SPDX-License-Identifier: Apache-2.0
"""The driver of host processes: the conformance suite as whoever runs the tests, without control groups."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lichen.drivers.base import ContainerPhase, ContainerSpec
from lichen.drivers.process import crilog
from lichen.drivers.process.crilog import Log
from lichen.drivers.process.host import Host
from lichen.drivers.process.orders import read_started
from lichen.drivers.process.places import Places
from lichen.drivers.process.pods import ProcessPods
from lichen.drivers.process.watch import connected, followed
from lichen.model.errors import Permanent, Temporary
from tests.conformance.hosts import a_host
from tests.conformance.pods import (
    PodConformance,
    Reopened,
    container_of,
    finished,
    listening,
    log_of,
    state_of,
    until_exited,
)


class TestProcessPods(PodConformance):
    runtime = "process"

    @pytest.fixture
    async def pods(self, tmp_path: Path) -> AsyncIterator[ProcessPods]:
        tmp_path.chmod(0o755)
        with a_host(tmp_path / "host") as host:
            driver = ProcessPods(tmp_path / "process", host, uid=os.getuid(), gid=os.getgid(), cgroup="")
            yield driver
            await driver.cleanup()

    @pytest.fixture
    async def reopened(self, pods: ProcessPods, tmp_path: Path) -> AsyncIterator[Reopened]:
        made: list[ProcessPods] = []

        async def reopen() -> ProcessPods:
            await pods.close()
            made.append(
                ProcessPods(tmp_path / "process", tmp_path / "host", uid=os.getuid(), gid=os.getgid(), cgroup="")
            )
            return made[0]

        yield reopen
        for driver in made:
            await driver.close()

    async def test_a_killed_process_is_seen_at_once_and_as_137(self, pods: ProcessPods, tmp_path: Path) -> None:
        async with listening(pods) as told:
            pod = await self.started(pods)
            started = read_started(Places(tmp_path / "process").attempt(pod.uid, "main", 0))
            assert started is not None
            os.kill(started.process.pid, signal.SIGKILL)
            await told(pod.uid)
            state = await container_of(pods, pod)
        assert (state.phase, state.exit_code) == (ContainerPhase.EXITED, 137)

    async def test_a_process_dies_with_its_host(self, pods: ProcessPods, tmp_path: Path) -> None:
        async with listening(pods) as told:
            pod = await self.started(pods)
            started = read_started(Places(tmp_path / "process").attempt(pod.uid, "main", 0))
            assert started is not None
            os.kill(started.host.pid, signal.SIGKILL)
            await told(pod.uid)
        assert (await until_exited(pods, pod)).exit_code == 137
        assert not started.process.alive()
        assert not (await state_of(pods, pod)).ready

    async def test_what_a_process_leaves_behind_ends_with_it(self, pods: ProcessPods) -> None:
        pod = await self.started(pods, self.a_container("sleep 1234 & echo $!; exit 0"))
        child = int((await log_of(pods, pod))[0].split()[1])
        await until_exited(pods, pod)
        stat = Path(f"/proc/{child}/stat")
        assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"

    async def test_a_container_inherits_its_listening_socket(self, pods: ProcessPods, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            driver = ProcessPods(tmp_path / "listen", tmp_path / "host", uid=os.getuid(), gid=os.getgid(), cgroup="",
                                 sockets={"api": server.fileno()})  # fmt: skip
            pod = self.a_pod()
            await driver.start_sandbox(pod)
            script = (
                "import os, socket\n"
                "print(os.environ['LISTEN_FDS'], os.environ['LISTEN_FDNAMES'], "
                "os.environ['LISTEN_PID'] == str(os.getpid()), flush=True)\n"
                "connection, _ = socket.socket(fileno=3).accept()\n"
                "connection.sendall(b'served')\n"
            )
            container = ContainerSpec("main", "x", command=("python3", "-c", script), listen="api",
                                      env={"PATH": os.environ["PATH"]})  # fmt: skip
            await driver.start_container(pod, container, attempt=0)
            assert await log_of(driver, pod) == ["stdout 1 api True"]
            with socket.create_connection(server.getsockname()) as client:
                assert client.recv(10) == b"served"
            await driver.cleanup()

    async def test_a_socket_that_is_not_open_is_awaited(self, pods: ProcessPods) -> None:
        pod = self.a_pod()
        await pods.start_sandbox(pod)
        with pytest.raises(Temporary):
            await pods.start_container(pod, self.a_container(listen="absent"), attempt=0)

    async def test_root_is_refused(self, pods: ProcessPods) -> None:
        pod = self.a_pod()
        await pods.start_sandbox(pod)
        for container in (self.a_container(run_as_user=0), self.a_container(privileged=True)):
            with pytest.raises(Permanent):
                await pods.start_container(pod, container, attempt=0)

    async def test_a_terminal_has_the_size_it_was_given(self, pods: ProcessPods) -> None:
        pod = await self.started(pods)
        command = await pods.exec(pod.uid, "main", ("sh",), tty=True, stdin=True)
        command.resize(123, 45)
        command.stdin(b"stty size; exit 5\n")
        out, _, code = await finished(command)
        assert b"45 123" in out
        assert code == 5

    async def test_long_lines_are_cut_and_the_last_may_have_no_end(self, pods: ProcessPods) -> None:
        pod = await self.started(pods, self.a_container("head -c 20000 /dev/zero | tr '\\0' x; exit 0"))
        await until_exited(pods, pod)
        lines = pods.log_path(pod.uid, "main", 0).read_text().splitlines()
        assert [line.split(" ", 3)[2] for line in lines] == ["P", "P"]
        assert sum(len(line.split(" ", 3)[3]) for line in lines) == 20000

    async def test_no_new_privileges_can_be_had(self, pods: ProcessPods) -> None:
        pod = await self.started(pods, self.a_container("grep NoNewPrivs /proc/self/status; exec sleep 1000"))
        assert await log_of(pods, pod) == ["stdout NoNewPrivs:\t1"]

    async def test_a_command_is_given_nothing_of_the_hosts_open_files(self, pods: ProcessPods) -> None:
        pod = await self.started(pods, self.a_container("ls /proc/$$/fd; exec sleep 1000"))
        assert await log_of(pods, pod, lines=3) == ["stdout 0", "stdout 1", "stdout 2"]

    async def test_what_cannot_be_run_leaves_the_host_nothing_open(self, pods: ProcessPods) -> None:
        pod = await self.started(pods)
        started = read_started(pods._places.attempt(pod.uid, "main", 0))
        assert started is not None
        open_files = Path(f"/proc/{started.host.pid}/fd")
        before = len(os.listdir(open_files))
        bad = ContainerSpec("bad", "x", command=("/no/such/command",))
        for attempt in range(10):
            await pods.start_container(pod, bad, attempt=attempt)
        state = next(c for c in (await state_of(pods, pod)).containers if c.name == "bad")
        assert (state.exit_code, state.reason) == (128, "StartError")
        for _ in range(500):  # the last connection's end is heard in a moment
            if len(os.listdir(open_files)) == before:
                break
            await asyncio.sleep(0.01)
        assert len(os.listdir(open_files)) == before

    async def test_without_a_host_nothing_is_started_and_it_is_tried_again(self, pods: ProcessPods, tmp_path: Path):
        driver = ProcessPods(tmp_path / "alone", tmp_path / "nobody", uid=os.getuid(), gid=os.getgid(), cgroup="")
        pod = self.a_pod()
        await driver.start_sandbox(pod)
        with pytest.raises(Temporary, match="host of processes"):
            await driver.start_container(pod, self.a_container(), attempt=0)
        found = (await driver.discover())[pod.uid]
        assert found.containers == ()

    async def test_the_host_hears_nobody_but_its_own_user(self, pods: ProcessPods, tmp_path: Path) -> None:
        assert (tmp_path / "host").stat().st_mode & 0o777 == 0o600
        with followed(tmp_path / "host", tmp_path / "unknown") as connection:
            connection.settimeout(5)
            assert connection.recv(10) == b""

    async def test_nonsense_at_the_hosts_socket_harms_nobody(self, pods: ProcessPods, tmp_path: Path) -> None:
        pod = await self.started(pods)
        for words in (b"start", b"follow", b"\xff\xfe", b"x" * 5000):
            with connected(tmp_path / "host") as connection:
                connection.settimeout(5)
                connection.send(words)
                assert connection.recv(10) == b""
        with connected(tmp_path / "host") as connection, (tmp_path / "order").open("w+b") as order:
            order.write(b"no order")
            order.flush()
            socket.send_fds(connection, [b"start"], [order.fileno()])
            connection.settimeout(5)
            assert connection.recv(10) == b""
        assert (await container_of(pods, pod)).phase is ContainerPhase.RUNNING

    async def test_a_host_that_stops_asks_first_and_kills_who_does_not_listen(self, tmp_path: Path) -> None:
        host = Host(tmp_path / "own")
        serving = asyncio.get_running_loop().run_in_executor(None, lambda: [host.wait(0.1) for _ in range(20)])
        driver = ProcessPods(tmp_path / "stopped", tmp_path / "own", uid=os.getuid(), gid=os.getgid(), cgroup="")
        for script in ("trap 'exit 7' TERM; echo ready; while :; do sleep 0.1; done",
                       "trap '' TERM; echo ready; while :; do sleep 0.1; done"):  # fmt: skip
            pod = self.a_pod()
            await driver.start_sandbox(pod)
            await driver.start_container(pod, self.a_container(script), attempt=0)
            assert await log_of(driver, pod) == ["stdout ready"]
        await serving
        await asyncio.to_thread(host.stop, 1.0)
        codes = sorted(c.exit_code for pod in (await driver.discover()).values() for c in pod.containers)
        assert codes == [7, 137]
        await driver.cleanup()


def test_a_log_that_cannot_be_set_aside_goes_on_in_its_own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(crilog, "ROTATE", 10)
    (tmp_path / "logs").mkdir()
    record = Log(str(tmp_path / "logs/0.log"))
    record.add("stdout", b"one\n")
    assert (tmp_path / "logs/0.log.1").read_text().endswith("stdout F one\n")
    for path in (tmp_path / "logs").iterdir():
        path.unlink()
    (tmp_path / "logs").rmdir()
    with (tmp_path / "another's").open("wb") as other:  # which would be given the number of a file closed too soon
        record.add("stdout", b"two\n")
        record.add("stdout", b"three\n")
        record.close()
        assert os.fstat(other.fileno()).st_size == 0
    assert (tmp_path / "another's").read_bytes() == b""
