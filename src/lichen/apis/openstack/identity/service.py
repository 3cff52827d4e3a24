# SPDX-License-Identifier: Apache-2.0
"""Keystone's calls, in one table."""

from __future__ import annotations

from lichen.apis.openstack import faults
from lichen.apis.openstack.identity import (
    application_credentials,
    assignments,
    catalog,
    credentials,
    domain_config,
    domains,
    endpoint_groups,
    groups,
    limits,
    oauth1,
    policies,
    projects,
    roles,
    tokens,
    trusts,
    users,
)
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
    Route("POST", "/v3/users/{user_id}/password", users.change_password, "anyone"),
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
    Route("HEAD", "/v3/roles/{role_id}/implies/{implied_id}", roles.check_implied),
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
_CATALOG = tuple(
    route
    for plural, one, calls in (
        (
            "services",
            "service_id",
            ("list_services", "create_service", "show_service", "update_service", "delete_service"),
        ),
        (
            "endpoints",
            "endpoint_id",
            ("list_endpoints", "create_endpoint", "show_endpoint", "update_endpoint", "delete_endpoint"),
        ),
        ("regions", "region_id", ("list_regions", "create_region", "show_region", "update_region", "delete_region")),
    )
    for route in (
        Route("GET", f"/v3/{plural}", getattr(catalog, calls[0])),
        Route("POST", f"/v3/{plural}", getattr(catalog, calls[1]), "admin"),
        Route("GET", f"/v3/{plural}/{{{one}}}", getattr(catalog, calls[2])),
        Route("PATCH", f"/v3/{plural}/{{{one}}}", getattr(catalog, calls[3]), "admin"),
        Route("DELETE", f"/v3/{plural}/{{{one}}}", getattr(catalog, calls[4]), "admin"),
    )
)
CATALOG = (*_CATALOG, Route("PUT", "/v3/regions/{region_id}", catalog.create_region, "admin"))

_APP = "/v3/users/{user_id}/application_credentials"
_RULES = "/v3/users/{user_id}/access_rules"
_EC2 = "/v3/users/{user_id}/credentials/OS-EC2"
_TRUSTS = "/v3/OS-TRUST/trusts"
DELEGATIONS = (
    Route("GET", _APP, application_credentials.list_all),
    Route("POST", _APP, application_credentials.create),
    Route("GET", _APP + "/{id}", application_credentials.show),
    Route("DELETE", _APP + "/{id}", application_credentials.delete),
    Route("GET", _RULES, application_credentials.list_rules),
    Route("GET", _RULES + "/{id}", application_credentials.show_rule),
    Route("DELETE", _RULES + "/{id}", application_credentials.delete_rule),
    Route("GET", "/v3/credentials", credentials.list_all),
    Route("POST", "/v3/credentials", credentials.create),
    Route("GET", "/v3/credentials/{id}", credentials.show),
    Route("PATCH", "/v3/credentials/{id}", credentials.update),
    Route("DELETE", "/v3/credentials/{id}", credentials.delete),
    Route("GET", _EC2, credentials.list_ec2),
    Route("POST", _EC2, credentials.create_ec2),
    Route("GET", _EC2 + "/{access}", credentials.show_ec2),
    Route("DELETE", _EC2 + "/{access}", credentials.delete_ec2),
    Route("GET", _TRUSTS, trusts.list_all),
    Route("POST", _TRUSTS, trusts.create),
    Route("GET", _TRUSTS + "/{id}", trusts.show),
    Route("DELETE", _TRUSTS + "/{id}", trusts.delete),
    Route("GET", _TRUSTS + "/{id}/roles", trusts.list_roles),
    Route("GET", _TRUSTS + "/{id}/roles/{role_id}", trusts.show_role),
    Route("GET", "/v3/policies", policies.list_all, "admin"),
    Route("POST", "/v3/policies", policies.create, "admin"),
    Route("GET", "/v3/policies/{id}", policies.show, "admin"),
    Route("PATCH", "/v3/policies/{id}", policies.update, "admin"),
    Route("DELETE", "/v3/policies/{id}", policies.delete, "admin"),
)

_OAUTH = "/v3/OS-OAUTH1"
_TOKENS = "/v3/users/{user_id}/OS-OAUTH1/access_tokens"
OAUTH1 = (
    Route("GET", _OAUTH + "/consumers", oauth1.list_consumers),
    Route("POST", _OAUTH + "/consumers", oauth1.create_consumer),
    Route("GET", _OAUTH + "/consumers/{consumer_id}", oauth1.show_consumer),
    Route("PATCH", _OAUTH + "/consumers/{consumer_id}", oauth1.update_consumer),
    Route("DELETE", _OAUTH + "/consumers/{consumer_id}", oauth1.delete_consumer),
    Route("POST", _OAUTH + "/request_token", oauth1.create_request_token, "anyone"),
    Route("PUT", _OAUTH + "/authorize/{request_token_id}", oauth1.authorize),
    Route("POST", _OAUTH + "/access_token", oauth1.create_access_token, "anyone"),
    Route("GET", _TOKENS, oauth1.list_access_tokens),
    Route("GET", _TOKENS + "/{access_token_id}", oauth1.show_access_token),
    Route("DELETE", _TOKENS + "/{access_token_id}", oauth1.delete_access_token),
    Route("GET", _TOKENS + "/{access_token_id}/roles", oauth1.list_roles),
    Route("GET", _TOKENS + "/{access_token_id}/roles/{role_id}", oauth1.show_role),
)

_EP = "/v3/OS-EP-FILTER"
_GROUP = _EP + "/endpoint_groups/{id}"
SHOWN = (
    Route("GET", _EP + "/endpoint_groups", endpoint_groups.list_all, "admin"),
    Route("POST", _EP + "/endpoint_groups", endpoint_groups.create, "admin"),
    Route("GET", _GROUP, endpoint_groups.show, "admin"),
    Route("PATCH", _GROUP, endpoint_groups.update, "admin"),
    Route("DELETE", _GROUP, endpoint_groups.delete, "admin"),
    Route("GET", _GROUP + "/endpoints", endpoint_groups.list_endpoints, "admin"),
    Route("GET", _GROUP + "/projects", endpoint_groups.list_group_projects, "admin"),
    Route("PUT", _GROUP + "/projects/{project_id}", endpoint_groups.add_group, "admin"),
    Route("GET", _GROUP + "/projects/{project_id}", endpoint_groups.check_group, "admin"),
    Route("DELETE", _GROUP + "/projects/{project_id}", endpoint_groups.remove_group, "admin"),
    Route("GET", _EP + "/endpoints/{endpoint_id}/projects", endpoint_groups.list_endpoint_projects, "admin"),
    Route("GET", _EP + "/projects/{project_id}/endpoint_groups", endpoint_groups.list_project_groups, "admin"),
    Route("GET", _EP + "/projects/{project_id}/endpoints", endpoint_groups.list_project_endpoints, "admin"),
    Route("PUT", _EP + "/projects/{project_id}/endpoints/{endpoint_id}", endpoint_groups.add_endpoint, "admin"),
    Route("GET", _EP + "/projects/{project_id}/endpoints/{endpoint_id}", endpoint_groups.check_endpoint, "admin"),
    Route("DELETE", _EP + "/projects/{project_id}/endpoints/{endpoint_id}", endpoint_groups.remove_endpoint, "admin"),
)
_CONFIG = "/v3/domains/{domain_id}/config"
CONFIGS = (
    Route("GET", "/v3/domains/config/default", domain_config.show_defaults, "admin"),
    Route("GET", "/v3/domains/config/{group}/default", domain_config.show_default_group, "admin"),
    Route("GET", "/v3/domains/config/{group}/{option}/default", domain_config.show_default_option, "admin"),
    Route("PUT", _CONFIG, domain_config.replace, "admin"),
    Route("GET", _CONFIG, domain_config.show, "admin"),
    Route("PATCH", _CONFIG, domain_config.update, "admin"),
    Route("DELETE", _CONFIG, domain_config.delete, "admin"),
    Route("GET", _CONFIG + "/{group}", domain_config.show_group),
    Route("PATCH", _CONFIG + "/{group}", domain_config.update_group, "admin"),
    Route("DELETE", _CONFIG + "/{group}", domain_config.delete_group, "admin"),
    Route("GET", _CONFIG + "/{group}/{option}", domain_config.show_option),
    Route("PATCH", _CONFIG + "/{group}/{option}", domain_config.update_option, "admin"),
    Route("DELETE", _CONFIG + "/{group}/{option}", domain_config.delete_option, "admin"),
)
LIMITS = (
    Route("GET", "/v3/registered_limits", limits.list_registered),
    Route("POST", "/v3/registered_limits", limits.create_registered, "admin"),
    Route("GET", "/v3/registered_limits/{id}", limits.show_registered),
    Route("PATCH", "/v3/registered_limits/{id}", limits.update_registered, "admin"),
    Route("DELETE", "/v3/registered_limits/{id}", limits.delete_registered, "admin"),
    Route("GET", "/v3/limits/model", limits.show_model),
    Route("GET", "/v3/limits", limits.list_all),
    Route("POST", "/v3/limits", limits.create, "admin"),
    Route("GET", "/v3/limits/{id}", limits.show),
    Route("PATCH", "/v3/limits/{id}", limits.update, "admin"),
    Route("DELETE", "/v3/limits/{id}", limits.delete, "admin"),
)

SERVICE = Service(
    type="identity",
    name="keystone",
    mount="/identity",
    endpoint="/identity",
    routes=(
        *AUTH,
        *PROJECTS,
        *PEOPLE,
        *ROLES,
        *GRANTS,
        *INHERITED,
        *CATALOG,
        *DELEGATIONS,
        *OAUTH1,
        *SHOWN,
        *CONFIGS,
        *LIMITS,
    ),
    fault=faults.keystone,
    style="keystone",
    version="v3.14",
    unserved={
        "OS-FEDERATION": "Federation (identity providers, mappings, protocols, service providers) is not served: users "
        "come from Lichen's own directory.",
    },
)
