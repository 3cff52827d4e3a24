# SPDX-License-Identifier: Apache-2.0
"""Images that a node takes from its disks; and what it tells all guests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lichen.drivers.files.images import ImageStore
from lichen.kinds.builtin import CONFIG_MAP
from lichen.kinds.image.image import Image
from lichen.kinds.volume.volume import Volume
from lichen.model.data import Object
from lichen.model.kind import new_object
from tests.agent.test_servers import boot
from tests.agent.world import World, an_object

ID = "44444444-4444-4444-8444-444444444444"


def an_image(**spec: Any) -> Object:
    wanted = {"id": ID, "node": "node-1", "diskFormat": "qcow2", "containerFormat": "bare", **spec}
    return {**an_object(Image.KIND, "snap", wanted), "status": {"phase": "queued"}}


def ended(image: Object) -> bool:
    return image["status"]["phase"] in ("active", "killed")


def store(world: World) -> ImageStore:
    return ImageStore(Path(world.root) / "images")


async def test_a_servers_disk_becomes_an_image(world: World):
    await boot(world)
    await world.store.create(Image.KIND, an_image(server="web", serverId="id-web"))
    image = await world.until(Image.KIND, "snap", ended)
    assert (image["status"]["phase"], image["status"]["hashAlgo"]) == ("active", "sha512")
    assert image["status"]["virtualSize"] > 0
    assert store(world).size(ID) == image["status"]["size"]


async def test_a_volume_becomes_an_image_byte_by_byte(world: World):
    await world.store.create(
        Volume.KIND, an_object(Volume.KIND, "data", {"id": "id-data", "size": 1, "node": "node-1"})
    )
    await world.until(Volume.KIND, "data", lambda v: (v.get("status") or {}).get("phase") == "Available")
    world.pool.content["id-data"] = b"kept"
    await world.store.create(Image.KIND, an_image(volume="data", volumeId="id-data", diskFormat="raw"))
    await world.until(Image.KIND, "snap", ended)
    taken = b"".join([chunk async for chunk in await store(world).open(ID)])
    assert taken.rstrip(b"\0") == b"kept"


async def test_what_was_begun_by_an_agent_that_ended_is_taken_again(world: World):
    await boot(world)
    await world.stop()
    await world.store.create(Image.KIND, {**an_image(server="web", serverId="id-web"), "status": {"phase": "saving"}})
    await world.start()
    assert (await world.until(Image.KIND, "snap", ended))["status"]["phase"] == "active"


async def test_a_disk_that_is_not_here_kills_the_image_in_words(world: World):
    await world.store.create(Image.KIND, an_image(server="gone", serverId="id-gone"))
    image = await world.until(Image.KIND, "snap", ended)
    assert (image["status"]["phase"], "no root disk" in image["status"]["fault"]) == ("killed", True)


async def test_another_nodes_image_is_left_alone(world: World):
    await boot(world)
    await world.store.create(Image.KIND, an_image(server="web", serverId="id-web", node="node-2"))
    await world.store.create(Image.KIND, {**an_image(server="web", serverId="id-web"), "metadata": {
        **an_image()["metadata"], "name": "mine"}})  # fmt: skip
    await world.until(Image.KIND, "mine", ended)
    assert (await world.store.get(Image.KIND, "snap", "demo"))["status"]["phase"] == "queued"


async def test_all_guests_are_told_what_the_cloud_has_to_say(world: World):
    said = {"vendor_data.json": '{"cloud-init": "x"}', "vendor_data2.json": "not json", "other": "{}"}
    config = {**new_object(CONFIG_MAP, "vendor-data", "lichen-system"), "data": said}
    await world.store.create(CONFIG_MAP, config)
    await boot(world)
    files = world.machine.guests["id-web"].spec.files
    assert files["openstack/latest/vendor_data.json"] == b'{"cloud-init": "x"}'
    assert files["openstack/latest/vendor_data2.json"] == b"{}"
    assert "openstack/latest/other" not in files
