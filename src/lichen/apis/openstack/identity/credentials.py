# SPDX-License-Identifier: Apache-2.0
"""/v3/credentials, and EC2 key pairs, which are credentials of type ec2."""

from __future__ import annotations

import hashlib
import json
import secrets

import msgspec

from lichen.apis.openstack.identity import bodies
from lichen.apis.openstack.identity.common import links, listed
from lichen.apis.openstack.reply import Reply, created, no_content
from lichen.apis.openstack.request import Request
from lichen.kinds.identity.credential import Credential, CredentialDisclosure
from lichen.model.data import Object
from lichen.model.errors import AlreadyExists, BadRequest, Conflict, Forbidden, NotFound
from lichen.model.kind import new_object
from lichen.model.meta import name_of

EC2 = "ec2"


async def list_all(req: Request) -> Reply:
    found = await _held(req)
    blobs = await _blobs(req, found)
    views = [_view(req, c, blobs) for c in found]
    for key in ("user_id", "type"):
        views = [v for v in views if req.arg(key, v[key]) == v[key]]
    return listed(req, "credentials", views)


async def show(req: Request, id: str) -> Reply:
    found = await _one(req, id)
    return Reply({"credential": _view(req, found, await _blobs(req, [found]))})


async def create(req: Request) -> Reply:
    body = await req.json("credential", bodies.CredentialBody)
    if not body.type or not body.blob:
        raise BadRequest("Invalid input: 'type' and 'blob' are required properties.")
    project = body.project_id or ""
    if body.type == EC2 and not project:
        raise BadRequest("Invalid input: 'project_id' is required for a credential of type ec2.")
    made = await _create(req, body.user_id or req.caller.user_id, project, str(body.type), str(body.blob))
    return created({"credential": _view(req, made, {name_of(made): str(body.blob)})})


async def update(req: Request, id: str) -> Reply:
    body = await req.json("credential", bodies.CredentialBody)
    found = await _one(req, id)
    if not body.blob or body.type not in (msgspec.UNSET, found["spec"]["type"]):
        raise BadRequest("Only the blob of a credential can be changed.")
    await req.state.patch(Credential.KIND, name_of(found), "", {"spec": {"blob": body.blob}})
    return Reply({"credential": _view(req, found, {name_of(found): str(body.blob)})})


async def delete(req: Request, id: str) -> Reply:
    await req.state.delete(Credential.KIND, name_of(await _one(req, id)))
    return no_content()


# --- EC2 ---


async def list_ec2(req: Request, user_id: str) -> Reply:
    if user_id != req.caller.user_id and not req.caller.is_admin:
        raise Forbidden("You are not authorized to perform the requested action: identity:ec2_list_credentials.")
    found = [c for c in await _held(req) if c["spec"]["type"] == EC2 and c["spec"]["userId"] == user_id]
    blobs = await _blobs(req, found)
    return listed(req, "credentials", [{"id": "", **_ec2_view(req, c, blobs)} for c in found])


async def create_ec2(req: Request, user_id: str) -> Reply:
    project = (await req.document()).get("tenant_id")
    if not isinstance(project, str) or not project:
        raise BadRequest("Invalid input: 'tenant_id' is a required property.")
    blob = json.dumps({"access": secrets.token_hex(16), "secret": secrets.token_hex(16), "trust_id": None})
    made = await _create(req, user_id, project, EC2, blob)
    return created({"credential": _ec2_view(req, made, {name_of(made): blob})})


async def show_ec2(req: Request, user_id: str, access: str) -> Reply:
    found = await _one_ec2(req, user_id, access)
    return Reply({"credential": _ec2_view(req, found, await _blobs(req, [found]))})


async def delete_ec2(req: Request, user_id: str, access: str) -> Reply:
    await req.state.delete(Credential.KIND, name_of(await _one_ec2(req, user_id, access)))
    return no_content()


async def _one_ec2(req: Request, user_id: str, access: str) -> Object:
    found = await _one(req, hashlib.sha256(access.encode()).hexdigest())
    if found["spec"]["userId"] != user_id:
        raise NotFound(f"Could not find credential: {access}.")
    return found


# --- parts ---


async def _create(req: Request, user_id: str, project_id: str, type_: str, blob: str) -> Object:
    """An EC2 credential's id is the digest of its access key, so that the key is unique."""
    id = secrets.token_hex(16)
    if type_ == EC2:
        try:
            id = hashlib.sha256(str(json.loads(blob)["access"]).encode()).hexdigest()
        except (ValueError, TypeError, KeyError, RecursionError):
            raise BadRequest("Invalid blob: for type ec2 it is a JSON object with access and secret.") from None
    spec = {"id": id, "userId": user_id, "projectId": project_id, "type": type_, "blob": blob}
    try:
        return await req.state.create(Credential.KIND, new_object(Credential.KIND, id[:63], spec=spec))
    except AlreadyExists:
        raise Conflict("Duplicate entry: there is a credential of that access key.") from None


async def _held(req: Request) -> list[Object]:
    """All for the cloud's admin, else one's own."""
    fields = "" if req.caller.is_admin else f"spec.userId={req.caller.user_id}"
    return (await req.state.list(Credential.KIND, None, fields=fields)).items


async def _one(req: Request, id: str) -> Object:
    found = next((c for c in await _held(req) if c["spec"]["id"] == id), None)
    if found is None:
        raise NotFound(f"Could not find credential: {id}.")
    return found


async def _blobs(req: Request, found: list[Object]) -> dict[str, str]:
    kind = CredentialDisclosure.KIND
    spec = {"names": [name_of(c) for c in found]}
    answer = await req.state.create(
        kind, {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {}, "spec": spec}
    )
    blobs: dict[str, str] = answer["status"].get("blobs") or {}
    return blobs


def _view(req: Request, credential: Object, blobs: dict[str, str]) -> Object:
    spec = credential["spec"]
    return {
        "id": spec["id"],
        "type": spec["type"],
        "blob": blobs.get(name_of(credential), ""),
        "user_id": spec.get("userId", ""),
        "project_id": spec.get("projectId") or None,
        "links": links(req, "credentials", spec["id"]),
    }


def _ec2_view(req: Request, credential: Object, blobs: dict[str, str]) -> Object:
    spec = credential["spec"]
    pair = json.loads(blobs.get(name_of(credential)) or "{}")
    path = f"users/{spec['userId']}/credentials/OS-EC2"
    return {
        "access": pair.get("access", ""),
        "secret": pair.get("secret", ""),
        "user_id": spec["userId"],
        "tenant_id": spec.get("projectId", ""),
        "trust_id": None,
        "links": links(req, path, pair.get("access", "")),
    }
