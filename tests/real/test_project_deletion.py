# SPDX-License-Identifier: Apache-2.0
"""A real project with one of everything is deleted: no process, disk, namespace of the network or object is left."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.conformance.cloud import Here, a_cloud, until
from tests.conformance.full_project import an_outside, everything, fill, gone
from tests.real.machine import tiny_image

pytestmark = [pytest.mark.real, pytest.mark.timeout(400), pytest.mark.xdist_group("deletion")]


@pytest.fixture(scope="module")
def cloud() -> Iterator[Here]:
    with a_cloud(simulate=False, tiny=tiny_image()) as here:
        yield here


def on_the_machine(cloud: Here) -> set[str]:
    """Guests' processes, volumes' and guests' files, and networks of this cloud."""
    folder = str(cloud.data_dir)
    said = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    guests = {line for line in said.splitlines() if "qemu" in line.split()[0] and folder in line}
    files = {str(path) for name in ("volumes", "guests") for path in (cloud.data_dir / name).rglob("*")}
    names = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    return guests | files | {line.split()[0] for line in names.splitlines()}


def test_a_real_project_takes_all_with_it_and_leaves_nothing(cloud: Here):
    outside = an_outside(cloud, tiny_image())
    before, machine = everything(cloud), on_the_machine(cloud)
    fill(cloud, "full", outside)
    assert on_the_machine(cloud) - machine
    cloud.openstack_ok("project", "delete", "full", cloud="lichen")
    until("the project is gone", lambda: gone(cloud, "full"), 120.0)
    until("all of it is gone", lambda: everything(cloud) <= before, 60.0)
    until("the machine is clean", lambda: on_the_machine(cloud) <= machine, 60.0)
