# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lichen.drivers.fake.faults import KEY
from lichen.kinds.builtin import CONFIG_MAP, POD, SECRET
from lichen.model.data import Object
from lichen.model.errors import Forbidden
from lichen.model.meta import uid_of
from tests.agent.world import World, a_pod, an_object, run_pod


def a_container(script: str, name: str = "main", **more: object) -> Object:
    return {"name": name, "image": "busybox", "command": ["sh", "-c", script], **more}


def status_of(pod: Object, index: int = 0) -> Object:
    return ((pod.get("status") or {}).get("containerStatuses") or [{}])[index]


def condition(pod: Object, type_: str) -> str:
    return next((c["status"] for c in pod["status"]["conditions"] if c["type"] == type_), "")


def log_of(world: World, pod: Object, name: str = "main", attempt: int = 0) -> list[str]:
    text = world.pods.log_path(uid_of(pod), name, attempt).read_text()
    return [line.split(" ", 3)[3] for line in text.splitlines()]


async def test_a_pod_comes_to_run_with_its_address(world: World):
    pod = await run_pod(world, a_pod())
    status = pod["status"]
    assert (status["podIP"], status["podIPs"], status["hostIP"]) == ("10.0.0.9", [{"ip": "10.0.0.9"}], "192.0.2.10")
    assert [condition(pod, t) for t in ("Initialized", "ContainersReady", "Ready")] == ["True", "True", "True"]
    assert status["qosClass"] == "BestEffort"
    assert "running" in status_of(pod)["state"]


async def test_a_pod_that_ends_well_has_succeeded(world: World):
    pod = await run_pod(world, a_pod("job", a_container("exit 0"), restartPolicy="Never"), "Succeeded")
    assert status_of(pod)["state"]["terminated"]["reason"] == "Completed"


async def test_a_pod_that_ends_badly_has_failed(world: World):
    pod = await run_pod(world, a_pod("job", a_container("exit 3"), restartPolicy="Never"), "Failed")
    assert status_of(pod)["state"]["terminated"]["exitCode"] == 3


async def test_a_container_that_keeps_ending_is_held_back(world: World):
    await run_pod(world, a_pod("loop", a_container("exit 1")))
    pod = await world.until(POD, "loop", lambda p: "waiting" in status_of(p).get("state", {}))
    pod = await world.until(
        POD, "loop", lambda p: status_of(p)["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff"
    )
    assert status_of(pod)["restartCount"] == 1
    assert status_of(pod)["lastState"]["terminated"]["exitCode"] == 1


async def test_init_containers_run_first_and_in_order(world: World):
    volumes = {"volumes": [{"name": "shared", "emptyDir": {}}]}
    mounts = {"volumeMounts": [{"name": "shared", "mountPath": "/data"}]}
    inits = [
        a_container("echo one >> /data/log", "first", **mounts),
        a_container("echo two >> /data/log", "second", **mounts),
    ]
    main = a_container("cat /data/log; sleep 1000", **mounts)
    pod = await run_pod(world, a_pod("web", main, initContainers=inits, **volumes))
    assert log_of(world, pod) == ["one", "two"]


async def test_configuration_reaches_the_container(world: World):
    await world.store.create(CONFIG_MAP, {**an_object(CONFIG_MAP, "conf", {}), "data": {"colour": "green"}})
    await world.store.create(SECRET, {**an_object(SECRET, "hidden", {}), "data": {"word": "aHVzaA=="}})
    env = [
        {"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "conf", "key": "colour"}}},
        {"name": "WORD", "valueFrom": {"secretKeyRef": {"name": "hidden", "key": "word"}}},
        {"name": "WHO", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "ALL", "value": "$(WHO) is $(COLOUR)"},
    ]
    volumes = [{"name": "conf", "configMap": {"name": "conf"}}]
    script = "echo $ALL; echo $WORD; cat /etc/conf/colour; echo; sleep 1000"
    main = a_container(script, env=env, volumeMounts=[{"name": "conf", "mountPath": "/etc/conf"}])
    pod = await run_pod(world, a_pod("web", main, volumes=volumes))
    assert log_of(world, pod) == ["web is green", "hush", "green"]


async def test_a_missing_configuration_is_said(world: World):
    main = a_container("true", env=[{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "no", "key": "k"}}}])
    await run_pod(world, a_pod("web", main), "Pending")
    pod = await world.until(POD, "web", lambda p: "message" in status_of(p)["state"].get("waiting", {}))
    waiting = status_of(pod)["state"]["waiting"]
    assert waiting == {"reason": "CreateContainerConfigError", "message": 'configmap "no" not found'}


async def test_an_image_that_cannot_be_pulled_is_said(world: World):
    await run_pod(world, a_pod("web", {"name": "main", "image": "missing.lichen.dev/x"}), "Pending")
    pod = await world.until(POD, "web", lambda p: "message" in status_of(p)["state"].get("waiting", {}))
    assert status_of(pod)["state"]["waiting"]["reason"] == "ErrImagePull"


async def test_an_image_that_must_be_here_and_is_not_is_said(world: World):
    main = {"name": "main", "image": "nginx", "imagePullPolicy": "Never"}
    await run_pod(world, a_pod("web", main), "Pending")
    pod = await world.until(POD, "web", lambda p: "message" in status_of(p)["state"].get("waiting", {}))
    assert status_of(pod)["state"]["waiting"]["reason"] == "ErrImageNeverPull"


async def test_a_deleted_pod_is_stopped_and_let_go(world: World):
    await run_pod(world, a_pod())
    await world.delete_pod("web")
    await world.until_gone(POD, "web")
    assert world.machine.pods == {}
    assert world.machine.ports == {}
    assert not (world.root / "node-1" / "volumes").exists() or not list((world.root / "node-1" / "volumes").iterdir())


async def test_a_pod_that_is_gone_at_once_is_cleared_away(world: World):
    await run_pod(world, a_pod())
    await world.store.delete(POD, "web", "demo")
    async with asyncio.timeout(5):
        while world.machine.pods:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_pod_whose_name_was_taken_by_one_of_another_node_is_cleared_away(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    """A node is not shown that other pod: it is told no more than that it is none of its own."""
    await run_pod(world, a_pod())

    async def forbidden(*_: Any) -> Object:
        raise Forbidden("nothing that is bound to node-1 needs it")

    monkeypatch.setattr(world.store, "get", forbidden)
    await world.store.delete(POD, "web", "demo")
    async with asyncio.timeout(5):
        while world.machine.pods:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_killed_container_is_started_again(world: World):
    pod = await run_pod(world, a_pod())
    await world.pods.kill(uid_of(pod), "main")
    pod = await world.until(POD, "web", lambda p: status_of(p)["restartCount"] == 1 and status_of(p)["ready"])
    assert status_of(pod)["lastState"]["terminated"]["exitCode"] == 137


async def test_a_killed_sandbox_is_made_again(world: World):
    pod = await run_pod(world, a_pod())
    await world.pods.kill_sandbox(uid_of(pod))
    pod = await world.until(POD, "web", lambda p: status_of(p)["restartCount"] == 1 and status_of(p)["ready"])
    assert pod["status"]["podIP"] == "10.0.0.9"


async def test_a_new_agent_adopts_running_pods(world: World):
    pod = await run_pod(world, a_pod())
    before = await world.store.get(POD, "web", "demo")
    await world.restart()
    await asyncio.sleep(0.05)
    assert await world.store.get(POD, "web", "demo") == before
    assert world.machine.pods[uid_of(pod)].containers["main"][-1].attempt == 0


async def test_what_belongs_to_no_pod_is_removed_at_start(world: World):
    await run_pod(world, a_pod())
    await world.stop()
    await world.store.delete(POD, "web", "demo")
    await world.start()
    assert world.machine.pods == {}


async def test_memory_exhaustion_has_its_name(world: World):
    pod = a_pod("job", a_container("sleep 1000"), restartPolicy="Never")
    pod["metadata"]["labels"] = {KEY: "oom-0.01"}
    pod = await run_pod(world, pod, "Failed")
    assert status_of(pod)["state"]["terminated"]["reason"] == "OOMKilled"


async def test_a_pod_is_ready_when_its_probe_says_so(world: World):
    probe = {"exec": {"command": ["cat", "/data/ready"]}, "periodSeconds": 1, "failureThreshold": 1}
    mounts = [{"name": "data", "mountPath": "/data"}]
    main = a_container("sleep 0.3; touch /data/ready; sleep 1000", readinessProbe=probe, volumeMounts=mounts)
    pod = await run_pod(world, a_pod("web", main, volumes=[{"name": "data", "emptyDir": {}}]))
    assert condition(pod, "Ready") == "False"
    await world.until(POD, "web", lambda p: condition(p, "Ready") == "True")


@pytest.mark.parametrize("probe", [{"httpGet": {"port": 80}}, {"tcpSocket": {"port": "http"}}])
async def test_a_probe_may_speak_to_the_pod(world: World, probe: Object):
    container = a_container("sleep 1000", readinessProbe=probe, ports=[{"name": "http", "containerPort": 80}])
    await run_pod(world, a_pod("web", container))
    await world.until(POD, "web", lambda p: condition(p, "Ready") == "True")


async def test_a_probe_that_cannot_be_made_never_counts_as_ready(world: World):
    probe = {"tcpSocket": {"port": "no-such-port"}, "failureThreshold": 1}
    pod = await run_pod(world, a_pod("web", a_container("sleep 1000", readinessProbe=probe)))
    await asyncio.sleep(0.05)
    pod = await world.store.get(POD, "web", "demo")
    assert condition(pod, "Ready") == "False"


async def test_an_agent_that_begins_holds_no_earlier_end_against_a_container(world: World):
    def waits(pod: Object) -> bool:
        state = status_of(pod).get("state") or {}
        return (state.get("waiting") or {}).get("reason") == "CrashLoopBackOff"

    await world.store.create(POD, a_pod("web", a_container("exit 1"), hostNetwork=True))
    held = await world.until(POD, "web", waits)
    assert status_of(held)["restartCount"] == 1
    await world.restart()
    held = await world.until(POD, "web", lambda p: waits(p) and status_of(p)["restartCount"] == 2)
    assert "back-off 10s" in status_of(held)["state"]["waiting"]["message"]


async def test_a_failed_liveness_probe_restarts_the_container(world: World):
    probe = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}
    main = a_container("sleep 1000", livenessProbe=probe)
    await run_pod(world, a_pod("web", main, terminationGracePeriodSeconds=0))
    await world.until(POD, "web", lambda p: status_of(p)["restartCount"] >= 1)
