# SPDX-License-Identifier: Apache-2.0
"""Calls on volume types. Everyone reads the public ones, the cloud's admin makes them."""

from __future__ import annotations

from typing import Any

from lichen.apis.openstack import objects
from lichen.apis.openstack.paging import nova_links, page
from lichen.apis.openstack.reply import Reply, accepted
from lichen.apis.openstack.request import Request
from lichen.apis.openstack.volume import common
from lichen.apis.openstack.volume.common import find_type
from lichen.apis.openstack.volume.views import type_view
from lichen.kinds.volume.volume import Volume
from lichen.kinds.volume.volume_type import VolumeType
from lichen.model.data import Object
from lichen.model.errors import BadRequest, Conflict, NotFound
from lichen.model.meta import name_of


async def list_types(req: Request) -> Reply:
    wanted = req.arg("is_public", "true" if not req.caller.is_admin else "none").lower()
    views = [type_view(req, t) for t in await common.visible_types(req)]
    if wanted in ("true", "false"):
        views = [view for view in views if str(view["is_public"]).lower() == wanted]
    views.sort(key=lambda view: str(view["name"]))
    shown, marker = page(req, views, lambda v: str(v["id"]), most=common.MOST)
    return Reply({"volume_types": shown, **nova_links(req, "volume_types", marker)})


async def show_type(req: Request, id: str) -> Reply:
    return Reply({"volume_type": type_view(req, await find_type(req, id))})


async def show_default(req: Request) -> Reply:
    for type_ in await common.visible_types(req):
        if type_["spec"].get("isDefault"):
            return Reply({"volume_type": type_view(req, type_)})
    raise NotFound("Default volume type can not be found.")


async def create_type(req: Request) -> Reply:
    wanted = await req.json("volume_type", dict[str, Any])
    name = common.checked_name(wanted.get("name"))
    if not name:
        raise BadRequest("Invalid input for field/attribute name: it has 1 to 255 characters.")
    if any(common.type_name(t) == name for t in await common.visible_types(req)):
        raise Conflict(f"Volume Type {name} already exists.")
    spec: Object = {
        "displayName": name,
        "description": common.checked_name(wanted.get("description"), "description"),
        "public": bool(wanted.get("os-volume-type-access:is_public", True)),
        "extraSpecs": common.checked_metadata(wanted.get("extra_specs") or {}),
    }
    return Reply({"volume_type": type_view(req, await objects.create(req, VolumeType.KIND, name, spec))})


async def update_type(req: Request, id: str) -> Reply:
    spec: Object = {}
    for key, value in (await req.json("volume_type", dict[str, Any])).items():
        if key == "name":
            spec["displayName"] = common.checked_name(value)
        elif key == "description":
            spec["description"] = common.checked_name(value, "description")
        elif key in ("is_public", "os-volume-type-access:is_public"):
            spec["public"] = bool(value)
    type_ = await common.patch_spec(req, VolumeType.KIND, await find_type(req, id), spec)
    return Reply({"volume_type": type_view(req, type_)})


async def delete_type(req: Request, id: str) -> Reply:
    type_ = await find_type(req, id)
    if any(v["spec"].get("type") == name_of(type_) for v in (await req.state.list(Volume.KIND)).items):
        raise BadRequest(f"Target volume type is still in use: volumes of type {common.type_name(type_)} exist.")
    await req.state.delete(VolumeType.KIND, name_of(type_))
    return accepted()


async def list_extra_specs(req: Request, id: str) -> Reply:
    return Reply({"extra_specs": (await find_type(req, id))["spec"].get("extraSpecs") or {}})


async def create_extra_specs(req: Request, id: str) -> Reply:
    wanted = common.checked_metadata(await req.json("extra_specs", dict[str, Any]))
    await common.patch_spec(req, VolumeType.KIND, await find_type(req, id), {"extraSpecs": wanted})
    return Reply({"extra_specs": wanted})


async def show_extra_spec(req: Request, id: str, key: str) -> Reply:
    specs = (await find_type(req, id))["spec"].get("extraSpecs") or {}
    if key not in specs:
        raise NotFound(f"Volume Type {id} has no extra specs with key {key}.")
    return Reply({key: specs[key]})


async def update_extra_spec(req: Request, id: str, key: str) -> Reply:
    wanted = common.checked_metadata(await req.document())
    if list(wanted) != [key]:
        raise BadRequest("Request body and URI mismatch")
    await common.patch_spec(req, VolumeType.KIND, await find_type(req, id), {"extraSpecs": wanted})
    return Reply(wanted)


async def delete_extra_spec(req: Request, id: str, key: str) -> Reply:
    await show_extra_spec(req, id, key)
    await common.patch_spec(req, VolumeType.KIND, await find_type(req, id), {"extraSpecs": {key: None}})
    return accepted()


async def show_encryption(req: Request, id: str) -> Reply:
    await find_type(req, id)
    return Reply({})
