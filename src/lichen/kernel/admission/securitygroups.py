# SPDX-License-Identifier: Apache-2.0
"""Security groups: rules checked and given ids, the project's `default` made when it is needed, none removed that is
used; and ports put into theirs."""

from __future__ import annotations

import uuid

from lichen.kernel.admission import Request, faulty, missing, refused
from lichen.kinds.faults import Faults
from lichen.kinds.network.filters import DEFAULT_GROUP, beginning, check_rules, give_ids
from lichen.kinds.network.port import Port
from lichen.kinds.network.securitygroup import SecurityGroup
from lichen.model.data import Object
from lichen.model.errors import AlreadyExists, Conflict, NotFound
from lichen.model.kind import Kind, new_object
from lichen.model.meta import name_of
from lichen.model.names import CONTROLLERS
from lichen.model.state import State

_UNFILTERED = ("pod", "network:")


class SecurityGroups:
    """Fills and checks groups."""

    kinds: tuple[Kind, ...] | None = (SecurityGroup.KIND,)
    verbs: tuple[str, ...] = ("create", "update", "delete")

    async def admit(self, request: Request) -> None:
        if request.verb == "delete":
            await self._check_unused(request)
            return
        if request.subresource:
            return
        spec = request.object["spec"]
        old = request.old["spec"] if request.old else {}
        if old and request.name == DEFAULT_GROUP and spec.get("displayName") != old.get("displayName"):
            raise refused(request, "the default security group keeps its name")
        if spec.get("rules") is None:
            kept = old.get("rules") or []
            spec["rules"] = kept if old else beginning(default=spec["id"] if request.name == DEFAULT_GROUP else "")
        give_ids(spec["rules"], old.get("rules") or [])
        faults = Faults()
        check_rules(spec["rules"], faults)
        faults.raise_any(request.kind, request.name)
        await self._pin(request, spec)

    async def _pin(self, request: Request, spec: Object) -> None:
        """The ids of the groups that rules name."""
        known = {request.name: spec["id"]}
        for index, rule in enumerate(spec["rules"]):
            name = rule.get("remoteGroup")
            if not name:
                rule.pop("remoteGroupId", None)
                continue
            if name not in known:
                known[name] = await _group_id(request, name, f"spec.rules[{index}].remoteGroup")
            rule["remoteGroupId"] = known[name]

    async def _check_unused(self, request: Request) -> None:
        if request.caller.name == CONTROLLERS:  # the project goes, its ports with it
            return
        if request.name == DEFAULT_GROUP and not request.caller.is_admin:
            raise _conflict(request, "Insufficient rights for removing default security group.")
        id = request.object["spec"]["id"]
        ports = (await request.state.list(Port.KIND, request.namespace)).items
        if any(id in (port["spec"].get("securityGroupIds") or ()) for port in ports):
            raise _conflict(request, f"Security Group {id} in use.")


class PortGroups:
    """A server's port is in `default` unless it says otherwise. A pod's port is filtered only if it names groups."""

    kinds: tuple[Kind, ...] | None = (Port.KIND,)
    verbs: tuple[str, ...] = ("create", "update")

    async def admit(self, request: Request) -> None:
        if request.subresource:
            return
        spec = request.object["spec"]
        old = request.old["spec"] if request.old else {}
        names = spec.get("securityGroups")
        if names is None and old:
            names = old.get("securityGroups")
        if names is None and not old and not str(spec.get("deviceOwner", "")).startswith(_UNFILTERED):
            names = [DEFAULT_GROUP]
        if names is None:
            spec.pop("securityGroupIds", None)
            return
        spec["securityGroups"] = names = list(dict.fromkeys(names))
        if old and names == old.get("securityGroups"):
            spec["securityGroupIds"] = old.get("securityGroupIds")
            return
        spec["securityGroupIds"] = [
            await _group_id(request, name, f"spec.securityGroups[{index}]") for index, name in enumerate(names)
        ]


async def ensure_default(state: State, namespace: str) -> Object:
    """The namespace's `default` group, made if it is not there."""
    try:
        return await state.get(SecurityGroup.KIND, DEFAULT_GROUP, namespace)
    except NotFound:
        pass
    id = str(uuid.uuid4())
    rules = beginning(default=id)
    give_ids(rules, [])
    spec = {"id": id, "displayName": DEFAULT_GROUP, "description": "Default security group", "rules": rules}
    group = new_object(SecurityGroup.KIND, DEFAULT_GROUP, namespace, spec, generation=1)
    try:
        return await state.create(SecurityGroup.KIND, group)
    except AlreadyExists:
        return await state.get(SecurityGroup.KIND, DEFAULT_GROUP, namespace)


async def _group_id(request: Request, name: str, field: str) -> str:
    try:
        if name == DEFAULT_GROUP:
            group = await ensure_default(request.state, request.namespace)
        else:
            group = await request.state.get(SecurityGroup.KIND, name, request.namespace)
    except NotFound:
        raise faulty(request, missing(field, name, "no SecurityGroup of that name is in this namespace")) from None
    assert name_of(group) == name
    return str(group["spec"]["id"])


def _conflict(request: Request, message: str) -> Conflict:
    return Conflict(message, kind=request.kind.plural, group=request.kind.group, name=request.name)
