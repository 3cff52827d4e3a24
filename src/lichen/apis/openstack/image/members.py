# SPDX-License-Identifier: Apache-2.0
"""Members of shared images: projects that may use them. The owner adds and removes them; a member says whether the
image is to be among its own lists."""

from __future__ import annotations

from typing import Any

from lichen.apis.openstack.image.images import find
from lichen.apis.openstack.image.views import Json
from lichen.apis.openstack.reply import Reply, no_content
from lichen.apis.openstack.request import Request
from lichen.kinds.image.image import Image
from lichen.kinds.image.share import ImageShare
from lichen.model.data import Object
from lichen.model.errors import BadRequest, Conflict, Forbidden, Invalid, NotFound, TooLarge
from lichen.model.meta import name_of, namespace_of, revision_of

DECISIONS = ("pending", "accepted", "rejected")
MOST = 128


async def list_members(req: Request, id: str) -> Reply:
    """The owner sees all, a member itself."""
    image = await find(req, id)
    if image["spec"].get("visibility", "shared") != "shared":
        raise Forbidden("Only shared images have members.")
    shown = [_view(image, project) for project in _members(image) if _may_know(req, image, project)]
    return Reply({"members": shown, "schema": "/v2/schemas/members"})


async def show_member(req: Request, id: str, member_id: str) -> Reply:
    image = await find(req, id)
    if member_id not in _members(image) or not _may_know(req, image, member_id):
        raise NotFound(f"{member_id} not found in the member list of the image {id}.")
    return Reply(_view(image, member_id))


async def add_member(req: Request, id: str) -> Reply:
    image = await find(req, id)
    member = (await req.document()).get("member")
    if not isinstance(member, str) or not 0 < len(member) <= 255:
        raise BadRequest("Member to be added not specified")
    _check_owner(req, image)
    if image["spec"].get("visibility", "shared") != "shared":
        raise Forbidden("Only shared images have members.")
    if member in _members(image):
        raise Conflict(f"Member {member} is duplicated for image {id}")
    if len(_members(image)) >= MOST:
        raise TooLarge(f"The limit has been exceeded on the number of allowed image members for this image: {MOST}")
    try:
        changed = await _write(req, image, [*_members(image), member])
    except Invalid as error:
        raise BadRequest(
            f"{member} cannot be a member: {error.causes[0].message if error.causes else error}"
        ) from error
    return Reply(_view(changed, member))


async def update_member(req: Request, id: str, member_id: str) -> Reply:
    image = await find(req, id)
    status = (await req.document()).get("status")
    if status not in DECISIONS:
        raise BadRequest(f"Status must be one of {', '.join(DECISIONS)}.")
    if member_id not in _members(image) or not _may_know(req, image, member_id):
        raise NotFound(f"{member_id} not found in the member list of the image {id}.")
    if member_id != req.caller.project_id and not req.caller.is_admin:
        raise Forbidden("A member's status is the member's to say.")
    places = list((await req.state.list(ImageShare.KIND, _where(req), fields=f"spec.imageId={id}")).items)
    mine = [s for s in places if namespace_of(s) == req.caller.namespace] or places
    if not mine:
        raise NotFound(f"{member_id} not found in the member list of the image {id}.")
    patch = {"spec": {"decision": status}}
    await req.state.patch(ImageShare.KIND, name_of(mine[0]), namespace_of(mine[0]), patch)
    return Reply({**_view(await find(req, id), member_id), "status": status})


async def delete_member(req: Request, id: str, member_id: str) -> Reply:
    image = await find(req, id)
    _check_owner(req, image)
    if member_id not in _members(image):
        raise NotFound(f"{member_id} not found in the member list of the image {id}.")
    await _write(req, image, [member for member in _members(image) if member != member_id])
    return no_content()


async def member_schema(req: Request) -> Reply:
    return Reply(_schema())


async def members_schema(req: Request) -> Reply:
    properties = {"members": {"type": "array", "items": _schema()}, "schema": {"type": "string"}}
    return Reply({"name": "members", "properties": properties, "links": [{"rel": "describedby", "href": "{schema}"}]})


def _schema() -> Json:
    text: Json = {"type": "string"}
    names = ("created_at", "image_id", "member_id", "schema", "updated_at")
    return {"name": "member", "properties": {**dict.fromkeys(names, text), "status": {**text, "enum": list(DECISIONS)}}}


def _where(req: Request) -> str | None:
    return None if req.caller.is_admin else req.namespace


def _may_know(req: Request, image: Object, project: str) -> bool:
    return req.caller.is_admin or namespace_of(image) == req.caller.namespace or project == req.caller.project_id


def _check_owner(req: Request, image: Object) -> None:
    if namespace_of(image) != req.caller.namespace and not req.caller.is_admin:
        raise Forbidden("Only the image's owner adds and removes members.")


def _members(image: Object) -> list[str]:
    return list(image["spec"].get("members") or [])


async def _write(req: Request, image: Object, members: list[str]) -> Object:
    patch = {"metadata": {"resourceVersion": str(revision_of(image))}, "spec": {"members": members}}
    return await req.state.patch(Image.KIND, name_of(image), namespace_of(image), patch)


def _view(image: Object, project: str) -> dict[str, Any]:
    created = image["metadata"].get("creationTimestamp", "")
    decisions = (image.get("status") or {}).get("decisions") or {}
    return {
        "member_id": project,
        "image_id": image["spec"]["id"],
        "status": decisions.get(project, "pending"),
        "created_at": created,
        "updated_at": created,
        "schema": "/v2/schemas/member",
    }
