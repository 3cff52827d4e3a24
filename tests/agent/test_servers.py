# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lichen.drivers.base import GuestPower
from lichen.drivers.fake.faults import KEY
from lichen.kinds.compute.server import Server
from lichen.kinds.network.port import Port
from lichen.model.data import Object
from lichen.model.errors import Forbidden
from lichen.model.names import ASKED_BY, NODE_FINALIZER
from lichen.model.tracing import REQUEST_ID
from tests.agent.world import NETWORK_ID, World, a_port, a_server, boot

SERVER = Server.KIND


def phase(wanted: str):
    return lambda server: (server.get("status") or {}).get("phase") == wanted


def ready(server: Object) -> Object:
    return next(c for c in server["status"]["conditions"] if c["type"] == "Ready")


async def test_a_server_comes_to_run_and_says_so(world: World):
    server = await boot(world)
    assert server["status"]["power"] == "Running"
    assert server["status"]["launchedAt"]
    assert server["metadata"]["finalizers"] == [NODE_FINALIZER]
    assert ready(server)["status"] == "True"
    assert world.machine.guests["id-web"].power is GuestPower.RUNNING
    assert (await world.store.get(Port.KIND, "web-0", "demo"))["status"] == {"phase": "ACTIVE"}


async def test_a_guest_is_given_its_interface_and_its_config_drive(world: World):
    await boot(world, metadata={"a": "b"})
    spec = world.machine.guests["id-web"].spec
    assert [nic.mac for nic in spec.nics] == ["fa:16:3e:00:00:05"]
    assert sorted(spec.files) == [
        "openstack/latest/meta_data.json",
        "openstack/latest/network_data.json",
        "openstack/latest/vendor_data.json",
        "openstack/latest/vendor_data2.json",
    ]
    assert [lease.addresses for lease in world.machine.networks[NETWORK_ID].leases] == [("10.0.0.5",)]


async def test_a_server_without_its_port_waits_and_says_for_what(world: World):
    await world.store.create(SERVER, a_server())
    server = await world.until(SERVER, "web", phase("Building"))
    assert (server["status"]["task"], ready(server)["reason"]) == ("networking", "NetworkNotReady")
    await world.store.create(Port.KIND, a_port("web-0", "id-web", "compute:nova"))
    await world.until(SERVER, "web", phase("Running"))


@pytest.mark.parametrize("given", ["req-01234567-89ab-cdef-0123-456789abcdef", "4f1c", "req-1\nAuthorization: x"])
async def test_what_is_done_for_a_request_is_logged_with_its_id_if_it_is_one(
    world: World, caplog: pytest.LogCaptureFixture, given: str
):
    said: list[tuple[str, str]] = []
    caplog.handler.addFilter(lambda record: said.append((record.getMessage(), REQUEST_ID.get())) or True)
    caplog.set_level("INFO")
    await boot(world)
    stop = {"metadata": {"annotations": {ASKED_BY: given}}, "spec": {"power": "Off"}}
    await world.store.patch(SERVER, "web", "demo", stop)
    await world.until(SERVER, "web", phase("Stopped"))
    done = {message.rpartition(": ")[2].partition("(")[0]: request for message, request in said if "id-web" in message}
    assert done["StartGuest"] == ""
    assert done["StopGuest"] == (given if "\n" not in given else "")


async def test_a_stopped_server_stops_and_a_started_one_starts(world: World):
    await boot(world)
    await world.store.patch(SERVER, "web", "demo", {"spec": {"power": "Off"}})
    await world.until(SERVER, "web", phase("Stopped"))
    assert world.machine.guests["id-web"].power is GuestPower.SHUTDOWN
    await world.store.patch(SERVER, "web", "demo", {"spec": {"power": "On"}})
    await world.until(SERVER, "web", phase("Running"))
    assert world.machine.guests["id-web"].power is GuestPower.RUNNING


async def test_a_reboot_is_carried_out_once(world: World):
    await boot(world)
    reboot = {"rebootedAt": "2026-01-01T00:00:00Z", "rebootType": "Hard"}
    await world.store.patch(SERVER, "web", "demo", {"spec": reboot})
    await world.until(SERVER, "web", lambda s: s["status"].get("rebootedAt") and s["status"]["phase"] == "Running")
    assert len(world.machine.guests["id-web"].runs) == 2


async def test_a_guest_goes_though_its_servers_name_was_taken_by_one_of_another_node(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    """A node may not get that other server: it asks for its guest's id."""
    await boot(world)

    async def forbidden(*_: Any) -> Object:
        raise Forbidden("nothing that is bound to node-1 needs it")

    monkeypatch.setattr(world.store, "get", forbidden)
    await world.store.delete(SERVER, "web", "demo")
    async with asyncio.timeout(5):
        while world.machine.guests:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_killed_guest_comes_back(world: World):
    await boot(world)
    await world.guests.kill("id-web")
    server = await world.until(SERVER, "web", lambda s: s["status"].get("restarts") == 1 and phase("Running")(s))
    assert len(world.machine.guests["id-web"].runs) == 2
    assert server["status"]["power"] == "Running"


async def test_a_guest_that_powers_itself_off_stays_off(world: World):
    await boot(world, metadata={KEY: "off-0.1"})
    server = await world.until(SERVER, "web", phase("Stopped"))
    assert server["status"]["guestOff"] is True
    await asyncio.sleep(0.05)
    assert len(world.machine.guests["id-web"].runs) == 1


async def test_an_unusable_image_is_an_error_in_words(world: World):
    await world.store.create(SERVER, a_server(metadata={KEY: "disk"}))
    await world.store.create(Port.KIND, a_port("web-0", "id-web", "compute:nova"))
    server = await world.until(SERVER, "web", phase("Error"))
    assert server["status"]["fault"] == "The image is unusable (simulated)."
    assert ready(server)["reason"] == "InvalidImage"


async def test_a_deleted_server_leaves_nothing_behind(world: World):
    await boot(world)
    mark = {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}
    await world.store.patch(SERVER, "web", "demo", mark)
    await world.until(SERVER, "web", lambda s: not s["metadata"].get("finalizers"))
    assert world.machine.guests == {}
    assert world.machine.ports == {}


async def test_a_new_agent_adopts_what_runs(world: World):
    await boot(world)
    before = await world.store.get(SERVER, "web", "demo")
    await world.restart()
    await asyncio.sleep(0.05)
    assert len(world.machine.guests["id-web"].runs) == 1
    assert await world.store.get(SERVER, "web", "demo") == before


async def test_what_belongs_to_no_server_is_removed_at_start(world: World):
    await boot(world)
    await world.stop()
    await world.store.patch(SERVER, "web", "demo", {"metadata": {"finalizers": None}})
    await world.store.delete(SERVER, "web", "demo")
    await world.store.delete(Port.KIND, "web-0", "demo")
    await world.start()
    assert world.machine.guests == {}
    assert world.machine.ports == {}
    assert NETWORK_ID in world.machine.networks


async def test_a_guest_that_died_while_no_agent_looked_is_started_again(world: World):
    await boot(world)
    await world.stop()
    await world.guests.kill("id-web")
    await world.start()
    await world.until(SERVER, "web", lambda s: s["status"].get("restarts") == 1 and phase("Running")(s))


async def test_the_metadata_of_a_server_is_told_to_its_own_projects_ports_only(world: World):
    """A port may say that it is any device's: one of another project gets nothing by it."""
    port = a_port("thief", "id-web", "compute:nova", 6)
    port["metadata"]["namespace"] = "elsewhere"
    await world.store.create(Port.KIND, port)
    await boot(world)
    servers = world.agent.servers
    assert await servers.metadata(NETWORK_ID, "10.0.0.5") is not None
    assert await servers.metadata(NETWORK_ID, "10.0.0.6") is None
