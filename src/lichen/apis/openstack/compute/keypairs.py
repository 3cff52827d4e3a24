# SPDX-License-Identifier: Apache-2.0
"""Calls on keypairs. They belong to a user, and live in the project they were made in."""

from __future__ import annotations

import asyncio
import re

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from lichen.apis.openstack import objects
from lichen.apis.openstack.compute import x509
from lichen.apis.openstack.compute.server_views import Json
from lichen.apis.openstack.compute.ssh import fingerprint
from lichen.apis.openstack.paging import nova_links, page
from lichen.apis.openstack.reply import Reply
from lichen.apis.openstack.request import Request
from lichen.kinds.compute.keypair import Keypair
from lichen.model.data import Object
from lichen.model.errors import BadRequest, Conflict, Forbidden, NotFound
from lichen.model.meta import name_of, namespace_of

_NAME = re.compile(r"[A-Za-z0-9_ @.-]{1,255}")


class KeypairCreate(Struct, forbid_unknown_fields=True):
    name: str
    public_key: str | None = None
    type: str = "ssh"
    user_id: str | None = None


async def list_keypairs(req: Request) -> Reply:
    keypairs = sorted(await of_user(req, _user(req, req.arg("user_id"))), key=display_name)
    if not req.since(2, 35):
        return Reply({"keypairs": [{"keypair": view(req, k)} for k in keypairs]})
    shown, marker = page(req, keypairs, display_name)
    return Reply({"keypairs": [{"keypair": view(req, k)} for k in shown], **nova_links(req, "keypairs", marker)})


async def show_keypair(req: Request, name: str) -> Reply:
    keypair = await find(req, name, _user(req, req.arg("user_id")))
    more = {
        "user_id": keypair["spec"].get("userId", ""),
        "id": int(keypair["metadata"].get("uid", "0").replace("-", "")[:7] or "0", 16),
        "created_at": keypair["metadata"].get("creationTimestamp", "")[:19] + ".000000",
        "deleted": False,
        "deleted_at": None,
        "updated_at": None,
    }
    return Reply({"keypair": {**view(req, keypair), **more}})


async def create_keypair(req: Request) -> Reply:
    wanted = await req.json("keypair", KeypairCreate)
    _check(req, wanted)
    user = _user(req, wanted.user_id or "")
    if any(display_name(k) == wanted.name for k in await of_user(req, user)):
        raise Conflict(f"Key pair '{wanted.name}' already exists.")
    private, public = ("", wanted.public_key) if wanted.public_key else await _generated(wanted.type, req.caller.name)
    spec = {
        "displayName": wanted.name,
        "userId": user,
        "type": wanted.type,
        "publicKey": public.strip(),
        "fingerprint": x509.fingerprint(public) if wanted.type == "x509" else fingerprint(public),
    }
    keypair = await objects.create(req, Keypair.KIND, wanted.name, spec)
    shown = {**view(req, keypair), "user_id": user}
    if private:
        shown["private_key"] = private
    return Reply({"keypair": shown}, status=201 if req.since(2, 2) else 200)


async def delete_keypair(req: Request, name: str) -> Reply:
    keypair = await find(req, name, _user(req, req.arg("user_id")))
    await req.state.delete(Keypair.KIND, name_of(keypair), namespace_of(keypair))
    return Reply(status=204 if req.since(2, 2) else 202)


async def find(req: Request, name: str, user: str) -> Object:
    """The user's keypair of that name. NotFound."""
    found = next((k for k in await of_user(req, user) if display_name(k) == name), None)
    if found is None:
        raise NotFound(f"Keypair {name} not found for user {user}")
    return found


async def of_user(req: Request, user: str) -> list[Object]:
    """The keypairs of a user in the caller's project; those made without a user are the whole project's."""
    items = (await req.state.list(Keypair.KIND, req.namespace)).items
    return [k for k in items if k["spec"].get("userId", "") in ("", user)]


def display_name(keypair: Object) -> str:
    return keypair["spec"].get("displayName") or name_of(keypair)


def view(req: Request, keypair: Object) -> Json:
    spec = keypair["spec"]
    shown = {
        "name": display_name(keypair),
        "public_key": spec["publicKey"],
        "fingerprint": spec.get("fingerprint") or fingerprint(spec["publicKey"]),
    }
    return {**shown, "type": spec.get("type", "ssh")} if req.since(2, 2) else shown


def _user(req: Request, wanted: str) -> str:
    """Whose keypairs: the caller's, or for an admin those of the user it names."""
    if not wanted or wanted == req.caller.user_id:
        return req.caller.user_id
    if not req.caller.is_admin or not req.since(2, 10):
        raise Forbidden("Policy doesn't allow the keypairs of another user.")
    return wanted


def _check(req: Request, wanted: KeypairCreate) -> None:
    if not _NAME.fullmatch(wanted.name) or wanted.name != wanted.name.strip():
        raise BadRequest("Keypair name must be 1 to 255 letters, digits, or any of '_- @.' inside.")
    if wanted.type not in ("ssh", "x509"):
        raise BadRequest(f"Keypairs are of type ssh or x509, not {wanted.type[:40]!r}.")
    if wanted.public_key is None and req.since(2, 92):
        raise BadRequest("Invalid input: 'public_key' is a required property.")
    if wanted.public_key is not None and not 0 < len(wanted.public_key) <= 16384:
        raise BadRequest("Keypair data is invalid: the public key must have 1 to 16384 characters.")


async def _generated(type_: str, user: str) -> tuple[str, str]:
    return await asyncio.to_thread(x509.generate, user) if type_ == "x509" else _generate()


def _generate() -> tuple[str, str]:
    """(private key in OpenSSH's form, public key line)."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private.decode(), f"{public.decode()} generated-by-lichen"
