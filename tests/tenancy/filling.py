# SPDX-License-Identifier: Apache-2.0
"""Two projects with one of everything, made through the dialects, and who tries them."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qsl

from oauthlib.oauth1 import Client

from lichen.kinds.builtin import NAMESPACE, NODE
from lichen.kinds.compute.server import Server
from lichen.kinds.identity.role import Role
from lichen.kinds.identity.role_assignment import RoleAssignment
from lichen.kinds.identity.user import User
from lichen.kinds.image.image import Image
from lichen.kinds.network.port import Port
from lichen.kinds.volume.attachment import VolumeAttachment
from lichen.kinds.volume.snapshot import VolumeSnapshot
from lichen.kinds.volume.volume import Volume
from lichen.model.data import Object
from lichen.model.kind import Kind, new_object
from lichen.model.meta import labels_of, name_of, namespace_of, uid_of
from lichen.model.names import PROJECT_ID
from tests.apis.openstack.cloud import READY, a_node
from tests.kernel.test_every_kind import OBJECTS, TEMPLATE
from tests.tenancy.world import PASSWORD, World

OURS, THEIRS = "kestrel", "heron"
"""The project that is tried, and the outsider's. No other thing of the cloud has these words in its name."""
NODES = {OURS: "node-1", THEIRS: "node-2"}
NET, NOVA, CINDER, KEYSTONE = "/network/v2.0", "/compute/v2.1", "/volume/v3", "/identity/v3"
HOST = "cloud.test"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUyKzNDU1bGT8eHeJ6yPzP6fQ2oT7nD2VfYh0CkYyqA nobody"


async def fill(world: World) -> None:
    """Everything that the tables try. Ids land in `world.ids` and `world.others`."""
    admin = await world.state.get(NAMESPACE, "admin")
    world.projects["admin"] = labels_of(admin)[PROJECT_ID]
    world.tokens["admin"] = await world.login("admin", world.projects["admin"])
    for node in NODES.values():
        await world.state.create(NODE, a_node(node))
        await world.state.patch(NODE, node, "", {"status": READY}, subresource="status")
        who = "node" if node == NODES[OURS] else "stranger"
        world.tokens[who] = world.identity.system_token(f"system:node:{node}", ("system:nodes",))
    shared = await _shared(world)
    world.tokens["outsider"] = await _project(world, THEIRS, "manager")
    world.tokens["manager"] = await _project(world, OURS, "manager")
    for role in ("reader", "member"):
        world.tokens[role] = await _user(world, OURS, role)
    world.others |= shared | await _one_of_everything(world, THEIRS, "outsider", shared)
    world.ids |= shared | await _one_of_everything(world, OURS, "member", shared)


async def _project(world: World, name: str, role: str) -> str:
    namespace = await world.state.create(NAMESPACE, new_object(NAMESPACE, name))
    world.projects[name] = labels_of(namespace)[PROJECT_ID]
    return await _user(world, name, role)


async def _user(world: World, project: str, role: str) -> str:
    name = f"{project}-{role}"
    user = await world.state.create(User.KIND, new_object(User.KIND, name, spec=User.Spec(display_name=name)))
    (world.ids if project == OURS else world.others)[f"{role}_user"] = user["spec"]["id"]
    await world.identity.set_password(name, PASSWORD)
    role_id = (await world.state.get(Role.KIND, role))["spec"]["id"]
    spec = RoleAssignment.Spec(role_id=role_id, user_id=user["spec"]["id"], project_id=world.projects[project])
    await world.state.create(RoleAssignment.KIND, new_object(RoleAssignment.KIND, spec.handle(), spec=spec))
    return await world.login(name, world.projects[project])


async def _make(world: World, who: str, path: str, body: Any, method: str = "POST") -> Any:
    answer = await world.ask_openstack(who, method, path, body)
    assert answer.status < 300, (method, path, answer.status, answer.body)
    return answer.json() if answer.body else {}


async def _shared(world: World) -> dict[str, str]:
    """What belongs to the cloud, and is for everyone or for its admin alone."""

    async def made(path: str, key: str, body: Any) -> str:
        return str((await _make(world, "admin", path, {key: body}))[key]["id"])

    flavor = await made(f"{NOVA}/flavors", "flavor", {"name": "small", "ram": 128, "vcpus": 1, "disk": 0})
    larger = await made(f"{NOVA}/flavors", "flavor", {"name": "large", "ram": 256, "vcpus": 1, "disk": 0})
    public = await made(f"{NET}/networks", "network", {"name": "public", "router:external": True})
    subnet = {"network_id": public, "cidr": "203.0.113.0/24", "ip_version": 4, "enable_dhcp": False}
    role = (await world.state.get(Role.KIND, "member"))["spec"]["id"]
    await _make(world, "admin", f"{NOVA}/flavors/{flavor}/os-extra_specs", {"extra_specs": {"colour": "blue"}})
    kind = await made(f"{CINDER}/types", "volume_type", {"name": "fast"})
    await _make(world, "admin", f"{CINDER}/types/{kind}/extra_specs", {"extra_specs": {"colour": "blue"}})
    aggregate = await made(f"{NOVA}/os-aggregates", "aggregate", {"name": "rack"})
    service = await made(f"{KEYSTONE}/services", "service", {"type": "weather", "name": "sun"})
    endpoint = {"service_id": service, "interface": "public", "url": "https://weather.test"}
    tuner = await made(f"{KEYSTONE}/roles", "role", {"name": "tuner"})
    domain = await made(f"{KEYSTONE}/domains", "domain", {"name": "elsewhere"})
    ldap = {"config": {"ldap": {"url": "ldap://nowhere.test"}}}
    await _make(world, "admin", f"{KEYSTONE}/domains/{domain}/config", ldap, "PUT")
    registered = {"service_id": service, "resource_name": "rays", "default_limit": 5}
    registered = await _make(world, "admin", f"{KEYSTONE}/registered_limits", {"registered_limits": [registered]})
    filters = {"name": "skies", "filters": {"service_id": service}}
    await _make(world, "admin", f"{KEYSTONE}/roles/{role}/implies/{tuner}", None, "PUT")
    return {
        "flavor": flavor,
        "larger": larger,
        "public": public,
        "public_subnet": await made(f"{NET}/subnets", "subnet", subnet),
        "type": kind,
        "aggregate": aggregate,
        "service": service,
        "endpoint": await made(f"{KEYSTONE}/endpoints", "endpoint", endpoint),
        "region": await made(f"{KEYSTONE}/regions", "region", {"id": "north"}),
        "domain": domain,
        "registered_limit": registered["registered_limits"][0]["id"],
        "endpoint_group": await made(f"{KEYSTONE}/OS-EP-FILTER/endpoint_groups", "endpoint_group", filters),
        "group": await made(f"{KEYSTONE}/groups", "group", {"name": "readers"}),
        "role": role,
        "other_role": tuner,
        "policy": await made(f"{KEYSTONE}/policies", "policy", {"type": "text/plain", "blob": "x"}),
        "admin_user": (await world.state.get(User.KIND, "admin"))["spec"]["id"],
        "host": f"{NODES[OURS]}@files",
        "node": uid_of(await world.state.get(NODE, NODES[OURS])),
        "admin_project": world.projects["admin"],
    }


async def _one_of_everything(world: World, project: str, who: str, shared: dict[str, str]) -> dict[str, str]:
    async def made(path: str, key: str, body: Any) -> Any:
        return (await _make(world, who, path, {key: body}))[key]

    ids = {"project": world.projects[project], "user": (world.ids if project == OURS else world.others)[_role(who)]}
    ids |= await _networks(world, project, who, shared)
    image = {"name": f"{project}-image", "disk_format": "raw", "container_format": "bare", "colour": "red"}
    ids["image"] = (await _make(world, who, "/image/v2/images", image))["id"]
    octets = {"content-type": "application/octet-stream"}
    path = f"/image/v2/images/{ids['image']}/file"
    assert (await world.ask_openstack(who, "PUT", path, b"\0" * 512, octets)).status == 204
    await _report(world, Image.KIND, ids["image"], phase="active", size=512)
    assert (await world.ask_openstack(who, "PUT", f"/image/v2/images/{ids['image']}/tags/colour")).status == 204
    key = await made(f"{NOVA}/os-keypairs", "keypair", {"name": f"{project}-key", "public_key": KEY})
    ids["keypair"] = key["name"]
    group = {"name": f"{project}-together", "policy": "anti-affinity"}
    ids["server_group"] = (await made(f"{NOVA}/os-server-groups", "server_group", group))["id"]
    ids |= await _server(world, project, who, ids, shared)
    ids |= await _volumes(world, project, who, ids["server"])
    loose = {"name": f"{project}-loose", "network_id": ids["network"], "cidr": "10.2.0.0/24", "ip_version": 4}
    ids["loose_subnet"] = (await made(f"{NET}/subnets", "subnet", loose))["id"]
    await _make(world, "admin", f"{KEYSTONE}/projects/{ids['project']}/tags/colour", None, "PUT")
    ids |= await _delegations(world, project, who, ids, shared)
    limit = {
        "service_id": shared["service"],
        "resource_name": "rays",
        "resource_limit": 3,
        "project_id": ids["project"],
    }
    ids["limit"] = (await _make(world, "admin", f"{KEYSTONE}/limits", {"limits": [limit]}))["limits"][0]["id"]
    return ids


def _role(who: str) -> str:
    return "manager_user" if who == "outsider" else f"{who}_user"


async def _networks(world: World, project: str, who: str, shared: dict[str, str]) -> dict[str, str]:
    async def made(plural: str, key: str, **body: Any) -> str:
        return str((await _make(world, who, f"{NET}/{plural}", {key: body}))[key]["id"])

    network = await made("networks", "network", name=f"{project}-net")
    subnet = await made(
        "subnets", "subnet", name=f"{project}-subnet", network_id=network, cidr="10.1.0.0/24", ip_version=4
    )
    group = await made("security-groups", "security_group", name=f"{project}-group")
    rule = await made(
        "security-group-rules", "security_group_rule", security_group_id=group, direction="ingress", protocol="tcp"
    )
    pool = await made("subnetpools", "subnetpool", name=f"{project}-pool", prefixes=["10.8.0.0/16"])
    port = await made("ports", "port", name=f"{project}-port", network_id=network, security_groups=[group])
    gateway = {"network_id": shared["public"]}
    router = await made("routers", "router", name=f"{project}-router", external_gateway_info=gateway)
    await _make(world, who, f"{NET}/routers/{router}/add_router_interface", {"subnet_id": subnet}, "PUT")
    floating = await made("floatingips", "floatingip", floating_network_id=shared["public"], port_id=port)
    for plural, id in (
        ("networks", network),
        ("subnets", subnet),
        ("ports", port),
        ("floatingips", floating),
        ("routers", router),
        ("security-groups", group),
        ("subnetpools", pool),
    ):
        await _make(world, who, f"{NET}/{plural}/{id}/tags/colour", None, "PUT")
    return {
        "network": network,
        "subnet": subnet,
        "security_group": group,
        "security_group_rule": rule,
        "port": port,
        "subnetpool": pool,
        "router": router,
        "floatingip": floating,
    }


async def _server(world: World, project: str, who: str, ids: dict[str, str], shared: dict[str, str]) -> dict[str, str]:
    nic = {"port": {"name": f"{project}-nic", "network_id": ids["network"], "security_groups": [ids["security_group"]]}}
    port = (await _make(world, who, f"{NET}/ports", nic))["port"]
    server = {
        "name": f"{project}-server",
        "flavorRef": shared["flavor"],
        "imageRef": ids["image"],
        "networks": [{"port": port["id"]}],
        "key_name": ids["keypair"],
        "user_data": base64.b64encode(f"#!/bin/sh {project}".encode()).decode(),
        "metadata": {"colour": project},
        "tags": ["colour"],
    }
    body = {"server": server, "os:scheduler_hints": {"group": ids["server_group"]}}
    made = (await _make(world, who, f"{NOVA}/servers", body))["server"]
    address = {"network": f"{project}-net", "ip": port["fixed_ips"][0]["ip_address"], "mac": port["mac_address"]}
    seen = {"phase": "Running", "power": "Running", "addresses": [{**address, "version": 4}]}
    await _report(world, Server.KIND, made["id"], node=NODES[project], **seen)
    plugged = {"spec": {"deviceId": made["id"], "deviceOwner": "compute:nova"}}
    await world.state.patch(Port.KIND, await _name(world, Port.KIND, port["id"]), project, plugged)
    actions = await _make(world, who, f"{NOVA}/servers/{made['id']}/os-instance-actions", None, "GET")
    return {
        "server": made["id"],
        "server_port": port["id"],
        "request": actions["instanceActions"][0]["request_id"],
        "address": port["fixed_ips"][0]["ip_address"],
    }


async def _volumes(world: World, project: str, who: str, server: str) -> dict[str, str]:
    async def made(plural: str, key: str, **body: Any) -> str:
        return str((await _make(world, who, f"{CINDER}/{plural}", {key: body}))[key]["id"])

    volume = await made("volumes", "volume", name=f"{project}-volume", size=1, metadata={"colour": project})
    await _report(world, Volume.KIND, volume, node=NODES[project], phase="Available", size=1)
    snapshot = await made("snapshots", "snapshot", name=f"{project}-snap", volume_id=volume, metadata={"colour": "x"})
    await _report(world, VolumeSnapshot.KIND, snapshot, phase="Available")
    disk = await made("volumes", "volume", name=f"{project}-disk", size=1)
    await _report(world, Volume.KIND, disk, node=NODES[project], phase="Available", size=1)
    body = {"volumeAttachment": {"volumeId": disk}}
    await _make(world, who, f"{NOVA}/servers/{server}/os-volume_attachments", body)
    attachment = (await world.state.list(VolumeAttachment.KIND, project)).items[0]["spec"]["id"]
    return {"volume": volume, "snapshot": snapshot, "disk": disk, "attachment": attachment}


async def _delegations(
    world: World, project: str, who: str, ids: dict[str, str], shared: dict[str, str]
) -> dict[str, str]:
    user = f"{KEYSTONE}/users/{ids['user']}"
    rules = [{"service": "compute", "method": "GET", "path": "/v2.1/servers"}]
    body = {"name": f"{project}-credential", "access_rules": rules}
    credential = await _make(world, who, f"{user}/application_credentials", {"application_credential": body})
    rule = (await _make(world, who, f"{user}/access_rules", None, "GET"))["access_rules"][0]["id"]
    ec2 = await _make(world, who, f"{user}/credentials/OS-EC2", {"tenant_id": ids["project"]})
    blob = {"credential": {"type": "note", "blob": f"{project}-blob", "user_id": ids["user"]}}
    trust = {
        "trustor_user_id": ids["user"],
        "trustee_user_id": shared["admin_user"],
        "project_id": ids["project"],
        "impersonation": True,
        "roles": [{"name": "member"}],
    }
    return {
        **await _oauth(world, who, ids["project"]),
        "application_credential": credential["application_credential"]["id"],
        "access_rule": rule,
        "access": ec2["credential"]["access"],
        "credential": (await _make(world, who, f"{KEYSTONE}/credentials", blob))["credential"]["id"],
        "trust": (await _make(world, who, f"{KEYSTONE}/OS-TRUST/trusts", {"trust": trust}))["trust"]["id"],
    }


async def _oauth(world: World, who: str, project_id: str) -> dict[str, str]:
    """A consumer, what it may exchange, and a request that nobody has authorized yet."""
    made = (await _make(world, "admin", f"{KEYSTONE}/OS-OAUTH1/consumers", {"consumer": {}}))["consumer"]
    consumer: dict[str, str] = {"client_key": made["id"], "client_secret": made["secret"]}
    asked = await _signed(world, "request_token", consumer, project_id)
    path = f"{KEYSTONE}/OS-OAUTH1/authorize/{asked['oauth_token']}"
    told = await _make(world, who, path, {"roles": [{"name": "member"}]}, "PUT")
    owner = {"resource_owner_key": asked["oauth_token"], "resource_owner_secret": asked["oauth_token_secret"]}
    given = await _signed(world, "access_token", {**consumer, **owner, "verifier": told["token"]["oauth_verifier"]})
    waiting = await _signed(world, "request_token", consumer, project_id)
    return {"consumer": made["id"], "request_token": waiting["oauth_token"], "access_token": given["oauth_token"]}


async def _signed(world: World, call: str, keys: dict[str, str], project_id: str = "") -> dict[str, str]:
    """What a consumer is answered."""
    path = f"{KEYSTONE}/OS-OAUTH1/{call}"
    header = Client(**keys).sign(f"http://{HOST}{path}", "POST")[1]["Authorization"]
    headers = {"host": HOST, "authorization": header, "requested-project-id": project_id}
    answer = await world.ask_openstack("", "POST", path, None, headers)
    assert answer.status == 201, answer.body
    return dict(parse_qsl(answer.body.decode()))


async def _name(world: World, kind: Kind, id: str) -> str:
    return name_of((await world.state.list(kind, fields=f"spec.id={id}")).items[0])


async def _report(world: World, kind: Kind, id: str, *, node: str = "", **status: Any) -> Object:
    """What scheduler and node write."""
    found = (await world.state.list(kind, fields=f"spec.id={id}")).items[0]
    name, namespace = name_of(found), namespace_of(found)
    if node:
        await world.state.patch(kind, name, namespace, {"spec": {"node": node}})
    return await world.state.patch(kind, name, namespace, {"status": status}, subresource="status")


async def fill_kubernetes(world: World) -> None:
    """One object of each kind that the dialects have not made, in both projects and in the cloud."""
    for project in (OURS, THEIRS):
        for kind in world.catalog.all_kinds():
            if "create" not in kind.verbs or "list" not in kind.verbs or kind.group == "events.k8s.io":
                continue
            where = project if kind.namespaced else None
            if not (await world.state.list(kind, where, limit=1)).items:
                await world.state.create(kind, _an_object(kind, project))


def _an_object(kind: Kind, project: str) -> Object:
    known = MORE.get(kind.plural) or OBJECTS.get((kind.group, kind.version, kind.plural)) or {}
    metadata = {"name": f"{project}-{kind.singular or kind.plural}" if kind.namespaced else f"shared-{kind.plural}"}
    metadata |= {k: v for k, v in known.get("metadata", {}).items() if k != "namespace"}
    made = {**new_object(kind, metadata["name"], project if kind.namespaced else ""), **known}
    return json.loads(
        json.dumps({**made, "metadata": {**new_object(kind, "", project)["metadata"], **metadata}})
        .replace("$project", project)
        .replace("$node", NODES[project])
    )


MORE: dict[str, Object] = {
    "pods": {"spec": {"nodeName": "$node", "containers": [{"name": "c", "image": "i", "env": [
        {"name": "A", "valueFrom": {"secretKeyRef": {"name": "$project-secret", "key": "word"}}},
        {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "$project-configmap", "key": "word"}}}]}]}},
    "secrets": {"stringData": {"word": "$project-word"}},
    "configmaps": {"data": {"word": "$project-word"}},
    "services": {"spec": {"selector": {"a": "b"}, "ports": [{"port": 80}]}},
    "deployments": {"spec": {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}},
    "replicasets": {"spec": {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}},
    "horizontalpodautoscalers": {"spec": {"maxReplicas": 2, "scaleTargetRef": {
        "apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}}},
    "roles": {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]},
    "rolebindings": {
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "User", "name": "nobody", "apiGroup": "rbac.authorization.k8s.io"}]},
    "events": {"involvedObject": {"kind": "Pod", "name": "$project-pod", "namespace": "$project"}, "reason": "Made",
               "message": "of $project"},
    "limitranges": {"spec": {"limits": [{"type": "Container", "max": {"cpu": "9"}, "default": {"cpu": "1"}}]}},
    "revokedtokens": {"spec": {"auditId": "none", "expiresAt": "2030-01-01T00:00:00Z"}},
    "operations": {"spec": {"server": "$project-server", "type": "stop"}},
    "domainconfigs": {"spec": {"domainId": "default", "options": {"ldap.url": '"ldap://nowhere.test"'}}},
    "endpointassociations": {"spec": {"projectId": "none", "endpointId": "none"}},
    "imageshares": {"metadata": {"name": "0d0d0d0d-1111-4222-8333-0d0d0d0d0d0d"}, "spec": {
        "image": "admin/$project", "imageId": "0d0d0d0d-1111-4222-8333-0d0d0d0d0d0d"}},
    "customresourcedefinitions": {"metadata": {"name": "xs.example.com"}, "spec": {
        "group": "example.com", "names": {"plural": "xs", "kind": "X"}, "scope": "Namespaced", "versions": [{
            "name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}]}},
}  # fmt: skip
