# SPDX-License-Identifier: Apache-2.0
"""Verbs on servers: who may change a locked one, how a resize is confirmed or reverted, and the history of it all."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from lichen.kernel.admission import Request, faulty, refused
from lichen.kernel.admission.refs import resolve
from lichen.kinds.compute.operation import Operation
from lichen.kinds.compute.server import Server
from lichen.kinds.compute.servergroup import ServerGroup
from lichen.model.data import Object
from lichen.model.errors import Cause
from lichen.model.kind import Kind, new_object
from lichen.model.meta import name_of, owner_reference
from lichen.model.names import CONTROLLERS, SERVER_GROUP, with_suffix
from lichen.model.state import Caller
from lichen.model.tracing import REQUEST_ID, is_request_id

LOCK = ("locked", "lockedBy", "lockedReason")
POWER_VERBS = {
    ("On", "Off"): "stop",
    ("Off", "On"): "start",
    ("On", "Paused"): "pause",
    ("Paused", "On"): "unpause",
    ("On", "Suspended"): "suspend",
    ("Suspended", "On"): "resume",
    ("Paused", "Off"): "stop",
    ("Suspended", "Off"): "stop",
}


class Locks:
    """A locked server is changed and deleted by the cloud's admin only, or by its owner if that locked it, who unlocks
    it first."""

    kinds: tuple[Kind, ...] | None = (Server.KIND,)
    verbs: tuple[str, ...] = ("create", "update", "delete")

    async def admit(self, request: Request) -> None:
        if request.subresource or _is_ours(request.caller):
            return
        old: Object = (request.old or {}).get("spec") or {}
        if request.verb == "delete":
            old = request.object["spec"]
            if old.get("locked") and not request.caller.is_admin:
                raise refused(request, "it is locked; unlock it first")
            return
        new: Object = request.object["spec"]
        if old.get("locked") and not request.caller.is_admin:
            only_lock = all(new.get(key) == old.get(key) for key in {*new, *old} if key not in LOCK)
            if new.get("locked") or not only_lock or old.get("lockedBy") == "admin":
                raise refused(request, "it is locked" + (" by the admin" if old.get("lockedBy") == "admin" else ""))
        _say_who(new, old, request.caller)


def _say_who(new: Object, old: Object, caller: Caller) -> None:
    if not new.get("locked"):
        new.pop("lockedBy", None)
        new.pop("lockedReason", None)
    elif old.get("locked"):
        raised = caller.is_admin and new.get("lockedBy") == "admin"
        new["lockedBy"] = "admin" if raised else old.get("lockedBy", "owner")
    else:
        new["lockedBy"] = "admin" if caller.is_admin else "owner"


class Groups:
    """A server's group is pinned with its policy, and shown as a label, by which the scheduler finds its companions."""

    kinds: tuple[Kind, ...] | None = (Server.KIND,)
    verbs: tuple[str, ...] = ("create", "update")

    async def admit(self, request: Request) -> None:
        if request.subresource:
            return
        spec, metadata = request.object["spec"], request.object["metadata"]
        if request.old is not None:
            old = request.old["spec"]
            for key in ("group", "groupId", "groupPolicy"):
                if key in old:
                    spec[key] = old[key]
        elif spec.get("group"):
            group = await resolve(request, ServerGroup.KIND, spec["group"], "spec.group")
            spec["groupId"], spec["groupPolicy"] = group["spec"]["id"], group["spec"]["policy"]
        else:
            spec.pop("groupId", None)
            spec.pop("groupPolicy", None)
        labels = {k: v for k, v in (metadata.get("labels") or {}).items() if k != SERVER_GROUP}
        if spec.get("groupId"):
            labels[SERVER_GROUP] = spec["groupId"]
        if labels or metadata.get("labels"):
            metadata["labels"] = labels


def settle_size(request: Request, spec: Object, old: Object) -> bool:
    """What a change of `flavor` does to `formerSize`. True: the figures are those of the former size again."""
    former = old.get("formerSize")
    if not old:
        spec.pop("formerSize", None)
        return False
    if spec.get("flavor") == old.get("flavor"):
        if spec.get("formerSize") is not None and former is not None:
            spec["formerSize"] = former
        else:
            spec.pop("formerSize", None)
        return False
    if former is None:
        spec["formerSize"] = {key: old[key] for key in ("flavor", "flavorId", "resources") if key in old}
        return False
    if spec["flavor"] != former["flavor"]:
        why = f"Forbidden: a resize from {former['flavor']} is not confirmed yet: confirm it, or revert to that flavor"
        raise faulty(request, Cause("spec.flavor", why, "FieldValueForbidden"))
    spec.pop("formerSize")
    spec["flavorId"], spec["resources"] = former.get("flavorId", ""), former.get("resources") or {}
    return True


def check_growth(request: Request, spec: Object, old: Object) -> None:
    """A resize keeps the disk's data: the new disk is as large, or larger."""
    before, after = (old.get("resources") or {}).get("disk", 0), spec["resources"].get("disk", 0)
    if old and after < before:
        why = f"Invalid value: the flavor's disk has {after} GiB, the server's has {before}: disks do not shrink"
        raise faulty(request, Cause("spec.flavor", why))


class Shelves:
    """What is shelved is off; a power that is wanted takes it down from its shelf."""

    kinds: tuple[Kind, ...] | None = (Server.KIND,)
    verbs: tuple[str, ...] = ("create", "update")

    async def admit(self, request: Request) -> None:
        if request.subresource:
            return
        spec = request.object["spec"]
        old: Object = (request.old or {}).get("spec") or {}
        if spec.get("shelved") and not old.get("shelved"):
            spec["power"] = "Off"
        elif spec.get("shelved") and spec.get("power", "On") != "Off":
            spec["shelved"] = False


class History:
    """An Operation for every change of what a server is to do, in whichever language it was asked."""

    kinds: tuple[Kind, ...] | None = (Server.KIND,)
    verbs: tuple[str, ...] = ("update",)

    async def admit(self, request: Request) -> None:
        if request.subresource or request.old is None or _is_ours(request.caller):
            return
        verbs = list(_verbs(request.object["spec"], request.old["spec"]))
        if verbs:
            request.done.append(lambda: _record(request, verbs))


def _verbs(new: Object, old: Object) -> Iterator[str]:
    if bool(new.get("shelved")) != bool(old.get("shelved")):
        yield "shelve" if new.get("shelved") else "unshelve"
    elif verb := POWER_VERBS.get((old.get("power", "On"), new.get("power", "On"))):
        yield verb
    if new.get("rescue") != old.get("rescue"):
        yield "rescue" if new.get("rescue") else "unrescue"
    if new.get("rebootedAt", "") != old.get("rebootedAt", ""):
        yield "reboot"
    if new.get("rebuiltAt", "") != old.get("rebuiltAt", ""):
        yield "rebuild"
    if new.get("flavor") != old.get("flavor"):
        yield "revertResize" if old.get("formerSize") else "resize"
    elif old.get("formerSize") and not new.get("formerSize"):
        yield "confirmResize"
    if bool(new.get("locked")) != bool(old.get("locked")):
        yield "lock" if new.get("locked") else "unlock"
    before, after = len(old.get("networks") or ()), len(new.get("networks") or ())
    if before != after and old.get("networks") is not None:
        yield "attach_interface" if after > before else "detach_interface"


async def _record(request: Request, verbs: list[str]) -> None:
    server = await request.state.get(Server.KIND, request.name, request.namespace)
    asked_by = REQUEST_ID.get()  # in OpenStack's form if it came in that language
    for verb in verbs:
        spec = {
            "id": asked_by if is_request_id(asked_by) else f"req-{uuid.uuid4()}",
            "server": name_of(server),
            "serverId": server["spec"].get("id", ""),
            "type": verb,
            "userId": request.caller.user_id,
            "projectId": request.caller.project_id,
            "generation": server["metadata"].get("generation", 1),
        }
        owned = {"ownerReferences": [owner_reference(server)]}
        name = with_suffix(f"{name_of(server)[:40]}-{verb.lower().replace('_', '-')}")
        operation = new_object(Operation.KIND, name, request.namespace, spec, **owned)
        await request.state.create(Operation.KIND, {**operation, "status": {"phase": "Running"}})


def _is_ours(caller: Caller) -> bool:
    return caller.name == CONTROLLERS or bool(caller.node)
