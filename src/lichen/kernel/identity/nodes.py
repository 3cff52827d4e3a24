# SPDX-License-Identifier: Apache-2.0
"""What a node's credential may read by name: what is bound to it, and what that refers to."""

from __future__ import annotations

from functools import partial

from lichen.kernel.access import Guard
from lichen.kinds.builtin import CONFIG_MAP, POD, SECRET
from lichen.kinds.compute.server import Server
from lichen.kinds.core.references import references
from lichen.kinds.volume.attachment import VolumeAttachment
from lichen.kinds.volume.snapshot import VolumeSnapshot
from lichen.kinds.volume.volume import Volume
from lichen.model.data import Object
from lichen.model.errors import Forbidden, NotFound
from lichen.model.kind import Kind
from lichen.model.names import SYSTEM_NAMESPACE, VENDOR_DATA
from lichen.model.selectors import equalities
from lichen.model.state import Caller, State

BOUND = (POD, Server.KIND, Volume.KIND, VolumeSnapshot.KIND, VolumeAttachment.KIND)
"""Kinds of which a node sees only what its name is written in."""
REFERRED = (SECRET, CONFIG_MAP)

TOLD_TO_GUESTS = (CONFIG_MAP, SYSTEM_NAMESPACE, VENDOR_DATA)
"""What the cloud tells every guest: each node passes it on."""


def node_field(kind: Kind) -> str:
    """Where the name of the node is in an object's spec."""
    return "nodeName" if kind == POD else "node"


def node_of(kind: Kind, obj: Object | None) -> str:
    """The node that an object is bound to, "" for none."""
    return str(((obj or {}).get("spec") or {}).get(node_field(kind)) or "")


class NodeReads:
    """store: bare."""

    def __init__(self, store: State) -> None:
        self._store = store

    async def check(self, caller: Caller, kind: Kind, name: str, namespace: str) -> None:
        """Forbidden: it is none of the node's. What is not there may be said to be so."""
        node = caller.node
        if not node or kind not in (*BOUND, *REFERRED):
            return
        try:
            allowed = await (self._is_bound if kind in BOUND else self._is_referred_to)(node, kind, name, namespace)
        except NotFound:
            return
        if not allowed:
            raise Forbidden(
                f'{kind.resource} "{name}" is forbidden: nothing that is bound to {node} needs it',
                kind=kind.plural,
                group=kind.group,
                name=name,
            )

    def check_picked(self, caller: Caller, kind: Kind, namespace: str, fields: str) -> Guard | None:
        """The same for the one that a list or a watch asks for by its name: asked again before each event, as what the
        node is to know ends with the pods that it has."""
        if not caller.node or kind not in REFERRED:
            return None
        return partial(self.check, caller, kind, equalities(fields).get("metadata.name", ""), namespace)

    async def _is_bound(self, node: str, kind: Kind, name: str, namespace: str) -> bool:
        return node_of(kind, await self._store.get(kind, name, namespace)) == node

    async def _is_referred_to(self, node: str, kind: Kind, name: str, namespace: str) -> bool:
        if (kind, namespace, name) == TOLD_TO_GUESTS:
            return True
        pods = await self._store.list(POD, namespace, fields=f"spec.nodeName={node}")
        if any((kind.kind, name) in references(pod["spec"]) for pod in pods.items):
            return True
        if kind != SECRET:
            return False
        servers = await self._store.list(Server.KIND, namespace, fields=f"spec.node={node}")
        return any(server["spec"].get("userDataSecret") == name for server in servers.items)
