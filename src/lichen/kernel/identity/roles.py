# SPDX-License-Identifier: Apache-2.0
"""Which OpenStack roles a user has where: direct, by group, inherited from the domain, and implied by others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lichen.kernel.identity.directory import Directory, is_project_enabled, project_domain, project_id
from lichen.kernel.identity.tokens import Claims, Scope
from lichen.model.data import Object


def assignments_of(directory: Directory, user_id: str) -> Iterator[Object]:
    """The specs of all assignments of a user, its groups' included."""
    actors = [user_id, *(group["spec"]["id"] for group in directory.groups_by_user.all(user_id))]
    for actor in actors:
        for assignment in directory.assignments_by_actor.all(actor):
            yield assignment["spec"]


def roles_in(directory: Directory, user_id: str, scope: Scope) -> list[Object]:
    """The roles (objects) that a user has in a scope, implied ones included; none for no scope."""
    above: list[str] = []
    if scope.project and (project := directory.projects_by_id.one(scope.project)) is not None:
        above = [project_domain(project), *directory.ancestors(project)]
    held = [s["roleId"] for s in assignments_of(directory, user_id) if _counts(s, scope, above)]
    return implied(directory, held)


def roles_of(directory: Directory, claims: Claims) -> list[Object]:
    """The roles behind a token: its user's in its scope, or of them those that a credential, a trust or an
    access token hands on."""
    if claims.trust:
        trust = directory.trusts_by_id.one(claims.trust)
        spec: Object = trust["spec"] if trust else {}
        return _handed_on(directory, spec.get("trustorUserId", ""), claims.scope, spec.get("roles") or ())
    if claims.app or claims.oauth:
        by_id = directory.application_credentials_by_id if claims.app else directory.oauth_tokens_by_id
        through = by_id.one(claims.app or claims.oauth)
        roles = through["spec"].get("roles") or [] if through else []
        return _handed_on(directory, claims.sub, claims.scope, roles)
    return roles_in(directory, claims.sub, claims.scope)


def _handed_on(directory: Directory, user_id: str, scope: Scope, role_ids: Iterable[str]) -> list[Object]:
    held = {role["spec"]["id"] for role in roles_in(directory, user_id, scope)}
    return implied(directory, [id for id in role_ids if id in held])


def _counts(assignment: Object, scope: Scope, above: list[str]) -> bool:
    """above: of a project's scope, the ids of what it lies in: domain and projects."""
    inherited = bool(assignment.get("inherited"))
    if scope.system:
        return bool(assignment.get("system")) and not inherited
    if scope.domain:
        return assignment.get("domainId") == scope.domain and not inherited
    if scope.project:
        if assignment.get("projectId") == scope.project:
            return not inherited
        return inherited and (assignment.get("domainId") or assignment.get("projectId")) in above
    return False


def implied(directory: Directory, role_ids: Iterable[str]) -> list[Object]:
    """The roles of these ids and all that they imply, each once, in order of name."""
    found: dict[str, Object] = {}
    waiting = list(role_ids)
    while waiting:
        id = waiting.pop()
        role = directory.roles_by_id.one(id)
        if role is not None and id not in found:
            found[id] = role
            waiting.extend(role["spec"].get("implies") or [])
    return sorted(found.values(), key=lambda role: str(role["metadata"]["name"]))


def projects_of(directory: Directory, user_id: str) -> list[Object]:
    """The enabled projects (Namespaces) that a user has a role on."""
    found: dict[str, Object] = {}
    for spec in assignments_of(directory, user_id):
        if spec.get("projectId") and not spec.get("inherited"):
            found |= {project_id(p): p for p in directory.projects_by_id.all(spec["projectId"])}
        elif spec.get("domainId") and spec.get("inherited"):
            inherited = (p for p in directory.projects.items.values() if project_domain(p) == spec["domainId"])
            found |= {project_id(p): p for p in inherited if project_id(p)}
        elif spec.get("projectId"):
            found |= {project_id(p): p for p in directory.below(spec["projectId"])}
    return [p for p in found.values() if is_project_enabled(p) and directory.is_domain_enabled(project_domain(p))]


def domains_of(directory: Directory, user_id: str) -> list[Object]:
    """The enabled domains that a user has a role on."""
    ids = {s["domainId"] for s in assignments_of(directory, user_id) if s.get("domainId") and not s.get("inherited")}
    return [d for id in sorted(ids) if (d := directory.domain(id)) and d["spec"].get("enabled", True)]


def has_system_role(directory: Directory, user_id: str) -> bool:
    return any(s.get("system") for s in assignments_of(directory, user_id))
