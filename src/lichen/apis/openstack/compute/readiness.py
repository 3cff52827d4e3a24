# SPDX-License-Identifier: Apache-2.0
"""Whether a server is in a state for a verb, in Nova's words."""

from __future__ import annotations

from collections.abc import Container
from datetime import UTC, datetime

from lichen.apis.openstack.compute.server_state import server_state
from lichen.apis.openstack.request import Request
from lichen.model.data import Object
from lichen.model.errors import Conflict


def require(server: Object, verb: str, states: set[str], tasks: Container[str | None] = (None,)) -> None:
    """Conflict: the server is in no state for the verb, or something else is being done with it."""
    state = server_state(server)
    id = server["spec"]["id"]
    if state.vm_state not in states:
        raise Conflict(f"Cannot '{verb}' instance {id} while it is in vm_state {state.vm_state}")
    if state.task not in tasks:
        raise Conflict(f"Cannot '{verb}' instance {id} while it is in task_state {state.task}")


def check_unlocked(req: Request, server: Object) -> None:
    """Conflict: the server is locked. The kernel refuses as well, in fewer words."""
    if server["spec"].get("locked") and not req.caller.is_admin:
        raise Conflict(f"Instance {server['spec']['id']} is locked")


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
