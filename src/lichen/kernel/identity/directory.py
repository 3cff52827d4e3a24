# SPDX-License-Identifier: Apache-2.0
"""Users, groups, roles, assignments, projects and RBAC objects in memory, so that every decision is made at once.

`generation` grows with every change of who is who, `rights` with every change of who may do what.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator

from lichen.kernel.identity.mirror import Mirror
from lichen.kinds import builtin
from lichen.kinds.identity.application_credential import AccessRule, ApplicationCredential
from lichen.kinds.identity.catalog import CatalogEndpoint, CatalogService
from lichen.kinds.identity.credential import Credential
from lichen.kinds.identity.domain import Domain
from lichen.kinds.identity.domain_config import DomainConfig
from lichen.kinds.identity.endpoint_group import EndpointAssociation, EndpointGroup
from lichen.kinds.identity.group import Group
from lichen.kinds.identity.limit import Limit
from lichen.kinds.identity.oauth1 import OAuthConsumer, OAuthToken
from lichen.kinds.identity.role import Role
from lichen.kinds.identity.role_assignment import RoleAssignment
from lichen.kinds.identity.signing_key import SigningKey
from lichen.kinds.identity.token import RevokedToken
from lichen.kinds.identity.trust import Trust
from lichen.kinds.identity.user import User
from lichen.kinds.image.image import Image
from lichen.kinds.network.network import Network
from lichen.kinds.network.subnet import Subnet
from lichen.model.caller import account_user
from lichen.model.data import Object
from lichen.model.kind import Kind
from lichen.model.meta import annotations_of, labels_of, namespace_of
from lichen.model.names import DISPLAY_NAME, DOMAIN_ID, ENABLED, PARENT_ID, PROJECT_ID
from lichen.model.state import State


class Directory:
    """Mirrors of what identity depends on, with the indexes it looks things up by."""

    def __init__(self, store: State) -> None:
        self.keys_changed = asyncio.Event()
        self.generation = 0
        self.rights = 0
        self._store = store
        self._mirrors: dict[Kind, Mirror] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._index_people(store)
        self._index_delegations(store)
        self._index_rights(store)
        self._index_shared(store)

    def _people_changed(self) -> None:
        self.generation += 1

    def _keys_moved(self) -> None:
        self.generation += 1
        self.keys_changed.set()

    def _rights_changed(self) -> None:
        self.rights += 1

    def _mirror(self, store: State, kind: Kind, changed: Callable[[], None]) -> Mirror:
        mirror = Mirror(store, kind, changed)
        self._mirrors[kind] = mirror
        return mirror

    def _index_people(self, store: State) -> None:
        moved = self._people_changed
        self.users, self.groups = self._mirror(store, User.KIND, moved), self._mirror(store, Group.KIND, moved)
        self.domains, self.roles = self._mirror(store, Domain.KIND, moved), self._mirror(store, Role.KIND, moved)
        self.assignments = self._mirror(store, RoleAssignment.KIND, moved)
        self.projects = self._mirror(store, builtin.NAMESPACE, moved)
        self.service_accounts = self._mirror(store, builtin.SERVICE_ACCOUNT, moved)
        self.revoked = self._mirror(store, RevokedToken.KIND, moved)
        self.signing_keys = self._mirror(store, SigningKey.KIND, self._keys_moved)
        self.users_by_id, self.users_by_name = self.users.index(_id), self.users.index(_name_in_domain)
        self.groups_by_id, self.groups_by_name = self.groups.index(_id), self.groups.index(_name_in_domain)
        self.groups_by_user = self.groups.index(lambda o: set(o.get("spec", {}).get("users") or []))
        self.domains_by_id, self.domains_by_name = self.domains.index(_id), self.domains.index(_display_name)
        self.roles_by_id, self.roles_by_name = self.roles.index(_id), self.roles.index(_name_in_domain)
        self.assignments_by_actor = self.assignments.index(_actor)
        self.assignments_by_part = self.assignments.index(_parts)
        self.projects_by_id = self.projects.index(lambda o: [project_id(o)] if project_id(o) else [])
        self.projects_by_name = self.projects.index(lambda o: [(project_domain(o), project_name(o))])
        self.projects_by_parent = self.projects.index(lambda o: [project_parent(o)] if project_parent(o) else [])
        self.revoked_by_id = self.revoked.index(lambda o: [o["spec"]["auditId"]])

    def _index_delegations(self, store: State) -> None:
        moved = self._people_changed
        self.application_credentials = self._mirror(store, ApplicationCredential.KIND, moved)
        self.trusts = self._mirror(store, Trust.KIND, moved)
        self.oauth_tokens = self._mirror(store, OAuthToken.KIND, moved)
        self.oauth_consumers = self._mirror(store, OAuthConsumer.KIND, _nothing)
        self.access_rules = self._mirror(store, AccessRule.KIND, _nothing)
        self.credentials = self._mirror(store, Credential.KIND, _nothing)
        self.services = self._mirror(store, CatalogService.KIND, _nothing)
        self.endpoints = self._mirror(store, CatalogEndpoint.KIND, _nothing)
        self.endpoint_groups = self._mirror(store, EndpointGroup.KIND, _nothing)
        self.endpoint_associations = self._mirror(store, EndpointAssociation.KIND, _nothing)
        self.domain_configs = self._mirror(store, DomainConfig.KIND, _nothing)
        self.limits = self._mirror(store, Limit.KIND, _nothing)
        self.endpoint_groups_by_id = self.endpoint_groups.index(_id)
        self.endpoint_associations_by_part = self.endpoint_associations.index(_places)
        self.domain_configs_by_part = self.domain_configs.index(_places)
        self.limits_by_part = self.limits.index(_places)
        self.application_credentials_by_id = self.application_credentials.index(_id)
        self.trusts_by_id = self.trusts.index(_id)
        self.oauth_tokens_by_id = self.oauth_tokens.index(_id)
        self.oauth_consumers_by_id = self.oauth_consumers.index(_id)
        self.oauth_tokens_by_part = self.oauth_tokens.index(_delegation_parts)
        self.application_credentials_by_part = self.application_credentials.index(_delegation_parts)
        self.trusts_by_part = self.trusts.index(_delegation_parts)
        self.credentials_by_part = self.credentials.index(_delegation_parts)
        self.access_rules_by_user = self.access_rules.index(_delegation_parts)
        self.endpoints_by_service = self.endpoints.index(lambda o: [o["spec"]["serviceId"]])

    def _index_rights(self, store: State) -> None:
        moved = self._rights_changed
        self.cluster_roles = self._mirror(store, builtin.CLUSTER_ROLE, moved)
        self.local_roles = self._mirror(store, builtin.ROLE, moved)
        self.cluster_bindings = self._mirror(store, builtin.CLUSTER_ROLE_BINDING, moved)
        self.local_bindings = self._mirror(store, builtin.ROLE_BINDING, moved)
        self.cluster_bindings_by_subject = self.cluster_bindings.index(_subjects)
        self.local_bindings_by_subject = self.local_bindings.index(
            lambda o: [(namespace_of(o), s) for s in _subjects(o)]
        )

    def _index_shared(self, store: State) -> None:
        self.networks = self._mirror(store, Network.KIND, _nothing)
        self.subnets = self._mirror(store, Subnet.KIND, _nothing)
        self.images = self._mirror(store, Image.KIND, _nothing)
        self.shared_networks = self.networks.index(lambda o: _id(o) if o.get("spec", {}).get("shared") else [])

    async def start(self) -> None:
        """Load everything, then follow it in the background. Loading again is harmless."""
        for mirror in self._mirrors.values():
            await mirror.load()
        if not self._tasks:
            self._tasks = [asyncio.create_task(m.follow(), name=f"mirror {m.kind}") for m in self._mirrors.values()]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._tasks = []

    @property
    def kinds(self) -> tuple[Kind, ...]:
        return tuple(self._mirrors)

    def object(self, kind: Kind, name: str) -> Object | None:
        """An object of a cluster-scoped kind that is mirrored."""
        mirror = self._mirrors.get(kind)
        return mirror.get(name) if mirror is not None else None

    async def refresh(self, kind: Kind, name: str, namespace: str = "") -> None:
        """See a write at once, before the watch tells of it."""
        mirror = self._mirrors.get(kind)
        if mirror is not None:
            await mirror.refresh(name, namespace)

    # --- who is who ---

    def ancestors(self, project: Object) -> list[str]:
        """Ids of the projects above a project, nearest first."""
        found: list[str] = []
        above: Object | None = project
        while above is not None and (parent := project_parent(above)) and parent not in found:
            found.append(parent)
            above = self.projects_by_id.one(parent)
        return found

    def below(self, parent_id: str) -> list[Object]:
        """The projects below a project, the deepest first."""
        children = self.projects_by_parent.all(parent_id)
        return [p for child in children for p in (*self.below(project_id(child)), child)]

    def user(self, user_id: str) -> Object | None:
        return self.users_by_id.one(user_id)

    def domain(self, id: str = "", name: str = "") -> Object | None:
        return self.domains_by_id.one(id) if id else self.domains_by_name.one(name)

    def domain_name(self, domain_id: str) -> str:
        domain = self.domain(domain_id)
        return display_name(domain) if domain else ""

    def is_domain_enabled(self, domain_id: str) -> bool:
        domain = self.domain(domain_id)
        return domain is not None and domain["spec"].get("enabled", True) is True


def _nothing() -> None:
    """What is shared is looked up each time: nothing was derived from it."""


def display_name(obj: Object) -> str:
    """The name as the user wrote it; the handle where none was given."""
    name: str = obj.get("spec", {}).get("displayName") or obj["metadata"]["name"]
    return name


def project_id(namespace: Object) -> str:
    return labels_of(namespace).get(PROJECT_ID, "")


def project_domain(namespace: Object) -> str:
    return labels_of(namespace).get(DOMAIN_ID) or "default"


def project_parent(namespace: Object) -> str:
    """The id of the project it lies below, "" for one that is directly in its domain."""
    return labels_of(namespace).get(PARENT_ID, "")


def project_name(namespace: Object) -> str:
    name: str = annotations_of(namespace).get(DISPLAY_NAME) or namespace["metadata"]["name"]
    return name


def is_project_enabled(namespace: Object) -> bool:
    return annotations_of(namespace).get(ENABLED) != "false" and not namespace["metadata"].get("deletionTimestamp")


def _id(obj: Object) -> list[str]:
    id = obj.get("spec", {}).get("id")
    return [id] if id else []


def _display_name(obj: Object) -> list[str]:
    return [display_name(obj)]


def _name_in_domain(obj: Object) -> list[tuple[str, str]]:
    return [(obj.get("spec", {}).get("domainId") or "", display_name(obj))]


def _actor(obj: Object) -> list[str]:
    spec = obj["spec"]
    return [spec.get("userId") or spec.get("groupId") or ""]


def _parts(obj: Object) -> Iterator[str]:
    """Whatever an assignment mentions, so that it goes when that goes."""
    spec = obj["spec"]
    return (spec[part] for part in ("roleId", "userId", "groupId", "projectId", "domainId") if spec.get(part))


def _delegation_parts(obj: Object) -> Iterator[str]:
    """Users, project and consumer that a delegation depends on."""
    spec = obj["spec"]
    parts = ("userId", "trustorUserId", "trusteeUserId", "projectId", "consumerId")
    return (spec[part] for part in parts if spec.get(part))


def _places(obj: Object) -> Iterator[str]:
    """Whatever an object of the catalog, a limit or a configuration is for, so that it goes when that goes."""
    spec = obj["spec"]
    return (spec[part] for part in ("projectId", "domainId", "endpointId", "groupId", "serviceId") if spec.get(part))


def _subjects(obj: Object) -> list[str]:
    return [name for s in obj.get("subjects") or [] if (name := _subject_name(s, namespace_of(obj)))]


def _subject_name(subject: Object, namespace: str) -> str:
    """`User:ann`, `Group:devs`; a ServiceAccount is the user that stands for it."""
    kind, name = subject.get("kind"), subject.get("name", "")
    if kind == "ServiceAccount":
        return f"User:{account_user(subject.get('namespace') or namespace, name)}"
    return f"{kind}:{name}" if kind in ("User", "Group") else ""
