# SPDX-License-Identifier: Apache-2.0
"""Upload and download of an image's bytes."""

from __future__ import annotations

import base64
import re
from contextlib import suppress

from lichen.apis.openstack.image.images import find, phase_of, store
from lichen.apis.openstack.reply import Reply, no_content
from lichen.apis.openstack.request import Request
from lichen.drivers.files.formats import BadImage
from lichen.drivers.files.images import Stored, StoreFull, TooBig
from lichen.kinds.image.image import Image
from lichen.model.data import Object
from lichen.model.errors import (
    BadRequest,
    Conflict,
    Expired,
    Forbidden,
    InsufficientStorage,
    NotFound,
    TooLarge,
    UnsupportedMediaType,
)
from lichen.model.meta import name_of, namespace_of, revision_of

LIMIT = 1 << 40
"""Most bytes of one image: a tebibyte, as Glance's default."""
ANNOUNCED = "owner_specified.openstack.md5"
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


async def upload(req: Request, id: str) -> Reply:
    """`PUT …/file`: queued → saving → active. What is refused leaves the image queued, to try again."""
    if req.headers.get("content-type", "").partition(";")[0].strip() != "application/octet-stream":
        raise UnsupportedMediaType("Image data must be sent as application/octet-stream.")
    image = await find(req, id)
    declared = _declared(req, image)
    image = await _patch_status(req, image, {"phase": "saving"}, unchanged=True)
    try:
        stored = await store(req).put(id, req.stream(), format=declared, limit=LIMIT)
        await _check_digest(req, image, stored)
    except BaseException as error:
        with suppress(NotFound):
            await _patch_status(req, image, {"phase": "queued"})
        raise _refusal(error) from error
    try:
        await _patch_status(req, image, stored.status(id))
    except NotFound:
        await store(req).delete(id)
        raise Expired(f"Image {id} was deleted while its data was uploaded.") from None
    return no_content()


async def _check_digest(req: Request, image: Object, stored: Stored) -> None:
    """BadRequest: what came is not what was announced, by the header Content-MD5 (hex or base64) or by the property
    that openstacksdk sets. Nothing of it is kept."""
    announced = req.headers.get("content-md5", "") or (image["spec"].get("properties") or {}).get(ANNOUNCED, "")
    forms = (stored.md5, base64.b64encode(bytes.fromhex(stored.md5)).decode())
    if announced and announced.strip() not in forms:
        await store(req).delete(image["spec"]["id"])
        raise BadRequest(
            f"The checksum does not match: {announced.strip()[:64]} was announced, {stored.md5} came in {stored.size} "
            "bytes. The image is queued still: send its data again."
        )


async def download(req: Request, id: str) -> Reply:
    """`GET …/file`, whole or by Range; 204 if nothing was uploaded yet."""
    image = await find(req, id)
    phase = phase_of(image)
    if phase == "deactivated" and not req.caller.is_admin:
        raise Forbidden("The requested image has been deactivated. Image data download is forbidden.")
    size = store(req).size(id) if phase in ("active", "deactivated") else None
    if size is None:
        return no_content()
    start, length = _range(req.headers.get("range", ""), size)
    headers = {"Content-Length": str(length)}
    partial = length != size
    if partial:
        headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{size}"
    checksum = (image.get("status") or {}).get("checksum")
    if checksum and not partial:
        headers["Content-MD5"] = checksum
    stream = await store(req).open(id, start, length)
    status = 206 if partial else 200
    return Reply(status=status, headers=headers, content_type="application/octet-stream", stream=stream)


def _declared(req: Request, image: Object) -> str:
    spec = image.get("spec") or {}
    if phase_of(image) != "queued":
        raise Conflict(f"Image status transition from {phase_of(image)} to saving is not allowed.")
    if not spec.get("diskFormat") or not spec.get("containerFormat"):
        raise BadRequest("Properties disk_format, container_format must be set prior to saving data.")
    store(req)
    return str(spec["diskFormat"])


async def _patch_status(req: Request, image: Object, status: Object, *, unchanged: bool = False) -> Object:
    """unchanged: only if nobody wrote the image since it was read. Conflict."""
    patch: Object = {"status": status}
    if unchanged:
        patch["metadata"] = {"resourceVersion": str(revision_of(image))}
    return await req.state.patch(Image.KIND, name_of(image), namespace_of(image), patch, subresource="status")


def _refusal(error: BaseException) -> BaseException:
    if isinstance(error, BadImage):
        return BadRequest(str(error))
    if isinstance(error, TooBig):
        return TooLarge(str(error))
    if isinstance(error, StoreFull):
        return InsufficientStorage(str(error))
    return error


def _range(header: str, size: int) -> tuple[int, int]:
    """Where to start and how much to send. BadRequest: unreadable or outside of the image."""
    if not header:
        return 0, size
    match = _RANGE.fullmatch(header.strip())
    if match is None or match.groups() == ("", "") or any(len(g) > 18 for g in match.groups()):
        raise BadRequest(f"Invalid range {header!r}: only one range of bytes is supported.")
    first, last = match.groups()
    if not first:
        length = min(int(last), size)
        return size - length, length
    start, end = int(first), min(int(last) if last else size - 1, size - 1)
    if start > end:
        raise BadRequest(f"Invalid range {header!r}: the image has {size} bytes.")
    return start, end - start + 1
