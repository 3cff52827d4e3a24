# SPDX-License-Identifier: Apache-2.0
"""Servers take a copy of their flavor and pin what they refer to; keypairs get their fingerprint."""

from __future__ import annotations

import hashlib
from base64 import b64decode
from binascii import Error as Base64Error

from lichen.kernel.admission import Request, faulty, missing, refused
from lichen.kernel.admission.ports import is_foreign
from lichen.kernel.admission.refs import canonical, may_use_flavor, resolve
from lichen.kernel.admission.server_verbs import check_growth, settle_size
from lichen.kinds.compute.flavor import Flavor
from lichen.kinds.compute.keypair import Keypair
from lichen.kinds.compute.server import Server
from lichen.kinds.faults import show
from lichen.kinds.image.image import Image
from lichen.kinds.network.network import Network
from lichen.kinds.network.port import Port
from lichen.model.data import Object
from lichen.model.errors import Cause
from lichen.model.kind import Kind

_COPIED = ("vcpus", "memory", "disk", "ephemeral", "swap", "extraSpecs")


class Servers:
    """Pins the flavor, the image and the networks when they are first named; they are looked up again only when the
    name changes, so that a server outlives its flavor."""

    kinds: tuple[Kind, ...] | None = (Server.KIND,)
    verbs: tuple[str, ...] = ("create", "update")

    async def admit(self, request: Request) -> None:
        if request.subresource:
            return
        spec = request.object["spec"]
        old = request.old["spec"] if request.old else {}
        await self._pin_flavor(request, spec, old)
        await self._pin_image(request, spec, old)
        await self._pin_rescue(request, spec, old)
        if spec.get("networks") != old.get("networks"):
            await self._pin_networks(request, spec, old)
        if spec.get("keypair") and spec["keypair"] != old.get("keypair"):
            await resolve(request, Keypair.KIND, spec["keypair"], "spec.keypair")
        _check_local(request, spec)

    async def _pin_flavor(self, request: Request, spec: Object, old: Object) -> None:
        if settle_size(request, spec, old):
            return
        if spec.get("flavor") == old.get("flavor") and old.get("flavorId"):
            spec["flavorId"], spec["resources"] = old["flavorId"], old.get("resources") or {}
            return
        flavor = await resolve(request, Flavor.KIND, spec.get("flavor", ""), "spec.flavor")
        if not request.caller.is_admin and not await may_use_flavor(request.state, flavor, request.namespace):
            raise faulty(request, missing("spec.flavor", spec["flavor"], "no Flavor of that name can be used here"))
        spec["flavorId"] = flavor["spec"]["id"]
        spec["resources"] = {key: flavor["spec"][key] for key in _COPIED if key in flavor["spec"]}
        check_growth(request, spec, old)

    async def _pin_image(self, request: Request, spec: Object, old: Object) -> None:
        if not spec.get("image") or (spec["image"] == old.get("image") and old.get("imageId")):
            if old.get("imageId") and spec.get("image"):
                spec["imageId"] = old["imageId"]
            return
        image = await resolve(request, Image.KIND, spec["image"], "spec.image")
        spec["image"], spec["imageId"] = canonical(image, request.namespace), image["spec"]["id"]
        needs, has = image["spec"], spec["resources"]
        for field, need, have in (
            ("minRam", needs.get("minRam", 0), has.get("memory", 0)),
            ("minDisk", needs.get("minDisk", 0), has.get("disk", 0)),
        ):
            if need > have and not (field == "minDisk" and have == 0):
                why = f"the flavor has {have}, the image needs {field} {need}"
                raise faulty(request, Cause("spec.flavor", f"Invalid value: {show(spec['flavor'])}: {why}"))

    async def _pin_rescue(self, request: Request, spec: Object, old: Object) -> None:
        rescue, before = spec.get("rescue"), old.get("rescue") or {}
        if not rescue:
            return
        if request.verb == "create" or not spec.get("imageId"):
            why = "Forbidden: only a server that is there, and whose disk was made from an image, is rescued"
            raise faulty(request, Cause("spec.rescue", why, "FieldValueForbidden"))
        if rescue.get("at") in ("", None):
            rescue["at"] = request.object["metadata"].get("resourceVersion") or "now"
        if not rescue.get("image"):
            rescue["imageId"] = spec["imageId"]
        elif rescue["image"] == before.get("image"):
            rescue["imageId"] = before["imageId"]
        else:
            image = await resolve(request, Image.KIND, rescue["image"], "spec.rescue.image")
            rescue["image"], rescue["imageId"] = canonical(image, request.namespace), image["spec"]["id"]

    async def _pin_networks(self, request: Request, spec: Object, old: Object) -> None:
        """Of those that were there before, nothing is asked: what a port was made from may be gone."""
        for index, entry in enumerate(spec.get("networks") or ()):
            if entry in (old.get("networks") or ()):
                continue
            path = f"spec.networks[{index}]"
            if bool(entry.get("network")) == bool(entry.get("port")):
                raise faulty(request, Cause(path, "Required value: either network or port", "FieldValueRequired"))
            if entry.get("port"):
                await resolve(request, Port.KIND, entry["port"], f"{path}.port")
            else:
                network = await resolve(request, Network.KIND, entry["network"], f"{path}.network")
                entry["network"] = canonical(network, request.namespace)
                if entry.get("fixedIp") and is_foreign(entry) and not request.caller.is_cloud:
                    raise refused(request, f"only the network's owner may choose {path}.fixedIp")


def _check_local(request: Request, spec: Object) -> None:
    """What a server has of its own namespace is named without one."""
    named = {
        "spec.userDataSecret": spec.get("userDataSecret") or "",
        **{f"spec.securityGroups[{i}]": name for i, name in enumerate(spec.get("securityGroups") or ())},
        **{f"spec.volumes[{i}].volume": entry["volume"] for i, entry in enumerate(spec.get("volumes") or ())},
        **{f"spec.networks[{i}].port": entry.get("port") or "" for i, entry in enumerate(spec.get("networks") or ())},
    }
    why = "only a name of this namespace can be here"
    if wrong := [missing(field, name, why) for field, name in named.items() if "/" in name]:
        raise faulty(request, *wrong)


class Keypairs:
    """The fingerprint as nova shows it: MD5 of the key, in pairs."""

    kinds: tuple[Kind, ...] | None = (Keypair.KIND,)
    verbs: tuple[str, ...] = ("create",)

    async def admit(self, request: Request) -> None:
        spec = request.object["spec"]
        if not spec.get("userId"):
            spec["userId"] = request.caller.user_id
        fingerprint = fingerprint_of(spec.get("publicKey", ""), spec.get("type", "ssh"))
        if fingerprint is None:
            raise faulty(request, Cause("spec.publicKey", "Invalid value: not a public key as in authorized_keys"))
        spec["fingerprint"] = fingerprint


def _certificate(pem: str) -> str | None:
    """SHA-1 of a certificate, in pairs."""
    body = "".join(line for line in pem.splitlines() if line and not line.startswith("-----"))
    try:
        return hashlib.sha1(b64decode(body, validate=True), usedforsecurity=False).digest().hex(":")
    except (Base64Error, ValueError):
        return None


def fingerprint_of(public_key: str, type_: str) -> str | None:
    """None: not a key of that type."""
    if type_ == "x509":
        return _certificate(public_key)
    words = public_key.split()
    if len(words) < 2:
        return None
    try:
        blob = b64decode(words[1], validate=True)
    except (Base64Error, ValueError):
        return None
    if words[0].encode() not in blob[: 4 + len(words[0])]:
        return None
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[i : i + 2] for i in range(0, 32, 2))
