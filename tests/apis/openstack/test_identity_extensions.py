# SPDX-License-Identifier: Apache-2.0
"""Keystone's extensions on the wire: endpoint filter, domain configuration, unified limits, and what is not served."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lichen.apis.openstack.app import create_app
from lichen.kinds.builtin import SECRET
from lichen.kinds.identity.domain import Domain
from lichen.kinds.identity.endpoint_group import EndpointAssociation
from lichen.kinds.identity.limit import Limit
from lichen.model.names import SYSTEM_NAMESPACE

from .cloud import TestCloud, running_cloud

V3 = "/identity/v3"


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[TestCloud]:
    async with running_cloud(tmp_path) as made:
        made.app = create_app(made)
        yield made


async def admin(cloud: TestCloud, method: str, path: str, document: Any = None) -> Any:
    return await cloud.ok(method, V3 + path, document, who="admin")


async def refusal(
    cloud: TestCloud, method: str, path: str, document: Any = None, who: str = "admin"
) -> tuple[int, str]:
    answer = await cloud.call(method, V3 + path, document, who=who)
    return answer.status, answer.json()["error"]["message"]


async def an_endpoint(cloud: TestCloud, type_: str = "extra") -> tuple[str, str]:
    """A service beside the cloud's own, and its endpoint."""
    service = (await admin(cloud, "POST", "/services", {"service": {"type": type_}}))["service"]["id"]
    about = {"service_id": service, "interface": "public", "url": f"http://{type_}"}
    return service, (await admin(cloud, "POST", "/endpoints", {"endpoint": about}))["endpoint"]["id"]


async def catalog(cloud: TestCloud) -> list[str]:
    return [entry["type"] for entry in (await cloud.ok("GET", f"{V3}/auth/catalog"))["catalog"]]


# --- endpoint filter ---


async def test_a_project_sees_the_endpoints_it_was_given_and_identity(cloud: TestCloud):
    _, extra = await an_endpoint(cloud)
    project = cloud.projects["demo"]
    assert {"identity", "compute", "extra"} <= set(await catalog(cloud))
    await admin(cloud, "PUT", f"/OS-EP-FILTER/projects/{project}/endpoints/{extra}")
    assert await catalog(cloud) == ["identity", "extra"]
    listed = await admin(cloud, "GET", f"/OS-EP-FILTER/endpoints/{extra}/projects")
    assert [p["id"] for p in listed["projects"]] == [project]
    await admin(cloud, "DELETE", f"/OS-EP-FILTER/projects/{project}/endpoints/{extra}")
    assert "compute" in await catalog(cloud)


async def test_an_endpoint_group_gives_all_that_it_describes(cloud: TestCloud):
    service, extra = await an_endpoint(cloud)
    await an_endpoint(cloud, "other")
    body = {"endpoint_group": {"name": "g", "filters": {"service_id": service}}}
    group = (await admin(cloud, "POST", "/OS-EP-FILTER/endpoint_groups", body))["endpoint_group"]["id"]
    project = cloud.projects["demo"]
    await admin(cloud, "PUT", f"/OS-EP-FILTER/endpoint_groups/{group}/projects/{project}")
    assert await catalog(cloud) == ["identity", "extra"]
    inside = await admin(cloud, "GET", f"/OS-EP-FILTER/endpoint_groups/{group}/endpoints")
    mine = await admin(cloud, "GET", f"/OS-EP-FILTER/projects/{project}/endpoints")
    assert [e["id"] for e in inside["endpoints"]] == [e["id"] for e in mine["endpoints"]] == [extra]
    unchanged = {"endpoint_group": {"name": "renamed", "filters": None}}
    shown = await admin(cloud, "PATCH", f"/OS-EP-FILTER/endpoint_groups/{group}", unchanged)
    assert shown["endpoint_group"]["filters"] == {"service_id": service}
    changed = {"endpoint_group": {"filters": {"interface": "admin"}}}
    shown = await admin(cloud, "PATCH", f"/OS-EP-FILTER/endpoint_groups/{group}", changed)
    assert shown["endpoint_group"]["filters"] == {"interface": "admin"}
    assert "compute" in await catalog(cloud)
    await admin(cloud, "DELETE", f"/OS-EP-FILTER/endpoint_groups/{group}")
    assert not (await cloud.state.list(EndpointAssociation.KIND)).items
    assert "other" in await catalog(cloud)


@pytest.mark.parametrize("filters", [{"colour": "red"}, {"interface": "inside"}, "all", None])
async def test_a_filter_of_nothing_known_is_refused(cloud: TestCloud, filters: Any):
    body = {"endpoint_group": {"name": "g", "filters": filters}}
    assert (await refusal(cloud, "POST", "/OS-EP-FILTER/endpoint_groups", body))[0] == 400


# --- domain configuration ---

LDAP = {"config": {"identity": {"driver": "ldap"}, "ldap": {"url": "ldap://x", "user_tree_dn": "ou=u"}}}


async def test_a_domains_configuration_is_kept_and_said_to_be_not_acted_on(cloud: TestCloud):
    answer = await cloud.call("PUT", f"{V3}/domains/default/config", LDAP, who="admin")
    assert (answer.status, answer.json()) == (201, LDAP)
    assert "not acted on" in answer.headers["warning"]
    one = await admin(cloud, "GET", "/domains/default/config/ldap/url")
    assert one == {"config": {"url": "ldap://x"}}
    await admin(cloud, "DELETE", "/domains/default/config/ldap/url")
    assert (await refusal(cloud, "GET", "/domains/default/config/ldap/url"))[0] == 404
    await admin(cloud, "DELETE", "/domains/default/config")
    assert (await refusal(cloud, "GET", "/domains/default/config"))[0] == 404


async def test_a_secret_option_is_shown_to_nobody(cloud: TestCloud):
    config = {"config": {"ldap": {"url": "ldap://x", "password": "hush"}}}
    answer = await cloud.call("PUT", f"{V3}/domains/default/config", config, who="admin")
    assert answer.json() == {"config": {"ldap": {"url": "ldap://x"}}}
    assert await cloud.state.get(SECRET, "domain-config-default", SYSTEM_NAMESPACE)
    assert "hush" not in str(await admin(cloud, "GET", "/domains/default/config"))


@pytest.mark.parametrize(
    ("config", "status"),
    [
        ({"database": {"url": "x"}}, 403),
        ({"ldap": {"colour": "red"}}, 403),
        ({"ldap": {}}, 400),
        ({}, 400),
        ({"ldap": {"url": {"a": "b"}}}, 400),
        ({"security_compliance": {"password_regex": "x"}}, 403),
    ],
)
async def test_what_may_not_be_configured_is_refused(cloud: TestCloud, config: Any, status: int):
    assert (await refusal(cloud, "PUT", "/domains/default/config", {"config": config}))[0] == status


async def test_everyone_may_ask_what_a_new_password_must_look_like(cloud: TestCloud):
    rules = {"regex": ".{8,}", "regexDescription": "eight characters"}
    await cloud.state.patch(Domain.KIND, "default", "", {"spec": {"passwordRules": rules}})
    said = await cloud.ok("GET", f"{V3}/domains/default/config/security_compliance")
    told = {"password_regex": ".{8,}", "password_regex_description": "eight characters"}
    assert said == {"config": {"security_compliance": told}}
    body = {"user": {"name": "ann", "password": "short"}}
    status, message = await refusal(cloud, "POST", "/users", body)
    assert (status, message) == (400, "The password does not match the requirements: eight characters.")
    assert (await admin(cloud, "GET", "/users?name=ann"))["users"] == []


# --- unified limits ---


async def test_limits_of_a_service_beside_the_cloud_are_kept_and_a_project_sees_its_own(cloud: TestCloud):
    service, _ = await an_endpoint(cloud)
    default = {"service_id": service, "resource_name": "widgets", "default_limit": 5}
    body = {"registered_limits": [default]}
    registered = (await admin(cloud, "POST", "/registered_limits", body))["registered_limits"][0]
    assert (registered["default_limit"], registered["region_id"]) == (5, None)
    own = {"service_id": service, "resource_name": "widgets", "resource_limit": 3}
    places = [{**own, "project_id": cloud.projects[name]} for name in ("demo", "admin")]
    made = (await admin(cloud, "POST", "/limits", {"limits": places}))["limits"]
    mine = (await cloud.ok("GET", f"{V3}/limits"))["limits"]
    assert [limit["project_id"] for limit in mine] == [cloud.projects["demo"]]
    assert (await refusal(cloud, "GET", f"/limits/{made[1]['id']}", who="demo"))[0] == 404
    assert (await refusal(cloud, "POST", "/limits", {"limits": places}))[0] == 409
    assert (await refusal(cloud, "DELETE", f"/registered_limits/{registered['id']}"))[0] == 403
    assert (await cloud.ok("GET", f"{V3}/limits/model"))["model"]["name"] == "flat"
    await admin(cloud, "DELETE", f"/projects/{cloud.projects['demo']}")
    left = (await cloud.state.list(Limit.KIND)).items
    assert [limit["spec"]["projectId"] for limit in left] == [cloud.projects["admin"]]


async def test_what_the_cloud_serves_itself_is_limited_by_quota_and_says_so(cloud: TestCloud):
    services = (await admin(cloud, "GET", "/services?type=compute"))["services"]
    default = {"service_id": services[0]["id"], "resource_name": "servers", "default_limit": 5}
    status, message = await refusal(cloud, "POST", "/registered_limits", {"registered_limits": [default]})
    assert status == 403
    assert "openstack quota set" in message


@pytest.mark.parametrize(
    "body",
    [
        None,
        {},
        {"limits": {}},
        {"limits": [{"resource_name": "x"}]},
        {"limits": [{"service_id": "x", "resource_name": "y", "resource_limit": -2}]},
        {"limits": [{"service_id": "0" * 32, "resource_name": "y", "resource_limit": 1}]},
    ],
)
async def test_a_limit_that_makes_no_sense_is_refused(cloud: TestCloud, body: Any):
    assert (await refusal(cloud, "POST", "/limits", body))[0] == 400


# --- whose it is, and what is not there ---


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/OS-EP-FILTER/endpoint_groups"),
        ("GET", "/OS-EP-FILTER/endpoint_groups"),
        ("PUT", "/domains/default/config"),
        ("GET", "/domains/default/config"),
        ("POST", "/limits"),
        ("POST", "/registered_limits"),
    ],
)
async def test_a_member_neither_reads_nor_writes_what_is_the_admins(cloud: TestCloud, method: str, path: str):
    assert (await refusal(cloud, method, path, {} if method != "GET" else None, who="demo"))[0] == 403


@pytest.mark.parametrize(("path", "word"), [("/OS-FEDERATION/identity_providers", "Federation")])
async def test_what_is_not_served_says_so_in_words(cloud: TestCloud, path: str, word: str):
    for method in ("GET", "POST"):
        status, message = await refusal(cloud, method, path, {} if method == "POST" else None)
        assert status == 404
        assert word in message
        assert "not served" in message
