# SPDX-License-Identifier: Apache-2.0
"""Parts of a server that have calls of their own: metadata, tags, addresses, interfaces."""

from __future__ import annotations

from typing import Any

from lichen.apis.openstack.compute import server_views
from lichen.apis.openstack.compute.server_views import Json
from lichen.apis.openstack.compute.servers import find, patch_spec
from lichen.apis.openstack.reply import Reply, created, no_content
from lichen.apis.openstack.request import Request
from lichen.kinds.network.port import Port
from lichen.model.data import Object
from lichen.model.errors import BadRequest, Forbidden, NotFound
from lichen.model.meta import namespace_of

MOST_METADATA, MOST_TAGS = 128, 50


async def show_metadata(req: Request, id: str) -> Reply:
    return Reply({"metadata": _metadata(await find(req, id))})


async def add_metadata(req: Request, id: str) -> Reply:
    """Adds to what is there."""
    wanted = checked_metadata(await req.json("metadata", dict[str, Any]))
    return Reply({"metadata": await _write(req, await find(req, id), wanted, keep=True)})


async def replace_metadata(req: Request, id: str) -> Reply:
    wanted = checked_metadata(await req.json("metadata", dict[str, Any]))
    return Reply({"metadata": await _write(req, await find(req, id), wanted, keep=False)})


async def show_item(req: Request, id: str, key: str) -> Reply:
    return Reply({"meta": {key: _item(await find(req, id), key)}})


async def set_item(req: Request, id: str, key: str) -> Reply:
    wanted = checked_metadata(await req.json("meta", dict[str, Any]))
    if len(wanted) != 1:
        raise BadRequest("Request body contains too many items")
    if key not in wanted:
        raise BadRequest("Request body and URI mismatch")
    await _write(req, await find(req, id), wanted, keep=True)
    return Reply({"meta": wanted})


async def delete_item(req: Request, id: str, key: str) -> Reply:
    server = await find(req, id)
    _item(server, key)
    await patch_spec(req, server, {"metadata": {key: None}})
    return no_content()


async def list_tags(req: Request, id: str) -> Reply:
    return Reply({"tags": _tags(await find(req, id))})


async def replace_tags(req: Request, id: str) -> Reply:
    wanted = checked_tags(await req.json("tags", list[Any], lax=False))
    server = await patch_spec(req, await find(req, id), {"tags": wanted})
    return Reply({"tags": _tags(server)})


async def clear_tags(req: Request, id: str) -> Reply:
    await patch_spec(req, await find(req, id), {"tags": []})
    return no_content()


async def show_tag(req: Request, id: str, tag: str) -> Reply:
    _present(await find(req, id), tag)
    return no_content()


async def add_tag(req: Request, id: str, tag: str) -> Reply:
    server = await find(req, id)
    if tag in _tags(server):
        return no_content()
    await patch_spec(req, server, {"tags": checked_tags([*_tags(server), tag])})
    return created(None, Location=req.url(f"/v2.1/servers/{id}/tags/{tag}"))


async def remove_tag(req: Request, id: str, tag: str) -> Reply:
    server = await find(req, id)
    _present(server, tag)
    await patch_spec(req, server, {"tags": [kept for kept in _tags(server) if kept != tag]})
    return no_content()


async def list_addresses(req: Request, id: str) -> Reply:
    return Reply({"addresses": _addresses(await find(req, id))})


async def show_addresses(req: Request, id: str, network: str) -> Reply:
    addresses = _addresses(await find(req, id))
    if network not in addresses:
        raise NotFound("Instance is not a member of specified network")
    return Reply({network: addresses[network]})


async def list_interfaces(req: Request, id: str) -> Reply:
    ports = await ports_of(req, await find(req, id))
    return Reply({"interfaceAttachments": [interface_view(req, port) for port in ports]})


async def show_interface(req: Request, id: str, port_id: str) -> Reply:
    for port in await ports_of(req, await find(req, id)):
        if port["spec"]["id"] == port_id:
            return Reply({"interfaceAttachment": interface_view(req, port)})
    raise NotFound(f"Instance {id} does not have a port with id {port_id}")


def checked_metadata(wanted: Any) -> dict[str, str]:
    """Pairs of texts of up to 255 characters. BadRequest; Forbidden: too many, as nova says of a quota."""
    if not isinstance(wanted, dict):
        raise BadRequest("Invalid input for field/attribute metadata: it is not an object.")
    for key, value in wanted.items():
        if not 0 < len(key) <= 255:
            raise BadRequest("Invalid input for field/attribute metadata: a key has 1 to 255 characters.")
        if not isinstance(value, str) or len(value) > 255:
            raise BadRequest(f"Invalid input for field/attribute {key[:40]}: it is a text of up to 255 characters.")
    if len(wanted) > MOST_METADATA:
        raise Forbidden(f"Maximum number of metadata items exceeds {MOST_METADATA}")
    return wanted


def checked_tags(wanted: list[Any]) -> list[str]:
    for tag in wanted:
        if not isinstance(tag, str) or not 0 < len(tag) <= 60 or "/" in tag or "," in tag:
            raise BadRequest(f"Invalid tag {str(tag)[:60]!r}: 1 to 60 characters without '/' and ','.")
    tags = list(dict.fromkeys(wanted))
    if len(tags) > MOST_TAGS:
        raise BadRequest(f"The number of tags exceeded the per-server limit {MOST_TAGS}")
    return tags


def _metadata(server: Object) -> dict[str, str]:
    return dict(server["spec"].get("metadata") or {})


def _item(server: Object, key: str) -> str:
    metadata = _metadata(server)
    if key not in metadata:
        raise NotFound("Metadata item was not found")
    return metadata[key]


async def _write(req: Request, server: Object, wanted: dict[str, str], *, keep: bool) -> dict[str, str]:
    old = _metadata(server)
    checked_metadata({**old, **wanted} if keep else wanted)
    gone: Object = {} if keep else dict.fromkeys(set(old) - set(wanted))
    return _metadata(await patch_spec(req, server, {"metadata": {**wanted, **gone}}))


def _tags(server: Object) -> list[str]:
    return list(server["spec"].get("tags") or [])


def _present(server: Object, tag: str) -> None:
    if tag not in _tags(server):
        raise NotFound(f"Server {server['spec']['id']} has no tag '{tag}'")


def _addresses(server: Object) -> dict[str, list[Json]]:
    """By network, as the short form of this call has them."""
    return {
        network: [{"version": a["version"], "addr": a["addr"]} for a in found]
        for network, found in server_views.addresses(server).items()
    }


async def ports_of(req: Request, server: Object) -> list[Object]:
    where, id = namespace_of(server), server["spec"]["id"]
    return (await req.state.list(Port.KIND, where, fields=f"spec.deviceId={id}")).items


def interface_view(req: Request, port: Object) -> Json:
    spec = port["spec"]
    view: Json = {
        "port_id": spec["id"],
        "net_id": spec.get("networkId", ""),
        "mac_addr": spec.get("mac", ""),
        "port_state": (port.get("status") or {}).get("phase") or "DOWN",
        "fixed_ips": [
            {"ip_address": ip.get("ipAddress", ""), "subnet_id": ip.get("subnetId", "")}
            for ip in spec.get("fixedIps") or []
        ],
    }
    return {**view, "tag": None} if req.since(2, 70) else view
