# SPDX-License-Identifier: Apache-2.0
"""Tags of networks, subnets and ports: a whole set, or one by one."""

from __future__ import annotations

from lichen.apis.openstack.network.attributes import invalid
from lichen.apis.openstack.network.common import see
from lichen.apis.openstack.reply import Reply, created, no_content
from lichen.apis.openstack.request import Request
from lichen.kinds.network.floatingip import FloatingIP
from lichen.kinds.network.network import Network
from lichen.kinds.network.port import Port
from lichen.kinds.network.router import Router
from lichen.kinds.network.securitygroup import SecurityGroup
from lichen.kinds.network.subnet import Subnet
from lichen.kinds.network.subnetpool import SubnetPool
from lichen.model.data import Object
from lichen.model.errors import NotFound
from lichen.model.kind import Kind
from lichen.model.meta import name_of, namespace_of, revision_of

_KINDS = {
    "networks": Network.KIND,
    "subnets": Subnet.KIND,
    "subnetpools": SubnetPool.KIND,
    "ports": Port.KIND,
    "security-groups": SecurityGroup.KIND,
    "routers": Router.KIND,
    "floatingips": FloatingIP.KIND,
}
MOST = 50
"""Tags on one resource, as in Neutron."""


async def list_tags(req: Request, id: str) -> Reply:
    return Reply({"tags": _tags(await _see(req, id))})


async def replace_tags(req: Request, id: str) -> Reply:
    tags = (await req.document()).get("tags")
    if not isinstance(tags, list):
        raise invalid("tags is not a list")
    return Reply({"tags": await _write(req, await _see(req, id), [_checked(tag) for tag in tags])})


async def clear_tags(req: Request, id: str) -> Reply:
    await _write(req, await _see(req, id), [])
    return no_content()


async def show_tag(req: Request, id: str, tag: str) -> Reply:
    _present(await _see(req, id), tag)
    return no_content()


async def add_tag(req: Request, id: str, tag: str) -> Reply:
    obj = await _see(req, id)
    await _write(req, obj, [*_tags(obj), _checked(tag)])
    return created(None)


async def remove_tag(req: Request, id: str, tag: str) -> Reply:
    obj = await _see(req, id)
    _present(obj, tag)
    await _write(req, obj, [kept for kept in _tags(obj) if kept != tag])
    return no_content()


def _kind(req: Request) -> Kind:
    return _KINDS[req.path.split("/")[2]]


async def _see(req: Request, id: str) -> Object:
    return await see(req, _kind(req), id)


def _tags(obj: Object) -> list[str]:
    return list((obj.get("spec") or {}).get("tags") or [])


def _present(obj: Object, tag: str) -> None:
    if tag not in _tags(obj):
        raise NotFound(f"Tag {tag} could not be found.", kind="Tag")


def _checked(tag: object) -> str:
    if not isinstance(tag, str) or not 0 < len(tag) <= 255 or "," in tag:
        raise invalid(f"'{tag}' is not a valid tag: 1 to 255 characters without a comma")
    return tag


async def _write(req: Request, obj: Object, tags: list[str]) -> list[str]:
    tags = list(dict.fromkeys(tags))
    if len(tags) > MOST:
        raise invalid(f"{len(tags)} tags are over the limit of {MOST}")
    patch = {"metadata": {"resourceVersion": str(revision_of(obj))}, "spec": {"tags": tags}}
    return _tags(await req.state.patch(_kind(req), name_of(obj), namespace_of(obj), patch))
