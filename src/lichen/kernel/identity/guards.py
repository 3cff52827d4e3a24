# SPDX-License-Identifier: Apache-2.0
"""Admission that a rule cannot say: nobody hands on rights it lacks, only the cloud's admin shares with everyone,
and a node touches only what is bound to it."""

from __future__ import annotations

from lichen.kernel.admission import Request
from lichen.kernel.identity.authorizer import Authorizer
from lichen.kernel.identity.nodes import BOUND, node_of
from lichen.kinds import builtin
from lichen.kinds.image.image import Image
from lichen.kinds.network.network import Network
from lichen.kinds.network.port import Port
from lichen.kinds.network.subnetpool import SubnetPool
from lichen.model.data import Object
from lichen.model.errors import Forbidden
from lichen.model.kind import Kind
from lichen.model.state import Caller

NODE_LEASES = "kube-node-lease"
BINDINGS = (builtin.ROLE_BINDING, builtin.CLUSTER_ROLE_BINDING)


class NoEscalation:
    """RBAC: who writes a role or a binding must hold what it gives (or the verbs escalate and bind)."""

    kinds: tuple[Kind, ...] | None = (builtin.ROLE, builtin.CLUSTER_ROLE, *BINDINGS)
    verbs: tuple[str, ...] = ("create", "update")

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def admit(self, request: Request) -> None:
        caller = request.caller
        if caller.is_admin or _only_metadata_moved(request):
            return
        reference = request.object.get("roleRef") or {}
        if request.kind in BINDINGS:
            given = self._authorizer.referenced_rules(reference, request.namespace)
            kind = builtin.ROLE if reference.get("kind") == "Role" else builtin.CLUSTER_ROLE
            may_anyway = self._may(caller, "bind", kind, request.namespace, reference.get("name", ""))
        else:
            given = request.object.get("rules") or []
            may_anyway = self._may(caller, "escalate", request.kind, request.namespace, request.name)
            if request.object.get("aggregationRule"):
                given = [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]
        held = self._authorizer.rule_set(caller, request.namespace)
        extra = [rule for rule in given if not held.covers(rule)]
        if extra and not may_anyway:
            raise Forbidden(
                f'{request.kind.resource} "{request.name}" is forbidden: user "{caller.name}" is attempting to grant '
                f"RBAC permissions not currently held: {_said(extra[0])}",
                kind=request.kind.plural,
                group=request.kind.group,
                name=request.name,
            )

    def _may(self, caller: Caller, verb: str, kind: Kind, namespace: str, name: str) -> bool:
        return self._authorizer.refusal(caller, verb, kind, namespace, name) is None


class SharingIsForAdmins:
    """A project shows its things to all others only by the cloud's admin."""

    kinds: tuple[Kind, ...] | None = (Network.KIND, Image.KIND, SubnetPool.KIND)
    verbs: tuple[str, ...] = ("create", "update")
    _marks = {
        Network.KIND: (("shared", True), ("external", True)),
        Image.KIND: (("visibility", "public"),),
        SubnetPool.KIND: (("shared", True), ("isDefault", True)),
    }

    async def admit(self, request: Request) -> None:
        caller = request.caller
        if caller.is_cloud:
            return
        new = request.object.get("spec") or {}
        old = (request.old or {}).get("spec") or {}
        for field, value in self._marks[request.kind]:
            if new.get(field) == value and old.get(field) != value:
                raise Forbidden(
                    f'{request.kind.resource} "{request.name}" is forbidden: only the admin of the cloud may set '
                    f"{field} to {str(value).lower()}",
                    kind=request.kind.plural,
                    group=request.kind.group,
                    name=request.name,
                )


class ImagesKeepTheirBytes:
    """A project tells of the bytes that it uploaded once, and of its own bytes only."""

    kinds: tuple[Kind, ...] | None = (Image.KIND,)
    verbs: tuple[str, ...] = ("update",)

    async def admit(self, request: Request) -> None:
        caller, status = request.caller, request.object.get("status") or {}
        old = (request.old or {}).get("status") or {}
        if caller.is_cloud or status == old:
            return
        is_own = status.get("location", "") in ("", request.object["spec"].get("id"))
        if not is_own or old.get("phase") not in (None, "", "queued", "saving"):
            raise Forbidden(
                f'{request.kind.resource} "{request.name}" is forbidden: the bytes of an image are uploaded once',
                kind=request.kind.plural,
                group=request.kind.group,
                name=request.name,
            )


class NodesKeepToTheirOwn:
    """A node's credential writes the status, and lets go (finalizers), of what is bound to that node only."""

    kinds: tuple[Kind, ...] | None = (builtin.NODE, builtin.LEASE, Port.KIND, *BOUND, Image.KIND)
    verbs: tuple[str, ...] = ("create", "update", "delete")

    async def admit(self, request: Request) -> None:
        node = request.caller.node
        if not node:
            return
        if request.kind in (builtin.NODE, builtin.LEASE):
            own = request.name == node and request.namespace in ("", NODE_LEASES)
            self._refuse_unless(request, own, f"it may write only its own, {node}")
            return
        self._refuse_unless(request, node_of(request.kind, request.old) == node, f"it is not bound to {node}")
        if request.verb == "update" and request.subresource != "status":
            same = all(request.object.get(part) == (request.old or {}).get(part) for part in ("spec", "status"))
            self._refuse_unless(request, same, "a node changes nothing but status and finalizers")

    def _refuse_unless(self, request: Request, allowed: bool, why: str) -> None:
        if not allowed:
            raise Forbidden(
                f'{request.kind.resource} "{request.name}" is forbidden to {request.caller.name}: {why}',
                kind=request.kind.plural,
                group=request.kind.group,
                name=request.name,
            )


def _only_metadata_moved(request: Request) -> bool:
    old = request.old
    parts = ("rules", "roleRef", "subjects", "aggregationRule")
    return old is not None and all(request.object.get(part) == old.get(part) for part in parts)


def _said(rule: Object) -> str:
    return ", ".join(f"{key}: {value}" for key, value in rule.items() if value)
