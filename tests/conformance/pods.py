# SPDX-License-Identifier: Apache-2.0
"""What every PodDriver must do: containerd, host processes and the fake run this same suite.

    class TestFakePods(PodConformance):
        @pytest.fixture
        async def pods(self):              # a driver on a machine of its own, cleaned up afterwards
            ...

        @pytest.fixture
        def reopened(self, pods):          # async callable: another driver on the same machine, as after a restart
            ...

Commands need a shell that knows `echo`, `cat`, `sleep`, `exit`, `exec`, `;` and `>&2`.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any, cast

import pytest

from lichen.drivers.base import ContainerPhase, ContainerSpec, ContainerState, Exec, PodDriver, PodSpec, PodState
from lichen.model.errors import LichenError, Permanent

DEADLINE = 20.0
Reopened = Callable[[], Awaitable[PodDriver]]


async def state_of(pods: PodDriver, pod: PodSpec) -> PodState:
    return (await pods.discover())[pod.uid]


async def container_of(pods: PodDriver, pod: PodSpec, name: str = "main") -> ContainerState:
    return next(c for c in (await state_of(pods, pod)).containers if c.name == name)


async def until_exited(pods: PodDriver, pod: PodSpec, name: str = "main") -> ContainerState:
    """The container's state once it has ended."""
    async with asyncio.timeout(DEADLINE):
        while (state := await container_of(pods, pod, name)).phase is not ContainerPhase.EXITED:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return state


async def log_of(pods: PodDriver, pod: PodSpec, name: str = "main", *, attempt: int = 0, lines: int = 1) -> list[str]:
    """`stream text` of each line of a log, once it has as many as awaited."""
    path = pods.log_path(pod.uid, name, attempt)
    async with asyncio.timeout(DEADLINE):
        while not path.exists() or len(found := path.read_text().splitlines()) < lines:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    for line in found:
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z (stdout|stderr) [FP] ", line + " "), line
    return [f"{line.split(' ', 3)[1]} {line.split(' ', 3)[3]}" for line in found]


async def finished(command: Exec) -> tuple[bytes, bytes, int]:
    """All that a command said on each stream, and its exit code."""
    said = {1: b"", 2: b""}
    async with asyncio.timeout(DEADLINE):
        async for stream, data in command.output:
            said[stream] += data
        return said[1], said[2], await cast(Awaitable[int], command.wait())


@asynccontextmanager
async def listening(pods: PodDriver) -> AsyncIterator[Callable[[str], Awaitable[None]]]:
    """Follow `changes` from now on; gives a function that waits until a pod's uid has come."""
    seen: set[str] = set()
    news = asyncio.Event()

    async def follow() -> None:
        async with aclosing(cast(Any, pods.changes())) as changes:
            async for uid in changes:
                seen.add(uid)
                news.set()

    async def told(uid: str) -> None:
        async with asyncio.timeout(DEADLINE):
            while uid not in seen:
                news.clear()
                await news.wait()

    task = asyncio.create_task(follow())
    await asyncio.sleep(0.3)
    try:
        yield told
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class PodConformance:
    image = "busybox"
    runtime = "runc"

    def a_pod(self, **more: Any) -> PodSpec:
        uid = str(uuid.uuid4())
        return PodSpec(uid=uid, namespace="conformance", name=f"pod-{uid[:8]}", runtime=self.runtime, **more)

    def a_container(self, script: str = "exec sleep 1000", name: str = "main", **more: Any) -> ContainerSpec:
        return ContainerSpec(name=name, image=self.image, command=("sh", "-c", script), **more)

    async def started(self, pods: PodDriver, *containers: ContainerSpec) -> PodSpec:
        pod = self.a_pod()
        await pods.start_sandbox(pod)
        for container in containers or (self.a_container(),):
            await pods.start_container(pod, container, attempt=0)
        return pod

    async def test_a_started_pod_is_discovered_with_all_its_containers(self, pods: PodDriver) -> None:
        pod = await self.started(pods, self.a_container(), self.a_container(name="side"))
        state = await state_of(pods, pod)
        assert (state.uid, state.namespace, state.name, state.ready) == (pod.uid, "conformance", pod.name, True)
        assert [(c.name, c.attempt, c.phase) for c in state.containers] == [
            ("main", 0, ContainerPhase.RUNNING),
            ("side", 0, ContainerPhase.RUNNING),
        ]
        assert all(c.created_at <= c.started_at for c in state.containers)

    async def test_starting_what_runs_changes_nothing(self, pods: PodDriver) -> None:
        pod = self.a_pod()
        ips = await pods.start_sandbox(pod)
        first = await pods.start_container(pod, self.a_container(), attempt=0)
        before = await state_of(pods, pod)
        assert await pods.start_sandbox(pod) == ips == before.ips
        assert await pods.start_container(pod, self.a_container(), attempt=0) == first
        assert await state_of(pods, pod) == before

    async def test_a_container_without_a_sandbox_is_refused(self, pods: PodDriver) -> None:
        with pytest.raises(LichenError):
            await pods.start_container(self.a_pod(), self.a_container(), attempt=0)

    async def test_what_a_container_says_is_in_its_log(self, pods: PodDriver) -> None:
        pod = await self.started(pods, self.a_container("echo one; echo two >&2; exec sleep 1000"))
        assert sorted(await log_of(pods, pod, lines=2)) == ["stderr two", "stdout one"]

    async def test_environment_and_arguments_reach_the_command(self, pods: PodDriver) -> None:
        pod = self.a_pod()
        await pods.start_sandbox(pod)
        container = ContainerSpec(
            "main", self.image, command=("sh", "-c"), args=("echo $GREETING $0", "you"), env={"GREETING": "hello"}
        )
        await pods.start_container(pod, container, attempt=0)
        assert await log_of(pods, pod) == ["stdout hello you"]

    async def test_an_ended_container_tells_its_exit_code_and_times(self, pods: PodDriver) -> None:
        pod = await self.started(pods, self.a_container("exit 3"))
        state = await until_exited(pods, pod)
        assert (state.exit_code, state.attempt) == (3, 0)
        assert 0 < state.started_at <= state.finished_at

    async def test_a_container_that_ends_by_itself_is_a_change(self, pods: PodDriver) -> None:
        async with listening(pods) as told:
            pod = await self.started(pods, self.a_container("sleep 1; exit 0"))
            await told(pod.uid)
            assert (await container_of(pods, pod)).phase is ContainerPhase.EXITED

    async def test_a_new_attempt_replaces_an_ended_one(self, pods: PodDriver) -> None:
        pod = await self.started(pods, self.a_container("echo first; exit 1"))
        await until_exited(pods, pod)
        await pods.start_container(pod, self.a_container("echo second; exec sleep 1000"), attempt=1)
        state = await container_of(pods, pod)
        assert (state.attempt, state.phase) == (1, ContainerPhase.RUNNING)
        assert await log_of(pods, pod, attempt=0) == ["stdout first"]
        assert await log_of(pods, pod, attempt=1) == ["stdout second"]

    async def test_removing_a_container_keeps_only_the_newest_attempt(self, pods: PodDriver) -> None:
        pod = await self.started(pods, self.a_container("echo first; exit 1"))
        await until_exited(pods, pod)
        await pods.start_container(pod, self.a_container("echo second; exit 1"), attempt=1)
        await until_exited(pods, pod)
        await pods.remove_container(pod.uid, "main")
        await pods.remove_container(pod.uid, "main")
        assert (await container_of(pods, pod)).attempt == 1
        assert not pods.log_path(pod.uid, "main", 0).exists()
        assert await log_of(pods, pod, attempt=1) == ["stdout second"]

    async def test_a_command_that_cannot_be_run_is_an_ended_attempt(self, pods: PodDriver) -> None:
        pod = self.a_pod()
        await pods.start_sandbox(pod)
        await pods.start_container(pod, ContainerSpec("main", self.image, command=("/no/such",)), attempt=0)
        state = await until_exited(pods, pod)
        assert (state.exit_code, state.reason) == (128, "StartError")
        assert state.message

    async def test_stopping_asks_first_and_kills_when_the_grace_is_over(self, pods: PodDriver) -> None:
        pod = await self.started(pods)
        await pods.stop_container(pod.uid, "main", grace=1)
        state = await until_exited(pods, pod)
        assert state.exit_code in (137, 143)
        await pods.stop_container(pod.uid, "main", grace=1)
        await pods.stop_container(pod.uid, "absent", grace=1)

    async def test_exec_separates_the_streams_and_gives_the_exit_code(self, pods: PodDriver) -> None:
        pod = await self.started(pods)
        command = await pods.exec(
            pod.uid, "main", ("sh", "-c", "echo out; echo err >&2; exit 7"), tty=False, stdin=False
        )
        assert await finished(command) == (b"out\n", b"err\n", 7)

    async def test_exec_reads_stdin_to_its_end(self, pods: PodDriver) -> None:
        pod = await self.started(pods)
        command = await pods.exec(pod.uid, "main", ("cat",), tty=False, stdin=True)
        command.stdin(b"one\n")
        command.stdin(b"two\n")
        command.stdin(None)
        assert await finished(command) == (b"one\ntwo\n", b"", 0)

    async def test_exec_in_what_does_not_run_is_refused(self, pods: PodDriver) -> None:
        pod = await self.started(pods, self.a_container("exit 0"))
        await until_exited(pods, pod)
        for uid, name in ((pod.uid, "main"), (pod.uid, "absent"), ("absent", "main")):
            with pytest.raises(Permanent):
                await pods.exec(uid, name, ("true",), tty=False, stdin=False)

    async def test_exec_can_be_killed(self, pods: PodDriver) -> None:
        pod = await self.started(pods)
        command = await pods.exec(pod.uid, "main", ("sleep", "1000"), tty=False, stdin=False)
        command.kill()
        assert (await finished(command))[2] == 137

    async def test_removing_a_pod_leaves_nothing_of_it(self, pods: PodDriver) -> None:
        pod = await self.started(pods)
        log = pods.log_path(pod.uid, "main", 0)
        await pods.remove_sandbox(pod.uid, grace=0)
        assert pod.uid not in await pods.discover()
        assert not log.exists()
        await pods.remove_sandbox(pod.uid, grace=0)

    async def test_another_driver_finds_what_the_first_one_started(self, pods: PodDriver, reopened: Reopened) -> None:
        pod = await self.started(pods, self.a_container("echo here; exec sleep 1000"))
        before = await state_of(pods, pod)
        other = await reopened()
        assert await state_of(other, pod) == before
        async with listening(other) as told:
            await other.stop_container(pod.uid, "main", grace=0)
            await told(pod.uid)
        assert (await until_exited(other, pod)).exit_code == 137
        assert await log_of(other, pod) == ["stdout here"]

    async def test_many_pods_at_once_do_not_disturb_each_other(self, pods: PodDriver) -> None:
        made = await asyncio.gather(*(self.started(pods) for _ in range(4)))
        found = await pods.discover()
        assert all(found[pod.uid].containers[0].phase is ContainerPhase.RUNNING for pod in made)
        await asyncio.gather(*(pods.remove_sandbox(pod.uid, grace=0) for pod in made))
        assert not {pod.uid for pod in made} & set(await pods.discover())


class ImageConformance:
    """For drivers that have images: what is no name, and what cannot be had."""

    missing = "localhost:1/no/such:image"

    async def test_a_name_that_is_none_is_refused_for_good(self, pods: PodDriver) -> None:
        with pytest.raises(Permanent) as refusal:
            await pods.ensure_image("Not A Name")
        assert refusal.value.reason == "InvalidImageName"

    async def test_an_image_that_cannot_be_had_is_worth_another_try(self, pods: PodDriver) -> None:
        with pytest.raises(LichenError):
            await pods.ensure_image(self.missing)
