# SPDX-License-Identifier: Apache-2.0
"""Simulated engines: machines, containers and networks that behave like real ones, in memory, in simulated time.

    machine = FakeMachine("node-1", clock, root)
    guests, pods, networks = FakeGuests(machine), FakePods(machine), FakeNetworks(machine)

The `FakeMachine` is the host: it outlives the drivers, so that a new driver finds what an old one started. Faults are
asked for by the thing that is to fail, see `faults`. Here and nowhere else does Lichen pretend.
"""

from lichen.drivers.fake.guests import FakeGuests
from lichen.drivers.fake.machine import Clock, FakeMachine, Timing
from lichen.drivers.fake.networks import FakeNetworks
from lichen.drivers.fake.pods import FakePods

__all__ = ["Clock", "FakeGuests", "FakeMachine", "FakeNetworks", "FakePods", "Timing"]
