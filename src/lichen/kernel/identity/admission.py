# SPDX-License-Identifier: Apache-2.0
"""Admission of identity's kinds: ids and names that are unique, what goes with a thing when it goes, and that the
directory has seen a write before its answer leaves."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable

from lichen.kernel.admission import Request
from lichen.kernel.identity.credentials import secret_name
from lichen.kernel.identity.directory import Directory, display_name, project_domain, project_id, project_name
from lichen.kernel.identity.lockout import kept_name as lockout_name
from lichen.kernel.identity.mirror import Index
from lichen.kernel.identity.password_rules import check_options, check_rules
from lichen.kinds.builtin import NAMESPACE, SECRET
from lichen.kinds.identity.application_credential import AccessRule, ApplicationCredential
from lichen.kinds.identity.catalog import CatalogEndpoint, CatalogService, PolicyDocument, Region
from lichen.kinds.identity.credential import Credential
from lichen.kinds.identity.domain import Domain, PasswordRules
from lichen.kinds.identity.domain_config import DomainConfig
from lichen.kinds.identity.endpoint_group import EndpointAssociation, EndpointGroup
from lichen.kinds.identity.group import Group
from lichen.kinds.identity.limit import Limit, RegisteredLimit
from lichen.kinds.identity.oauth1 import OAuthToken
from lichen.kinds.identity.role import Role
from lichen.kinds.identity.role_assignment import RoleAssignment
from lichen.kinds.identity.trust import Trust
from lichen.kinds.identity.user import User
from lichen.model.data import Object
from lichen.model.errors import BadRequest, Conflict, Forbidden, NotFound
from lichen.model.kind import Kind
from lichen.model.meta import is_deleting, name_of, uid_of
from lichen.model.names import SYSTEM_NAMESPACE
from lichen.model.state import State

SHOWN = (EndpointGroup.KIND, CatalogEndpoint.KIND)
"""Their associations with projects go with them."""
NAMED = (User.KIND, Group.KIND, Role.KIND, Domain.KIND, NAMESPACE)
ALL_VERBS = ("create", "update", "delete")


class SeenAtOnce:
    """After a write, the directory reads it back, so that the next request is answered by it."""

    verbs: tuple[str, ...] = ALL_VERBS

    def __init__(self, directory: Directory) -> None:
        self.kinds: tuple[Kind, ...] | None = directory.kinds
        self._directory = directory

    async def admit(self, request: Request) -> None:
        name = request.object["metadata"].get("name") or request.name
        request.done.append(lambda: self._directory.refresh(request.kind, name, request.namespace))


class Identities:
    """Fills ids and names; keeps a name in its domain to one thing; removes what depends on what is deleted."""

    kinds: tuple[Kind, ...] | None = (*NAMED, RoleAssignment.KIND, *SHOWN)
    verbs: tuple[str, ...] = ALL_VERBS

    def __init__(self, directory: Directory, state: State | None = None) -> None:
        """state: through which what depends on a deleted thing is deleted, with all that depends on that in turn."""
        self._directory = directory
        self._state = state
        self._pending: set[tuple[str, str, str]] = set()

    async def admit(self, request: Request) -> None:
        if request.verb == "delete":
            await self._admit_delete(request)
        elif request.kind in SHOWN:
            return
        elif request.kind == RoleAssignment.KIND:
            self._check_assignment(request.object["spec"])
            if request.name != RoleAssignment.of(request.object).spec.handle():
                raise BadRequest("metadata.name: of a role assignment it is the digest of its spec.")
        else:
            if request.kind != NAMESPACE:
                _fill(request)
                _check_rules(request)
                self._check_id(request)
            self._claim_name(request)

    def _check_id(self, request: Request) -> None:
        spec, index = request.object["spec"], self._ids(request.kind)
        if request.verb == "create" and index.has(spec["id"]):
            raise Conflict(f"{request.kind.kind} with id {spec['id']} exists already.", kind=request.kind.kind)
        if request.kind in (User.KIND, Group.KIND) and self._directory.domain(spec["domainId"]) is None:
            raise BadRequest(f"Could not find domain: {spec['domainId']}.")

    def _ids(self, kind: Kind) -> Index:
        directory = self._directory
        indexes = {User.KIND: directory.users_by_id, Group.KIND: directory.groups_by_id}
        return indexes.get(kind) or (directory.roles_by_id if kind == Role.KIND else directory.domains_by_id)

    def _claim_name(self, request: Request) -> None:
        """Within a process, the claim stands until the directory has seen the write."""
        domain, name = _full_name(request.kind, request.object)
        if request.old is not None and _full_name(request.kind, request.old) == (domain, name):
            return
        taken = next((o for o in self._same_name(request.kind, domain, name) if not _is_same(o, request)), None)
        claim = (request.kind.plural, domain, name)
        if taken is not None or claim in self._pending:
            leaving = " It is being deleted and not gone yet." if taken is not None and is_deleting(taken) else ""
            raise Conflict(
                f"Conflict occurred attempting to store {_noun(request.kind)} - "
                f"Duplicate entry found with name {name}" + (f" at domain ID {domain}." if domain else ".") + leaving,
                kind=request.kind.plural,
            )
        self._pending.add(claim)
        request.undo.append(self._release(claim))
        request.done.append(self._release(claim))

    def _release(self, claim: tuple[str, str, str]) -> Callable[[], Awaitable[object]]:
        async def release() -> None:
            self._pending.discard(claim)

        return release

    def _same_name(self, kind: Kind, domain: str, name: str) -> list[Object]:
        directory = self._directory
        if kind == Domain.KIND:
            return directory.domains_by_name.all(name)
        indexes = {
            User.KIND: directory.users_by_name,
            Group.KIND: directory.groups_by_name,
            Role.KIND: directory.roles_by_name,
            NAMESPACE: directory.projects_by_name,
        }
        return indexes[kind].all((domain, name))

    def _check_assignment(self, spec: Object) -> None:
        directory = self._directory
        if directory.roles_by_id.one(spec["roleId"]) is None:
            raise NotFound(f"Could not find role: {spec['roleId']}.")
        actors = [spec.get("userId") or "", spec.get("groupId") or ""]
        targets = [spec.get("projectId") or "", spec.get("domainId") or "", "system" if spec.get("system") else ""]
        if sum(map(bool, actors)) != 1 or sum(map(bool, targets)) != 1:
            raise BadRequest("An assignment is of one user or group, on one project, domain or the system.")
        if actors[0] and directory.user(actors[0]) is None:
            raise NotFound(f"Could not find user: {actors[0]}.")
        if actors[1] and directory.groups_by_id.one(actors[1]) is None:
            raise NotFound(f"Could not find group: {actors[1]}.")
        if targets[0] and directory.projects_by_id.one(targets[0]) is None:
            raise NotFound(f"Could not find project: {targets[0]}.")
        if targets[1] and directory.domain(targets[1]) is None:
            raise NotFound(f"Could not find domain: {targets[1]}.")

    # --- deletion ---

    async def _admit_delete(self, request: Request) -> None:
        if request.kind == Domain.KIND and request.object["spec"].get("enabled", True):
            raise Forbidden("Cannot delete a domain that is enabled, please disable it first.")
        if request.kind == NAMESPACE:
            self._check_is_leaf(request)
        if request.kind != RoleAssignment.KIND:
            request.done.append(lambda: self._remove_dependents(request))

    def _check_is_leaf(self, request: Request) -> None:
        below = self._directory.below(project_id(request.object)) if project_id(request.object) else []
        if any(not is_deleting(project) for project in below):
            raise Forbidden("Cannot delete a project that has projects below it: delete those first.")

    async def _remove_content(self, request: Request, id: str) -> None:
        """What was in a domain: users, groups, roles, and projects from the deepest up."""
        directory = self._directory
        for kind, mirror in (
            (User.KIND, directory.users),
            (Group.KIND, directory.groups),
            (Role.KIND, directory.roles),
        ):
            for obj in [o for o in mirror.items.values() if o["spec"].get("domainId") == id]:
                await self._delete(request, kind, name_of(obj))
        projects = [p for p in directory.projects.items.values() if project_domain(p) == id]
        for project in sorted(projects, key=lambda p: len(directory.ancestors(p)), reverse=True):
            await self._delete(request, NAMESPACE, name_of(project))

    async def _remove_delegations(self, request: Request, id: str) -> None:
        directory = self._directory
        for kind, index in (
            (ApplicationCredential.KIND, directory.application_credentials_by_part),
            (Trust.KIND, directory.trusts_by_part),
            (OAuthToken.KIND, directory.oauth_tokens_by_part),
            (Credential.KIND, directory.credentials_by_part),
            (AccessRule.KIND, directory.access_rules_by_user),
        ):
            for obj in list(index.all(id)):
                await self._delete(request, kind, name_of(obj))
                await directory.refresh(kind, name_of(obj))

    async def _remove_given(self, request: Request, id: str) -> None:
        """What was said of a project, a domain, an endpoint or a group of them."""
        directory = self._directory
        for kind, index in (
            (EndpointAssociation.KIND, directory.endpoint_associations_by_part),
            (DomainConfig.KIND, directory.domain_configs_by_part),
            (Limit.KIND, directory.limits_by_part),
        ):
            for obj in list(index.all(id)):
                await self._delete(request, kind, name_of(obj))
                await directory.refresh(kind, name_of(obj))

    async def _delete(self, request: Request, kind: Kind, name: str) -> None:
        try:
            await (self._state or request.state).delete(kind, name)
        except NotFound:
            return

    async def _remove_dependents(self, request: Request) -> None:
        gone = request.object
        id = project_id(gone) if request.kind == NAMESPACE else gone.get("spec", {}).get("id", "")
        for assignment in self._directory.assignments_by_part.all(id) if id else []:
            await _delete(request, RoleAssignment.KIND, name_of(assignment))
            await self._directory.refresh(RoleAssignment.KIND, name_of(assignment))
        if id and request.kind in (User.KIND, NAMESPACE):
            await self._remove_delegations(request, id)
        if id and request.kind in (Domain.KIND, NAMESPACE, *SHOWN):
            await self._remove_given(request, id)
        if id and request.kind == Domain.KIND:
            await self._remove_content(request, id)
        if request.kind == User.KIND:
            for secret in (secret_name(name_of(gone)), lockout_name(name_of(gone))):
                await _delete(request, SECRET, secret, SYSTEM_NAMESPACE)
            for group in self._directory.groups_by_user.all(id):
                users = [user for user in group["spec"]["users"] if user != id]
                await request.state.patch(Group.KIND, name_of(group), "", {"spec": {"users": users}})


async def _delete(request: Request, kind: Kind, name: str, namespace: str = "") -> None:
    try:
        await request.state.delete(kind, name, namespace)
    except NotFound:
        return


class CatalogIds:
    """What operators put into the catalog has an id: the one they chose, if it is free, or a fresh one."""

    kinds: tuple[Kind, ...] | None = (
        Region.KIND, CatalogService.KIND, CatalogEndpoint.KIND, PolicyDocument.KIND, EndpointGroup.KIND,
        RegisteredLimit.KIND, Limit.KIND,
    )  # fmt: skip
    verbs: tuple[str, ...] = ("create",)

    async def admit(self, request: Request) -> None:
        spec = request.object.setdefault("spec", {})
        if not spec.get("id"):
            spec["id"] = uuid.uuid4().hex
        elif any(o["spec"].get("id") == spec["id"] for o in (await request.state.list(request.kind)).items):
            raise Conflict(f"Duplicate entry found with ID {spec['id']}.", kind=request.kind.plural)


def _fill(request: Request) -> None:
    spec = request.object.setdefault("spec", {})
    spec["id"] = spec.get("id") or uuid.uuid4().hex
    spec["displayName"] = spec.get("displayName") or request.object["metadata"].get("name", "")
    if len(spec["id"]) > 64 or not spec["id"].replace("-", "").replace("_", "").isalnum():
        raise BadRequest("spec.id: up to 64 letters, digits, - and _.")
    limit = 64 if request.kind == Domain.KIND else 255
    if len(spec["displayName"]) > limit:
        raise BadRequest(f"spec.displayName: at most {limit} characters.")
    if request.kind in (User.KIND, Group.KIND):
        spec["domainId"] = spec.get("domainId") or "default"


def _check_rules(request: Request) -> None:
    """BadRequest: rules for passwords that cannot hold, or options that nobody would heed."""
    spec, old = request.object["spec"], ((request.old or {}).get("spec") or {})
    if request.kind == User.KIND and spec.get("options") != old.get("options"):
        check_options(spec.get("options") or {})
    if request.kind == Domain.KIND and spec.get("passwordRules"):
        check_rules(Domain.of(request.object).spec.password_rules or PasswordRules())


def _full_name(kind: Kind, obj: Object) -> tuple[str, str]:
    if kind == NAMESPACE:
        return project_domain(obj), project_name(obj)
    if kind == Domain.KIND:
        return "", display_name(obj)
    return obj["spec"].get("domainId") or "", display_name(obj)


def _is_same(other: Object, request: Request) -> bool:
    return request.old is not None and uid_of(other) == uid_of(request.old)


def _noun(kind: Kind) -> str:
    return "project" if kind == NAMESPACE else kind.kind.lower()
