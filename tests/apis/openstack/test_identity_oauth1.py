# SPDX-License-Identifier: Apache-2.0
"""OS-OAUTH1 by the real clients (openstack CLI, keystoneauth1), and on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from keystoneauth1.extras.oauth1.v3 import OAuth1
from keystoneauth1.session import Session

from lichen.apis.openstack.app import create_app
from tests.conformance.openstack_cli import Clients, listening

from ...kernel.identity.world import PASSWORD
from .cloud import TestCloud, running_cloud

V3 = "/identity/v3"


@pytest.fixture
async def openstack(tmp_path: Path) -> AsyncIterator[Clients]:
    async with running_cloud(tmp_path) as cloud, listening(create_app(cloud)) as url:
        yield Clients(url, PASSWORD, home=tmp_path)


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[TestCloud]:
    async with running_cloud(tmp_path) as made:
        made.app = create_app(made)
        yield made


def by_oauth1(openstack: Clients, keys: list[str]) -> Any:
    """What keystoneauth1 logs in to: the body of its token."""
    plugin = OAuth1(f"{openstack.url}/identity/v3", *keys)
    session = Session(auth=plugin)
    session.get_token()
    body = session.get(f"{openstack.url}/identity/v3/auth/tokens", headers={"X-Subject-Token": session.get_token()})
    return body.json()["token"]


async def test_a_program_is_given_a_role_of_a_user_and_acts_with_it_until_that_is_taken_back(openstack: Clients):
    consumer = await openstack.json("consumer", "create", "--description", "nightly backup")
    of_consumer = ("--consumer-key", consumer["id"], "--consumer-secret", consumer["secret"])
    asked = await openstack.json("request", "token", "create", *of_consumer, "--project", "demo")
    await openstack.ok("role", "add", "--user", "admin", "--project", "demo", "member")
    authorized = await openstack.json("request", "token", "authorize", "--request-key", asked["id"], "--role", "reader")
    of_request = ("--request-key", asked["id"], "--request-secret", asked["secret"])
    verifier = ("--verifier", authorized["oauth_verifier"])
    access = await openstack.json("access", "token", "create", *of_consumer, *of_request, *verifier)
    keys = [consumer["id"], consumer["secret"], access["id"], access["secret"]]
    token = await asyncio.to_thread(by_oauth1, openstack, keys)
    assert (token["user"]["name"], token["project"]["name"], token["methods"]) == ("admin", "demo", ["oauth1"])
    assert [role["name"] for role in token["roles"]] == ["reader"]
    assert token["OS-OAUTH1"] == {"access_token_id": access["id"], "consumer_id": consumer["id"]}
    await openstack.ok("consumer", "delete", consumer["id"])
    with pytest.raises(Exception, match="404"):
        await asyncio.to_thread(by_oauth1, openstack, keys)
    assert await openstack.json("consumer", "list") == []


async def test_another_secret_is_refused(openstack: Clients):
    consumer = await openstack.json("consumer", "create")
    of_consumer = ("--consumer-key", consumer["id"], "--consumer-secret", "guessed")
    assert "401" in await openstack.refused("request", "token", "create", *of_consumer, "--project", "demo")
    with pytest.raises(Exception, match="404"):
        await asyncio.to_thread(by_oauth1, openstack, [consumer["id"], consumer["secret"], "a", "b"])


async def test_a_user_lists_reads_and_revokes_what_it_gave_away(openstack: Clients):
    consumer = await openstack.json("consumer", "create")
    of_consumer = ("--consumer-key", consumer["id"], "--consumer-secret", consumer["secret"])
    asked = await openstack.json("request", "token", "create", *of_consumer, "--project", "admin")
    authorized = await openstack.json("request", "token", "authorize", "--request-key", asked["id"], "--role", "admin")
    of_request = ("--request-key", asked["id"], "--request-secret", asked["secret"])
    verifier = ("--verifier", authorized["oauth_verifier"])
    access = await openstack.json("access", "token", "create", *of_consumer, *of_request, *verifier)

    keys = [consumer["id"], consumer["secret"], access["id"], access["secret"]]

    def talk() -> Any:
        with openstack.sdk() as connection:
            me, http = connection.current_user_id, connection.session
            path = f"{openstack.url}/identity/v3/users/{me}/OS-OAUTH1/access_tokens"
            listed, shown = http.get(path).json()["access_tokens"], http.get(f"{path}/{access['id']}").json()
            (role,) = http.get(shown["access_token"]["links"]["roles"]).json()["roles"]
            one = http.get(f"{path}/{access['id']}/roles/{role['id']}").json()["role"]
            http.delete(f"{path}/{access['id']}")
            return me, listed, shown["access_token"], one["name"], http.get(path).json()["access_tokens"]

    me, listed, shown, role, left = await asyncio.to_thread(talk)
    assert (listed, role, left) == ([shown], "admin", [])
    assert (shown["authorizing_user_id"], shown["consumer_id"]) == (me, consumer["id"])
    assert "secret" not in str(shown)
    with pytest.raises(Exception, match="404"):
        await asyncio.to_thread(by_oauth1, openstack, keys)


async def test_only_the_description_of_a_consumer_changes_and_its_secret_is_shown_once(cloud: TestCloud):
    made = (await cloud.ok("POST", f"{V3}/OS-OAUTH1/consumers", {"consumer": {}}, who="admin"))["consumer"]
    path = f"{V3}/OS-OAUTH1/consumers/{made['id']}"
    assert len(made["secret"]) == 32
    changed = await cloud.ok("PATCH", path, {"consumer": {"description": "new"}}, who="admin")
    about = {"id": made["id"], "description": "new", "links": made["links"]}
    assert changed == await cloud.ok("GET", path, who="admin") == {"consumer": about}
    for body in ({"secret": "x"}, {"id": "x"}, {}):
        assert (await cloud.call("PATCH", path, {"consumer": body}, who="admin")).status == 400
    assert (await cloud.call("GET", f"{V3}/OS-OAUTH1/consumers/none", who="admin")).status == 404
    assert (await cloud.call("POST", f"{V3}/OS-OAUTH1/consumers", {"consumer": {}})).status == 403


@pytest.mark.parametrize("call", ["request_token", "access_token"])
@pytest.mark.parametrize("headers", [{}, {"authorization": "Basic eDp5"}, {"authorization": "OAuth x"}])
async def test_a_call_that_is_not_signed_is_a_bad_request(cloud: TestCloud, call: str, headers: dict[str, str]):
    signed = {**headers, "requested-project-id": cloud.projects["demo"]}
    answer = await cloud.call("POST", f"{V3}/OS-OAUTH1/{call}", None, who="", headers=signed)
    assert answer.status == 400
    assert answer.json()["error"]["message"]


async def test_the_method_oauth1_needs_a_signature(cloud: TestCloud):
    body = {"auth": {"identity": {"methods": ["oauth1"], "oauth1": {}}}}
    assert (await cloud.call("POST", f"{V3}/auth/tokens", body, who="")).status == 400
