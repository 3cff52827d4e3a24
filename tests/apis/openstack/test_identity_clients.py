# SPDX-License-Identifier: Apache-2.0
"""Keystone's calls by the real openstack CLI and openstacksdk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lichen.apis.openstack.app import create_app
from tests.conformance.openstack_cli import Clients, listening

from ...kernel.identity.world import PASSWORD
from .cloud import running_cloud


@pytest.fixture
async def openstack(tmp_path: Path) -> AsyncIterator[Clients]:
    async with running_cloud(tmp_path) as cloud, listening(create_app(cloud)) as url:
        yield Clients(url, PASSWORD, home=tmp_path)


async def test_a_token_is_issued_and_the_catalog_listed(openstack: Clients):
    token, catalog = await asyncio.gather(openstack.json("token", "issue"), openstack.json("catalog", "list"))
    assert len(token["project_id"]) == 32
    assert token["id"].count(".") == 2
    assert catalog[0]["Name"] == "keystone"
    assert catalog[0]["Endpoints"][0]["url"] == f"{openstack.url}/identity"


async def test_a_project_a_user_and_a_role_come_and_go(openstack: Clients):
    project = await openstack.json("project", "create", "Web Shop", "--description", "sells", "--tag", "blue")
    assert (project["name"], project["domain_id"], project["tags"]) == ("Web Shop", "default", ["blue"])
    user = await openstack.json(
        "user", "create", "Ann", "--password", "pw", "--project", "Web Shop", "--email", "a@b.c"
    )
    assert (user["name"], user["default_project_id"]) == ("Ann", project["id"])
    await openstack.ok("role", "add", "--user", "Ann", "--project", "Web Shop", "member")
    ann = openstack.as_user("Ann", "Web Shop", "pw")
    listed, token, refused = await asyncio.gather(
        openstack.json("role", "assignment", "list", "--names", "--user", "Ann"),
        ann.json("token", "issue"),
        ann.refused("user", "list"),
    )
    assert [(row["Role"], row["User"], row["Project"]) for row in listed] == [
        ("member", "Ann@Default", "Web Shop@Default")
    ]
    assert token["project_id"] == project["id"]
    assert "403" in refused
    effective, mine = await asyncio.gather(
        openstack.json("role", "assignment", "list", "--effective", "--user", "Ann", "--names"),
        ann.json("project", "list", "--my-projects"),
    )
    assert sorted(row["Role"] for row in effective) == ["member", "reader"]
    assert [row["Name"] for row in mine] == ["Web Shop"]
    await openstack.ok("user", "set", "Ann", "--name", "Anna", "--description", "new")
    shown = await openstack.json("user", "show", "Anna")
    assert (shown["id"], shown["description"]) == (user["id"], "new")
    await openstack.ok("role", "remove", "--user", "Anna", "--project", "Web Shop", "member")
    await openstack.ok("user", "delete", "Anna")
    await openstack.ok("project", "set", "Web Shop", "--disable")
    assert (await openstack.json("project", "show", "Web Shop"))["enabled"] is False
    await openstack.ok("project", "delete", "Web Shop")
    left = await asyncio.gather(
        openstack.refused("project", "show", "Web Shop"), openstack.refused("user", "show", "Anna")
    )
    assert all("No " in text for text in left)


async def test_domains_groups_and_roles_come_and_go(openstack: Clients):
    domain = await openstack.json("domain", "create", "Acme", "--description", "corp")
    group, role = await asyncio.gather(
        openstack.json("group", "create", "devs", "--domain", "Acme"), openstack.json("role", "create", "auditor")
    )
    assert group["domain_id"] == domain["id"]
    await openstack.ok("user", "create", "bob", "--domain", "Acme", "--password", "pw")
    await openstack.ok("group", "add", "user", "devs", "bob", "--group-domain", "Acme", "--user-domain", "Acme")
    inside, roles, domains = await asyncio.gather(
        openstack.ok("group", "contains", "user", "devs", "bob", "--group-domain", "Acme", "--user-domain", "Acme"),
        openstack.json("role", "list"),
        openstack.json("domain", "list"),
    )
    assert "bob in group devs" in inside
    assert {row["Name"] for row in roles} == {"admin", "manager", "member", "reader", "service", "auditor"}
    assert {row["Name"] for row in domains} == {"Default", "Acme"}
    await openstack.ok("implied", "role", "create", "auditor", "--implied-role", "reader")
    implied = await openstack.json("implied", "role", "list")
    assert ("auditor", "reader") in {(row["Prior Role Name"], row["Implied Role Name"]) for row in implied}
    await asyncio.gather(openstack.ok("role", "delete", role["id"]), openstack.ok("group", "delete", group["id"]))
    refused = await openstack.refused("domain", "delete", "Acme")
    assert "403" in refused or "disable" in refused


async def test_a_token_is_enough_to_log_in_and_is_ended_by_the_cli(openstack: Clients):
    token = await openstack.json("token", "issue")
    by_token = Clients(openstack.url, "", home=openstack.home)
    no_user = dict.fromkeys(("OS_USERNAME", "OS_PASSWORD", "OS_USER_DOMAIN_NAME"), "")
    by_token.extra = {"OS_AUTH_TYPE": "v3token", "OS_TOKEN": token["id"], **no_user}
    again = await by_token.json("token", "issue")
    assert (again["project_id"], again["expires"]) == (token["project_id"], token["expires"])
    await openstack.ok("token", "revoke", token["id"])
    assert "404" in await by_token.refused("token", "issue")


async def test_openstacksdk_speaks_identity(openstack: Clients):
    def talk() -> dict[str, object]:
        with openstack.sdk() as connection:
            identity = connection.identity
            project = identity.create_project(name="sdk", domain_id="default")
            user = identity.create_user(name="sdk", password="pw", domain_id="default")
            role = identity.find_role("member")
            identity.assign_project_role_to_user(project, user, role)
            has = identity.validate_user_has_project_role(project, user, role)
            names = sorted(p.name for p in identity.projects())
            endpoints = [e.url for e in identity.endpoints(interface="public")]
            identity.delete_user(user)
            identity.delete_project(project)
            return {"has": has, "names": names, "endpoints": endpoints, "me": connection.current_user_id}

    said = await asyncio.to_thread(talk)
    assert said["has"] is True
    assert {"admin", "demo", "sdk"} <= set(said["names"])
    assert f"{openstack.url}/identity" in said["endpoints"]
    assert len(said["me"]) == 32
