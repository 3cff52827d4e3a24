# SPDX-License-Identifier: Apache-2.0
"""Keystone's calls, in one table."""

from __future__ import annotations

from lichen.apis.openstack import faults
from lichen.apis.openstack.identity import assignments, catalog, domains, groups, projects, roles, tokens, users
from lichen.apis.openstack.routing import Route, Service

AUTH = (
    Route("POST", "/v3/auth/tokens", tokens.issue, "anyone"),
    Route("GET", "/v3/auth/tokens", tokens.show),
    Route("DELETE", "/v3/auth/tokens", tokens.revoke),
    Route("GET", "/v3/auth/catalog", catalog.show_catalog),
    Route("GET", "/v3/auth/projects", tokens.list_my_projects),
    Route("GET", "/v3/auth/domains", tokens.list_my_domains),
    Route("GET", "/v3/auth/system", tokens.show_my_system),
)
PROJECTS = (
    Route("GET", "/v3/projects", projects.list_all),
    Route("POST", "/v3/projects", projects.create),
    Route("GET", "/v3/projects/{project_id}", projects.show),
    Route("PATCH", "/v3/projects/{project_id}", projects.update),
    Route("DELETE", "/v3/projects/{project_id}", projects.delete),
    Route("GET", "/v3/projects/{project_id}/tags", projects.list_tags),
    Route("PUT", "/v3/projects/{project_id}/tags", projects.replace_tags),
    Route("DELETE", "/v3/projects/{project_id}/tags", projects.delete_tags),
    Route("GET", "/v3/projects/{project_id}/tags/{tag}", projects.show_tag),
    Route("PUT", "/v3/projects/{project_id}/tags/{tag}", projects.add_tag),
    Route("DELETE", "/v3/projects/{project_id}/tags/{tag}", projects.delete_tag),
)
PEOPLE = (
    Route("GET", "/v3/users", users.list_all),
    Route("POST", "/v3/users", users.create),
    Route("GET", "/v3/users/{user_id}", users.show),
    Route("PATCH", "/v3/users/{user_id}", users.update),
    Route("DELETE", "/v3/users/{user_id}", users.delete),
    Route("POST", "/v3/users/{user_id}/password", users.change_password),
    Route("GET", "/v3/users/{user_id}/groups", users.list_groups),
    Route("GET", "/v3/users/{user_id}/projects", users.list_projects),
    Route("GET", "/v3/groups", groups.list_all),
    Route("POST", "/v3/groups", groups.create),
    Route("GET", "/v3/groups/{group_id}", groups.show),
    Route("PATCH", "/v3/groups/{group_id}", groups.update),
    Route("DELETE", "/v3/groups/{group_id}", groups.delete),
    Route("GET", "/v3/groups/{group_id}/users", groups.list_users),
    Route("PUT", "/v3/groups/{group_id}/users/{user_id}", groups.add_user),
    Route("GET", "/v3/groups/{group_id}/users/{user_id}", groups.check_user),
    Route("DELETE", "/v3/groups/{group_id}/users/{user_id}", groups.remove_user),
    Route("GET", "/v3/domains", domains.list_all),
    Route("POST", "/v3/domains", domains.create),
    Route("GET", "/v3/domains/{domain_id}", domains.show),
    Route("PATCH", "/v3/domains/{domain_id}", domains.update),
    Route("DELETE", "/v3/domains/{domain_id}", domains.delete),
)
ROLES = (
    Route("GET", "/v3/roles", roles.list_all),
    Route("POST", "/v3/roles", roles.create),
    Route("GET", "/v3/roles/{role_id}", roles.show),
    Route("PATCH", "/v3/roles/{role_id}", roles.update),
    Route("DELETE", "/v3/roles/{role_id}", roles.delete),
    Route("GET", "/v3/roles/{role_id}/implies", roles.list_implied),
    Route("GET", "/v3/roles/{role_id}/implies/{implied_id}", roles.show_implied),
    Route("PUT", "/v3/roles/{role_id}/implies/{implied_id}", roles.add_implied),
    Route("DELETE", "/v3/roles/{role_id}/implies/{implied_id}", roles.remove_implied),
    Route("GET", "/v3/role_inferences", roles.list_inferences),
    Route("GET", "/v3/role_assignments", assignments.list_all),
)


def _grants(target: str, actor: str, tail: str = "") -> tuple[Route, ...]:
    """The calls on one actor's roles on one target."""
    base = f"/v3/{target}/{actor}/roles"
    one = f"{base}/{{role_id}}{tail}"
    return (
        Route("GET", base + tail, assignments.list_granted),
        Route("PUT", one, assignments.grant),
        Route("GET", one, assignments.check),
        Route("DELETE", one, assignments.revoke),
    )


TARGETS = ("projects/{project_id}", "domains/{domain_id}", "system")
ACTORS = ("users/{user_id}", "groups/{group_id}")
GRANTS = tuple(route for target in TARGETS for actor in ACTORS for route in _grants(target, actor))
INHERITED = tuple(
    route
    for target in TARGETS[:2]
    for actor in ACTORS
    for route in _grants(f"OS-INHERIT/{target}", actor, "/inherited_to_projects")
)
CATALOG = tuple(
    route
    for plural, one, list_all, show in (
        ("services", "service_id", catalog.list_services, catalog.show_service),
        ("endpoints", "endpoint_id", catalog.list_endpoints, catalog.show_endpoint),
        ("regions", "region_id", catalog.list_regions, catalog.show_region),
    )
    for route in (
        Route("GET", f"/v3/{plural}", list_all),
        Route("POST", f"/v3/{plural}", catalog.refuse),
        Route("GET", f"/v3/{plural}/{{{one}}}", show),
        Route("PATCH", f"/v3/{plural}/{{{one}}}", catalog.refuse),
        Route("DELETE", f"/v3/{plural}/{{{one}}}", catalog.refuse),
    )
)

SERVICE = Service(
    type="identity",
    name="keystone",
    mount="/identity",
    endpoint="/identity",
    routes=(*AUTH, *PROJECTS, *PEOPLE, *ROLES, *GRANTS, *INHERITED, *CATALOG),
    fault=faults.keystone,
    style="keystone",
    version="v3.14",
)
