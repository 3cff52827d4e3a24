# SPDX-License-Identifier: Apache-2.0
"""A server that is booted from another image, and back."""

from __future__ import annotations

from lichen.kinds.compute.server import Server, ServerRescue
from lichen.model.meta import Meta
from lichen.planning.guest import plan_guest
from lichen.planning.guest_steps import (
    GuestActual,
    Report,
    StartGuest,
    StopGuest,
)

AT = "2026-01-01T00:00:00Z"


def a_server(rescue: ServerRescue | None, done: str) -> Server:
    spec = Server.Spec(id="s", flavor="f", image="i", image_id="i", rescue=rescue)
    status = Server.Status(phase="Running", power="Running", launched_at=AT, started_at=AT, rescued_at=done)
    return Server(metadata=Meta(name="web", namespace="demo"), spec=spec, status=status)


def test_a_running_guest_ends_and_is_then_started_from_the_other_image() -> None:
    server = a_server(ServerRescue(image_id="r", at=AT), "")
    steps = plan_guest(server, GuestActual(power="Running", has_disk=True), 0)
    assert isinstance(steps[0], Report) and steps[0].status["task"] == "rescuing"
    assert steps[1:] == [StopGuest(60.0), Report({"rescuedAt": AT})]
    server.status.rescued_at = AT
    assert StartGuest() in plan_guest(server, GuestActual(power="Shutdown", has_disk=True), 0)


def test_a_rescued_guest_that_is_left_is_started_from_its_own_disk_again() -> None:
    steps = plan_guest(a_server(None, AT), GuestActual(power="Running", has_disk=True), 0)
    assert steps[1:] == [StopGuest(0.0), Report({"rescuedAt": ""})]


def test_what_is_rescued_already_is_let_be() -> None:
    steps = plan_guest(a_server(ServerRescue(at=AT), AT), GuestActual(power="Running", has_disk=True, started_at=0), 0)
    assert StopGuest(60.0) not in steps


def test_a_rescue_waits_for_its_image() -> None:
    server = a_server(ServerRescue(image_id="r", at=AT), AT)
    steps = plan_guest(server, GuestActual(power="Shutdown", has_disk=True, image="waiting", image_message="soon"), 0)
    assert StartGuest() not in steps
