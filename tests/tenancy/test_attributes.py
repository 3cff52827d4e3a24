# SPDX-License-Identifier: Apache-2.0
"""What a member may do to a thing, and yet not choose of it: the attributes that upstream's policies keep for others,
in both languages."""

from __future__ import annotations

import pytest

from lichen.model.data import Object
from tests.tenancy.filling import CINDER, KEY, NET, NOVA
from tests.tenancy.test_references import COMPUTE, NETWORK, VOLUME, a_server, an, filled
from tests.tenancy.world import Frozen, World, thawed

MERGE = {"content-type": "application/merge-patch+json"}
IMAGE = "image.lichen.dev/v1"


def path_of(version: str, plural: str, name: str = "") -> str:
    base = f"/apis/{version}/namespaces/kestrel/{plural}"
    return f"{base}/{name}" if name else base


IDS = ("../../etc", "/etc/shadow", ".", "..", "a\nb", "x;y", "é", " x", "x" * 300, "a,b")


@pytest.mark.parametrize("id", IDS, ids=lambda id: ascii(id)[:20])
async def test_a_chosen_id_is_no_path_and_no_text(frozen: Frozen, id: str) -> None:
    """Nodes name files by ids."""
    things = [
        ("networks", an(NETWORK, "Network", id=id)),
        ("images", an(IMAGE, "Image", id=id)),
        ("volumes", an(VOLUME, "Volume", size=1, id=id)),
        ("servers", an(COMPUTE, "Server", flavor="small", image="kestrel-image", networks=[], id=id)),
    ]
    async with thawed(frozen) as world:
        for plural, body in things:
            answer = await world.ask_kubernetes("member", "POST", path_of(body["apiVersion"], plural), body)
            assert (answer.status, answer.json()["details"]["causes"][0]["field"]) == (422, "spec.id"), (plural, answer)
        assert world.contents() == frozen.rows


async def with_a_shared_network(world: World) -> dict[str, str]:
    """The ids of the world, and of a network that the admin shares with all."""

    async def made(path: str, key: str, body: Object) -> str:
        return str((await world.ask_openstack("admin", "POST", f"{NET}/{path}", {key: body})).json()[key]["id"])

    shared = await made("networks", "network", {"name": "commons", "shared": True})
    subnet = {"network_id": shared, "cidr": "10.99.0.0/24", "ip_version": 4}
    return {
        **world.ids,
        "shared": shared,
        "shared_subnet": await made("subnets", "subnet", subnet),
        "other_router": world.others["router"],
        "gateway": (await world.ask_openstack("admin", "GET", f"{NET}/routers/{world.ids['router']}")).json()["router"][
            "external_gateway_info"
        ]["external_fixed_ips"][0]["ip_address"],
    }


def a_port(**attributes: object) -> Object:
    return {"port": {"network_id": "$shared", **attributes}}


def outside(**attributes: object) -> Object:
    return {"external_gateway_info": {"network_id": "$public", **attributes}}


ROUTER = {"device_owner": "network:router_interface", "device_id": "$router"}
REFUSED: list[tuple[str, str, Object]] = [
    ("POST", f"{NET}/ports", a_port(device_owner="network:dhcp")),
    ("POST", f"{NET}/ports", a_port(device_owner="network:router_gateway", fixed_ips=[{"ip_address": "10.99.0.1"}])),
    ("POST", f"{NET}/ports", a_port(**ROUTER)),
    ("POST", f"{NET}/ports", a_port(mac_address="fa:16:3e:00:00:01")),
    ("POST", f"{NET}/ports", a_port(fixed_ips=[{"ip_address": "10.99.0.77"}])),
    ("POST", f"{NET}/ports", a_port(port_security_enabled=False)),
    ("POST", f"{NET}/ports", a_port(allowed_address_pairs=[{"ip_address": "10.99.0.1"}])),
    ("POST", f"{NET}/ports", a_port(**{"binding:host_id": "node-1"})),
    ("POST", f"{NET}/ports", {"port": {"network_id": "$network", "device_owner": "pod", "device_id": "x"}}),
    ("PUT", f"{NET}/ports/$port", {"port": {"mac_address": "fa:16:3e:00:00:01"}}),
    ("PUT", f"{NET}/ports/$port", {"port": {"device_owner": "pod"}}),
    ("PUT", f"{NET}/routers/$router/add_router_interface", {"subnet_id": "$shared_subnet"}),
    ("POST", f"{NET}/networks", {"network": {"name": "x", "provider:segmentation_id": 77}}),
    ("POST", f"{NET}/networks", {"network": {"name": "x", "provider:network_type": "vxlan"}}),
    ("POST", f"{NET}/networks", {"network": {"name": "x", "provider:physical_network": "eth0"}}),
    ("POST", f"{NET}/networks", {"network": {"name": "x", "router:external": True}}),
    ("POST", f"{NET}/networks", {"network": {"name": "x", "shared": True}}),
    ("PUT", f"{NET}/networks/$network", {"network": {"shared": True}}),
    ("PUT", f"{NET}/networks/$network", {"network": {"router:external": True}}),
    ("POST", f"{NET}/floatingips", {"floatingip": {
        "floating_network_id": "$public", "floating_ip_address": "203.0.113.77"}}),
    ("POST", f"{NET}/routers", {"router": outside(external_fixed_ips=[{"ip_address": "203.0.113.90"}])}),
    ("POST", f"{NET}/routers", {"router": outside(enable_snat=False)}),
    ("PUT", f"{NET}/routers/$router", {"router": outside(external_fixed_ips=[{"ip_address": "203.0.113.90"}])}),
    ("PUT", f"{NET}/routers/$router", {"router": outside(enable_snat=False)}),
    ("POST", f"{NOVA}/servers", a_server(imageRef="$image", networks=[{"uuid": "$shared", "fixed_ip": "10.99.0.77"}])),
]  # fmt: skip


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: f"{case[0]} {case[1]} {case[2]}"[:120])
async def test_a_member_may_not_choose(frozen: Frozen, case: tuple[str, str, Object]) -> None:
    method, path, body = case
    async with thawed(frozen) as world:
        ids = await with_a_shared_network(world)
        before = world.contents()
        answer = await world.ask_openstack("member", method, filled(path, ids), filled(body, ids))
        assert answer.status == 403, answer
        assert world.contents() == before


ALLOWED: list[tuple[str, str, str, Object]] = [
    ("member", "POST", f"{NET}/ports", a_port()),
    ("member", "POST", f"{NET}/ports", a_port(fixed_ips=[{"subnet_id": "$shared_subnet"}])),
    ("member", "POST", f"{NET}/ports", a_port(device_owner="compute:nova", device_id="x")),
    ("member", "POST", f"{NET}/ports", {"port": {"network_id": "$network", "mac_address": "fa:16:3e:00:00:01"}}),
    ("member", "POST", f"{NET}/ports", {"port": {"network_id": "$network", "device_owner": "network:dhcp"}}),
    ("member", "POST", f"{NET}/floatingips", {"floatingip": {"floating_network_id": "$public"}}),
    ("member", "PUT", f"{NET}/routers/$router", {"router": outside(external_fixed_ips=[{"ip_address": "$gateway"}])}),
    ("admin", "POST", f"{NET}/ports", a_port(device_owner="network:dhcp", fixed_ips=[{"ip_address": "10.99.0.77"}])),
    ("admin", "PUT", f"{NET}/ports/$port", {"port": {"mac_address": "fa:16:3e:00:00:01"}}),
    ("admin", "POST", f"{NET}/networks", {"network": {"name": "x", "provider:segmentation_id": 77}}),
    ("admin", "POST", f"{NET}/floatingips", {"floatingip": {
        "floating_network_id": "$public", "floating_ip_address": "203.0.113.77"}}),
    ("admin", "PUT", f"{NET}/routers/$router", {"router": outside(enable_snat=False)}),
]  # fmt: skip


@pytest.mark.parametrize("case", ALLOWED, ids=lambda case: f"{case[0]} {case[1]} {case[2]} {case[3]}"[:120])
async def test_what_else_may_be_chosen(frozen: Frozen, case: tuple[str, str, str, Object]) -> None:
    """So that the refusals above are of the attribute, not of the call."""
    who, method, path, body = case
    async with thawed(frozen) as world:
        ids = await with_a_shared_network(world)
        answer = await world.ask_openstack(who, method, filled(path, ids), filled(body, ids))
        assert answer.status in (200, 201), answer


IN_KUBERNETES: list[tuple[str, Object]] = [
    ("ports", an(NETWORK, "Port", network="admin/commons", deviceOwner="network:dhcp")),
    ("ports", an(NETWORK, "Port", network="admin/commons", mac="fa:16:3e:00:00:01")),
    ("ports", an(NETWORK, "Port", network="admin/commons", fixedIps=[{"ipAddress": "10.99.0.77"}])),
    ("ports", an(NETWORK, "Port", network="kestrel-net", deviceOwner="pod", deviceId="x")),
    ("networks", an(NETWORK, "Network", segment=77)),
    ("floatingips", an(NETWORK, "FloatingIP", network="admin/public", address="203.0.113.77")),
    ("routers", an(NETWORK, "Router", externalGateway={
        "network": "admin/public", "fixedIps": [{"ipAddress": "203.0.113.90"}]})),
    ("routers", an(NETWORK, "Router", externalGateway={"network": "admin/public", "enableSnat": False})),
    ("servers", an(COMPUTE, "Server", flavor="small", image="kestrel-image", networks=[
        {"network": "admin/commons", "fixedIp": "10.99.0.77"}])),
    ("servers", an(COMPUTE, "Server", flavor="small", image="kestrel-image", networks=[], userId="another")),
    ("images", an(IMAGE, "Image", ownerId="another")),
]  # fmt: skip


@pytest.mark.parametrize("case", IN_KUBERNETES, ids=lambda case: f"{case[0]} {case[1]['spec']}")
async def test_a_member_may_not_choose_in_kubernetes(frozen: Frozen, case: tuple[str, Object]) -> None:
    plural, body = case
    async with thawed(frozen) as world:
        await with_a_shared_network(world)
        before = world.contents()
        answer = await world.ask_kubernetes("member", "POST", path_of(body["apiVersion"], plural), body)
        assert answer.status == 403, answer
        assert world.contents() == before


async def test_a_keypair_is_made_for_oneself(frozen: Frozen) -> None:
    async with thawed(frozen) as world:
        for user, status in ((world.ids["manager_user"], 403), (world.ids["member_user"], 201)):
            body = an(COMPUTE, "Keypair", publicKey=KEY, userId=user)
            answer = await world.ask_kubernetes("member", "POST", path_of(COMPUTE, "keypairs"), body)
            assert answer.status == status, answer


async def test_a_private_volume_type_is_not_used_by_its_name(frozen: Frozen) -> None:
    async with thawed(frozen) as world:
        private = {"volume_type": {"name": "vault", "os-volume-type-access:is_public": False}}
        await world.ask_openstack("admin", "POST", f"{CINDER}/types", private)
        body = an(VOLUME, "Volume", size=1, type="vault")
        for who, status in (("member", 422), ("admin", 201)):
            answer = await world.ask_kubernetes(who, "POST", path_of(VOLUME, "volumes"), body)
            assert answer.status == status, answer


async def test_the_interface_of_a_router_is_not_led_to_the_router_of_another(frozen: Frozen) -> None:
    async with thawed(frozen) as world:
        interface = await world.ask_openstack("member", "GET", f"{NET}/ports?device_id={world.ids['router']}")
        names = [p["name"] for p in interface.json()["ports"] if p["device_owner"] == "network:router_interface"]
        change = {"spec": {"deviceId": world.others["router"]}}
        answer = await world.ask_kubernetes("member", "PATCH", path_of(NETWORK, "ports", names[0]), change, MERGE)
        assert answer.status == 422, answer
        assert world.contents() == frozen.rows


ZONES = ("fe80::%x }\nflush ruleset\nadd /64", "fe80::1%eth0", "fe80::1%eth0/128")


@pytest.mark.parametrize("pair", ZONES, ids=ascii)
async def test_the_zone_of_an_address_does_not_get_to_a_nodes_filter(frozen: Frozen, pair: str) -> None:
    """A zone may hold any character, and the filter is text."""
    async with thawed(frozen) as world:
        body = an(NETWORK, "Port", network="kestrel-net", allowedAddressPairs=[{"ipAddress": pair}])
        answer = await world.ask_kubernetes("member", "POST", path_of(NETWORK, "ports"), body)
        assert answer.status == 422, answer
        assert world.contents() == frozen.rows
