# SPDX-License-Identifier: Apache-2.0
"""Projects as the other services name them in paths, and what a project's ResourceQuota grants."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from lichen.apis.openstack.request import Request
from lichen.kinds.builtin import NAMESPACE, RESOURCE_QUOTA
from lichen.model.data import Object
from lichen.model.errors import BadRequest, Forbidden, NotFound
from lichen.model.kind import new_object
from lichen.model.meta import labels_of, name_of, namespace_of
from lichen.model.names import PROJECT_ID

UNLIMITED = -1
QUOTA = "openstack"
"""The ResourceQuota that OpenStack's quota calls write; a namespace may have others beside it."""
_UNITS = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


async def project_ids(req: Request, objs: Iterable[Object]) -> dict[str, str]:
    """By namespace, the project's id; "" where the caller may not know it."""
    wanted = {namespace_of(obj) for obj in objs}
    ids = {req.caller.namespace: req.caller.project_id}
    missing = wanted - set(ids)
    if len(missing) > 3 and req.caller.is_admin:
        namespaces = (await req.state.list(NAMESPACE)).items
        ids |= {name_of(n): labels_of(n).get(PROJECT_ID, "") for n in namespaces}
    for namespace in missing - set(ids):
        ids[namespace] = await _project_id(req, namespace)
    return ids


async def _project_id(req: Request, namespace: str) -> str:
    try:
        return labels_of(await req.state.get(NAMESPACE, namespace)).get(PROJECT_ID, "")
    except (Forbidden, NotFound):
        return ""


async def namespace_of_project(req: Request, project_id: str) -> str | None:
    """The namespace of a project; None if there is none. Forbidden: it is not the caller's."""
    if project_id == req.caller.project_id and req.caller.namespace:
        return req.caller.namespace
    if not req.caller.is_admin:
        raise Forbidden("You are not authorized to ask for the limits of another project.")
    if not project_id.isalnum():
        return None
    found = (await req.state.list(NAMESPACE, labels=f"{PROJECT_ID}={project_id}")).items
    return name_of(found[0]) if found else None


async def hard_limits(req: Request, namespace: str | None) -> dict[str, float]:
    """The tightest of the namespace's quotas by resource (`pods`, `limits.cpu`, `count/ports.network.lichen.dev`)."""
    limits: dict[str, float] = {}
    for quota in (await req.state.list(RESOURCE_QUOTA, namespace)).items if namespace else []:
        for resource, text in _hard(quota).items():
            value = quantity(str(text))
            limits[resource] = min(limits.get(resource, value), value)
    return limits


async def set_hard(req: Request, project_id: str, wanted: dict[str, str | None], message: str) -> str:
    """Write limits by resource into the project's own ResourceQuota (None takes one away); its namespace. NotFound."""
    namespace = await namespace_of_project(req, project_id)
    if namespace is None:
        raise NotFound(message)
    try:
        await req.state.patch(RESOURCE_QUOTA, QUOTA, namespace, {"spec": {"hard": wanted}})
    except NotFound:
        hard = {resource: most for resource, most in wanted.items() if most is not None}
        if hard:
            await req.state.create(RESOURCE_QUOTA, new_object(RESOURCE_QUOTA, QUOTA, namespace, {"hard": hard}))
    return namespace


def checked_limits(wanted: Object, known: Collection[str]) -> dict[str, int]:
    """Limits by OpenStack's names: integers from -1, which is unlimited. BadRequest."""
    for name, value in wanted.items():
        if name not in known:
            raise BadRequest(f"Unrecognized or unsupported quota: {name[:64]}.")
        number = value.removeprefix("-") if isinstance(value, str) else value
        is_number = isinstance(number, int) and not isinstance(number, bool)
        if not is_number and not (isinstance(number, str) and number.isascii() and number.isdigit()):
            raise BadRequest(f"Invalid input for field/attribute {name}: it is not an integer.")
        if not UNLIMITED <= int(value) < 1 << 31:
            raise BadRequest(f"Invalid input for field/attribute {name}: it is from -1 to {(1 << 31) - 1}.")
    return {name: int(value) for name, value in wanted.items()}


def limit(limits: dict[str, float], resource: str, unit: float = 1) -> int:
    """One limit in `unit`s, rounded down; -1 if there is none, as OpenStack says "unlimited"."""
    return int(limits[resource] / unit) if resource in limits else UNLIMITED


def quantity(text: str) -> float:
    """A Kubernetes quantity (`500m`, `2Gi`, `10`) as a number."""
    for suffix, factor in _UNITS.items():
        if text.endswith(suffix):
            return float(text[: -len(suffix)]) * factor
    return float(text[:-1]) / 1000 if text.endswith("m") else float(text)


def _hard(quota: Object) -> Object:
    hard: Object = (quota.get("spec") or {}).get("hard") or {}
    return hard
