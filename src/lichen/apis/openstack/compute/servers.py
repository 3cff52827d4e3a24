# SPDX-License-Identifier: Apache-2.0
"""Calls on servers: list, show, update, delete."""

from __future__ import annotations

import ipaddress
from typing import Any

from lichen.apis.openstack import objects
from lichen.apis.openstack.compute.names import names_for
from lichen.apis.openstack.compute.server_filters import selected
from lichen.apis.openstack.compute.server_views import Json, server_view, written_view
from lichen.apis.openstack.paging import nova_links, page
from lichen.apis.openstack.reply import Reply, no_content
from lichen.apis.openstack.request import Request
from lichen.kinds.compute.server import Server
from lichen.model.data import Object
from lichen.model.errors import BadRequest, Forbidden, NotFound
from lichen.model.meta import name_of, namespace_of

ACCESS = ("accessIPv4", "accessIPv6")
SUMMARY = ("id", "name", "links")
_MANY = 1000


async def list_servers(req: Request) -> Reply:
    return await _list(req, detailed=False)


async def list_servers_detail(req: Request) -> Reply:
    return await _list(req, detailed=True)


async def show_server(req: Request, id: str) -> Reply:
    return Reply({"server": await full_view(req, await find(req, id))})


async def update_server(req: Request, id: str) -> Reply:
    spec = _changes(req, await req.json("server", dict[str, Any]))
    server = await patch_spec(req, await find(req, id), spec)
    return Reply({"server": written_view(await full_view(req, server), req.version)})


async def delete_server(req: Request, id: str) -> Reply:
    server = await find(req, id)
    await req.state.delete(Server.KIND, name_of(server), namespace_of(server))
    return no_content()


async def find(req: Request, id: str) -> Object:
    """The server of that id, if the caller may see it. NotFound."""
    try:
        return await objects.find(req, Server.KIND, id)
    except NotFound:
        raise NotFound(f"Instance {id} could not be found.") from None


async def full_view(req: Request, server: Object) -> Json:
    return server_view(server, await names_for(req, [server]), req.version, single=True)


async def patch_spec(req: Request, server: Object, spec: Object) -> Object:
    return await req.state.patch(Server.KIND, name_of(server), namespace_of(server), {"spec": spec})


def checked_name(value: object) -> str:
    """A server's name: 1 to 255 characters, not only spaces. BadRequest."""
    if not isinstance(value, str) or not len(value.strip()) > 0 or len(value) > 255:
        raise BadRequest(
            f"Invalid input for field/attribute name. Value: {str(value)[:40]}. It needs 1 to 255 letters."
        )
    if not value.isprintable():
        raise BadRequest("Invalid input for field/attribute name: it has characters that cannot be printed.")
    return value.strip()


def checked_access(name: str, value: object) -> str:
    """An address of the family that the name says, or "" for none. BadRequest."""
    if value in ("", None):
        return ""
    try:
        address = ipaddress.ip_address(str(value))
    except ValueError:
        address = None
    if address is None or f"accessIPv{address.version}" != name:
        raise BadRequest(f"Invalid input for field/attribute {name}. Value: {str(value)[:40]}. It is no such address.")
    return str(address)


def checked_description(value: object) -> str | None:
    if value is not None and (not isinstance(value, str) or len(value) > 255):
        raise BadRequest("Invalid input for field/attribute description: it is a text of up to 255 characters.")
    return value


async def _list(req: Request, *, detailed: bool) -> Reply:
    servers = await objects.listed(req, Server.KIND, everywhere=_all_tenants(req))
    names = await names_for(req, servers)
    views = [_with_hidden(server, server_view(server, names, req.version)) for server in servers]
    shown, marker = page(req, selected(req, views), lambda v: str(v["id"]), most=_MANY)
    for view in shown:
        del view["_flavor_id"], view["_host"]
    body = shown if detailed else [{key: view[key] for key in SUMMARY} for view in shown]
    return Reply({"servers": body, **nova_links(req, "servers", marker)})


def _with_hidden(server: Object, view: Json) -> Json:
    """Adds what filters look at though it is not always shown."""
    view["_flavor_id"] = server["spec"].get("flavorId", "")
    view["_host"] = server["spec"].get("node", "")
    return view


def _all_tenants(req: Request) -> bool:
    if not req.flag("all_tenants", False):
        return False
    if not req.caller.is_admin:
        raise Forbidden("Policy doesn't allow os_compute_api:servers:detail:get_all_tenants to be performed.")
    return True


def _changes(req: Request, wanted: Object) -> Object:
    spec: Object = {}
    for key, value in wanted.items():
        if key == "name":
            spec["displayName"] = checked_name(value)
        elif key == "description" and req.since(2, 19):
            spec["description"] = checked_description(value)
        elif key in ACCESS:
            spec[key] = checked_access(key, value)
        elif key in ("hostname", "OS-DCF:diskConfig"):
            raise BadRequest(f"{key} cannot be changed on this cloud.")
        else:
            raise BadRequest(f"Additional properties are not allowed ('{key}' was unexpected)")
    return spec
