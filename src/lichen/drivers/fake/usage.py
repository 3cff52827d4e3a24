# SPDX-License-Identifier: Apache-2.0
"""What runs on a simulated host uses, steadily. A container: the processor time it requests (else a thousandth of a
core), and half the memory it may have (else 8 MiB). A guest: a tenth of its processors, and all of its memory."""

from __future__ import annotations

from lichen.drivers.base import ContainerPhase, ContainerSpec, ContainerUsage, GuestPower
from lichen.drivers.fake.machine import FakeGuest, FakeMachine
from lichen.model.usage import Usage

NANO_PER_MILLI = 1_000_000
IDLE_MILLIS, SMALL = 1, 8 << 20
GUEST_MILLIS = 100
"""Of each of its processors."""


def containers_usage(machine: FakeMachine) -> ContainerUsage:
    """Of all that run."""
    now = machine.clock.now()
    newest = [
        (uid, name, attempts[-1])
        for uid, pod in machine.pods.items()
        for name, attempts in pod.containers.items()
        if attempts and attempts[-1].phase is ContainerPhase.RUNNING
    ]
    return {
        (uid, name, one.attempt): _steady(_millis(one.spec), now - one.started_at, one.spec.memory_bytes // 2 or SMALL)
        for uid, name, one in newest
    }


def machine_usage(machine: FakeMachine) -> Usage:
    """Of the host: its containers and guests together."""
    used = list(containers_usage(machine).values())
    used += [_guest(guest, machine.clock.now()) for guest in machine.guests.values()]
    return Usage(sum(one.cpu for one in used), sum(one.memory for one in used))


def _guest(guest: FakeGuest, now: float) -> Usage:
    ran = sum((now if ended is None else ended) - started for started, ended in guest.runs)
    held = guest.spec.memory << 20 if guest.power in (GuestPower.RUNNING, GuestPower.PAUSED) else 0
    return _steady(GUEST_MILLIS * guest.spec.vcpus, ran, held)


def _steady(millis: int, seconds: float, memory: int) -> Usage:
    return Usage(round(seconds * millis * NANO_PER_MILLI), memory)


def _millis(spec: ContainerSpec) -> int:
    return spec.cpu_request_millis or spec.cpu_millis or IDLE_MILLIS
