# SPDX-License-Identifier: Apache-2.0
"""Operations end when their server has come to what they asked for, or has failed; the oldest of many go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from lichen.controllers.base import Key, Mapper, World
from lichen.kinds.compute.operation import Operation
from lichen.kinds.compute.server import Server
from lichen.model.data import Object
from lichen.model.kind import Kind
from lichen.model.meta import find_condition, name_of, namespace_of, uid_of
from lichen.planning.steps import Delete, Step, patch_status

MOST = 100
"""Operations that are kept of one server."""


class OperationController:
    name: ClassVar[str] = "operation"
    kind: ClassVar[Kind] = Server.KIND

    def __init__(self, world: World) -> None:
        self.world = world
        self.servers = world.informer(Server.KIND)
        self.operations = world.informer(Operation.KIND)
        self.operations.add_index("server", lambda o: [f"{namespace_of(o)}/{o['spec'].get('server', '')}"])
        self.watches: Mapping[Kind, Mapper] = {
            Operation.KIND: lambda o: [(namespace_of(o), o["spec"].get("server", ""))]
        }

    async def reconcile(self, key: Key) -> float | None:
        server = self.servers.get(key[1], key[0])
        if server is None:
            return None
        held = sorted(
            self.operations.by_index("server", "/".join(key)), key=lambda o: str(o["metadata"]["creationTimestamp"])
        )
        steps: list[Step] = [Delete(Operation.KIND, name_of(o), key[0], uid_of(o)) for o in held[:-MOST]]
        for operation in held[-MOST:]:
            status = operation.get("status") or {}
            if status.get("phase", "Running") == "Running" and (outcome := outcome_of(operation, server)):
                steps += patch_status(Operation.KIND, operation, {**outcome, "finishedAt": self.world.now_text()})
        await self.world.apply(steps)
        return None


def outcome_of(operation: Object, server: Object) -> Object | None:
    """What became of an operation, None while it goes on. It is over when the node has looked at the generation that
    asked for it, and is at rest: a step that is tried again is still the same operation."""
    status = server.get("status") or {}
    ready = find_condition(server, "Ready") or {}
    seen, retrying = ready.get("observedGeneration", 0), ready.get("reason") == "Retrying"
    if seen < operation["spec"].get("generation", 0) or status.get("task") or retrying:
        return None
    if status.get("phase") == "Error":
        return {"phase": "Failed", "message": status.get("fault", "")}
    return {"phase": "Succeeded"}
