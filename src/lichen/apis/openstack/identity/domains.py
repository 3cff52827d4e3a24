# SPDX-License-Identifier: Apache-2.0
"""/v3/domains."""

from __future__ import annotations

import msgspec

from lichen.apis.openstack.identity import bodies
from lichen.apis.openstack.identity.common import changes, create_unique, everything, find, listed, named
from lichen.apis.openstack.reply import Reply, created, no_content
from lichen.apis.openstack.request import Request
from lichen.kinds.identity.domain import Domain
from lichen.model.data import Object
from lichen.model.errors import BadRequest
from lichen.model.meta import name_of

FIELDS = {"name": "displayName", "description": "description", "enabled": "enabled", "tags": "tags"}


def view(req: Request, domain: Object) -> Object:
    spec = domain["spec"]
    return {
        **named(req, "domains", domain),
        "description": spec.get("description", ""),
        "enabled": spec.get("enabled", True),
        "tags": spec.get("tags", []),
        "options": {},
    }


async def list_all(req: Request) -> Reply:
    return listed(req, "domains", [view(req, d) for d in await everything(req, Domain.KIND)])


async def show(req: Request, domain_id: str) -> Reply:
    return Reply({"domain": view(req, await find(req, Domain.KIND, domain_id))})


async def create(req: Request) -> Reply:
    body = await req.json("domain", bodies.DomainBody)
    if not body.name:
        raise BadRequest("Invalid input: 'name' is a required property.")
    spec = changes(msgspec.to_builtins(body), FIELDS)["spec"]
    if body.explicit_domain_id is not msgspec.UNSET:
        spec["id"] = body.explicit_domain_id
    spec["description"] = spec.get("description") or ""
    domain = await create_unique(req, Domain.KIND, "default", body.name, spec)
    return created({"domain": view(req, domain)})


async def update(req: Request, domain_id: str) -> Reply:
    body = await req.json("domain", bodies.DomainBody)
    domain = await find(req, Domain.KIND, domain_id)
    patch = changes(msgspec.to_builtins(body), FIELDS)
    return Reply({"domain": view(req, await req.state.patch(Domain.KIND, name_of(domain), "", patch))})


async def delete(req: Request, domain_id: str) -> Reply:
    await req.state.delete(Domain.KIND, name_of(await find(req, Domain.KIND, domain_id)))
    return no_content()
