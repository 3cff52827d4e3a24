# SPDX-License-Identifier: Apache-2.0
"""An operation is over when its server is at rest: not while a step of it is tried again."""

from __future__ import annotations

from lichen.controllers.operation import outcome_of
from lichen.kinds.compute.server import Server
from lichen.model.data import Object
from lichen.planning.guest import trouble
from lichen.planning.guest_steps import (
    Report,
)


def a_server(reason: str, phase: str = "Running") -> Object:
    ready = {"type": "Ready", "status": "False", "reason": reason, "message": "busy", "observedGeneration": 2}
    return {
        "apiVersion": "compute.lichen.dev/v1",
        "kind": "Server",
        "metadata": {"name": "web", "namespace": "demo", "generation": 2},
        "spec": {"flavor": "tiny"},
        "status": {"phase": phase, "conditions": [ready], "fault": "no disk" if phase == "Error" else ""},
    }


REBOOT: Object = {"spec": {"server": "web", "generation": 2}}


def test_what_is_tried_again_goes_on():
    assert outcome_of(REBOOT, a_server("Retrying")) is None


def test_what_the_planner_says_of_a_try_that_failed_is_still_the_same_operation():
    server = a_server("Running")
    (report,) = trouble(Server.of(server), "busy", 0)
    assert isinstance(report, Report)
    assert outcome_of(REBOOT, {**server, "status": {**server["status"], **report.status}}) is None


def test_what_came_to_rest_has_succeeded_and_what_is_in_error_has_failed():
    assert outcome_of(REBOOT, a_server("PowerOff", "Stopped")) == {"phase": "Succeeded"}
    assert outcome_of(REBOOT, a_server("NoSuchDisk", "Error")) == {"phase": "Failed", "message": "no disk"}
