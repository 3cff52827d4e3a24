# SPDX-License-Identifier: Apache-2.0
"""/v3/policies: documents that services keep here. Lichen itself reads none of them."""

from __future__ import annotations

import msgspec

from lichen.apis.openstack import objects
from lichen.apis.openstack.identity import bodies
from lichen.apis.openstack.identity.common import changes, everything, links, listed
from lichen.apis.openstack.reply import Reply, created, no_content
from lichen.apis.openstack.request import Request
from lichen.kinds.identity.catalog import PolicyDocument
from lichen.model.data import Object
from lichen.model.errors import BadRequest, NotFound
from lichen.model.meta import name_of

FIELDS = {"type": "type", "blob": "blob"}


async def list_all(req: Request) -> Reply:
    views = [_view(req, p) for p in await everything(req, PolicyDocument.KIND)]
    return listed(req, "policies", [v for v in views if req.arg("type", v["type"]) == v["type"]])


async def show(req: Request, id: str) -> Reply:
    return Reply({"policy": _view(req, await _one(req, id))})


async def create(req: Request) -> Reply:
    body = await req.json("policy", bodies.PolicyBody)
    if not body.type or body.blob is msgspec.UNSET:
        raise BadRequest("Invalid input: 'type' and 'blob' are required properties.")
    made = await objects.create(req, PolicyDocument.KIND, "policy", changes(msgspec.to_builtins(body), FIELDS)["spec"])
    return created({"policy": _view(req, made)})


async def update(req: Request, id: str) -> Reply:
    patch = changes(msgspec.to_builtins(await req.json("policy", bodies.PolicyBody)), FIELDS)
    made = await req.state.patch(PolicyDocument.KIND, name_of(await _one(req, id)), "", patch)
    return Reply({"policy": _view(req, made)})


async def delete(req: Request, id: str) -> Reply:
    await req.state.delete(PolicyDocument.KIND, name_of(await _one(req, id)))
    return no_content()


async def _one(req: Request, id: str) -> Object:
    try:
        return await objects.find(req, PolicyDocument.KIND, id)
    except NotFound:
        raise NotFound(f"Could not find policy: {id}.") from None


def _view(req: Request, policy: Object) -> Object:
    spec = policy["spec"]
    about = {"id": spec["id"], "type": spec["type"], "blob": spec["blob"]}
    return {**about, "links": links(req, "policies", spec["id"])}
