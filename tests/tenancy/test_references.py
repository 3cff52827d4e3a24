# SPDX-License-Identifier: Apache-2.0
"""What a body refers to must be the project's own or shared with it: an id or a name of another's leads nowhere."""

from __future__ import annotations

from typing import Any

import pytest

from lichen.kinds.network.floatingip import FloatingIP
from lichen.kinds.network.port import Port
from lichen.model.data import Object
from lichen.model.errors import Invalid
from lichen.model.kind import new_object
from lichen.model.meta import name_of
from lichen.model.state import Caller
from lichen.planning.ports import plan_pod_port
from lichen.planning.steps import Create
from tests.tenancy.filling import CINDER, KEYSTONE, NET, NOVA
from tests.tenancy.secrecy import told
from tests.tenancy.world import Frozen, thawed

CONTROLLERS = Caller("system:lichen-controllers", ("system:lichen-controllers", "system:authenticated"))


def a_server(**spec: Any) -> Object:
    return {"server": {"name": "x", "flavorRef": "$flavor", "imageRef": "$own_image", "networks": "none", **spec}}


def a_disk(source: str, id: str) -> list[Object]:
    return [{"boot_index": 0, "uuid": id, "source_type": source, "destination_type": "volume", "volume_size": 1}]


ON_OWN = [{"uuid": "$own_network"}]
OPENSTACK: list[tuple[str, str, Object]] = [
    ("POST", f"{NOVA}/servers", a_server(imageRef="$image")),
    ("POST", f"{NOVA}/servers", a_server(networks=[{"uuid": "$network"}])),
    ("POST", f"{NOVA}/servers", a_server(networks=[{"port": "$port"}])),
    ("POST", f"{NOVA}/servers", a_server(networks=ON_OWN, security_groups=[{"name": "kestrel-group"}])),
    ("POST", f"{NOVA}/servers", a_server(networks=ON_OWN, security_groups=[{"name": "$security_group"}])),
    ("POST", f"{NOVA}/servers", a_server(key_name="kestrel-key")),
    ("POST", f"{NOVA}/servers", a_server(key_name="kestrel/kestrel-key")),
    ("POST", f"{NOVA}/servers", a_server(block_device_mapping_v2=a_disk("volume", "$volume"))),
    ("POST", f"{NOVA}/servers", a_server(block_device_mapping_v2=a_disk("snapshot", "$snapshot"))),
    ("POST", f"{NOVA}/servers", a_server(block_device_mapping_v2=a_disk("image", "$image"))),
    ("POST", f"{NOVA}/servers", {**a_server(), "os:scheduler_hints": {"group": "$server_group"}}),
    ("POST", f"{NOVA}/servers/$own_server/action", {"rebuild": {"imageRef": "$image"}}),
    ("POST", f"{NOVA}/servers/$own_server/action", {"addSecurityGroup": {"name": "kestrel-group"}}),
    ("POST", f"{NOVA}/servers/$own_server/action", {"addFixedIp": {"networkId": "$network"}}),
    ("POST", f"{NOVA}/servers/$own_server/os-interface", {"interfaceAttachment": {"port_id": "$port"}}),
    ("POST", f"{NOVA}/servers/$own_server/os-interface", {"interfaceAttachment": {"net_id": "$network"}}),
    ("POST", f"{NOVA}/servers/$own_server/os-volume_attachments", {"volumeAttachment": {"volumeId": "$volume"}}),
    ("POST", f"{CINDER}/volumes", {"volume": {"size": 1, "source_volid": "$volume"}}),
    ("POST", f"{CINDER}/volumes", {"volume": {"size": 1, "snapshot_id": "$snapshot"}}),
    ("POST", f"{CINDER}/volumes", {"volume": {"size": 1, "imageRef": "$image"}}),
    ("POST", f"{CINDER}/snapshots", {"snapshot": {"volume_id": "$volume"}}),
    ("POST", f"{CINDER}/volumes/$own_volume/action", {"os-attach": {"instance_uuid": "$server"}}),
    ("POST", f"{NET}/ports", {"port": {"network_id": "$network"}}),
    ("POST", f"{NET}/ports", {"port": {"network_id": "$own_network", "security_groups": ["$security_group"]}}),
    ("POST", f"{NET}/ports", {"port": {"network_id": "$own_network", "fixed_ips": [{"subnet_id": "$subnet"}]}}),
    ("POST", f"{NET}/ports", {"port": {"network_id": "$own_network", "tenant_id": "$project"}}),
    ("POST", f"{NET}/ports", {"port": {"network_id": "$public"}}),
    ("PUT", f"{NET}/ports/$own_port", {"port": {"security_groups": ["$security_group"]}}),
    ("PUT", f"{NET}/ports/$own_port", {"port": {"fixed_ips": [{"subnet_id": "$subnet"}]}}),
    ("POST", f"{NET}/subnets", {"subnet": {"network_id": "$network", "cidr": "10.7.0.0/24", "ip_version": 4}}),
    ("POST", f"{NET}/subnets", {"subnet": {"network_id": "$public", "cidr": "10.7.0.0/24", "ip_version": 4}}),
    ("POST", f"{NET}/routers", {"router": {"external_gateway_info": {"network_id": "$network"}}}),
    ("PUT", f"{NET}/routers/$own_router/add_router_interface", {"subnet_id": "$subnet"}),
    ("PUT", f"{NET}/routers/$own_router/add_router_interface", {"port_id": "$port"}),
    ("PUT", f"{NET}/routers/$own_router/add_router_interface", {"subnet_id": "$public_subnet"}),
    ("PUT", f"{NET}/routers/$router/add_router_interface", {"subnet_id": "$own_subnet"}),
    ("POST", f"{NET}/floatingips", {"floatingip": {"floating_network_id": "$network"}}),
    ("POST", f"{NET}/floatingips", {"floatingip": {"floating_network_id": "$public", "port_id": "$port"}}),
    ("POST", f"{NET}/floatingips", {"floatingip": {"floating_network_id": "$public", "tenant_id": "$project"}}),
    ("PUT", f"{NET}/floatingips/$own_floatingip", {"floatingip": {"port_id": "$port"}}),
    ("POST", f"{NET}/security-group-rules", {"security_group_rule": {
        "security_group_id": "$own_security_group", "direction": "ingress", "remote_group_id": "$security_group"}}),
    ("POST", f"{NET}/security-group-rules", {"security_group_rule": {
        "security_group_id": "$security_group", "direction": "ingress"}}),
    ("POST", f"{KEYSTONE}/users/$own_user/application_credentials", {"application_credential": {
        "name": "x", "roles": [{"name": "admin"}]}}),
    ("POST", f"{KEYSTONE}/users/$own_user/application_credentials", {"application_credential": {
        "name": "x", "project_id": "$project"}}),
    ("POST", f"{KEYSTONE}/OS-TRUST/trusts", {"trust": {
        "trustor_user_id": "$own_user", "trustee_user_id": "$own_user", "project_id": "$project",
        "impersonation": True, "roles": [{"name": "member"}]}}),
    ("POST", f"{KEYSTONE}/OS-TRUST/trusts", {"trust": {
        "trustor_user_id": "$own_user", "trustee_user_id": "$own_user", "project_id": "$own_project",
        "impersonation": True, "roles": [{"name": "admin"}]}}),
]  # fmt: skip


def filled(value: Any, ids: dict[str, str]) -> Any:
    """`$network` is the tried project's, `$own_network` the caller's."""
    if isinstance(value, dict):
        return {key: filled(item, ids) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, ids) for item in value]
    if not isinstance(value, str):
        return value
    for word in sorted(ids, key=len, reverse=True):
        value = value.replace(f"${word}", ids[word])
    return value


def ids_of(frozen: Frozen) -> dict[str, str]:
    return frozen.ids | {f"own_{word}": id for word, id in frozen.others.items()}


@pytest.mark.parametrize("case", OPENSTACK, ids=lambda case: f"{case[0]} {case[1]} {case[2]}"[:120])
async def test_openstack_refuses_a_reference_to_anothers(frozen: Frozen, case: tuple[str, str, Object]) -> None:
    method, path, body = case
    ids = ids_of(frozen)
    async with thawed(frozen) as world:
        answer = await world.ask_openstack("outsider", method, filled(path, ids), filled(body, ids))
        assert answer.status in (400, 401, 403, 404, 409), answer
        assert told(frozen, "outsider", answer, filled(path, ids), str(filled(body, ids))) == []
        assert world.contents() == frozen.rows


COMPUTE, NETWORK, VOLUME = "compute.lichen.dev/v1", "network.lichen.dev/v1", "volume.lichen.dev/v1"


def an(api_version: str, kind: str, **spec: Any) -> Object:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}, "spec": spec}


def a_pod(annotations: Object | None = None, **spec: Any) -> Object:
    container = {"name": "c", "image": "busybox"}
    pod = an("v1", "Pod", containers=[container], **spec)
    return {**pod, "metadata": {"name": "x", "annotations": annotations or {}}}


SERVER = {"flavor": "small", "networks": []}
KUBERNETES: list[tuple[str, Object]] = [
    ("servers", an(COMPUTE, "Server", **SERVER, image="kestrel/kestrel-image")),
    ("servers", an(COMPUTE, "Server", **SERVER, image="heron-image", keypair="kestrel/kestrel-key")),
    ("servers", an(COMPUTE, "Server", **SERVER, image="heron-image", group="kestrel/kestrel-together")),
    ("servers", an(COMPUTE, "Server", **SERVER, image="heron-image", userDataSecret="kestrel/kestrel-secret")),
    ("servers", an(COMPUTE, "Server", **SERVER, image="heron-image", volumes=[{"volume": "kestrel/kestrel-volume"}])),
    ("servers", an(COMPUTE, "Server", flavor="small", networks=[{"network": "kestrel/kestrel-net"}])),
    ("servers", an(COMPUTE, "Server", flavor="small", networks=[{"port": "kestrel/kestrel-port"}])),
    ("servers", an(COMPUTE, "Server", flavor="small", networks=[{"network": "heron-net"}],
                   securityGroups=["kestrel/kestrel-group"])),
    ("ports", an(NETWORK, "Port", network="kestrel/kestrel-net")),
    ("ports", an(NETWORK, "Port", network="heron-net", fixedIps=[{"subnet": "kestrel/kestrel-subnet"}])),
    ("ports", an(NETWORK, "Port", network="heron-net", securityGroups=["kestrel/kestrel-group"])),
    ("ports", an(NETWORK, "Port", network="admin/public")),
    ("subnets", an(NETWORK, "Subnet", network="kestrel/kestrel-net", cidr="10.7.0.0/24")),
    ("subnets", an(NETWORK, "Subnet", network="admin/public", cidr="10.7.0.0/24")),
    ("routers", an(NETWORK, "Router", externalGateway={"network": "kestrel/kestrel-net"})),
    ("floatingips", an(NETWORK, "FloatingIP", network="admin/public", port="kestrel/kestrel-port")),
    ("floatingips", an(NETWORK, "FloatingIP", network="kestrel/kestrel-net")),
    ("volumes", an(VOLUME, "Volume", size=1, source="kestrel/kestrel-volume")),
    ("volumes", an(VOLUME, "Volume", size=1, snapshot="kestrel/kestrel-snap")),
    ("volumes", an(VOLUME, "Volume", size=1, image="kestrel/kestrel-image")),
    ("volumesnapshots", an(VOLUME, "VolumeSnapshot", volume="kestrel/kestrel-volume")),
    ("volumeattachments", an(VOLUME, "VolumeAttachment", volume="kestrel/kestrel-volume", server="heron-server")),
    ("volumeattachments", an(VOLUME, "VolumeAttachment", volume="heron-volume", server="kestrel/kestrel-server")),
    ("servers", an(COMPUTE, "Server", **SERVER, image="heron-image", id="$server")),
    ("volumes", an(VOLUME, "Volume", size=1, id="$volume")),
    ("volumesnapshots", an(VOLUME, "VolumeSnapshot", volume="heron-volume", id="$snapshot")),
    ("networks", an(NETWORK, "Network", id="$network")),
    ("ports", an(NETWORK, "Port", network="heron-net", id="$port")),
    ("images", an("image.lichen.dev/v1", "Image", id="$image")),
]  # fmt: skip


@pytest.mark.parametrize("case", KUBERNETES, ids=lambda case: f"{case[0]} {case[1]['spec']}")
async def test_kubernetes_refuses_a_reference_to_anothers(frozen: Frozen, case: tuple[str, Object]) -> None:
    plural, body = case
    async with thawed(frozen) as world:
        sent = filled(body, ids_of(frozen))
        answer = await world.ask_kubernetes("outsider", "POST", path_of(body["apiVersion"], plural), sent)
        assert answer.status in (400, 403, 404, 409, 422), answer
        assert told(frozen, "outsider", answer, str(sent)) == []
        assert world.contents() == frozen.rows


def path_of(version: str, plural: str, name: str = "") -> str:
    base = f"/{'api' if version == 'v1' else 'apis'}/{version}/namespaces/heron/{plural}"
    return f"{base}/{name}" if name else base


CHANGES: list[tuple[str, str, str, Object]] = [
    (COMPUTE, "servers", "heron-server", {"keypair": "kestrel/kestrel-key"}),
    (COMPUTE, "servers", "heron-server", {"image": "kestrel/kestrel-image"}),
    (COMPUTE, "servers", "heron-server", {"userDataSecret": "kestrel/kestrel-secret"}),
    (COMPUTE, "servers", "heron-server", {"networks": [{"network": "kestrel/kestrel-net"}]}),
    (COMPUTE, "servers", "heron-server", {"networks": [{"port": "kestrel/kestrel-port"}]}),
    (COMPUTE, "servers", "heron-server", {"securityGroups": ["kestrel/kestrel-group"]}),
    (COMPUTE, "servers", "heron-server", {"volumes": [{"volume": "kestrel/kestrel-volume"}]}),
    (COMPUTE, "servers", "heron-server", {"group": "kestrel/kestrel-together"}),
    (COMPUTE, "servers", "heron-server", {"imageId": "$image"}),
    (COMPUTE, "servers", "heron-server", {"groupId": "$server_group"}),
    (COMPUTE, "servers", "heron-server", {"node": "node-1"}),
    (COMPUTE, "servers", "heron-server", {"id": "$server"}),
    (NETWORK, "ports", "heron-port", {"network": "kestrel/kestrel-net"}),
    (NETWORK, "ports", "heron-port", {"networkId": "$network"}),
    (NETWORK, "ports", "heron-port", {"securityGroups": ["kestrel/kestrel-group"]}),
    (NETWORK, "ports", "heron-port", {"securityGroupIds": ["$security_group"]}),
    (NETWORK, "ports", "heron-port", {"fixedIps": [{"subnetId": "$subnet"}]}),
    (NETWORK, "ports", "heron-port", {"node": "node-1"}),
    (NETWORK, "subnets", "heron-subnet", {"network": "kestrel/kestrel-net"}),
    (NETWORK, "subnets", "heron-subnet", {"networkId": "$network"}),
    (NETWORK, "routers", "heron-router", {"externalGateway": {"network": "kestrel/kestrel-net"}}),
    (
        NETWORK,
        "securitygroups",
        "heron-group",
        {"rules": [{"direction": "ingress", "remoteGroup": "kestrel/kestrel-group"}]},
    ),
    (VOLUME, "volumes", "heron-volume", {"source": "kestrel/kestrel-volume"}),
    (VOLUME, "volumes", "heron-volume", {"sourceId": "$volume"}),
    (VOLUME, "volumes", "heron-volume", {"snapshotId": "$snapshot"}),
    (VOLUME, "volumes", "heron-volume", {"imageId": "$image"}),
    (VOLUME, "volumes", "heron-volume", {"claim": "kestrel-claim"}),
    (VOLUME, "volumesnapshots", "heron-snap", {"volume": "kestrel/kestrel-volume"}),
    (VOLUME, "volumesnapshots", "heron-snap", {"volumeId": "$volume"}),
    (VOLUME, "volumeattachments", "heron-disk", {"volume": "kestrel/kestrel-disk"}),
    (VOLUME, "volumeattachments", "heron-disk", {"volumeId": "$volume"}),
    (VOLUME, "volumeattachments", "heron-disk", {"serverId": "$server"}),
    (VOLUME, "volumeattachments", "heron-disk", {"node": "node-1"}),
    (NETWORK, "floatingips", "$floatingip", {"port": "kestrel/kestrel-port"}),
    (NETWORK, "floatingips", "$floatingip", {"portId": "$port"}),
    (NETWORK, "floatingips", "$floatingip", {"routerId": "$router"}),
    (NETWORK, "floatingips", "$floatingip", {"address": "203.0.113.99"}),
]


@pytest.mark.parametrize("case", CHANGES, ids=lambda case: f"{case[1]} {case[3]}")
async def test_no_change_leads_to_anothers(frozen: Frozen, case: tuple[str, str, str, Object]) -> None:
    """It is refused, or what it leads to is kept as it was."""
    version, plural, name, change = case
    sent = filled(change, ids_of(frozen))
    merge = {"content-type": "application/merge-patch+json"}
    async with thawed(frozen) as world:
        if name == "$floatingip":  # its handle is made up
            name = name_of((await world.state.list(FloatingIP.KIND, "heron")).items[0])
        before = (await world.ask_kubernetes("admin", "GET", path_of(version, plural, name))).json()
        answer = await world.ask_kubernetes("outsider", "PATCH", path_of(version, plural, name), {"spec": sent}, merge)
        after = (await world.ask_kubernetes("admin", "GET", path_of(version, plural, name))).json()
        assert answer.status in (200, 400, 403, 409, 422), answer
        assert told(frozen, "outsider", answer, str(sent)) == []
        assert {key: after["spec"].get(key) for key in sent} == {key: before["spec"].get(key) for key in sent}, answer


PODS = [
    {"network.lichen.dev/network": "kestrel/kestrel-net"},
    {"network.lichen.dev/network": "admin/public"},
    {"network.lichen.dev/security-groups": "kestrel/kestrel-group"},
]


@pytest.mark.parametrize("annotations", PODS, ids=str)
async def test_the_port_that_a_pod_asks_for_is_refused_to_the_controllers(frozen: Frozen, annotations: Object) -> None:
    """What a controller makes for a project is admitted as if the project had made it."""
    async with thawed(frozen) as world:
        made = await world.ask_kubernetes("outsider", "POST", path_of("v1", "pods"), a_pod(annotations))
        assert made.status == 201, made
        (step,) = plan_pod_port(made.json(), None, None)
        assert isinstance(step, Create)
        with pytest.raises(Invalid):
            await world.kernel.acting(CONTROLLERS).create(Port.KIND, step.object)


async def test_the_port_that_a_server_asks_for_is_refused_to_the_controllers(frozen: Frozen) -> None:
    async with thawed(frozen) as world:
        for spec in (
            {"network": "kestrel/kestrel-net"},
            {"network": "heron-net", "securityGroups": ["kestrel/kestrel-group"]},
        ):
            port = new_object(Port.KIND, "x", "heron", spec)
            with pytest.raises(Invalid):
                await world.kernel.acting(CONTROLLERS).create(Port.KIND, port)
