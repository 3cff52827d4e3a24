# SPDX-License-Identifier: Apache-2.0
"""Gathers what a view of servers needs besides them: names of flavors and keypairs, properties of images, zones."""

from __future__ import annotations

from lichen.apis.openstack import objects
from lichen.apis.openstack.compute.keypairs import display_name
from lichen.apis.openstack.compute.server_views import Names
from lichen.apis.openstack.nodes import zone_of
from lichen.apis.openstack.projects import project_ids
from lichen.apis.openstack.request import Request
from lichen.kinds.builtin import NODE
from lichen.kinds.compute.flavor import Flavor
from lichen.kinds.compute.keypair import Keypair
from lichen.kinds.image.image import Image
from lichen.kinds.volume.attachment import VolumeAttachment
from lichen.model.data import Object
from lichen.model.meta import name_of, namespace_of


async def names_for(req: Request, servers: list[Object], *, detailed: bool = True) -> Names:
    """What `servers` refer to; detailed: False if only a short list is shown."""
    base = req.url("/v2.1")
    if not detailed or not servers:
        return Names(base=base, admin=req.caller.is_admin)
    return Names(
        base=base,
        admin=req.caller.is_admin,
        flavors=await _flavors(req) if req.since(2, 47) else {},
        keypairs=await _keypairs(req, servers),
        image_properties=await _properties(req, servers) if req.since(2, 98) else {},
        projects=await project_ids(req, servers),
        zones=await zones(req),
        volumes=await _volumes(req, servers),
    )


async def _volumes(req: Request, servers: list[Object]) -> dict[str, list[Object]]:
    found: dict[str, list[Object]] = {}
    for namespace in {namespace_of(s) for s in servers}:
        for attachment in (await req.state.list(VolumeAttachment.KIND, namespace)).items:
            if attachment["spec"].get("serverId"):
                found.setdefault(attachment["spec"]["serverId"], []).append(attachment)
    return found


async def zones(req: Request) -> dict[str, str]:
    """Node → zone; only the cloud's admin may know nodes."""
    if not req.caller.is_admin:
        return {}
    return {name_of(node): zone_of(node) for node in (await req.state.list(NODE)).items}


async def _flavors(req: Request) -> dict[str, str]:
    flavors = await objects.listed(req, Flavor.KIND)
    return {name_of(f): f["spec"].get("displayName") or name_of(f) for f in flavors}


async def _keypairs(req: Request, servers: list[Object]) -> dict[tuple[str, str], str]:
    namespaces = {namespace_of(s) for s in servers if s["spec"].get("keypair")}
    found: dict[tuple[str, str], str] = {}
    for namespace in namespaces:
        for keypair in (await req.state.list(Keypair.KIND, namespace)).items:
            found[namespace, name_of(keypair)] = display_name(keypair)
    return found


async def _properties(req: Request, servers: list[Object]) -> dict[str, dict[str, str]]:
    wanted = {s["spec"].get("imageId") for s in servers}
    images = await objects.listed(req, Image.KIND, everywhere=req.caller.is_admin)
    return {i["spec"]["id"]: i["spec"].get("properties") or {} for i in images if i["spec"]["id"] in wanted}
