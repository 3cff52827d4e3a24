# SPDX-License-Identifier: Apache-2.0
"""Calls on security groups. A project's `default` is made when it is first asked for."""

from __future__ import annotations

from lichen.apis.openstack import objects
from lichen.apis.openstack.network.attributes import bodies, invalid, one_body, to_spec, typed
from lichen.apis.openstack.network.common import create_all, remove, see, visible
from lichen.apis.openstack.network.common import target_namespace as namespace_for
from lichen.apis.openstack.network.filters import Json, listing, only_fields
from lichen.apis.openstack.network.views import security_group_view
from lichen.apis.openstack.projects import project_ids
from lichen.apis.openstack.reply import Reply, created
from lichen.apis.openstack.request import Request
from lichen.kinds.network.filters import DEFAULT_GROUP
from lichen.kinds.network.securitygroup import SecurityGroup
from lichen.model.data import Object
from lichen.model.errors import AlreadyExists, BadRequest, Conflict, Forbidden, NotFound
from lichen.model.kind import new_object
from lichen.model.meta import name_of, namespace_of

ATTRIBUTES = frozenset(
    {
        "id", "name", "description", "tenant_id", "project_id", "stateful", "shared", "revision_number",
        "created_at", "updated_at",
    }
)  # fmt: skip
_READ_ONLY = ("tags",)


async def list_groups(req: Request) -> Reply:
    await ensure_default(req)
    return listing(req, "security_groups", await views(req, await visible(req, SecurityGroup.KIND)), ATTRIBUTES)


async def show_group(req: Request, id: str) -> Reply:
    group = await see(req, SecurityGroup.KIND, id)
    return Reply({"security_group": only_fields(req, (await views(req, [group]))[0])})


async def create_group(req: Request) -> Reply:
    wanted, bulk = await bodies(req, "security_group", "security_groups")
    shown = await views(req, await create_all(req, wanted, _create))
    return created({"security_groups": shown} if bulk else {"security_group": shown[0]})


async def update_group(req: Request, id: str) -> Reply:
    attributes = await one_body(req, "security_group")
    _check(attributes)
    spec = to_spec(attributes, SecurityGroup.Spec, read_only=_READ_ONLY)
    group = await see(req, SecurityGroup.KIND, id)
    if name_of(group) == DEFAULT_GROUP and spec.get("displayName", DEFAULT_GROUP) != DEFAULT_GROUP:
        raise typed(Conflict("Updating default security group not allowed."), "SecurityGroupCannotUpdateDefault")
    changed = await req.state.patch(SecurityGroup.KIND, name_of(group), namespace_of(group), {"spec": spec})
    return Reply({"security_group": (await views(req, [changed]))[0]})


async def delete_group(req: Request, id: str) -> Reply:
    return await remove(req, await see(req, SecurityGroup.KIND, id))


async def views(req: Request, groups: list[Object]) -> list[Json]:
    projects = await project_ids(req, groups)
    return [security_group_view(g, projects[namespace_of(g)]) for g in groups]


async def ensure_default(req: Request, namespace: str | None = None) -> None:
    """Make the project's `default` group if it has none and the caller may."""
    namespace = namespace or req.caller.namespace
    if not namespace:
        return
    try:
        await req.state.get(SecurityGroup.KIND, DEFAULT_GROUP, namespace)
    except NotFound:
        spec = {"displayName": DEFAULT_GROUP, "description": "Default security group"}
        try:
            await req.state.create(SecurityGroup.KIND, new_object(SecurityGroup.KIND, DEFAULT_GROUP, namespace, spec))
        except (AlreadyExists, Forbidden):
            return
    except Forbidden:
        return


async def names_of(req: Request, ids: object, namespace: str) -> list[str]:
    """The handles of a port's groups from their ids. BadRequest, NotFound."""
    if not isinstance(ids, list) or not all(isinstance(id, str) for id in ids):
        raise invalid("security_groups is not a list of ids")
    return [name_of(await by_id(req, id, namespace)) for id in ids]


async def by_id(req: Request, id: str, namespace: str) -> Object:
    """A group of that namespace. NotFound."""
    group = await see(req, SecurityGroup.KIND, id)
    if namespace_of(group) != namespace:
        raise NotFound(f"Security group {id} does not exist", kind="SecurityGroup", name=id)
    return group


async def _create(req: Request, attributes: Object) -> Object:
    namespace = await namespace_for(req, attributes)
    _check(attributes)
    if "name" not in attributes:
        raise typed(BadRequest("Failed to parse request. Required attribute 'name' not specified"), "HTTPBadRequest")
    spec = to_spec(attributes, SecurityGroup.Spec, read_only=_READ_ONLY)
    if spec["displayName"].lower() == DEFAULT_GROUP:
        raise typed(Conflict("Default security group already exists."), "SecurityGroupDefaultAlreadyExists")
    await ensure_default(req, namespace)
    return await objects.create(req, SecurityGroup.KIND, spec["displayName"], spec, namespace=namespace)


def _check(attributes: Object) -> None:
    if attributes.get("stateful") is False:
        raise invalid("stateless security groups are not supported")
