# SPDX-License-Identifier: Apache-2.0
"""What networks, subnets and ports share: where they go, what may be seen, one delete, one bulk create."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from lichen.apis.openstack import objects
from lichen.apis.openstack.network.attributes import invalid
from lichen.apis.openstack.reply import Reply, no_content
from lichen.apis.openstack.request import Request
from lichen.kinds.builtin import NAMESPACE
from lichen.kinds.network.floatingip import FloatingIP
from lichen.kinds.network.network import Network
from lichen.kinds.network.port import Port
from lichen.kinds.network.router import Router
from lichen.kinds.network.securitygroup import SecurityGroup
from lichen.kinds.network.subnet import Subnet
from lichen.kinds.network.subnetpool import SubnetPool
from lichen.model.data import Object
from lichen.model.errors import ApiError, Forbidden, NotFound
from lichen.model.kind import Kind
from lichen.model.meta import name_of, namespace_of
from lichen.model.names import PROJECT_ID

KINDS = (Network.KIND, Subnet.KIND, Port.KIND, SecurityGroup.KIND, Router.KIND, FloatingIP.KIND, SubnetPool.KIND)


async def target_namespace(req: Request, attributes: Object) -> str:
    """The namespace a new object goes to: the caller's project, or the one that an admin names."""
    wanted = attributes.pop("project_id", None) or attributes.pop("tenant_id", None)
    attributes.pop("tenant_id", None)
    if wanted is None or (wanted == req.caller.project_id and req.caller.namespace):
        return req.namespace
    if not isinstance(wanted, str):
        raise invalid("project_id is not a string")
    if not req.caller.is_admin:
        raise Forbidden("Specifying 'project_id' or 'tenant_id' other than the authenticated project requires admin.")
    found = (await req.state.list(NAMESPACE, labels=f"{PROJECT_ID}={wanted}")).items if wanted.isalnum() else []
    if not found:
        raise invalid(f"project {wanted} does not exist")
    return name_of(found[0])


async def see(req: Request, kind: Kind, id: str) -> Object:
    """The object of that id: the project's, of a shared network, or for an admin anyone's. NotFound."""
    try:
        return await objects.find(req, kind, id)
    except NotFound:
        for subnet in await subnets_of_shared(req) if kind == Subnet.KIND else []:
            if subnet["spec"]["id"] == id:
                return subnet
        raise


async def visible(req: Request, kind: Kind) -> list[Object]:
    """All objects the caller may see; an admin sees those of every project, as in Neutron."""
    return await objects.listed(req, kind, everywhere=req.caller.is_admin)


async def visible_subnets(req: Request) -> list[Object]:
    """The project's own subnets and those of networks that are shared with it; an admin sees all."""
    if req.caller.is_admin:
        return (await req.state.list(Subnet.KIND)).items
    return (await req.state.list(Subnet.KIND, req.namespace)).items + await subnets_of_shared(req)


async def subnets_of_shared(req: Request) -> list[Object]:
    """The subnets of other projects' networks that are shared with this one."""
    shared = (await req.state.list(Network.KIND, fields="spec.shared=true")).items
    foreign = [network for network in shared if namespace_of(network) != req.caller.namespace]
    pages = [await req.state.list(Subnet.KIND, fields=f"spec.networkId={n['spec']['id']}") for n in foreign]
    return [subnet for page in pages for subnet in page.items]


def reference(obj: Object, namespace: str) -> str:
    """How an object is referred to from `namespace`."""
    return name_of(obj) if namespace_of(obj) == namespace else f"{namespace_of(obj)}/{name_of(obj)}"


async def create_all(
    req: Request, bodies: list[Object], create: Callable[[Request, Object], Awaitable[Object]]
) -> list[Object]:
    """Create them in order; if one is refused, those before it are removed again."""
    made: list[Object] = []
    try:
        for attributes in bodies:
            made.append(await create(req, dict(attributes)))
    except ApiError:
        for obj in reversed(made):
            await remove(req, obj)
        raise
    return made


async def remove(req: Request, obj: Object) -> Reply:
    kind = next(k for k in KINDS if k.kind == obj["kind"])
    await req.state.delete(kind, name_of(obj), namespace_of(obj))
    return no_content()
