# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from lichen.kinds.compute.server import Server
from lichen.model.names import NODE_FINALIZER
from lichen.planning.guest import fault, plan_guest, trouble
from lichen.planning.guest_steps import (
    AttachNic,
    CreateDisk,
    DetachNic,
    GrowDisk,
    GuestActual,
    Hold,
    LetGo,
    PauseGuest,
    PlugTap,
    PortActual,
    RemoveDisk,
    RemoveGuest,
    Report,
    ResetGuest,
    StartGuest,
    StopGuest,
    UnpauseGuest,
    UnplugPort,
    Wait,
)
from lichen.planning.times import backoff

NOW = 1_000_000.0
STAMP = "1970-01-12T13:46:40Z"
STARTED = NOW - 100
STARTED_STAMP = "1970-01-12T13:45:00Z"
UP = GuestActual(power="Running", has_disk=True, started_at=STARTED)


def ready(status: str, reason: str, message: str = "", generation: int = 1) -> dict[str, Any]:
    return {
        "type": "Ready", "status": status, "reason": reason, "message": message,
        "observedGeneration": generation, "lastTransitionTime": STAMP,
    }  # fmt: skip


def a_server(status: dict[str, Any] | None = None, meta: dict[str, Any] | None = None, **spec: Any) -> Server:
    metadata = {"name": "web", "generation": 1, "finalizers": [NODE_FINALIZER], **(meta or {})}
    return Server.of({"metadata": metadata, "spec": {"flavor": "tiny", "id": "x", **spec}, "status": status or {}})


RUNNING = {
    "phase": "Running", "power": "Running", "launchedAt": STARTED_STAMP, "startedAt": STARTED_STAMP,
    "conditions": [ready("True", "Running")],
}  # fmt: skip
STOPPED = {**RUNNING, "phase": "Stopped", "power": "Shutdown",
           "conditions": [ready("False", "PowerOff", "Power is off, as wanted.")]}  # fmt: skip


def kinds(steps: list[Any]) -> list[Any]:
    """The plan without its reports."""
    return [step for step in steps if not isinstance(step, Report)]


def said(steps: list[Any]) -> dict[str, Any]:
    """The first report, its condition as (status, reason)."""
    report = next(step for step in steps if isinstance(step, Report))
    status = dict(report.status)
    if "conditions" in status:
        status["conditions"] = [(c["status"], c["reason"]) for c in status["conditions"]]
    return status


def test_a_running_server_that_status_knows_needs_nothing():
    assert plan_guest(a_server(RUNNING), UP, NOW) == []


def test_a_stopped_server_that_status_knows_needs_nothing():
    assert plan_guest(a_server(STOPPED, power="Off"), GuestActual("Shutdown", True), NOW) == []


def test_a_server_without_anything_gets_a_disk_its_taps_and_a_start():
    actual = GuestActual(ports=(PortActual("web-0"), PortActual("web-1")), ports_expected=2)
    steps = plan_guest(a_server(), actual, NOW)
    assert kinds(steps) == [CreateDisk(), PlugTap("web-0"), PlugTap("web-1"), StartGuest()]
    assert said(steps) == {
        "phase": "Building", "power": "NoState", "task": "spawning", "conditions": [("False", "Starting")],
    }  # fmt: skip


def test_the_finalizer_is_taken_before_anything_is_made():
    assert kinds(plan_guest(a_server(meta={"finalizers": []}), GuestActual(), NOW)) == [
        Hold(),
        CreateDisk(),
        StartGuest(),
    ]


def test_a_disk_that_is_there_is_kept():
    assert kinds(plan_guest(a_server(), GuestActual("Shutdown", True), NOW)) == [StartGuest()]


def test_a_guest_that_came_to_run_is_reported_with_its_first_start():
    building = {"phase": "Building", "power": "NoState", "task": "spawning"}
    assert plan_guest(a_server(building), UP, NOW) == [
        Report(
            {
                "phase": "Running", "power": "Running", "task": "", "startedAt": STARTED_STAMP,
                "launchedAt": STARTED_STAMP, "conditions": [ready("True", "Running")],
            }
        )
    ]  # fmt: skip


def test_the_first_start_is_remembered_through_later_ones():
    later = GuestActual("Running", True, NOW - 10)
    assert said(plan_guest(a_server(RUNNING), later, NOW)) == {"startedAt": "1970-01-12T13:46:30Z"}


def test_a_paused_guest_is_reported_as_such():
    assert said(plan_guest(a_server(RUNNING), GuestActual("Paused", True, STARTED), NOW)) == {"power": "Paused"}


@pytest.mark.parametrize("power", ["Running", "Paused"])
def test_power_off_stops_what_runs_and_says_so_before_and_after(power: str):
    steps = plan_guest(a_server(RUNNING, power="Off"), GuestActual(power, True, STARTED), NOW)
    assert kinds(steps) == [StopGuest(60.0)]
    assert [type(step) for step in steps] == [Report, StopGuest, Report]
    assert said(steps) == {"task": "powering-off", "conditions": [("False", "PoweringOff")]}
    assert said(steps[2:]) == {"phase": "Stopped", "power": "Shutdown", "conditions": [("False", "PowerOff")]}


@pytest.mark.parametrize("power", ["", "Shutdown", "GuestOff", "Crashed"])
def test_power_off_of_what_does_not_run_only_reports(power: str):
    assert kinds(plan_guest(a_server(RUNNING, power="Off"), GuestActual(power, True), NOW)) == []


@pytest.mark.parametrize("power", ["Shutdown", "GuestOff", "Crashed"])
def test_power_on_starts_what_was_stopped_however_it_ended(power: str):
    steps = plan_guest(a_server(STOPPED), GuestActual(power, True, STARTED), NOW)
    assert kinds(steps) == [StartGuest()]
    assert said(steps)["task"] == "powering-on"


def test_a_guest_that_powered_itself_off_stays_off():
    steps = plan_guest(a_server(RUNNING), GuestActual("GuestOff", True, STARTED), NOW)
    assert kinds(steps) == []
    assert said(steps) == {
        "phase": "Stopped", "power": "Shutdown", "guestOff": True, "conditions": [("False", "GuestPoweredOff")],
    }  # fmt: skip


def test_a_guest_that_stays_off_needs_nothing():
    status = {**STOPPED, "guestOff": True}
    assert plan_guest(a_server(status), GuestActual("GuestOff", True, STARTED), NOW) == []


def test_power_off_forgets_that_the_guest_did_it():
    status = {**STOPPED, "guestOff": True}
    steps = plan_guest(a_server(status, power="Off"), GuestActual("GuestOff", True), NOW)
    assert said(steps) == {"guestOff": False}


def test_a_reboot_starts_a_guest_that_powered_itself_off():
    status = {**STOPPED, "guestOff": True}
    steps = plan_guest(a_server(status, rebootedAt="t1"), GuestActual("GuestOff", True), NOW)
    assert kinds(steps) == [StartGuest()]
    assert steps[-1] == Report({"rebootedAt": "t1"})


def test_a_crashed_guest_is_started_at_once_the_first_time():
    steps = plan_guest(a_server(RUNNING), GuestActual("Crashed", True, STARTED), NOW)
    assert kinds(steps) == [StartGuest()]
    assert steps[-1] == Report({"restarts": 1})


@pytest.mark.parametrize(
    ("restarts", "delay"), [(1, 10), (2, 20), (3, 40), (4, 80), (5, 160), (6, 300), (7, 300), (500, 300)]
)
def test_a_guest_that_keeps_crashing_waits_longer_each_time(restarts: int, delay: int):
    crashed = GuestActual("Crashed", True, NOW)
    steps = plan_guest(a_server({**RUNNING, "restarts": restarts}), crashed, NOW)
    assert kinds(steps) == [Wait(NOW + delay)]
    assert said(steps)["conditions"] == [("False", "CrashLoopBackOff")]
    waited = plan_guest(a_server({**RUNNING, "restarts": restarts}), crashed, NOW + delay)
    assert kinds(waited) == [StartGuest()]
    assert waited[-1] == Report({"restarts": restarts + 1})


def test_a_crashed_guest_that_must_not_restart_stays_off():
    server = a_server(RUNNING, runPolicy="Never")
    steps = plan_guest(server, GuestActual("Crashed", True, STARTED), NOW)
    assert kinds(steps) == []
    assert said(steps) == {
        "phase": "Stopped", "power": "Crashed", "guestOff": True, "conditions": [("False", "GuestCrashed")],
    }  # fmt: skip


def test_a_start_by_the_owner_after_a_crash_counts_as_no_restart():
    steps = plan_guest(a_server(STOPPED, runPolicy="Never"), GuestActual("Crashed", True, STARTED), NOW)
    assert steps[-1] == StartGuest()


@pytest.mark.parametrize("kind", ["Soft", "Hard"])
def test_a_reboot_is_asked_for_once(kind: str):
    steps = plan_guest(a_server(RUNNING, rebootedAt="t1", rebootType=kind), UP, NOW)
    assert kinds(steps) == [ResetGuest(kind)]
    assert said(steps) == {"phase": "Rebooting", "task": "rebooting", "conditions": [("False", "Rebooting")]}
    assert steps[-1] == Report({"rebootedAt": "t1"})
    assert plan_guest(a_server({**RUNNING, "rebootedAt": "t1"}, rebootedAt="t1"), UP, NOW) == []


def test_a_reboot_that_was_carried_out_before_the_agent_died_is_not_carried_out_again():
    before = {**RUNNING, "phase": "Rebooting", "task": "rebooting"}
    steps = plan_guest(a_server(before, rebootedAt="t1"), GuestActual("Running", True, STARTED + 5), NOW)
    assert kinds(steps) == []
    assert (said(steps)["rebootedAt"], said(steps)["phase"]) == ("t1", "Running")


def test_a_first_start_makes_up_for_a_reboot():
    assert plan_guest(a_server(rebootedAt="t1"), GuestActual(has_disk=True), NOW)[-1] == Report({"rebootedAt": "t1"})


def test_a_server_waits_for_its_image():
    steps = plan_guest(a_server(), GuestActual(image="waiting", image_message="Image x is queued."), NOW)
    assert steps == [
        Report(
            {
                "phase": "Building", "power": "NoState", "task": "spawning",
                "conditions": [ready("False", "ImageNotReady", "Image x is queued.")],
            }
        )
    ]  # fmt: skip


def test_a_server_whose_image_is_gone_is_in_error():
    steps = plan_guest(a_server(), GuestActual(image="lost", image_message="Image x is gone."), NOW)
    assert said(steps) == {
        "phase": "Error", "power": "NoState", "fault": "Image x is gone.", "conditions": [("False", "ImageMissing")],
    }  # fmt: skip


def test_an_image_matters_no_more_once_there_is_a_disk():
    assert kinds(plan_guest(a_server(), GuestActual("Shutdown", True, image="lost"), NOW)) == [StartGuest()]


@pytest.mark.parametrize(
    ("ports", "expected"),
    [((), 1), ((PortActual("a", False),), 1), ((PortActual("a"),), 2), ((PortActual("a"), PortActual("b", False)), 0)],
)
def test_a_server_waits_for_its_ports(ports: tuple[PortActual, ...], expected: int):
    steps = plan_guest(a_server(), GuestActual(ports=ports, ports_expected=expected), NOW)
    assert kinds(steps) == []
    assert said(steps)["conditions"] == [("False", "NetworkNotReady")]
    assert said(steps)["task"] == "networking"


def test_a_deleted_server_is_removed_with_its_taps_and_let_go():
    actual = GuestActual("Running", True, ports=(PortActual("web-0"),))
    steps = plan_guest(a_server(RUNNING, {"deletionTimestamp": STAMP}), actual, NOW)
    assert kinds(steps) == [RemoveGuest(), UnplugPort("web-0"), LetGo()]
    assert said(steps) == {"phase": "Deleting", "task": "deleting", "conditions": [("False", "Deleting")]}


def test_a_deleted_server_that_was_let_go_needs_nothing():
    meta = {"deletionTimestamp": STAMP, "finalizers": ["other"]}
    assert plan_guest(a_server(RUNNING, meta), GuestActual("Running", True), NOW) == []


@pytest.mark.parametrize("power", ["On", "Off"])
def test_deletion_goes_before_power(power: str):
    steps = plan_guest(a_server(RUNNING, {"deletionTimestamp": STAMP}, power=power), GuestActual(), NOW)
    assert kinds(steps) == [RemoveGuest(), LetGo()]


def test_a_fault_holds_until_spec_changes():
    failed = {"phase": "Error", "power": "NoState", "conditions": [ready("False", "StartFailed", "no")]}
    assert plan_guest(a_server(failed), GuestActual(has_disk=True), NOW) == []
    assert kinds(plan_guest(a_server(failed, {"generation": 2}), GuestActual(has_disk=True), NOW)) == [StartGuest()]


def test_a_faulty_server_that_runs_after_all_is_no_longer_faulty():
    failed = {"phase": "Error", "power": "NoState", "fault": "no", "conditions": [ready("False", "StartFailed", "no")]}
    assert said(plan_guest(a_server(failed), UP, NOW)) == {
        "phase": "Running", "power": "Running", "fault": "", "launchedAt": STARTED_STAMP, "startedAt": STARTED_STAMP,
        "conditions": [("True", "Running")],
    }  # fmt: skip


def test_a_fault_is_told_in_words():
    assert fault(a_server(), "StartFailed", "The engine said no.", NOW) == [
        Report(
            {
                "phase": "Error", "power": "NoState", "fault": "The engine said no.",
                "conditions": [ready("False", "StartFailed", "The engine said no.")],
            }
        )
    ]  # fmt: skip


def test_trouble_keeps_the_phase_and_says_why():
    assert said(trouble(a_server(), "busy", NOW)) == {
        "phase": "Building", "power": "NoState", "conditions": [("False", "Retrying")],
    }  # fmt: skip
    assert said(trouble(a_server(RUNNING), "busy", NOW)) == {"conditions": [("False", "Retrying")]}
    assert said(trouble(a_server(STOPPED), "busy", NOW)) == {"conditions": [("False", "Retrying")]}


def test_conditions_of_others_are_kept():
    other = {"type": "Scheduled", "status": "True", "reason": "Placed"}
    steps = plan_guest(a_server({"phase": "Pending", "conditions": [other]}), UP, NOW)
    report = steps[0]
    assert isinstance(report, Report)
    assert [c["type"] for c in report.status["conditions"]] == ["Scheduled", "Ready"]


@pytest.mark.parametrize(("count", "delay"), [(-1, 0), (0, 0), (1, 10), (2, 20), (5, 160), (6, 300), (10**6, 300)])
def test_back_off_doubles_up_to_its_limit(count: int, delay: float):
    assert backoff(count) == delay


@pytest.mark.parametrize("power", ["", "Running", "Paused", "Shutdown", "GuestOff", "Crashed"])
@pytest.mark.parametrize("wanted", ["On", "Off"])
@pytest.mark.parametrize("policy", ["Restart", "Never"])
@pytest.mark.parametrize("phase", ["", "Pending", "Building", "Running", "Stopped", "Rebooting", "Error"])
def test_a_plan_whose_reports_came_true_has_nothing_more_to_say(power: str, wanted: str, policy: str, phase: str):
    """Reports converge: planning again over what was reported, with nothing else changed, reports nothing new."""
    status: dict[str, Any] = {"phase": phase, "power": "NoState"}
    actual = GuestActual(power, True, STARTED, image="waiting")
    for _ in range(3):
        steps = plan_guest(a_server(status, power=wanted, runPolicy=policy), actual, NOW)
        if kinds(steps):
            return
        for step in steps:
            assert isinstance(step, Report)
            status = {**status, **step.status}
    assert steps == []


def test_a_server_that_is_to_stand_still_is_paused_and_says_so():
    steps = plan_guest(a_server(RUNNING, power="Suspended"), UP, NOW)
    assert steps[0] == PauseGuest()
    assert said(steps)["phase"] == "Suspended"


def test_a_server_that_stood_still_goes_on():
    still = {**RUNNING, "phase": "Paused", "power": "Paused"}
    assert plan_guest(a_server(still), GuestActual("Paused", True, STARTED), NOW) == [UnpauseGuest()]


def test_a_rebuild_ends_the_guest_and_removes_its_disk_once():
    steps = plan_guest(a_server(RUNNING, rebuiltAt="t1"), UP, NOW)
    assert kinds(steps) == [StopGuest(0.0), RemoveDisk()]
    assert steps[-1] == Report({"rebuiltAt": "t1"})
    done = a_server({**RUNNING, "rebuiltAt": "t1"}, rebuiltAt="t1")
    assert kinds(plan_guest(done, GuestActual("Shutdown"), NOW)) == [CreateDisk(), StartGuest()]


def test_a_rebuild_that_was_cut_off_goes_on_with_the_disk():
    steps = plan_guest(a_server(RUNNING, rebuiltAt="t1"), GuestActual("Shutdown", True), NOW)
    assert kinds(steps) == [RemoveDisk()]


def test_a_resize_stops_the_guest_grows_its_disk_and_notes_the_figures():
    made, wanted = {"vcpus": 1, "memory": 128, "disk": 1}, {"vcpus": 2, "memory": 256, "disk": 5}
    steps = plan_guest(a_server({**RUNNING, "resources": made}, resources=wanted), UP, NOW)
    assert kinds(steps) == [StopGuest(60.0), GrowDisk()]
    assert steps[-1] == Report({"resources": wanted})


def test_interfaces_follow_the_ports_of_a_running_guest():
    ports = (PortActual("web-0", mac="m0"), PortActual("web-1", mac="m1"), PortActual("web-2", False, "m2"))
    actual = GuestActual("Running", True, STARTED, ports=ports, nics=("m0", "m9"))
    assert kinds(plan_guest(a_server(RUNNING), actual, NOW)) == [DetachNic("m9"), PlugTap("web-1"), AttachNic("web-1")]
