# SPDX-License-Identifier: Apache-2.0
"""Calls on image records."""

from __future__ import annotations

from lichen.apis.openstack import objects
from lichen.apis.openstack.body import decode
from lichen.apis.openstack.image.attributes import checked, checked_property, checked_tag, spec_of
from lichen.apis.openstack.image.filters import selected
from lichen.apis.openstack.image.patching import apply, operations
from lichen.apis.openstack.image.views import WRITABLE, Json, image_view
from lichen.apis.openstack.paging import glance_links, page
from lichen.apis.openstack.projects import project_ids
from lichen.apis.openstack.reply import Reply, created, no_content
from lichen.apis.openstack.request import Request
from lichen.drivers.files.images import ImageStore
from lichen.kinds.image.image import Image
from lichen.kinds.image.share import ImageShare
from lichen.model.data import Object
from lichen.model.errors import AlreadyExists, BadRequest, Forbidden, NotFound, Unavailable
from lichen.model.meta import name_of, namespace_of, revision_of

PAGE, MOST = 25, 1000


async def list_images(req: Request) -> Reply:
    views = await views_of(req, await _listed(req))
    shown, marker = page(req, selected(req, views), lambda v: str(v["id"]), most=MOST, default=PAGE)
    return Reply({"images": shown, "schema": "/v2/schemas/images", **glance_links(req, marker)})


async def show_image(req: Request, id: str) -> Reply:
    return Reply(await view_of(req, await find(req, id)))


async def create_image(req: Request) -> Reply:
    spec = {"ownerId": req.caller.project_id, **spec_of(await req.document(), req.caller)}
    if "id" in spec and await _exists(req, spec["id"]):
        raise AlreadyExists(f"Image ID {spec['id']} already exists!")
    image = await objects.create(req, Image.KIND, spec.get("displayName", ""), spec)
    view = await view_of(req, image)
    return created(view, Location=req.url(f"/v2/images/{view['id']}"))


async def update_image(req: Request, id: str) -> Reply:
    changes = operations(req.headers.get("content-type", ""), decode(await req.read()))
    image = await find(req, id)
    before = _document(image)
    after = apply(before, changes)
    patch = _spec_patch(req, before, after)
    if patch:
        image = await _patch(req, image, patch)
    return Reply(await view_of(req, image))


async def delete_image(req: Request, id: str) -> Reply:
    image = await find(req, id)
    if (image.get("spec") or {}).get("protected"):
        raise Forbidden(f"Image {id} is protected and cannot be deleted.")
    await req.state.delete(Image.KIND, name_of(image), namespace_of(image))
    await store(req).delete(id)
    return no_content()


async def add_tag(req: Request, id: str, tag: str) -> Reply:
    image = await find(req, id)
    tags = list((image.get("spec") or {}).get("tags") or [])
    if tag not in tags:
        await _patch(req, image, {"tags": checked("tags", [*tags, checked_tag(tag)], req.caller)})
    return no_content()


async def remove_tag(req: Request, id: str, tag: str) -> Reply:
    image = await find(req, id)
    tags = list((image.get("spec") or {}).get("tags") or [])
    if tag not in tags:
        raise NotFound(f"Tag {tag} could not be found on image {id}.")
    await _patch(req, image, {"tags": [kept for kept in tags if kept != tag]})
    return no_content()


async def deactivate(req: Request, id: str) -> Reply:
    return await _move(req, id, "active", "deactivated")


async def reactivate(req: Request, id: str) -> Reply:
    return await _move(req, id, "deactivated", "active")


async def find(req: Request, id: str) -> Object:
    """The image of that id, if the caller may see it; a community image is seen by all who know its id, a shared one
    by its members. NotFound."""
    try:
        return await objects.find(req, Image.KIND, id, what="Image")
    except NotFound:
        others = await shared_with(req, "all") if req.caller.namespace else []
        found = next((image for image in [*others, *await _community(req)] if image["spec"]["id"] == id), None)
        if found is None:
            raise
        return found


def store(req: Request) -> ImageStore:
    """Where the bytes are. Unavailable: this process has no image store."""
    if req.dialect.images is None:
        raise Unavailable("This endpoint has no image store: images cannot be uploaded or downloaded here.")
    return ImageStore(req.dialect.images)


async def view_of(req: Request, image: Object) -> Json:
    return (await views_of(req, [image]))[0]


async def views_of(req: Request, images: list[Object]) -> list[Json]:
    without_owner = [i for i in images if not i["spec"].get("ownerId")]
    projects = await project_ids(req, without_owner)
    return [image_view(i, projects.get(namespace_of(i), "")) for i in images]


def phase_of(image: Object) -> str:
    phase: str = (image.get("status") or {}).get("phase") or "queued"
    return phase


async def _listed(req: Request) -> list[Object]:
    """The project's images and public ones; community images only if they are asked for. An admin sees the images
    of every project, as in Glance."""
    wanted, status = req.arg("visibility"), req.arg("member_status", "accepted")
    if status not in ("accepted", "pending", "rejected", "all"):
        raise BadRequest(f"Invalid member_status {status[:40]!r}: it is accepted, pending, rejected or all.")
    images = await objects.listed(req, Image.KIND, everywhere=req.caller.is_admin)
    known = {image["spec"]["id"] for image in images}
    if not req.caller.is_admin and wanted in ("", "shared", "all"):
        images += await shared_with(req, status)
    if not req.caller.is_admin and wanted in ("community", "all"):
        images += [image for image in await _community(req) if image["spec"]["id"] not in known]
    return images


async def shared_with(req: Request, decision: str) -> list[Object]:
    """The images of other projects that are shared with the caller's, by what it decided; all: whatever it did."""
    fields = "" if decision == "all" else f"spec.decision={decision}"
    found: list[Object] = []
    for share in (await req.state.list(ImageShare.KIND, req.namespace, fields=fields)).items:
        namespace, _, name = share["spec"]["image"].partition("/")
        try:
            image = await req.state.get(Image.KIND, name, namespace)
        except (NotFound, Forbidden):
            continue  # it is shared no more
        if image["spec"].get("visibility", "shared") == "shared":
            found.append(image)
    return found


async def _community(req: Request) -> list[Object]:
    return (await req.state.list(Image.KIND, fields="spec.visibility=community")).items


async def _exists(req: Request, id: str) -> bool:
    try:
        await find(req, id)
    except NotFound:
        return False
    return True


def _document(image: Object) -> Json:
    """What a patch may change: the writable attributes and the properties, as Glance shows them."""
    view = image_view(image, "")
    properties = (image.get("spec") or {}).get("properties") or {}
    return {**properties, **{name: view[name] for name in WRITABLE}}


def _spec_patch(req: Request, before: Json, after: Json) -> Object:
    """The merge patch of the spec that makes `after` of `before`."""
    changed = {name: value for name, value in after.items() if name not in before or before[name] != value}
    base = {WRITABLE[n]: checked(n, v, req.caller) for n, v in changed.items() if n in WRITABLE}
    properties: Object = {n: checked_property(n, v) for n, v in changed.items() if n not in WRITABLE}
    properties |= {name: None for name in before if name not in after}
    return {**base, "properties": properties} if properties else base


async def _patch(req: Request, image: Object, spec: Object) -> Object:
    patch = {"metadata": {"resourceVersion": str(revision_of(image))}, "spec": spec}
    return await req.state.patch(Image.KIND, name_of(image), namespace_of(image), patch)


async def _move(req: Request, id: str, source: str, target: str) -> Reply:
    image = await find(req, id)
    if phase_of(image) not in (source, target):
        raise Forbidden(f"Not allowed to change the status of image {id} from {phase_of(image)} to {target}.")
    patch = {"status": {"phase": target}}
    await req.state.patch(Image.KIND, name_of(image), namespace_of(image), patch, subresource="status")
    return no_content()
