# SPDX-License-Identifier: Apache-2.0
"""What a project may not write though the object is its own."""

from __future__ import annotations

from typing import Any

import pytest

from lichen.kernel.kernel import Kernel
from lichen.kernel.session import Session
from lichen.kinds.compute.flavor import Flavor
from lichen.kinds.compute.server import Server
from lichen.kinds.image.image import Image
from lichen.kinds.network.network import Network
from lichen.kinds.network.port import Port
from lichen.model.data import Object
from lichen.model.errors import Forbidden, Invalid
from lichen.model.kind import new_object
from lichen.model.names import CONTROLLERS
from lichen.model.state import Caller

NS = "default"
TENANT = Caller(name="jane", namespace=NS, roles=("member",))
SOMEONES = "6f0fd1f1-7f0c-4c57-9a9b-0b3c8f8f6a11"


@pytest.fixture
async def tenant(kernel: Kernel, session: Session) -> Session:
    await session.create(Flavor.KIND, new_object(Flavor.KIND, "small", "", Flavor.Spec(vcpus=1, memory=64)))
    return kernel.acting(TENANT)


def a_server(**spec: Any) -> Object:
    return new_object(Server.KIND, "web", NS, {"flavor": "small", **spec})


async def test_a_project_cannot_boot_from_bytes_by_their_id(tenant: Session) -> None:
    made = await tenant.create(Server.KIND, a_server(imageId=SOMEONES))
    assert not made["spec"].get("imageId")
    changed = await tenant.patch(Server.KIND, "web", NS, {"spec": {"imageId": SOMEONES}})
    assert not changed["spec"].get("imageId")


async def test_a_project_cannot_grow_past_its_flavor(tenant: Session) -> None:
    await tenant.create(Server.KIND, a_server(resources={"memory": 4096}))
    changed = await tenant.patch(Server.KIND, "web", NS, {"spec": {"resources": {"memory": 4096, "vcpus": 64}}})
    assert (changed["spec"]["resources"]["memory"], changed["spec"]["resources"]["vcpus"]) == (64, 1)


async def test_a_project_cannot_choose_or_leave_its_node(session: Session, tenant: Session) -> None:
    with pytest.raises(Forbidden, match=r"choose spec\.node"):
        await tenant.create(Server.KIND, a_server(node="node-1"))
    await tenant.create(Server.KIND, a_server())
    with pytest.raises(Forbidden, match=r"choose spec\.node"):
        await tenant.patch(Server.KIND, "web", NS, {"spec": {"node": "node-1"}})
    await session.patch(Server.KIND, "web", NS, {"spec": {"node": "node-1"}})
    kept = await tenant.patch(Server.KIND, "web", NS, {"spec": {"node": None, "power": "Off"}})
    assert (kept["spec"]["node"], kept["spec"]["power"]) == ("node-1", "Off")


async def test_a_project_cannot_bind_its_port(session: Session, tenant: Session) -> None:
    await session.create(Network.KIND, new_object(Network.KIND, "net", NS, Network.Spec()))
    with pytest.raises(Forbidden, match=r"choose spec\.node"):
        await tenant.create(Port.KIND, new_object(Port.KIND, "p", NS, {"network": "net", "node": "node-1"}))


async def test_a_protected_image_stays(session: Session) -> None:
    await session.create(Image.KIND, new_object(Image.KIND, "img", NS, Image.Spec(protected=True)))
    with pytest.raises(Forbidden, match="protected"):
        await session.delete(Image.KIND, "img", NS)
    await session.patch(Image.KIND, "img", NS, {"spec": {"protected": False}})
    await session.delete(Image.KIND, "img", NS)


async def test_controllers_put_a_servers_ports_where_the_server_was_admitted_and_no_others(
    kernel: Kernel, session: Session
) -> None:
    await session.create(Network.KIND, new_object(Network.KIND, "walled", "kube-system", {"displayName": "walled"}))
    controllers = kernel.acting(Caller(name=CONTROLLERS))
    spec = {"network": "kube-system/walled", "deviceOwner": "compute:nova"}
    made = await controllers.create(Port.KIND, new_object(Port.KIND, "of-server", NS, spec))
    assert made["spec"]["network"] == "kube-system/walled"
    with pytest.raises(Invalid, match="no Network of that name can be used here"):
        of_pod = {**spec, "deviceOwner": "compute:kubernetes"}
        await controllers.create(Port.KIND, new_object(Port.KIND, "of-pod", NS, of_pod))
    with pytest.raises(Invalid, match="no Network of that name can be used here"):
        await kernel.acting(TENANT).create(Port.KIND, new_object(Port.KIND, "mine", NS, spec))
