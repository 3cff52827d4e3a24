# SPDX-License-Identifier: Apache-2.0
"""Keystone's calls on the wire: documents, statuses, refusals; and attacks through them."""

from __future__ import annotations

import json as jsonlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lichen.apis.openstack.app import create_app

from .asgi import Answer, call
from .cloud import PASSWORD, TestCloud, running_cloud


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[TestCloud]:
    async with running_cloud(tmp_path) as made:
        made.app = create_app(made)
        yield made


def an_auth(user: str = "demo", password: str = PASSWORD, scope: Any = None) -> dict[str, Any]:
    identity = {
        "methods": ["password"],
        "password": {"user": {"name": user, "domain": {"name": "Default"}, "password": password}},
    }
    return {"auth": {"identity": identity, **({"scope": scope} if scope is not None else {})}}


DEMO = {"project": {"name": "demo", "domain": {"id": "default"}}}


async def post(cloud: TestCloud, document: Any, path: str = "/identity/v3/auth/tokens") -> Answer:
    return await call(cloud.app, "POST", path, json=document)


async def test_a_token_document_is_keystones(cloud: TestCloud):
    answer = await post(cloud, an_auth(scope=DEMO))
    token = answer.json()["token"]
    assert answer.status == 201
    assert answer.headers["x-subject-token"].count(".") == 2
    assert answer.headers["vary"] == "X-Auth-Token"
    assert token["project"] == {
        "id": cloud.projects["demo"],
        "name": "demo",
        "domain": {"id": "default", "name": "Default"},
    }
    assert token["user"]["name"] == "demo"
    assert [role["name"] for role in token["roles"]] == ["member", "reader"]
    assert [entry["type"] for entry in token["catalog"]][:4] == ["identity", "compute", "image", "network"]
    assert {e["interface"] for e in token["catalog"][1]["endpoints"]} == {"public", "internal", "admin"}
    assert token["catalog"][1]["endpoints"][0]["url"] == "http://cloud.test/compute/v2.1"
    assert PASSWORD not in answer.body.decode()


async def test_an_unscoped_token_has_no_catalog_and_finds_its_projects(cloud: TestCloud):
    answer = await post(cloud, an_auth(scope="unscoped"))
    assert not {"catalog", "project", "roles"} & set(answer.json()["token"])
    headers = {"x-auth-token": answer.headers["x-subject-token"]}
    mine = await call(cloud.app, "GET", "/identity/v3/auth/projects", headers=headers)
    assert [p["name"] for p in mine.json()["projects"]] == ["demo"]


async def test_nocatalog_leaves_the_catalog_out(cloud: TestCloud):
    answer = await post(cloud, an_auth(scope=DEMO), "/identity/v3/auth/tokens?nocatalog")
    assert "catalog" not in answer.json()["token"]


async def test_a_token_is_checked_and_ended(cloud: TestCloud):
    token = (await post(cloud, an_auth(scope=DEMO))).headers["x-subject-token"]
    headers = {"x-auth-token": token, "x-subject-token": token}
    shown = await call(cloud.app, "GET", "/identity/v3/auth/tokens", headers=headers)
    assert (shown.status, shown.json()["token"]["user"]["name"]) == (200, "demo")
    assert (await call(cloud.app, "HEAD", "/identity/v3/auth/tokens", headers=headers)).status == 200
    assert (await call(cloud.app, "DELETE", "/identity/v3/auth/tokens", headers=headers)).status == 204
    assert (await call(cloud.app, "GET", "/identity/v3/auth/tokens", headers=headers)).status == 401
    asked = {"x-auth-token": cloud.tokens["admin"], "x-subject-token": token}
    assert (await call(cloud.app, "GET", "/identity/v3/auth/tokens", headers=asked)).status == 404


async def test_a_tenant_asks_after_no_other_tenants_token(cloud: TestCloud):
    headers = {"x-auth-token": cloud.tokens["demo"], "x-subject-token": cloud.tokens["admin"]}
    for method in ("GET", "HEAD", "DELETE"):
        assert (await call(cloud.app, method, "/identity/v3/auth/tokens", headers=headers)).status == 403
    assert (await cloud.kernel.authenticate(cloud.tokens["admin"])).name == "admin"


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ({}, 400),
        ({"auth": None}, 400),
        ({"auth": {}}, 400),
        ({"auth": {"identity": {}}}, 400),
        ({"auth": {"identity": {"methods": "password"}}}, 400),
        ({"auth": {"identity": {"methods": []}}}, 401),
        ({"auth": {"identity": {"methods": ["magic"]}}}, 401),
        ({"auth": {"identity": {"methods": ["password"]}}}, 400),
        ({"auth": {"identity": {"methods": ["password"], "password": {"user": {}}}}}, 400),
        (
            {"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "demo", "password": "x"}}}}},
            400,
        ),
        ({"auth": {"identity": {"methods": ["token"], "token": {"id": "x"}}}}, 404),
        ({"auth": {"identity": {"methods": ["token"], "token": {"id": "ü\x00"}}}}, 404),
        (an_auth(password="wrong"), 401),
        (an_auth(user="x" * 100_000), 401),
        (an_auth(password="x" * 100_000), 401),
        (an_auth(user="a\x00b"), 401),
        (an_auth(scope={}), 400),
        (an_auth(scope={"project": {}, "domain": {}}), 400),
        (an_auth(scope={"project": {"name": "demo"}}), 400),
        (an_auth(scope={"project": {"id": "0" * 32}}), 401),
        (an_auth(scope={"project": {"name": "admin", "domain": {"id": "default"}}}), 401),
        (an_auth(scope={"domain": {"id": "default"}}), 401),
        (an_auth(scope={"system": {"all": True}}), 401),
        (an_auth(scope={"system": {"all": False}}), 400),
        (an_auth(scope="everything"), 400),
    ],
)
async def test_a_bad_login_is_refused_in_keystones_words(cloud: TestCloud, document: Any, status: int):
    answer = await post(cloud, document)
    assert (answer.status, answer.json()["error"]["code"]) == (status, status)
    assert answer.json()["error"]["message"]


READS = ("users", "groups", "domains", "projects", "role_assignments", "users/{admin}", "projects/{their_project}")
WRITES = (
    ("POST", "users", {"user": {"name": "x"}}),
    ("POST", "projects", {"project": {"name": "x"}}),
    ("POST", "roles", {"role": {"name": "x"}}),
    ("POST", "domains", {"domain": {"name": "x"}}),
    ("POST", "groups", {"group": {"name": "x"}}),
    ("PATCH", "users/{admin}", {"user": {"password": "x"}}),
    ("PATCH", "users/{me}", {"user": {"password": "x"}}),
    ("PATCH", "users/{me}", {"user": {"enabled": True}}),
    ("DELETE", "users/{admin}", None),
    ("DELETE", "projects/{my_project}", None),
    ("PATCH", "projects/{my_project}", {"project": {"name": "mine"}}),
    ("DELETE", "projects/{their_project}", None),
    ("PUT", "projects/{my_project}/users/{me}/roles/{role}", None),
    ("PUT", "projects/{their_project}/users/{me}/roles/{role}", None),
    ("PUT", "system/users/{me}/roles/{role}", None),
    ("PUT", "domains/default/users/{me}/roles/{role}", None),
    ("PUT", "OS-INHERIT/domains/default/users/{me}/roles/{role}/inherited_to_projects", None),
    ("PUT", "roles/{member}/implies/{role}", None),
    ("POST", "users/{admin}/password", {"user": {"password": "x", "original_password": "wrong"}}),
    ("POST", "users/{me}/password", {"user": {"password": "x", "original_password": "wrong"}}),
    ("GET", "users/{admin}/projects", None),
    ("GET", "users/{admin}/groups", None),
    ("POST", "services", {"service": {"type": "x"}}),
)


async def names(cloud: TestCloud) -> dict[str, str]:
    roles = {r["name"]: r["id"] for r in (await cloud.ok("GET", "/identity/v3/roles"))["roles"]}
    admin = (await cloud.kernel.authenticate(cloud.tokens["admin"])).user_id
    me = (await cloud.kernel.authenticate(cloud.tokens["demo"])).user_id
    ours = {"my_project": cloud.projects["demo"], "their_project": cloud.projects["admin"]}
    return {"admin": admin, "me": me, "role": roles["admin"], "member": roles["member"], **ours}


async def test_a_member_reads_nobody_else(cloud: TestCloud):
    known = await names(cloud)
    for path in READS:
        answer = await cloud.call("GET", f"/identity/v3/{path.format(**known)}")
        assert answer.status in (403, 404), (path, answer.body)
        assert "error" in answer.json()
    assert (await cloud.ok("GET", f"/identity/v3/users/{known['me']}"))["user"]["name"] == "demo"
    assert (await cloud.ok("GET", f"/identity/v3/projects/{known['my_project']}"))["project"]["name"] == "demo"


async def test_a_member_changes_nothing_of_identity(cloud: TestCloud):
    known = await names(cloud)
    before = await snapshot(cloud)
    for method, path, document in WRITES:
        answer = await cloud.call(method, f"/identity/v3/{path.format(**known)}", document)
        assert answer.status in (401, 403, 404), (method, path, answer.status, answer.body)
    assert await snapshot(cloud) == before


async def snapshot(cloud: TestCloud) -> str:
    parts = ("users", "groups", "domains", "projects", "roles", "role_assignments", "role_inferences")
    return jsonlib.dumps([await cloud.ok("GET", f"/identity/v3/{part}", who="admin") for part in parts])


async def test_a_user_changes_its_own_password(cloud: TestCloud):
    known = await names(cloud)
    change = {"user": {"password": "second", "original_password": PASSWORD}}
    assert (await cloud.call("POST", f"/identity/v3/users/{known['me']}/password", change)).status == 204
    assert (await post(cloud, an_auth(scope=DEMO))).status == 401
    assert (await post(cloud, an_auth(scope=DEMO, password="second"))).status == 201
    assert (await cloud.call("GET", f"/identity/v3/users/{known['me']}")).status == 401


async def test_names_are_unique_in_their_domain_even_after_a_rename(cloud: TestCloud):
    admin = {"who": "admin"}
    for plural, one in (("users", "user"), ("groups", "group"), ("projects", "project"), ("roles", "role")):
        made = await cloud.ok("POST", f"/identity/v3/{plural}", {one: {"name": "One Two"}}, **admin)
        again = await cloud.call("POST", f"/identity/v3/{plural}", {one: {"name": "One Two"}}, **admin)
        assert (again.status, again.json()["error"]["title"]) == (409, "Conflict")
        await cloud.ok("PATCH", f"/identity/v3/{plural}/{made[one]['id']}", {one: {"name": "Three"}}, **admin)
        other = await cloud.ok("POST", f"/identity/v3/{plural}", {one: {"name": "One Two"}}, **admin)
        taken = await cloud.call(
            "PATCH", f"/identity/v3/{plural}/{other[one]['id']}", {one: {"name": "Three"}}, **admin
        )
        assert taken.status == 409
        found = (await cloud.ok("GET", f"/identity/v3/{plural}?name=One%20Two", **admin))[plural]
        assert [f["id"] for f in found] == [other[one]["id"]]


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("users", {"user": {}}),
        ("users", {"user": {"name": ""}}),
        ("users", {"user": {"name": "x" * 256}}),
        ("users", {"user": {"name": 7}}),
        ("users", {"user": {"name": "x", "enabled": "perhaps"}}),
        ("users", {"user": {"name": "x", "domain_id": "a,b=c"}}),
        ("projects", {"project": {"name": "x" * 65}}),
        ("projects", {"project": {"name": "x", "tags": ["a,b"]}}),
        ("projects", {"project": {"name": "x", "is_domain": True, "domain_id": "default"}}),
        ("roles", {"role": []}),
        ("groups", {"group": {"name": None}}),
        ("domains", {"domain": {"name": "x", "explicit_domain_id": "no"}}),
    ],
)
async def test_bad_input_is_refused_and_changes_nothing(cloud: TestCloud, path: str, document: Any):
    before = await snapshot(cloud)
    answer = await cloud.call("POST", f"/identity/v3/{path}", document, who="admin")
    assert answer.status in (400, 404), answer.body
    assert await snapshot(cloud) == before


async def test_what_a_user_is_remembered_by_goes_with_it(cloud: TestCloud):
    known = await names(cloud)
    assert (await cloud.call("DELETE", f"/identity/v3/users/{known['me']}", who="admin")).status == 204
    held = (await cloud.ok("GET", "/identity/v3/role_assignments", who="admin"))["role_assignments"]
    assert known["me"] not in jsonlib.dumps(held)


async def test_lists_are_filtered_and_paged(cloud: TestCloud):
    for name in ("a1", "a2", "b1"):
        await cloud.ok(
            "POST", "/identity/v3/projects", {"project": {"name": name, "enabled": name != "a2"}}, who="admin"
        )
    path = "/identity/v3/projects?name__startswith=a&enabled=true"
    assert [p["name"] for p in (await cloud.ok("GET", path, who="admin"))["projects"]] == ["a1", "admin"]
    first = await cloud.ok("GET", "/identity/v3/projects?limit=2", who="admin")
    assert len(first["projects"]) == 2
    rest = await cloud.ok("GET", first["links"]["next"].removeprefix("http://cloud.test"), who="admin")
    assert rest["projects"][0]["id"] not in {p["id"] for p in first["projects"]}


async def test_the_log_has_a_line_for_each_request_and_no_secret(cloud: TestCloud, caplog: pytest.LogCaptureFixture):
    caplog.set_level("DEBUG")
    token = (await post(cloud, an_auth(scope=DEMO))).headers["x-subject-token"]
    answer = await call(cloud.app, "GET", f"/identity/v3/users?secret={PASSWORD}", headers={"x-auth-token": token})
    await post(cloud, an_auth(password="no " + PASSWORD))
    lines = [r.getMessage() for r in caplog.records]
    assert any(answer.headers["x-openstack-request-id"] in line and " 403 " in line for line in lines)
    assert not any(secret in line for line in lines for secret in (PASSWORD, token, token.rpartition(".")[2]))


async def test_versions_are_told_to_anyone(cloud: TestCloud):
    root = await call(cloud.app, "GET", "/identity")
    assert (root.status, root.json()["versions"]["values"][0]["id"]) == (300, "v3.14")
    one = await call(cloud.app, "GET", "/identity/v3")
    assert one.json()["version"]["links"][0]["href"] == "http://cloud.test/identity/v3/"
