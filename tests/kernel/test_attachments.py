# SPDX-License-Identifier: Apache-2.0
"""Who has a volume is settled before the answer: the attachment of a new server, and whether the volume goes along."""

from __future__ import annotations

from typing import Any

import pytest

from lichen.kernel.session import Session
from lichen.kinds.builtin import NODE
from lichen.kinds.compute.flavor import Flavor
from lichen.kinds.compute.server import Server
from lichen.kinds.volume.attachment import VolumeAttachment
from lichen.kinds.volume.volume import Volume
from lichen.model.data import Object
from lichen.model.errors import Conflict, NotFound
from lichen.model.kind import new_object
from lichen.model.meta import owners_of, uid_of
from lichen.model.names import POOL

NS = "default"
ATTACHMENT = VolumeAttachment.KIND


@pytest.fixture(autouse=True)
async def things(session: Session) -> None:
    await session.create(Flavor.KIND, new_object(Flavor.KIND, "small", spec={"vcpus": 1, "memory": 128}))
    await session.create(Volume.KIND, new_object(Volume.KIND, "data", NS, {"size": 1}))


async def a_server(session: Session, name: str = "web", **entry: Any) -> Object:
    volumes = [{"volume": "data", **entry}] if entry or name == "web" else []
    return await session.create(Server.KIND, new_object(Server.KIND, name, NS, {"flavor": "small", "volumes": volumes}))


async def owners(session: Session) -> list[str]:
    return [owner["uid"] for owner in owners_of(await session.get(Volume.KIND, "data", NS))]


async def test_a_server_has_its_volumes_and_those_that_go_with_it_are_its_own_from_the_answer_on(session: Session):
    server = await a_server(session, boot=True, deleteOnTermination=True)
    held = await session.get(ATTACHMENT, "data", NS)
    assert (held["spec"]["serverId"], held["spec"]["device"]) == (server["spec"]["id"], "/dev/vda")
    assert (held["spec"]["declared"], uid_of(server)) == (True, owners_of(held)[0]["uid"])
    assert await owners(session) == [uid_of(server)]


async def test_a_volume_that_is_still_to_come_is_no_error(session: Session):
    spec = {"flavor": "small", "volumes": [{"volume": "later"}]}
    await session.create(Server.KIND, new_object(Server.KIND, "web", NS, spec))
    with pytest.raises(NotFound):
        await session.get(ATTACHMENT, "later", NS)


async def test_a_server_that_names_anothers_volume_is_refused(session: Session):
    await a_server(session)
    with pytest.raises(Conflict, match="volume data is in use by server web"):
        await a_server(session, "thief", boot=True)
    with pytest.raises(NotFound):
        await session.get(Server.KIND, "thief", NS)


async def test_what_goes_with_a_server_follows_the_attachment(session: Session):
    server = await a_server(session, "plain")
    spec = {"volume": "data", "server": "plain"}
    await session.create(ATTACHMENT, new_object(ATTACHMENT, "data", NS, spec))
    assert await owners(session) == []
    await session.patch(ATTACHMENT, "data", NS, {"spec": {"deleteOnTermination": True}})
    assert await owners(session) == [uid_of(server)]
    await session.patch(ATTACHMENT, "data", NS, {"spec": {"deleteOnTermination": False}})
    assert await owners(session) == []


async def test_a_volume_that_was_taken_from_its_server_stays(session: Session):
    await a_server(session, deleteOnTermination=True)
    await session.patch(Server.KIND, "web", NS, {"spec": {"volumes": []}})
    await session.delete(ATTACHMENT, "data", NS)
    await session.patch(ATTACHMENT, "data", NS, {"metadata": {"finalizers": None}})
    assert await owners(session) == []


async def test_a_volume_on_disks_that_the_servers_node_does_not_reach_is_refused_in_words(session: Session):
    for name in ("n1", "n2"):
        await session.create(NODE, new_object(NODE, name, spec={}))
    await session.create(Volume.KIND, new_object(Volume.KIND, "far", NS, {"size": 1, "node": "n2"}))
    spec = {"flavor": "small", "node": "n1"}
    await session.create(Server.KIND, new_object(Server.KIND, "web", NS, spec))
    wanted = new_object(ATTACHMENT, "far", NS, {"volume": "far", "server": "web"})
    with pytest.raises(Conflict, match="on the disks of node n2, and the server is on node n1"):
        await session.create(ATTACHMENT, wanted)
    for name in ("n1", "n2"):
        await session.patch(NODE, name, "", {"metadata": {"labels": {POOL: "san"}}})
    await session.create(ATTACHMENT, wanted)
