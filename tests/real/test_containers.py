# SPDX-License-Identifier: Apache-2.0
"""Pods by a real containerd with runc and crun, and host processes in real control groups. As root."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from lichen.drivers import cgroups
from lichen.drivers.base import ContainerPhase, ContainerSpec, Mount, PodSpec, PortSpec
from lichen.drivers.containerd import ContainerdPods, leftovers, logs, rpc
from lichen.drivers.containerd.busybox import build_busybox
from lichen.drivers.containerd.daemon import listener
from lichen.drivers.process.pods import ProcessPods
from lichen.model.errors import Permanent, Temporary
from tests.conformance.hosts import a_host
from tests.conformance.pods import (
    ImageConformance,
    PodConformance,
    Reopened,
    container_of,
    finished,
    listening,
    log_of,
    state_of,
    until_exited,
)

pytestmark = pytest.mark.real


AGENT = """
import asyncio, sys
from pathlib import Path
from lichen.drivers.base import ContainerSpec, PodSpec
from lichen.drivers.containerd import ContainerdPods

async def no_port(*_):
    return None

async def main(folder, group, uid):
    pods = ContainerdPods(Path(folder, "state"), Path(folder, "run"), plug=no_port, unplug=no_port, cgroup=group)
    pod = PodSpec(uid, "conformance", "orphan")
    await pods.start_sandbox(pod)
    sleeper = ContainerSpec("main", "busybox", command=("sleep", "1000"))
    await pods.start_container(pod, sleeper, attempt=0)
    await pods.exec(uid, "main", ("sleep", "2000"), tty=False, stdin=True)
    print("started", flush=True)
    await asyncio.sleep(1000)

asyncio.run(main(*sys.argv[1:]))
"""


STARTING_AGENT = """
import asyncio, sys
from pathlib import Path
from lichen.drivers.base import PodSpec
from lichen.drivers.containerd import ContainerdPods
from tests.real.test_containers import once

async def no_port(*_):
    return None

async def main(folder, group, uid, runtime):
    pods = ContainerdPods(Path(folder, "state"), Path(folder, "run"), plug=no_port, unplug=no_port, cgroup=group)
    pod = PodSpec(uid, "conformance", "orphan", runtime=runtime)
    await pods.start_sandbox(pod)
    start = pods._start

    async def told(*which):
        print("starting", flush=True)
        await start(*which)

    pods._start = told
    await pods.start_container(pod, once(Path(folder)), attempt=0)
    await asyncio.sleep(1000)

asyncio.run(main(*sys.argv[1:]))
"""


def once(folder: Path) -> ContainerSpec:
    """A container whose every start leaves a line in `folder`/data/starts."""
    (folder / "data").mkdir(exist_ok=True)
    script = "echo again >> /data/starts; exec sleep 1000"
    mounts = (Mount(str(folder / "data"), "/data", read_only=False),)
    return ContainerSpec("main", "busybox", command=("sh", "-c", script), mounts=mounts)


async def starting_agent(machine: Machine, pod: PodSpec) -> asyncio.subprocess.Process:
    """An agent that has just asked for the start of `once`."""
    agent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", STARTING_AGENT, str(machine.folder), machine.group, pod.uid, pod.runtime,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert agent.stdout is not None
    assert await agent.stdout.readline() == b"starting\n"
    return agent


async def was_started(machine: Machine) -> Path:
    """Where `once` notes its starts, when it has been there."""
    starts = machine.folder / "data/starts"
    async with asyncio.timeout(10):
        while not (starts.exists() and starts.read_text()):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    return starts


async def runs_and_was_started_once(pods: ContainerdPods, machine: Machine, pod: PodSpec) -> None:
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(Temporary):
                await pods.start_container(pod, once(machine.folder), attempt=0)
                break
            await asyncio.sleep(0.1)
    starts = await was_started(machine)
    await asyncio.sleep(0.5)
    state = await container_of(pods, pod)
    assert (state.phase, state.attempt) == (ContainerPhase.RUNNING, 0)
    assert starts.read_text() == "again\n"


PROCESS_AGENT = """
import asyncio, sys
from pathlib import Path
from lichen.drivers.base import ContainerSpec, PodSpec
from lichen.drivers.process.pods import ProcessPods

async def main(folder, host, group, uid):
    pods = ProcessPods(Path(folder), Path(host), cgroup=group)
    pod = PodSpec(uid, "conformance", "orphan", runtime="process")
    await pods.start_sandbox(pod)
    ticker = ContainerSpec("main", "x", command=("sh", "-c", "while sleep 0.05; do echo tick; done"))
    await pods.start_container(pod, ticker, attempt=0)
    print("started", flush=True)
    await asyncio.sleep(1000)

asyncio.run(main(*sys.argv[1:]))
"""


def ip(*words: str, netns: str = "") -> None:
    subprocess.run(["ip", *(("-n", netns) if netns else ()), *words], check=True, capture_output=True)


@dataclass
class Switch:
    """A bridge in a network namespace of its own, which pods are plugged into."""

    name: str
    fault: str = ""
    ports: dict[str, PortSpec] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ip("netns", "add", self.name)
        ip("link", "add", "br0", "type", "bridge", netns=self.name)
        ip("link", "set", "br0", "up", netns=self.name)

    async def plug(self, uid: str, netns: str) -> PortSpec:
        if self.fault:
            raise Temporary(self.fault)
        number = len(self.ports) + 2
        port = self.ports.setdefault(uid, PortSpec(uid, "n", "", ((f"10.99.0.{number}", 24),), "10.99.0.1"))
        await asyncio.to_thread(self._wire, f"p{uid[:8]}", netns, port)
        return port

    def _wire(self, ours: str, netns: str, port: PortSpec) -> None:
        ip("link", "add", ours, "netns", self.name, "type", "veth", "peer", "name", "eth0", "netns", netns)
        ip("link", "set", ours, "master", "br0", "up", netns=self.name)
        for words in (("address", "add", f"{port.addresses[0][0]}/24", "dev", "eth0"), ("link", "set", "eth0", "up")):
            subprocess.run(["nsenter", f"--net={netns}", "ip", *words], check=True, capture_output=True)

    async def unplug(self, uid: str) -> None:
        self.ports.pop(uid, None)

    def remove(self) -> None:
        ip("netns", "del", self.name)


@dataclass
class Machine:
    """Where one test's containerd lives."""

    folder: Path
    group: str
    switch: Switch

    def driver(self) -> ContainerdPods:
        return ContainerdPods(
            self.folder / "state",
            self.folder / "run",
            plug=self.switch.plug,
            unplug=self.switch.unplug,
            cgroup=self.group,
        )


@pytest.fixture(scope="session")
def busybox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    archive = tmp_path_factory.mktemp("busybox") / "busybox.tar"
    build_busybox(archive)
    return archive


@pytest.fixture
def machine() -> Iterator[Machine]:
    mark = f"lf{secrets.token_hex(4)}"
    folder = Path(tempfile.mkdtemp(prefix=mark, dir="/tmp"))
    folder.chmod(0o755)
    switch = Switch(mark)
    yield Machine(folder, f"{mark}", switch)
    switch.remove()
    shutil.rmtree(folder)


@pytest.fixture
async def pods(machine: Machine, busybox: Path) -> AsyncIterator[ContainerdPods]:
    driver = machine.driver()
    try:
        await driver.import_image(busybox)
        yield driver
    finally:
        await driver.cleanup()


class TestRunc(PodConformance, ImageConformance):
    @pytest.fixture
    async def reopened(self, pods: ContainerdPods, machine: Machine) -> AsyncIterator[Reopened]:
        made: list[ContainerdPods] = []

        async def reopen() -> ContainerdPods:
            await pods.close()
            made.append(machine.driver())
            return made[0]

        yield reopen
        for driver in made:
            await driver.close()

    @pytest.mark.parametrize("moment", [0.0, 0.01, 0.02, 0.03, 0.04, 0.045, 0.05])
    async def test_a_start_during_which_the_agent_is_killed_is_the_only_one(
        self, pods: ContainerdPods, machine: Machine, moment: float
    ) -> None:
        await pods.open()
        pod = self.a_pod()
        agent = await starting_agent(machine, pod)
        await asyncio.sleep(moment)
        agent.kill()
        await agent.wait()
        await runs_and_was_started_once(pods, machine, pod)

    async def test_a_start_that_is_given_up_in_the_middle_is_the_only_one(
        self, pods: ContainerdPods, machine: Machine, reopened: Reopened
    ) -> None:
        pod = self.a_pod()
        await pods.start_sandbox(pod)
        for attempt in range(5):
            starting = asyncio.create_task(pods.start_container(pod, once(machine.folder), attempt=0))
            await asyncio.sleep(0.03 * attempt)
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
        await runs_and_was_started_once(await reopened(), machine, pod)

    async def test_a_pod_knows_its_name_though_the_agent_was_killed_when_its_sandbox_was_made(
        self, pods: ContainerdPods, reopened: Reopened
    ) -> None:
        pod = self.a_pod(hostname="web-0")
        await pods.start_sandbox(pod)
        shutil.rmtree(pods.layout.pods / pod.uid, ignore_errors=True)  # what would have come next
        again = await reopened()
        assert (await state_of(again, pod)).ready
        await again.start_container(pod, self.a_container("cat /etc/hosts; exec sleep 1000"), attempt=0)
        assert "stdout 10.99.0.2\tweb-0" in await log_of(again, pod, lines=3)

    async def test_a_place_inside_a_volume_is_mounted_though_the_start_is_given_up_in_the_middle(
        self, pods: ContainerdPods, machine: Machine
    ) -> None:
        place = machine.folder / "volume" / "place"
        place.mkdir(parents=True)
        (place / "inside").write_text("x")
        mounts = (Mount(str(machine.folder / "volume"), "/here", sub_path="place"),)
        for moment in (0.01, 0.02, 0.03, 0.04, 0.05, 0.06):
            pod, driver = self.a_pod(), machine.driver()
            await driver.start_sandbox(pod)
            container = self.a_container("ls /here; exec sleep 1000", mounts=mounts)
            starting = asyncio.create_task(driver.start_container(pod, container, attempt=0))
            await asyncio.sleep(moment)
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            await driver.close()
            await pods.start_container(pod, container, attempt=0)
            assert (await container_of(pods, pod)).phase is ContainerPhase.RUNNING
            assert await log_of(pods, pod) == ["stdout inside"]

    async def test_pods_reach_each_other_by_address(self, pods: ContainerdPods) -> None:
        script = "mkdir -p /tmp/w; echo served > /tmp/w/index.html; exec httpd -f -p 80 -h /tmp/w"
        server = await self.started(pods, self.a_container(script))
        client = await self.started(pods)
        (address,) = (await state_of(pods, server)).ips
        assert address == "10.99.0.2"
        fetch = ("sh", "-c", f"until wget -qO- http://{address}/; do sleep 0.1; done")
        command = await pods.exec(client.uid, "main", fetch, tty=False, stdin=False)
        assert (await finished(command))[0] == b"served\n"

    async def test_a_pod_knows_its_name_and_its_dns(self, pods: ContainerdPods) -> None:
        pod = self.a_pod(hostname="web-0", dns_nameservers=("10.96.0.10",), dns_searches=("svc.cluster.local",))
        await pods.start_sandbox(pod)
        await pods.start_container(
            pod, self.a_container("hostname; cat /etc/hosts /etc/resolv.conf; exit 0"), attempt=0
        )
        await until_exited(pods, pod)
        said = [line.removeprefix("stdout ") for line in await log_of(pods, pod, lines=7)]
        assert said[0] == "web-0"
        assert "10.99.0.2\tweb-0" in said
        assert said[-3:] == ["search svc.cluster.local", "nameserver 10.96.0.10", "options ndots:5"]

    async def test_a_container_is_in_the_groups_and_has_the_settings_that_its_pod_asks_for(
        self, pods: ContainerdPods
    ) -> None:
        container = self.a_container(run_as_user=1000, run_as_group=1000, groups=(4242, 4243))
        pod = self.a_pod(sysctls={"net.ipv4.ip_unprivileged_port_start": "80"})
        await pods.start_sandbox(pod)
        await pods.start_container(pod, container, attempt=0)
        script = "id -G; cat /proc/sys/net/ipv4/ip_unprivileged_port_start"
        command = await pods.exec(pod.uid, "main", ("sh", "-c", script), tty=False, stdin=False)
        assert (await finished(command))[0] == b"1000 4242 4243\n80\n"

    async def test_the_loopback_of_a_pod_is_up(self, pods: ContainerdPods) -> None:
        pod = await self.started(pods)
        command = await pods.exec(pod.uid, "main", ("ping", "-c1", "-W2", "127.0.0.1"), tty=False, stdin=False)
        assert (await finished(command))[2] == 0

    async def test_the_node_connects_to_what_listens_on_a_pods_own_loopback(self, pods: ContainerdPods) -> None:
        listener = self.a_container("echo hello > /tmp/index.html; exec httpd -f -p 127.0.0.1:99 -h /tmp")
        pod = await self.started(pods, listener)
        waiting = ("sh", "-c", "until wget -qO- http://127.0.0.1:99/; do sleep 0.1; done")
        await finished(await pods.exec(pod.uid, "main", waiting, tty=False, stdin=False))
        reader, writer = await pods.dial(pod.uid, 99)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        assert (await asyncio.wait_for(reader.read(), 5)).endswith(b"hello\n")
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await pods.dial(pod.uid, 98)

    async def test_containers_of_a_pod_share_its_network_but_not_its_processes(self, pods: ContainerdPods) -> None:
        listener = self.a_container("echo hello > /tmp/index.html; exec httpd -f -p 99 -h /tmp", name="listener")
        pod = await self.started(pods, self.a_container(), listener)
        script = "until wget -qO- http://127.0.0.1:99/; do sleep 0.1; done; ps"
        command = await pods.exec(pod.uid, "main", ("sh", "-c", script), tty=False, stdin=False)
        said = (await finished(command))[0].decode()
        assert said.startswith("hello\n")
        assert "httpd -f" not in said

    async def test_a_terminal_has_the_size_it_was_given_and_one_stream(self, pods: ContainerdPods) -> None:
        pod = await self.started(pods)
        command = await pods.exec(pod.uid, "main", ("sh",), tty=True, stdin=True)
        command.resize(123, 45)
        command.stdin(b"sleep 0.3; stty size; echo oops >&2; exit 5\n")
        out, err, code = await finished(command)
        assert b"45 123" in out
        assert b"oops" in out
        assert (err, code) == (b"", 5)

    async def test_exec_carries_megabytes_both_ways(self, pods: ContainerdPods) -> None:
        pod = await self.started(pods)
        data = os.urandom(3 << 20)
        command = await pods.exec(pod.uid, "main", ("cat",), tty=False, stdin=True)
        for at in range(0, len(data), 1 << 20):
            command.stdin(data[at : at + (1 << 20)])
        command.stdin(None)
        assert await finished(command) == (data, b"", 0)

    async def test_what_a_container_says_last_is_heard_though_its_input_goes_on(self, pods: ContainerdPods) -> None:
        for _ in range(3):
            pod = self.a_pod()
            await pods.start_sandbox(pod)
            shell = ContainerSpec("main", "busybox", command=("sh",), stdin=True)
            await pods.start_container(pod, shell, attempt=0)
            command = await pods.attach(pod.uid, "main")
            command.stdin(b"echo seen; echo oops >&2; exit\n")
            for _ in range(3):
                await asyncio.sleep(0)
            time.sleep(0.5)  # noqa: ASYNC251 - it ends while nobody reads
            command.stdin(b"more\n")
            command.stdin(b"and more\n")
            command.stdin(None)
            assert await finished(command) == (b"seen\n", b"oops\n", 0)

    async def test_input_that_is_given_once_is_taken_to_its_end(self, pods: ContainerdPods) -> None:
        pod = self.a_pod()
        await pods.start_sandbox(pod)
        once = self.a_container("cat; echo oops >&2; echo end", stdin=True, stdin_once=True)
        await pods.start_container(pod, once, attempt=0)
        command, data = await pods.attach(pod.uid, "main"), os.urandom(1 << 20)
        command.stdin(data)
        command.stdin(None)
        assert await finished(command) == (data + b"end\n", b"oops\n", 0)
        with pytest.raises(Permanent, match="does not run"):
            await until_exited(pods, pod)
            await pods.attach(pod.uid, "main")

    async def test_a_client_that_leaves_neither_ends_the_input_nor_the_output_of_the_next(
        self, pods: ContainerdPods
    ) -> None:
        pod = self.a_pod()
        await pods.start_sandbox(pod)
        await pods.start_container(pod, ContainerSpec("main", "busybox", command=("sh",), stdin=True), attempt=0)
        for word in (b"first", b"second"):
            command = await pods.attach(pod.uid, "main")
            command.stdin(b"echo " + word + b"\n")
            assert await anext(command.output) == (1, word + b"\n")
            command.kill()
        assert (await container_of(pods, pod)).phase is ContainerPhase.RUNNING

    async def test_exec_leaves_no_pipes_behind(self, pods: ContainerdPods) -> None:
        pod = await self.started(pods)
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            await finished(await pods.exec(pod.uid, "main", ("true",), tty=False, stdin=True))
        assert list(pods.layout.execs.iterdir()) == []
        assert len(os.listdir("/proc/self/fd")) <= before

    async def test_a_killed_process_is_seen_at_once_and_as_137(self, pods: ContainerdPods) -> None:
        async with listening(pods) as told:
            pod = await self.started(pods)
            os.kill(min(main_processes(pods, pod)), signal.SIGKILL)
            await told(pod.uid)
            state = await container_of(pods, pod)
        assert (state.phase, state.exit_code) == (ContainerPhase.EXITED, 137)

    async def test_a_dead_sandbox_is_seen_and_made_anew(self, pods: ContainerdPods) -> None:
        async with listening(pods) as told:
            pod = await self.started(pods)
            os.kill(pause_process(pods, pod), signal.SIGKILL)
            await told(pod.uid)
            assert not (await state_of(pods, pod)).ready
        await pods.start_sandbox(pod)
        await pods.start_container(pod, self.a_container(), attempt=1)
        state = await state_of(pods, pod)
        assert state.ready
        assert [(c.attempt, c.phase) for c in state.containers] == [(1, ContainerPhase.RUNNING)]

    async def test_limits_hold(self, pods: ContainerdPods) -> None:
        hog = "x=$(head -c 64m /dev/zero | tr '\\0' x); echo survived"
        pod = await self.started(pods, self.a_container(hog, memory_bytes=16 << 20, cpu_millis=500))
        state = await until_exited(pods, pod)
        assert (state.exit_code, state.reason) == (137, "OOMKilled")

    async def test_a_cpu_limit_is_a_quota_of_the_containers_group(self, pods: ContainerdPods) -> None:
        pod = await self.started(pods, self.a_container(cpu_millis=250))
        container = await container_of(pods, pod)
        folder = cgroups.ROOT / ("" if cgroups.is_v2() else "cpu") / pods.layout.pod_cgroup(pod.uid) / container.id
        if cgroups.is_v2():
            assert (folder / "cpu.max").read_text().split() == ["25000", "100000"]
        else:
            assert (folder / "cpu.cfs_quota_us").read_text().strip() == "25000"

    async def test_what_a_container_uses_is_told_while_it_runs(self, pods: ContainerdPods) -> None:
        pod = await self.started(pods, self.a_container("while :; do :; done"))
        before = await pods.usage()
        await asyncio.sleep(1)
        after = (await pods.usage())[pod.uid, "main", 0]
        assert after.cpu - before[pod.uid, "main", 0].cpu > 100_000_000
        assert after.memory > 10_000
        await pods.stop_container(pod.uid, "main", grace=0)
        assert await pods.usage() == {}

    async def test_user_capabilities_mounts_and_a_read_only_root_are_as_asked(
        self, pods: ContainerdPods, machine: Machine
    ) -> None:
        (machine.folder / "config").write_text("mounted\n")
        container = self.a_container(
            "id -u; id -g; cat /config; touch /new || echo read-only; echo x > /config || echo kept; "
            "grep CapEff /proc/self/status; exit 0",
            run_as_user=1000,
            run_as_group=1001,
            read_only_root=True,
            capabilities_drop=("ALL",),
            mounts=(Mount(str(machine.folder / "config"), "/config", read_only=True),),
        )
        pod = await self.started(pods, container)
        await until_exited(pods, pod)
        said = [line for line in await log_of(pods, pod, lines=8) if line.startswith("stdout")]
        assert [line.removeprefix("stdout ") for line in said] == [
            "1000", "1001", "mounted", "read-only", "kept", "CapEff:\t0000000000000000",
        ]  # fmt: skip

    async def test_a_container_cannot_take_all_of_its_machine(self, pods: ContainerdPods) -> None:
        container = self.a_container(
            "cat /proc/self/oom_score_adj; grep NoNewPrivs /proc/self/status; exec sleep 1000",
            oom_score=1000,
            no_new_privileges=True,
        )
        pod = await self.started(pods, container)
        said = await log_of(pods, pod, lines=2)
        group = pods.layout.pod_cgroup(pod.uid)
        base = cgroups.ROOT if cgroups.is_v2() else cgroups.ROOT / "pids"
        assert said == ["stdout 1000", "stdout NoNewPrivs:\t1"]
        assert (base / group / "pids.max").read_text() == "4096\n"
        assert int((base / group / "pids.current").read_text()) >= 2

    async def test_a_container_that_must_not_be_root_is_not_whatever_its_image_says(self, pods: ContainerdPods) -> None:
        pod = self.a_pod()
        await pods.start_sandbox(pod)
        with pytest.raises(Permanent, match="its image will run as root"):
            await pods.start_container(pod, self.a_container("id -u", not_root=True), attempt=0)
        assert (await pods.discover())[pod.uid].containers == ()
        made = self.a_container("id -u; exec sleep 1000", not_root=True, run_as_user=1000)
        await pods.start_container(pod, made, attempt=0)
        assert await log_of(pods, pod) == ["stdout 1000"]

    async def test_a_place_inside_a_volume_is_all_that_is_mounted(self, pods: ContainerdPods, machine: Machine) -> None:
        volume = machine.folder / "volume"
        (volume / "a" / "b").mkdir(parents=True)
        (volume / "a" / "b" / "inside").write_text("x")
        (volume / "far").symlink_to("/etc")
        container = self.a_container(
            "ls /here /file; echo y > /here/written; exit 0",
            mounts=(
                Mount(str(volume), "/here", sub_path="a/b"),
                Mount(str(volume), "/file", read_only=True, sub_path="a/b/inside"),
            ),
        )
        pod = await self.started(pods, container)
        await until_exited(pods, pod)
        said = [line.removeprefix("stdout ") for line in await log_of(pods, pod, lines=4)]
        assert said[:4] == ["/file", "", "/here:", "inside"]
        assert (volume / "a" / "b" / "written").read_text() == "y\n"
        with pytest.raises(Permanent, match="leads out of its volume"):
            astray = replace(container, mounts=(Mount(str(volume), "/here", sub_path="far"),))
            await pods.start_container(pod, astray, attempt=1)
        assert leftovers.mounts_below(pods.layout.run / "pins") == []
        await pods.remove_sandbox(pod.uid, grace=0)
        assert (volume / "a" / "b" / "inside").exists()

    async def test_a_privileged_pod_may_what_others_may_not(self, pods: ContainerdPods) -> None:
        script = "mount -t tmpfs none /mnt 2>/dev/null && echo may || echo may not; exit 0"
        for privileged in (True, False):
            pod = self.a_pod(privileged=privileged)
            await pods.start_sandbox(pod)
            made = self.a_container(f"mkdir -p /mnt; {script}", privileged=privileged)
            await pods.start_container(pod, made, attempt=0)
            assert await log_of(pods, pod) == ["stdout may" if privileged else "stdout may not"]

    async def test_a_network_that_cannot_be_had_yet_fails_the_sandbox_and_leaves_nothing(
        self, pods: ContainerdPods, machine: Machine
    ) -> None:
        machine.switch.fault = "its port is not there yet"
        pod = self.a_pod()
        with pytest.raises(Temporary, match="its port is not there yet"):
            await pods.start_sandbox(pod)
        assert await pods.discover() == {}
        machine.switch.fault = ""
        assert await pods.start_sandbox(pod) == ("10.99.0.2",)

    async def test_a_node_without_pods_has_no_containerd_until_the_first(self, machine: Machine, busybox: Path) -> None:
        driver = machine.driver()
        try:
            async with listening(driver) as told:
                assert await driver.discover() == {} and listener(str(driver.layout.socket)) == 0
                await driver.import_image(busybox)
                pod = await self.started(driver, self.a_container("exit 3"))
                await told(pod.uid)
            await driver.close()
            again = machine.driver()
            assert list(await again.discover()) == [pod.uid]
            await again.close()
        finally:
            await driver.cleanup()

    async def test_containerd_comes_back_and_its_pods_never_noticed(self, pods: ContainerdPods) -> None:
        async with listening(pods) as told:
            pod = await self.started(pods, self.a_container("while sleep 0.1; do echo tick; done"))
            before = await state_of(pods, pod)
            processes = main_processes(pods, pod)
            old = pods.daemon.pid
            os.kill(old, signal.SIGKILL)
            await told(pod.uid)
            assert pods.daemon.pid != old
            assert await state_of(pods, pod) == before
            assert main_processes(pods, pod) >= {min(processes)}
            lines = len(await log_of(pods, pod))
            await log_of(pods, pod, lines=lines + 3)
            await finished(await pods.exec(pod.uid, "main", ("true",), tty=False, stdin=False))
        async with listening(pods) as told:
            await pods.stop_container(pod.uid, "main", grace=0)
            await told(pod.uid)
        assert (await container_of(pods, pod)).exit_code == 137

    async def test_after_a_reboot_a_pod_is_made_anew(self, pods: ContainerdPods, machine: Machine) -> None:
        pod = await self.started(pods)
        pulled_the_plug = [pods.daemon.pid, *leftovers.shims(pods.layout), *main_processes(pods, pod)]
        pulled_the_plug.append(pause_process(pods, pod))
        await pods.close()
        for pid in pulled_the_plug:
            os.kill(pid, signal.SIGKILL)
        leftovers.unmount_below(machine.folder)
        shutil.rmtree(machine.folder / "run")
        driver = machine.driver()
        state = await state_of(driver, pod)
        assert (state.ready, [c.phase for c in state.containers]) == (False, [ContainerPhase.EXITED])
        await driver.start_sandbox(pod)
        await driver.start_container(pod, self.a_container(), attempt=1)
        state = await state_of(driver, pod)
        assert (state.ready, [c.phase for c in state.containers]) == (True, [ContainerPhase.RUNNING])
        await driver.remove_sandbox(pod.uid, grace=0)
        await driver.close()

    async def test_pods_outlive_a_killed_agent_and_its_commands_do_not(
        self, pods: ContainerdPods, machine: Machine
    ) -> None:
        await pods.close()
        await pods.daemon.kill()
        pod = self.a_pod()
        agent = await asyncio.create_subprocess_exec(
            sys.executable, "-c", AGENT, str(machine.folder), machine.group, pod.uid, stdout=asyncio.subprocess.PIPE
        )
        assert agent.stdout is not None
        assert await agent.stdout.readline() == b"started\n"
        agent.kill()
        await agent.wait()
        state = await state_of(pods, pod)
        assert (state.ready, state.containers[0].phase) == (True, ContainerPhase.RUNNING)
        assert len(main_processes(pods, pod)) == 1
        assert list(pods.layout.execs.iterdir()) == []

    async def test_a_command_that_is_not_there_is_refused_for_good(self, pods: ContainerdPods) -> None:
        pod = await self.started(pods)
        with pytest.raises(Permanent, match="no-such"):
            await pods.exec(pod.uid, "main", ("no-such",), tty=False, stdin=True)
        assert list(pods.layout.execs.iterdir()) == []

    async def test_a_long_log_is_set_aside(self, pods: ContainerdPods) -> None:
        pod = await self.started(pods, self.a_container("while sleep 0.05; do echo tick; done"))
        await log_of(pods, pod)
        client = rpc.Client(pods.layout.socket)
        await logs.rotate(client, pods.layout, longest=1)
        await client.close()
        assert await log_of(pods, pod) == ["stdout tick"]
        path = pods.log_path(pod.uid, "main", 0)
        assert path.with_name("0.log.1").exists()
        await pods.stop_container(pod.uid, "main", grace=0)
        await pods.start_container(pod, self.a_container(), attempt=1)
        await pods.remove_container(pod.uid, "main")
        assert [p.name for p in path.parent.iterdir()] == ["1.log"]

    async def test_images_tell_their_names_and_sizes(self, pods: ContainerdPods) -> None:
        names = {name: size for names, size in await pods.images() for name in names}
        assert names["docker.io/library/busybox:latest"] > 100_000
        assert (await pods.ensure_image("busybox")).startswith("sha256:")

    async def test_cleaning_up_leaves_nothing_but_data(self, pods: ContainerdPods, machine: Machine) -> None:
        for _ in range(2):
            await self.started(pods)
        daemon = pods.daemon.pid
        shims = leftovers.shims(pods.layout)
        assert len(shims) == 2
        await pods.cleanup()
        assert not any(alive(pid) for pid in (daemon, *shims))
        assert leftovers.shims(pods.layout) == []
        assert leftovers.mounts_below(machine.folder) == []
        assert not any((base / machine.group).exists() for base in cgroups.hierarchies())
        assert not (machine.folder / "run").exists()
        await pods.cleanup()

    @pytest.mark.parametrize("times", [1, 99])
    async def test_cleaning_up_goes_on_though_containerd_refuses(
        self, pods: ContainerdPods, machine: Machine, monkeypatch: pytest.MonkeyPatch, times: int
    ) -> None:
        remove, refused = pods.remove_sandbox, 0

        async def refusing(uid: str, *, grace: float) -> None:
            nonlocal refused
            refused += 1
            if refused <= times:
                raise Temporary("failed to kill container: ttrpc: closed")
            await remove(uid, grace=grace)

        await self.started(pods)
        monkeypatch.setattr(pods, "remove_sandbox", refusing)
        await pods.cleanup()
        assert refused == min(times + 1, 3)
        assert leftovers.shims(pods.layout) == []
        assert leftovers.mounts_below(machine.folder) == []
        assert not any((base / machine.group).exists() for base in cgroups.hierarchies())


class TestCrun(PodConformance):
    runtime = "crun"

    @pytest.fixture
    async def reopened(self, pods: ContainerdPods, machine: Machine) -> AsyncIterator[Reopened]:
        made: list[ContainerdPods] = []

        async def reopen() -> ContainerdPods:
            await pods.close()
            made.append(machine.driver())
            return made[0]

        yield reopen
        for driver in made:
            await driver.close()

    async def test_an_agent_killed_between_the_command_and_the_end_of_its_start_has_started_it_once(
        self, pods: ContainerdPods, machine: Machine
    ) -> None:
        await pods.open()
        crun = pods.layout.run / "bin" / "crun"
        real = crun.rename(crun.with_name("crun.real"))
        crun.write_text(f'#!/bin/sh\ncase " $* " in *" start "*) {real} "$@"; sleep 2 ;; *) exec {real} "$@" ;; esac\n')
        crun.chmod(0o755)
        pod = self.a_pod()
        agent = await starting_agent(machine, pod)
        await was_started(machine)
        agent.kill()
        await agent.wait()
        await runs_and_was_started_once(pods, machine, pod)


class TestProcessesInGroups(PodConformance):
    """Host processes as an unprivileged user, in control groups."""

    runtime = "process"

    @pytest.fixture
    async def pods(self, machine: Machine) -> AsyncIterator[Any]:
        with a_host(machine.folder / "host") as host:
            driver = ProcessPods(machine.folder / "process", host, cgroup=f"{machine.group}/process")
            yield driver
            await driver.cleanup()
        await cgroups.remove(machine.group)

    @pytest.fixture
    async def reopened(self, pods: ProcessPods, machine: Machine) -> AsyncIterator[Reopened]:
        made: list[ProcessPods] = []
        group = f"{machine.group}/process"

        async def reopen() -> ProcessPods:
            await pods.close()
            made.append(ProcessPods(machine.folder / "process", machine.folder / "host", cgroup=group))
            return made[0]

        yield reopen
        for driver in made:
            await driver.close()

    async def test_they_run_as_nobody_in_their_own_group(self, pods: ProcessPods, machine: Machine) -> None:
        script = "id -u; id -G; grep -E ':(cpu|):' /proc/self/cgroup; exec sleep 1000"
        pod = await self.started(pods, self.a_container(script))
        said = await log_of(pods, pod, lines=3)
        assert said[:2] == ["stdout 65534", "stdout 65534"]
        assert any(line.endswith(f"/{machine.group}/process/pod{pod.uid}/main") for line in said[2:])

    async def test_what_they_use_is_told(self, pods: ProcessPods, machine: Machine) -> None:
        pod = await self.started(pods, self.a_container("while :; do :; done"))
        before = await pods.usage()
        await asyncio.sleep(1)
        after = (await pods.usage())[pod.uid, "main", 0]
        assert after.cpu - before[pod.uid, "main", 0].cpu > 100_000_000
        assert after.memory > 10_000

    async def test_a_command_beside_them_is_in_the_same_group(self, pods: ProcessPods, machine: Machine) -> None:
        pod = await self.started(pods, self.a_container(env={"COLOUR": "blue"}))
        script = "id -u; echo $COLOUR; cat /proc/self/cgroup"
        command = await pods.exec(pod.uid, "main", ("sh", "-c", script), tty=False, stdin=False)
        user, colour, *groups = (await finished(command))[0].decode().splitlines()
        assert (user, colour) == ("65534", "blue")
        assert any(line.endswith(f"/pod{pod.uid}/main") for line in groups)

    async def test_mounts_are_seen_by_the_process_and_by_nobody_else(self, pods: ProcessPods, machine: Machine) -> None:
        (machine.folder / "token").write_text("secret\n")
        place = machine.folder / "run/secrets/token"
        container = self.a_container(
            f"cat {place}; echo x 2>/dev/null > {place} || echo kept; exec sleep 1000",
            mounts=(Mount(str(machine.folder / "token"), str(place), read_only=True),),
        )
        pod = await self.started(pods, container)
        assert (await log_of(pods, pod, lines=2))[0] == "stdout secret"
        assert "stdout kept" in await log_of(pods, pod, lines=2)
        command = await pods.exec(pod.uid, "main", ("cat", str(place)), tty=False, stdin=False)
        assert (await finished(command))[0] == b"secret\n"
        assert place.read_text() == ""
        assert leftovers.mounts_below(machine.folder) == []

    async def test_processes_outlive_a_killed_agent(self, pods: ProcessPods, machine: Machine) -> None:
        pod = self.a_pod()
        agent = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROCESS_AGENT,
            str(machine.folder / "process"), str(machine.folder / "host"), f"{machine.group}/process", pod.uid,
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert agent.stdout is not None
        assert await agent.stdout.readline() == b"started\n"
        agent.kill()
        await agent.wait()
        lines = len(await log_of(pods, pod))
        await log_of(pods, pod, lines=lines + 3)
        async with listening(pods) as told:
            await pods.stop_container(pod.uid, "main", grace=5)
            await told(pod.uid)
        assert (await container_of(pods, pod)).exit_code == 143

    async def test_a_memory_limit_holds(self, pods: ProcessPods) -> None:
        hog = ContainerSpec("main", "x", command=("/usr/bin/python3", "-c", "x = b'x' * (128 << 20)"),
                            memory_bytes=32 << 20)  # fmt: skip
        pod = await self.started(pods, hog)
        assert (await until_exited(pods, pod)).exit_code == 137


def alive(pid: int) -> bool:
    """It runs: neither gone nor waiting to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def main_processes(pods: ContainerdPods, pod: PodSpec) -> set[int]:
    """The processes of a pod's containers, without the sandbox's own."""
    return cgroups.pids(pods.layout.pod_cgroup(pod.uid)) - {pause_process(pods, pod)}


def pause_process(pods: ContainerdPods, pod: PodSpec) -> int:
    found = [
        pid
        for pid in cgroups.pids(pods.layout.pod_cgroup(pod.uid))
        if Path(f"/proc/{pid}/cmdline").read_bytes() == b"/pause\0"
    ]
    return found[0] if found else 0
