# SPDX-License-Identifier: Apache-2.0
"""Subresources that are not a part of their object: scale, binding, eviction, and those that others register."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lichen.kernel.writes import Moved, modified
from lichen.kinds.builtin import PDB, POD
from lichen.kinds.bundle import definition_name
from lichen.kinds.installed import Scale
from lichen.model.data import Object
from lichen.model.errors import BadRequest, Cause, Conflict, Forbidden, NotFound, TooManyRequests
from lichen.model.kind import Kind
from lichen.model.meta import with_condition
from lichen.model.names import is_dns_subdomain
from lichen.model.selectors import label_selector
from lichen.model.state import DEFAULT_OPTIONS, Caller, Preconditions, WriteOptions
from lichen.model.times import rfc3339
from lichen.planning.disruption import judge_eviction

if TYPE_CHECKING:
    from lichen.kernel.kernel import Kernel

SCALE = Kind("autoscaling", "v1", "Scale", "scales")
EVICTION = Kind("policy", "v1", "Eviction", "evictions")
BINDING = Kind("", "v1", "Binding", "bindings")
_ATTEMPTS = 10
_PARTS = ("", "status", "finalize", "approval", "ephemeralcontainers", "resize")


def view(kernel: Kernel, kind: Kind, subresource: str, obj: Object) -> Object:
    """What a get of the subresource shows. NotFound."""
    if subresource in _PARTS:
        return obj
    if subresource == "scale" and "scale" in kind.subresources:
        return scale_of(kernel, kind, obj)
    raise NotFound(f"{kind.resource} has no subresource {subresource!r} that can be read", kind=kind.plural)


def scale_of(kernel: Kernel, kind: Kind, obj: Object) -> Object:
    """The autoscaling/v1 Scale of a workload."""
    metadata = obj["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    wanted, status = _replicas(kernel, kind, obj)
    return {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {key: metadata[key] for key in kept if key in metadata},
        "spec": {"replicas": wanted},
        "status": status,
    }


def _replicas(kernel: Kernel, kind: Kind, obj: Object) -> tuple[int, Object]:
    """How many are wanted, and the status of a Scale."""
    if not kind.installed:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        return spec.get("replicas", 1), {
            "replicas": status.get("replicas", 0),
            "selector": _selector(spec.get("selector") or {}),
        }
    paths = _paths(kernel, kind)
    shown: Object = {"replicas": _at(obj, paths.status) or 0}
    if paths.selector:
        shown["selector"] = _at(obj, paths.selector) or ""
    return _at(obj, paths.spec) or 0, shown


def _paths(kernel: Kernel, kind: Kind) -> Scale:
    installed = kernel.catalog.installed(kind)
    if installed is None or installed.scale is None:
        raise NotFound(f"{kind.resource} cannot be scaled", kind=kind.plural)
    return installed.scale


def _at(obj: Object, path: tuple[str, ...]) -> Any:
    value: Any = obj
    for field in path:
        value = value.get(field) if isinstance(value, dict) else None
    return value


def _selector(selector: Object) -> str:
    """A label selector (or a plain map of labels) in its text form."""
    if "matchLabels" not in selector and "matchExpressions" not in selector:
        return ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
    terms = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for term in selector.get("matchExpressions") or []:
        key, values = term["key"], ",".join(sorted(term.get("values") or []))
        words = {
            "In": f"{key} in ({values})",
            "NotIn": f"{key} notin ({values})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
        }
        terms.append(words.get(term["operator"], key))
    return ",".join(terms)


async def update_scale(
    kernel: Kernel, caller: Caller, kind: Kind, obj: Object, options: WriteOptions, agent: str = ""
) -> Object:
    """Set a workload's replicas; returns its Scale."""
    body = kernel.schemas.named(SCALE, definition_name("autoscaling", "v1", "Scale")).decode(obj, options)
    metadata = body["metadata"]
    stored = await kernel.store.get(kind, metadata["name"], metadata.get("namespace", ""))
    if metadata.get("resourceVersion"):
        stored["metadata"]["resourceVersion"] = metadata["resourceVersion"]
    else:
        del stored["metadata"]["resourceVersion"]
    path = _paths(kernel, kind).spec if kind.installed else ("spec", "replicas")
    part = stored
    for field in path[:-1]:
        part = part.setdefault(field, {})
    part[path[-1]] = (body.get("spec") or {}).get("replicas", 0)
    writes, held = kernel.writes, kernel.views.stored(kind)
    written = await writes.update(caller, held, stored, "", options, agent=agent, part="scale")
    return scale_of(kernel, kind, written)


async def create(
    kernel: Kernel,
    caller: Caller,
    kind: Kind,
    name: str,
    namespace: str,
    subresource: str,
    body: Object,
    options: WriteOptions,
) -> Object:
    """POST to a subresource. NotFound: there is none of that name."""
    if kind == POD and subresource == "binding":
        return await _bind(kernel, caller, name, namespace, body, options)
    if kind == POD and subresource == "eviction":
        return await _evict(kernel, caller, name, namespace, body, options)
    handler = kernel.virtual.subresource(kind, subresource)
    if handler is None:
        raise NotFound(f"{kind.resource} has no subresource {subresource!r} that can be created", kind=kind.plural)
    return await handler(caller, await kernel.store.get(kind, name, namespace), body)


async def _bind(kernel: Kernel, caller: Caller, name: str, namespace: str, body: Object, asked: WriteOptions) -> Object:
    binding = kernel.schemas.named(BINDING, definition_name("", "v1", "Binding")).decode(body)
    if not is_dns_subdomain((binding.get("target") or {}).get("name") or ""):
        raise BadRequest("target.name: the name of a node is required")
    for _ in range(_ATTEMPTS):
        pod = await kernel.store.get(POD, name, namespace)
        bound = _bound(pod, binding, rfc3339(kernel.clock.now()))
        dry = WriteOptions(dry_run=asked.dry_run)
        try:
            await kernel.writes.update(caller, POD, bound, "binding", dry, read=pod, checked=True)
        except Moved:
            if binding["metadata"].get("resourceVersion"):
                raise
            continue
        return {"apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Success", "code": 201}
    raise modified(POD, name)


def _bound(pod: Object, binding: Object, now: str) -> Object:
    """The pod with its node. Conflict: it has one, or is going. It must be the one that the binding names by uid."""
    name, held = pod["metadata"]["name"], pod["spec"].get("nodeName")
    why = f'pod {name} is already assigned to node "{held}"' if held else ""
    if pod["metadata"].get("deletionTimestamp"):
        why = why or f"pod {name} is being deleted, cannot be assigned to a host"
    if why:
        said = f'Operation cannot be fulfilled on pods/binding "{name}": {why}'
        raise Conflict(said, kind="pods", name=name)
    meant = {key: value for key in ("uid", "resourceVersion") if (value := binding["metadata"].get(key))}
    scheduled = {"type": "PodScheduled", "status": "True"}
    status = pod.get("status") or {}
    return {
        **pod,
        "metadata": {**pod["metadata"], **meant},
        "spec": {**pod["spec"], "nodeName": binding["target"]["name"]},
        "status": {**status, "conditions": with_condition(status.get("conditions") or [], scheduled, now)},
    }


async def _evict(
    kernel: Kernel, caller: Caller, name: str, namespace: str, body: Object, asked: WriteOptions
) -> Object:
    checked = kernel.schemas.named(EVICTION, definition_name("policy", "v1", "Eviction")).decode(body)
    options = checked.get("deleteOptions") or {}
    given = options.get("preconditions") or {}
    preconditions = Preconditions(given.get("uid", ""), given.get("resourceVersion", ""))
    grace = options.get("gracePeriodSeconds")
    dry = WriteOptions(dry_run=asked.dry_run or bool(options.get("dryRun")))
    await _pay(kernel, caller, name, namespace, dry)
    await kernel.writes.delete(caller, POD, name, namespace, preconditions, "Background", grace, dry)
    return {"apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Success", "code": 201}


async def _pay(kernel: Kernel, caller: Caller, name: str, namespace: str, options: WriteOptions) -> None:
    """Take the eviction of a pod from its disruption budget. TooManyRequests: nothing is left of it."""
    for _ in range(_ATTEMPTS):
        pod = await kernel.store.get(POD, name, namespace)
        held = (await kernel.store.list(PDB, namespace)).items
        budgets = [b for b in held if label_selector(b["spec"].get("selector"))(pod)]
        verdict = judge_eviction(pod, budgets, kernel.clock.now())
        if verdict.refusal and verdict.retry is None:
            raise Forbidden(f"Cannot evict pod: {verdict.refusal}", kind="pods", name=name)
        if verdict.refusal:
            raise TooManyRequests(
                "Cannot evict pod as it would violate the pod's disruption budget.",
                causes=(Cause("", verdict.refusal, "DisruptionBudget"),),
                retry_after=verdict.retry or None,
            )
        if verdict.budget is None or options.dry_run:
            return
        try:
            budget = {**budgets[0], "status": verdict.budget}
            await kernel.writes.update(caller, PDB, budget, "status", DEFAULT_OPTIONS, agent="lichen")
        except Conflict:
            continue  # another eviction was first
        return
    raise TooManyRequests(f"too many evictions at once: pod {name}", retry_after=1)
