# SPDX-License-Identifier: Apache-2.0
"""Talking to a server through `lichen console`, on a simulated cloud."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.conformance.cloud import Here, a_qcow2
from tests.conformance.streams import Terminal

LEAVE = "\x1d"


@pytest.fixture(scope="module")
def server(cloud: Here) -> Iterator[str]:
    disk = a_qcow2(cloud.folder / "spoken.qcow2")
    cloud.openstack_ok("image", "create", "spoken", "--file", str(disk), "--disk-format", "qcow2")
    boot = ("--image", "spoken", "--flavor", "m1.tiny", "--network", "cluster", "--wait")
    cloud.openstack_ok("server", "create", *boot, "spoken-to")
    yield "spoken-to"


def a_console(cloud: Here, server: str) -> Terminal:
    terminal = Terminal(cloud, "lichen", "console", server, "--data-dir", str(cloud.data_dir))
    terminal.expect("Ctrl-] to leave")
    return terminal


def test_who_types_on_a_console_hears_the_server_and_leaves_it_running(cloud: Here, server: str) -> None:
    with closing(a_console(cloud, server)) as terminal:
        terminal.type("hostnamx\x7fe\r")
        terminal.expect("spoken-to\r\n")
        terminal.type(LEAVE)
        terminal.expect("The console is closed.")
        assert terminal.process.wait(10) == 0
    assert cloud.openstack_json("server", "show", server)["status"] == "ACTIVE"
    assert "hostname" in cloud.openstack_ok("console", "log", "show", server)


def test_what_is_piped_into_a_console_is_typed(cloud: Here, server: str) -> None:
    told = cloud.folder / "answers"
    command = f"(echo 'echo pebble'; sleep 2) | timeout 5 lichen console {server} --data-dir {cloud.data_dir} > {told}"
    cloud.run("sh", "-c", command)
    assert "pebble\r\n" in told.read_bytes().decode()


def test_a_server_that_is_off_or_is_none_is_said_to_be(cloud: Here, server: str) -> None:
    refused = cloud.lichen("console", "nobody", "--data-dir", str(cloud.data_dir))
    assert (refused.code, refused.err) == (1, "lichen: there is no server 'nobody'\n")
    cloud.openstack_ok("server", "stop", server)
    cloud.kubectl_ok(
        "-n", "demo", "wait", f"servers/{server}", "--for=jsonpath={.status.phase}=Stopped", "--timeout=30s"
    )
    refused = cloud.lichen("console", server, "--data-dir", str(cloud.data_dir))
    assert refused.code == 1
    assert "The server does not run" in refused.err
    cloud.openstack_ok("server", "start", server)
