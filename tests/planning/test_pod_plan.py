# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lichen.model.data import Object
from lichen.planning.pod import plan_pod
from lichen.planning.pod_restart import forgiven_until
from lichen.planning.pod_steps import (
    ContainerActual,
    Failure,
    PodActual,
    Probes,
    Release,
    RemoveSandbox,
    RemoveVolumes,
    Report,
    StartContainer,
    StartSandbox,
    StopContainer,
    Wait,
)

NOW = 1_000_000.0
STAMP = "1970-01-12T13:46:40Z"


def a_pod(*names: str, meta: Object | None = None, status: Object | None = None, **spec: Any) -> Object:
    containers = [{"name": name, "image": "busybox"} for name in names or ("main",)]
    metadata = {"name": "web", "namespace": "demo", "uid": "u", **(meta or {})}
    return {"metadata": metadata, "spec": {"containers": containers, **spec}, "status": status or {}}


def ended(
    name: str = "main", code: int = 0, *, ago: float = 0.0, ran: float = 1.0, attempt: int = 0
) -> ContainerActual:
    finished = NOW - ago
    return ContainerActual(name, "Exited", attempt, f"id{attempt}", "", "", finished - ran, finished, code)


def up(name: str = "main", attempt: int = 0) -> ContainerActual:
    return ContainerActual(name, "Running", attempt, f"id{attempt}", started_at=NOW - 5)


def doing(pod: Object, actual: PodActual | None, now: float = NOW) -> list[Any]:
    return [step for step in plan_pod(pod, actual, now) if not isinstance(step, Report)]


def status(pod: Object, actual: PodActual | None, now: float = NOW) -> Object:
    """The pod's status once the plan's reports came true."""
    merged = dict(pod["status"])
    for step in plan_pod(pod, actual, now):
        if isinstance(step, Report):
            merged |= step.status
    return merged


def state(pod: Object, actual: PodActual | None, now: float = NOW) -> Object:
    found: Object = status(pod, actual, now)["containerStatuses"][0]["state"]
    return found


def conditions(pod: Object, actual: PodActual | None) -> dict[str, str]:
    return {c["type"]: c["status"] for c in status(pod, actual)["conditions"]}


READY = PodActual("Ready", ("10.0.0.5",))


def with_(*containers: ContainerActual, **more: Any) -> PodActual:
    return PodActual("Ready", ("10.0.0.5",), containers, **more)


# --- what is done -----------------------------------------------------------------------------------------------------


def test_a_new_pod_gets_a_sandbox_first():
    assert doing(a_pod(), None) == [StartSandbox()]


def test_a_pod_waits_for_its_address():
    assert doing(a_pod(), PodActual(address_ready=False)) == []


def test_then_its_containers_all_at_once():
    assert doing(a_pod("a", "b"), READY) == [StartContainer("a", 0), StartContainer("b", 0)]


def test_a_pod_that_runs_needs_nothing():
    assert doing(a_pod(), with_(up())) == []


def test_init_containers_go_one_by_one():
    pod = a_pod("main", initContainers=[{"name": "one"}, {"name": "two"}])
    assert doing(pod, READY) == [StartContainer("one", 0)]
    assert doing(pod, with_(up("one"))) == []
    assert doing(pod, with_(ended("one"))) == [StartContainer("two", 0)]
    assert doing(pod, with_(ended("one"), ended("two"))) == [StartContainer("main", 0)]


def test_init_containers_are_behind_once_a_main_one_began():
    pod = a_pod("main", initContainers=[{"name": "one"}])
    assert doing(pod, with_(up("main"))) == []


@pytest.mark.parametrize("policy", ["Always", "OnFailure"])
def test_a_failed_init_container_is_tried_again(policy: str):
    pod = a_pod(initContainers=[{"name": "one"}], restartPolicy=policy)
    assert doing(pod, with_(ended("one", 1))) == [StartContainer("one", 1)]


def test_a_failed_init_container_ends_a_pod_that_never_restarts():
    pod = a_pod(initContainers=[{"name": "one"}], restartPolicy="Never")
    assert doing(pod, with_(ended("one", 1))) == []
    assert status(pod, with_(ended("one", 1)))["phase"] == "Failed"


def test_a_sidecar_starts_before_and_runs_beside():
    pod = a_pod("main", initContainers=[{"name": "side", "restartPolicy": "Always"}])
    assert doing(pod, READY) == [StartContainer("side", 0)]
    assert doing(pod, with_(up("side"))) == [StartContainer("main", 0)]
    assert doing(pod, with_(ended("side"), up("main"))) == [StartContainer("side", 1)]


@pytest.mark.parametrize(
    ("policy", "code", "steps"),
    [
        ("Always", 0, [StartContainer("main", 1)]),
        ("Always", 1, [StartContainer("main", 1)]),
        ("OnFailure", 0, []),
        ("OnFailure", 1, [StartContainer("main", 1)]),
        ("Never", 0, []),
        ("Never", 1, []),
    ],
)
def test_what_ended_restarts_by_policy(policy: str, code: int, steps: list[Any]):
    assert doing(a_pod(restartPolicy=policy), with_(ended(code=code))) == steps


@pytest.mark.parametrize(("attempt", "delay"), [(1, 10), (2, 20), (3, 40), (4, 80), (5, 160), (6, 300), (60, 300)])
def test_what_keeps_ending_waits_longer_each_time(attempt: int, delay: int):
    actual = with_(ended(code=1, attempt=attempt))
    assert doing(a_pod(), actual) == [Wait(NOW + delay)]
    assert doing(a_pod(), actual, NOW + delay) == [StartContainer("main", attempt + 1)]


def test_what_could_not_even_start_waits_like_what_ended():
    never = ContainerActual("main", "Exited", 3, "id3", "", "", 0.0, NOW, 128, reason="StartError")
    assert doing(a_pod(), with_(never)) == [Wait(NOW + 40)]
    assert state(a_pod(), with_(never))["waiting"]["reason"] == "CrashLoopBackOff"
    assert "startedAt" not in status(a_pod(), with_(never))["containerStatuses"][0]["lastState"]["terminated"]


def test_ten_good_minutes_forgive():
    assert doing(a_pod(), with_(ended(code=1, attempt=9, ran=600))) == [StartContainer("main", 10)]


@pytest.mark.parametrize(
    ("before", "container", "forgiven"),
    [
        (None, up(attempt=4), 4),
        (None, ended(code=1, attempt=4), 4),
        (2, ended(code=1, attempt=4), 2),
        (2, ended(code=1, attempt=4, ran=600), 4),
        (2, up(attempt=4), 2),
        (5, up(attempt=0), 0),
    ],
)
def test_what_is_new_or_ran_well_begins_anew(before: int | None, container: ContainerActual, forgiven: int):
    assert forgiven_until(before, container).forgiven == forgiven


def test_only_what_is_not_forgiven_holds_a_container_back():
    again = replace(ended(code=1, attempt=7), forgiven=7)
    assert doing(a_pod(), with_(again)) == [StartContainer("main", 8)]
    assert doing(a_pod(), with_(replace(again, forgiven=6))) == [Wait(NOW + 10)]


def test_the_soonest_of_several_waits_counts():
    actual = with_(ended("a", 1, attempt=3), ended("b", 1, attempt=1))
    assert doing(a_pod("a", "b"), actual) == [Wait(NOW + 10)]


def test_a_created_container_is_started_under_its_own_number():
    assert doing(a_pod(), with_(ContainerActual("main", "Created", 2))) == [StartContainer("main", 2)]


def test_attempts_go_on_counting_after_everything_was_lost():
    held = {"containerStatuses": [{"name": "main", "restartCount": 4, "containerID": "containerd://x"}]}
    assert doing(a_pod(status=held), READY) == [StartContainer("main", 5)]


@pytest.mark.parametrize(("count", "delay"), [(1, 10), (2, 20), (6, 300)])
def test_a_pull_that_failed_is_tried_again_later(count: int, delay: int):
    actual = with_(failures={"main": Failure("ErrImagePull", "no", NOW, count)})
    assert doing(a_pod(), actual) == [Wait(NOW + 2)]  # to say that it waits for the next try
    assert doing(a_pod(), actual, NOW + 2) == [Wait(NOW + delay)]
    assert doing(a_pod(), actual, NOW + delay) == [StartContainer("main", 0)]


def test_a_configuration_that_was_missing_is_looked_for_soon():
    actual = with_(failures={"main": Failure("CreateContainerConfigError", "no", NOW)})
    assert doing(a_pod(), actual) == [Wait(NOW + 2)]


def test_a_sandbox_that_failed_is_tried_again_later():
    actual = PodActual(failures={"": Failure("FailedCreatePodSandBox", "no", NOW)})
    assert doing(a_pod(), actual) == [Wait(NOW + 2)]


def test_a_dead_sandbox_is_made_anew():
    assert doing(a_pod(), PodActual("Dead", (), (ended(code=137),))) == [RemoveSandbox(0.0)]


def test_a_failed_liveness_probe_stops_the_container():
    actual = with_(up(), probes={"main": Probes(alive=False)})
    wanted = [StopContainer("main", 5.0, "failed liveness probe")]
    assert doing(a_pod(terminationGracePeriodSeconds=5), actual) == wanted


def test_a_failed_startup_probe_stops_the_container():
    actual = with_(up(), probes={"main": Probes(started=False, alive=False)})
    wanted = [StopContainer("main", 5.0, "failed startup probe")]
    assert doing(a_pod(terminationGracePeriodSeconds=5), actual) == wanted


def test_a_deleted_pod_is_stopped_within_its_grace():
    pod = a_pod("a", "b", meta={"deletionTimestamp": STAMP, "deletionGracePeriodSeconds": 7})
    assert doing(pod, with_(up("a"), up("b"))) == [StopContainer("a", 7.0), StopContainer("b", 7.0)]


def test_then_its_sandbox_goes():
    pod = a_pod(meta={"deletionTimestamp": STAMP})
    assert doing(pod, with_(ended(code=143))) == [RemoveSandbox(0.0)]


def test_then_the_pod_is_let_go():
    assert plan_pod(a_pod(meta={"deletionTimestamp": STAMP}), None, NOW) == [Release()]


@pytest.mark.parametrize(("deletion", "spec", "grace"), [(None, None, 30.0), (None, 4, 4.0), (2, 4, 2.0), (0, 4, 0.0)])
def test_grace_comes_from_the_deletion_then_from_the_pod(deletion: int | None, spec: int | None, grace: float):
    meta = {"deletionTimestamp": STAMP, "deletionGracePeriodSeconds": deletion}
    pod = a_pod(meta=meta, terminationGracePeriodSeconds=spec)
    assert doing(pod, with_(up())) == [StopContainer("main", grace)]


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_is_over_is_not_started_again(phase: str):
    assert doing(a_pod(status={"phase": phase}), None) == []


def test_what_still_runs_of_a_pod_that_is_over_is_stopped():
    assert doing(a_pod(status={"phase": "Failed"}), with_(up())) == [StopContainer("main", 30.0)]


def test_a_deadline_ends_a_pod():
    pod = a_pod(activeDeadlineSeconds=60, status={"startTime": STAMP})
    assert doing(pod, with_(up()), NOW + 59) == [Wait(NOW + 60)]
    assert doing(pod, with_(up()), NOW + 60) == [StopContainer("main", 30.0)]
    found = status(pod, with_(up()), NOW + 60)
    assert (found["phase"], found["reason"]) == ("Failed", "DeadlineExceeded")


def test_an_evicted_pod_is_stopped_at_once_and_gives_back_what_it_took():
    pod = a_pod(terminationGracePeriodSeconds=60)
    assert doing(pod, with_(up(), evicted="too much")) == [StopContainer("main", 1.0)]
    found = status(pod, with_(up(), evicted="too much"))
    assert (found["phase"], found["reason"], found["message"]) == ("Failed", "Evicted", "too much")
    over = {"phase": "Failed", "reason": "Evicted", "message": "too much"}
    assert doing(a_pod(status=over), with_(up())) == [StopContainer("main", 1.0)]
    assert doing(a_pod(status=over), with_(ended(code=137))) == [RemoveVolumes(), RemoveSandbox(0.0)]
    assert doing(a_pod(status=over), PodActual()) == []


def test_an_evicted_pod_that_is_deleted_is_let_go():
    over = {"phase": "Failed", "reason": "Evicted", "message": "too much"}
    pod = a_pod(status=over, meta={"deletionTimestamp": STAMP, "deletionGracePeriodSeconds": 7})
    assert doing(pod, PodActual()) == [Release()]


# --- what is said -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "containers", "phase"),
    [
        ("Always", (), "Pending"),
        ("Always", (up("a"),), "Pending"),
        ("Always", (up("a"), up("b")), "Running"),
        ("Always", (up("a"), ended("b", 1, attempt=3)), "Running"),
        ("Always", (ended("a"), ended("b")), "Running"),
        ("OnFailure", (ended("a"), ended("b")), "Succeeded"),
        ("OnFailure", (ended("a"), ended("b", 1)), "Running"),
        ("OnFailure", (ended("a"), ended("b", 1, attempt=2)), "Running"),
        ("Never", (ended("a"), ended("b")), "Succeeded"),
        ("Never", (ended("a"), ended("b", 1)), "Failed"),
        ("Never", (up("a"), ended("b", 1)), "Running"),
    ],
)
def test_the_phase_follows_from_the_containers(policy: str, containers: tuple[ContainerActual, ...], phase: str):
    assert status(a_pod("a", "b", restartPolicy=policy), with_(*containers))["phase"] == phase


def test_a_new_pod_says_that_its_containers_are_made():
    assert state(a_pod(), None) == {"waiting": {"reason": "ContainerCreating"}}


def test_a_pod_with_init_containers_says_that_it_is_initialized():
    pod = a_pod(initContainers=[{"name": "one"}])
    assert state(pod, with_(up("one"))) == {"waiting": {"reason": "PodInitializing"}}


def test_a_running_container_says_since_when():
    assert state(a_pod(), with_(up())) == {"running": {"startedAt": "1970-01-12T13:46:35Z"}}


@pytest.mark.parametrize(
    ("container", "reason"),
    [
        (ended(code=0), "Completed"),
        (ended(code=3), "Error"),
        (ContainerActual("main", "Exited", exit_code=137, reason="OOMKilled"), "OOMKilled"),
        (ContainerActual("main", "Exited", exit_code=128, reason="StartError"), "StartError"),
    ],
)
def test_an_ended_container_says_how(container: ContainerActual, reason: str):
    assert state(a_pod(restartPolicy="Never"), with_(container))["terminated"]["reason"] == reason


def test_of_a_container_whose_start_nobody_saw_no_start_is_said():
    container = ContainerActual("main", "Exited", finished_at=1000.0)
    said = state(a_pod(restartPolicy="Never"), with_(container))["terminated"]
    assert (said.get("startedAt"), said["finishedAt"]) == (None, "1970-01-01T00:16:40Z")


def test_a_container_that_is_held_back_says_so_and_how_it_ended():
    found = status(a_pod(), with_(ended(code=2, attempt=3)))["containerStatuses"][0]
    assert found["state"] == {
        "waiting": {
            "reason": "CrashLoopBackOff",
            "message": "back-off 40s restarting failed container=main pod=web_demo",
        }
    }
    assert found["lastState"]["terminated"]["exitCode"] == 2
    assert (found["restartCount"], found["ready"], found["started"]) == (3, False, False)


def test_what_ended_with_its_sandbox_is_not_held_back():
    actual = PodActual("Dead", (), (ended(code=137, attempt=3),))
    found = status(a_pod(), actual)["containerStatuses"][0]
    assert found["state"]["terminated"]["exitCode"] == 137
    assert doing(a_pod(status={"containerStatuses": [found]}), READY) == [StartContainer("main", 4)]


def test_a_restarted_container_says_how_the_attempt_before_ended():
    before = a_pod()
    before["status"] = status(before, with_(ended(code=9)))
    after = status(before, with_(up(attempt=1)))["containerStatuses"][0]
    assert after["lastState"]["terminated"]["exitCode"] == 9
    before["status"] = status(before, with_(up(attempt=1)))
    assert plan_pod(before, with_(up(attempt=1)), NOW) == []


@pytest.mark.parametrize(("later", "reason"), [(0, "ErrImagePull"), (1.9, "ErrImagePull"), (2, "ImagePullBackOff")])
def test_a_failed_pull_turns_into_waiting_for_the_next(later: float, reason: str):
    actual = with_(failures={"main": Failure("ErrImagePull", "not found", NOW)})
    assert state(a_pod(), actual, NOW + later) == {"waiting": {"reason": reason, "message": "not found"}}


@pytest.mark.parametrize("reason", ["CreateContainerConfigError", "ErrImageNeverPull", "InvalidImageName"])
def test_other_failures_keep_their_name(reason: str):
    actual = with_(failures={"main": Failure(reason, "why", NOW - 100)})
    assert state(a_pod(), actual) == {"waiting": {"reason": reason, "message": "why"}}


def test_a_sandbox_that_cannot_be_made_is_said_in_words():
    actual = PodActual(failures={"": Failure("FailedCreatePodSandBox", "no room", NOW)})
    waiting = state(a_pod(), actual)["waiting"]
    assert waiting == {"reason": "ContainerCreating", "message": "FailedCreatePodSandBox: no room"}


def test_the_conditions_of_a_running_pod_are_all_true():
    assert conditions(a_pod(), with_(up())) == {
        "PodReadyToStartContainers": "True", "Initialized": "True", "ContainersReady": "True", "Ready": "True",
    }  # fmt: skip


def test_the_conditions_of_a_new_pod_are_not():
    assert conditions(a_pod(), None) == {
        "PodReadyToStartContainers": "False", "Initialized": "True", "ContainersReady": "False", "Ready": "False",
    }  # fmt: skip


def test_the_conditions_name_who_is_not_ready():
    found = status(a_pod("a", "b"), with_(up("a")))["conditions"]
    ready = next(c for c in found if c["type"] == "Ready")
    assert (ready["reason"], ready["message"]) == ("ContainersNotReady", "containers with unready status: [b]")


def test_initialized_waits_for_init_containers():
    found = conditions(a_pod(initContainers=[{"name": "one"}]), with_(up("one")))
    assert (found["Initialized"], found["Ready"]) == ("False", "False")


def test_a_pod_that_ended_well_is_complete():
    found = status(a_pod(restartPolicy="Never"), with_(ended()))["conditions"]
    assert {c["type"]: (c["status"], c.get("reason")) for c in found if c["type"] in ("Ready", "Initialized")} == {
        "Initialized": ("True", "PodCompleted"),
        "Ready": ("False", "PodCompleted"),
    }


def test_what_the_scheduler_said_is_kept():
    scheduled = {"type": "PodScheduled", "status": "True"}
    assert conditions(a_pod(status={"conditions": [scheduled]}), with_(up()))["PodScheduled"] == "True"


@pytest.mark.parametrize(
    ("probes", "started", "ready"),
    [
        (Probes(), True, True),
        (Probes(ready=False), True, False),
        (Probes(ready=True), True, True),
        (Probes(started=False), False, False),
        (Probes(started=True, ready=False), True, False),
        (Probes(started=False, ready=True), False, False),
        (Probes(alive=True), True, True),
    ],
)
def test_probes_decide_what_is_ready(probes: Probes, started: bool, ready: bool):
    found = status(a_pod(), with_(up(), probes={"main": probes}))["containerStatuses"][0]
    assert (found["started"], found["ready"]) == (started, ready)


def test_a_probe_that_failed_says_why():
    actual = with_(up(), probes={"main": Probes(ready=False, message="HTTP probe failed with statuscode: 500")})
    ready = next(c for c in status(a_pod(), actual)["conditions"] if c["type"] == "Ready")
    assert ready["message"] == "containers with unready status: [main]: HTTP probe failed with statuscode: 500"


def test_a_readiness_gate_keeps_a_pod_from_being_ready():
    pod = a_pod(readinessGates=[{"conditionType": "example.org/gate"}])
    assert conditions(pod, with_(up()))["Ready"] == "False"
    pod["status"] = {"conditions": [{"type": "example.org/gate", "status": "True"}]}
    assert conditions(pod, with_(up()))["Ready"] == "True"


def test_addresses_and_times_are_told():
    found = status(a_pod(), with_(up(), host_ip="192.0.2.1"))
    assert (found["podIP"], found["podIPs"]) == ("10.0.0.5", [{"ip": "10.0.0.5"}])
    assert (found["hostIP"], found["hostIPs"]) == ("192.0.2.1", [{"ip": "192.0.2.1"}])
    assert found["startTime"] == STAMP


def test_container_ids_name_their_engine():
    assert status(a_pod(), with_(up(), engine="fake"))["containerStatuses"][0]["containerID"] == "fake://id0"


@pytest.mark.parametrize(
    ("resources", "qos"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1000m", "memory": "1024Mi"}}, "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m", "memory": "1Gi"}}, "Burstable"),
        ({"requests": {"ephemeral-storage": "1Gi"}}, "BestEffort"),
        ({"requests": {"cpu": "0"}}, "BestEffort"),
    ],
)
def test_the_quality_of_service_follows_from_the_resources(resources: Object, qos: str):
    pod = a_pod()
    pod["spec"]["containers"][0]["resources"] = resources
    assert status(pod, None)["qosClass"] == qos


ACTUALS = [
    None,
    PodActual(address_ready=False),
    READY,
    PodActual("Dead"),
    with_(up()),
    with_(ended()),
    with_(ended(code=1)),
    with_(ended(code=1, attempt=4)),
    with_(up(), probes={"main": Probes(ready=False)}),
    with_(failures={"main": Failure("ErrImagePull", "no", NOW)}),
]


@pytest.mark.parametrize("actual", ACTUALS)
@pytest.mark.parametrize("policy", ["Always", "OnFailure", "Never"])
@pytest.mark.parametrize("deleted", [False, True])
@pytest.mark.parametrize("phase", ["", "Pending", "Running", "Succeeded", "Failed"])
def test_what_was_said_once_is_not_said_again(actual: PodActual | None, policy: str, deleted: bool, phase: str):
    meta = {"deletionTimestamp": STAMP} if deleted else {}
    pod = a_pod(meta=meta, restartPolicy=policy, status={"phase": phase} if phase else {})
    pod["status"] = status(pod, actual)
    assert [step for step in plan_pod(pod, actual, NOW) if isinstance(step, Report)] == []


def test_an_ephemeral_container_is_started_once_beside_the_others():
    pod = a_pod("main", ephemeralContainers=[{"name": "look", "image": "busybox"}])
    assert doing(pod, with_(up("main"))) == [StartContainer("look", 0)]
    assert doing(pod, with_(up("main"), ended("look", 1))) == []


def test_an_ephemeral_container_decides_nothing_about_its_pod():
    pod = a_pod("main", restartPolicy="Never", ephemeralContainers=[{"name": "look", "image": "busybox"}])
    assert doing(pod, with_(ended("main"), up("look"))) == [StopContainer("look", 30.0)]
