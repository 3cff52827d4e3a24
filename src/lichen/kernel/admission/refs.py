# SPDX-License-Identifier: Apache-2.0
"""References from one object to another: a name in the same namespace (if there is none, the one that the system
shares), or namespace/name. What lies in another project must be shared with this one."""

from __future__ import annotations

from lichen.kernel.admission import Request, faulty, missing
from lichen.kinds.builtin import NAMESPACE
from lichen.kinds.compute.flavor import Flavor
from lichen.kinds.image.image import Image
from lichen.kinds.network.network import Network
from lichen.kinds.network.subnetpool import SubnetPool
from lichen.model.data import Object
from lichen.model.errors import NotFound
from lichen.model.kind import Kind
from lichen.model.meta import labels_of, name_of, namespace_of
from lichen.model.names import PROJECT_ID, SYSTEM_NAMESPACE
from lichen.model.state import State


async def resolve(request: Request, kind: Kind, ref: str, field: str, *, settled: bool = False) -> Object:
    """The object that `ref` names, as request's namespace may use it; settled: whether it may was judged before.
    Invalid: there is none."""
    everything = settled or request.caller.is_admin
    found = await find(request.state, kind, ref, request.namespace, everything=everything)
    if found is None:
        raise faulty(request, missing(field, ref, f"no {kind.kind} of that name can be used here"))
    return found


async def find(state: State, kind: Kind, ref: str, namespace: str, *, everything: bool = False) -> Object | None:
    """The object that `ref` names as seen from a namespace; everything: shared or not."""
    if not kind.namespaced:
        return await _get(state, kind, ref, "")
    elsewhere, slash, name = ref.rpartition("/")
    if not slash:
        own = await _get(state, kind, name, namespace)
        if own is not None or namespace == SYSTEM_NAMESPACE:
            return own
        elsewhere = SYSTEM_NAMESPACE
    found = await _get(state, kind, name, elsewhere)
    if found is None or elsewhere == namespace:
        return found
    if is_shared(kind, found) or (everything and slash):
        return found
    return found if await _is_member(state, kind, found, namespace) else None


async def resolve_external(request: Request, ref: str, field: str) -> Object:
    """The external network that `ref` names: every project may lead its routers there. Invalid: there is none."""
    namespace, slash, name = ref.rpartition("/")
    places = [namespace] if slash else [request.namespace, SYSTEM_NAMESPACE]
    for place in places:
        network = await _get(request.state, Network.KIND, name, place)
        if network is not None and network["spec"].get("external"):
            return network
    raise faulty(request, missing(field, ref, "no external network of that name"))


def is_shared(kind: Kind, obj: Object) -> bool:
    """Every project may use it."""
    spec = obj.get("spec") or {}
    if kind in (Network.KIND, SubnetPool.KIND):
        return bool(spec.get("shared"))
    return kind == Image.KIND and spec.get("visibility") in ("public", "community")


async def _is_member(state: State, kind: Kind, obj: Object, namespace: str) -> bool:
    """The image is shared with that namespace's project."""
    spec = obj.get("spec") or {}
    if kind != Image.KIND or not spec.get("members") or spec.get("visibility", "shared") != "shared":
        return False
    project = await _get(state, NAMESPACE, namespace, "")
    return bool(project) and labels_of(project or {}).get(PROJECT_ID) in spec["members"]


def canonical(obj: Object, namespace: str) -> str:
    """How a reference from `namespace` to `obj` is stored."""
    there = namespace_of(obj)
    return name_of(obj) if there in ("", namespace) else f"{there}/{name_of(obj)}"


async def may_use_flavor(state: State, flavor: Object, namespace: str) -> bool:
    """A flavor is public, or given to the project."""
    spec = Flavor.of(flavor).spec
    if spec.public:
        return True
    project = await state.get(NAMESPACE, namespace)
    return (project["metadata"].get("labels") or {}).get(PROJECT_ID) in spec.projects


async def _get(state: State, kind: Kind, name: str, namespace: str) -> Object | None:
    try:
        return await state.get(kind, name, namespace)
    except NotFound:
        return None
