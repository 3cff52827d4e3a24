# SPDX-License-Identifier: Apache-2.0
"""Security groups of servers: those of its ports, as Nova speaks of them."""

from __future__ import annotations

from typing import Any

from lichen.apis.openstack.compute.servers import find
from lichen.apis.openstack.network import securitygroups
from lichen.apis.openstack.reply import Reply, accepted
from lichen.apis.openstack.request import Request
from lichen.kinds.network.port import Port
from lichen.kinds.network.securitygroup import SecurityGroup
from lichen.model.data import Object
from lichen.model.errors import BadRequest, Conflict, NotFound
from lichen.model.meta import name_of, namespace_of


async def wanted_groups(req: Request, wanted: list[dict[str, Any]] | None) -> Object:
    """What a new server's spec says of its groups. BadRequest: one is not there, or several have that name."""
    if not wanted:
        return {}
    names = [group.get("name") for group in wanted]
    try:
        handles = [await handle_of(req, name, req.namespace) for name in names]
    except NotFound as error:
        raise BadRequest(error.message) from None
    return {"securityGroups": list(dict.fromkeys(handles))}


async def handle_of(req: Request, name: object, namespace: str) -> str:
    """A group of the namespace by its name or id. NotFound, BadRequest, Conflict: several have that name."""
    if not isinstance(name, str) or not name:
        raise BadRequest("Invalid input for field/attribute security_groups: each has a name.")
    if name == "default":
        return name
    groups = (await req.state.list(SecurityGroup.KIND, namespace)).items
    found = [g for g in groups if g["spec"]["id"] == name] or [g for g in groups if _called(g) == name]
    if not found:
        raise NotFound(f"Unable to find security_group with name or id '{name}'")
    if len(found) > 1:
        raise Conflict(f"Multiple security_groups matches found for name '{name}', use an ID to be more specific.")
    return name_of(found[0])


async def add_group(req: Request, server: Object, argument: Any) -> Reply:
    name = await handle_of(req, _name(argument), namespace_of(server))
    for port in await _ports(req, server):
        held = port["spec"].get("securityGroups") or []
        if name not in held:
            await _write(req, port, [*held, name])
    return accepted()


async def remove_group(req: Request, server: Object, argument: Any) -> Reply:
    name = await handle_of(req, _name(argument), namespace_of(server))
    ports = [p for p in await _ports(req, server) if name in (p["spec"].get("securityGroups") or [])]
    if not ports:
        raise NotFound(f"Security group {_name(argument)} not associated with the instance {server['spec']['id']}")
    for port in ports:
        await _write(req, port, [held for held in port["spec"]["securityGroups"] if held != name])
    return accepted()


async def list_groups(req: Request, id: str) -> Reply:
    server = await find(req, id)
    names = {(namespace_of(p), n) for p in await _ports(req, server) for n in p["spec"].get("securityGroups") or ()}
    groups = [await req.state.get(SecurityGroup.KIND, name, namespace) for namespace, name in sorted(names)]
    shown = await securitygroups.views(req, groups)
    return Reply(
        {
            "security_groups": [
                {
                    "id": group["id"],
                    "name": group["name"],
                    "description": group["description"],
                    "tenant_id": group["tenant_id"],
                    "rules": [],
                }
                for group in shown
            ]
        }
    )


def _called(group: Object) -> str:
    return str(group["spec"].get("displayName") or name_of(group))


def _name(argument: Any) -> object:
    return argument.get("name") if isinstance(argument, dict) else None


async def _ports(req: Request, server: Object) -> list[Object]:
    where, id = namespace_of(server), server["spec"]["id"]
    return (await req.state.list(Port.KIND, where, fields=f"spec.deviceId={id}")).items


async def _write(req: Request, port: Object, names: list[str]) -> None:
    await req.state.patch(Port.KIND, name_of(port), namespace_of(port), {"spec": {"securityGroups": names}})
