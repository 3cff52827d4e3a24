# SPDX-License-Identifier: Apache-2.0
"""Which OpenStack roles a user has where: direct, by group, inherited from the domain, and implied by others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lichen.kernel.identity.directory import Directory, is_project_enabled, project_domain, project_id
from lichen.kernel.identity.tokens import Scope
from lichen.model.data import Object


def assignments_of(directory: Directory, user_id: str) -> Iterator[Object]:
    """The specs of all assignments of a user, its groups' included."""
    actors = [user_id, *(group["spec"]["id"] for group in directory.groups_by_user.all(user_id))]
    for actor in actors:
        for assignment in directory.assignments_by_actor.all(actor):
            yield assignment["spec"]


def roles_in(directory: Directory, user_id: str, scope: Scope) -> list[Object]:
    """The roles (objects) that a user has in a scope, implied ones included; none for no scope."""
    domain = ""
    if scope.project:
        project = directory.projects_by_id.one(scope.project)
        domain = project_domain(project) if project else ""
    held = [s["roleId"] for s in assignments_of(directory, user_id) if _counts(s, scope, domain)]
    return implied(directory, held)


def _counts(assignment: Object, scope: Scope, project_domain_id: str) -> bool:
    inherited = bool(assignment.get("inherited"))
    if scope.system:
        return bool(assignment.get("system")) and not inherited
    if scope.domain:
        return assignment.get("domainId") == scope.domain and not inherited
    if scope.project:
        if assignment.get("projectId") == scope.project:
            return not inherited
        return inherited and bool(project_domain_id) and assignment.get("domainId") == project_domain_id
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
    return [p for p in found.values() if is_project_enabled(p) and directory.is_domain_enabled(project_domain(p))]


def domains_of(directory: Directory, user_id: str) -> list[Object]:
    """The enabled domains that a user has a role on."""
    ids = {s["domainId"] for s in assignments_of(directory, user_id) if s.get("domainId") and not s.get("inherited")}
    return [d for id in sorted(ids) if (d := directory.domain(id)) and d["spec"].get("enabled", True)]


def has_system_role(directory: Directory, user_id: str) -> bool:
    return any(s.get("system") for s in assignments_of(directory, user_id))
