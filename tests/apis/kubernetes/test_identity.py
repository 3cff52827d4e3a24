# SPDX-License-Identifier: Apache-2.0
"""The kernel's own identity behind the API: service accounts, reviews, OpenStack's tokens, acting as another."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import jwt
import pytest_asyncio

from lichen.apis.kubernetes.app import create_app
from lichen.kernel.identity.identity import Identity
from lichen.kernel.identity.keys import Keys
from lichen.kernel.identity.passwords import Cost
from lichen.kernel.kernel import SYSTEM, Kernel
from lichen.store.memory import MemoryStore
from tests.apis.kubernetes.fake_node import FakeNode
from tests.conformance.kubectl import Kubectl, serving, trusting


@dataclass
class Cloud:
    url: str
    certificate: Path
    folder: Path
    password: str

    def kubectl(self, name: str, token: str) -> Kubectl:
        return Kubectl(self.folder / name, self.url, self.certificate, token)

    async def status(self, path: str) -> int:
        """What somebody without a credential gets."""
        connector = aiohttp.TCPConnector(ssl=trusting(self.certificate))
        async with aiohttp.ClientSession(self.url, connector=connector) as session, session.get(path) as answer:
            return answer.status

    async def token(self, user: str, password: str, **scope: str) -> str:
        """Through the virtual kind Token, as anyone may."""
        who = {"userName": user, "userDomainId": "default", "password": password}
        spec = {"methods": ["password"], "password": who, "scope": scope or {"unscoped": True}}
        body = {"apiVersion": "identity.lichen.dev/v1", "kind": "Token", "metadata": {}, "spec": spec}
        connector = aiohttp.TCPConnector(ssl=trusting(self.certificate))
        async with (
            aiohttp.ClientSession(self.url, connector=connector) as session,
            session.post("/apis/identity.lichen.dev/v1/tokens", json=body) as answer,
        ):
            assert answer.status == 201, await answer.text()
            token: str = (await answer.json())["status"]["token"]
        return token


@pytest_asyncio.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    store = MemoryStore()
    identity = Identity(store, Keys.fresh(), cost=Cost(n=2**10))
    kernel = Kernel(store, identity)
    identity.install(kernel.virtual, kernel.admission)
    await identity.start()
    await kernel.start()
    await identity.bootstrap(kernel.acting(SYSTEM), "secret")
    async with serving(create_app(kernel, FakeNode().app), tmp_path / "tls") as (url, certificate):
        yield Cloud(url, certificate, tmp_path, "secret")
    await identity.stop()


async def admin_of(cloud: Cloud) -> Kubectl:
    return cloud.kubectl("admin", await cloud.token("admin", cloud.password, projectName="admin", domainId="default"))


async def test_an_openstack_token_is_kubectls_token(cloud: Cloud) -> None:
    admin = await admin_of(cloud)
    who = json.loads(await admin.ok("auth", "whoami", "-o", "json"))
    assert who["status"]["userInfo"]["username"] == "admin"
    assert await admin.ok("auth", "can-i", "delete", "nodes") == "yes\n"
    assert "default" in await admin.ok("get", "namespaces")


async def test_a_service_accounts_token_bears_its_rights(cloud: Cloud) -> None:
    admin = await admin_of(cloud)
    await admin.ok("create", "serviceaccount", "robot")
    token = (await admin.ok("create", "token", "robot")).strip()
    robot = cloud.kubectl("robot", token)
    who = json.loads(await robot.ok("auth", "whoami", "-o", "json"))
    assert who["status"]["userInfo"]["username"] == "system:serviceaccount:default:robot"
    assert "cannot list resource" in await robot.fails("get", "pods")
    assert (await robot.run("auth", "can-i", "list", "pods")).out == "no\n"
    await admin.ok("create", "role", "reader", "--verb=get,list", "--resource=pods")
    await admin.ok("create", "rolebinding", "robot", "--role=reader", "--serviceaccount=default:robot")
    assert (await robot.run("get", "pods")).code == 0
    assert await robot.ok("auth", "can-i", "list", "pods") == "yes\n"
    assert "pods" in await robot.ok("auth", "can-i", "--list")


async def test_a_forged_token_is_unauthorized(cloud: Cloud) -> None:
    forged = cloud.kubectl("forged", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.")
    assert "You must be logged in" in await forged.fails("get", "--raw", "/api/v1/namespaces")


async def test_acting_as_another_shows_what_they_may(cloud: Cloud) -> None:
    admin = await admin_of(cloud)
    await admin.ok("create", "serviceaccount", "robot")
    await admin.ok("create", "role", "reader", "--verb=get,list", "--resource=pods")
    await admin.ok("create", "rolebinding", "bob", "--role=reader", "--user=bob")
    assert await admin.ok("auth", "can-i", "list", "pods", "--as=bob") == "yes\n"
    assert (await admin.run("auth", "can-i", "list", "secrets", "--as=bob")).out == "no\n"
    assert "cannot list resource" in await admin.fails("get", "secrets", "--as=bob")
    robot = cloud.kubectl("robot", (await admin.ok("create", "token", "robot")).strip())
    pods = ("get", "--raw", "/api/v1/namespaces/default/pods")
    assert "cannot impersonate" in await robot.fails(*pods, "--as=bob")
    assert "cannot impersonate" in await robot.fails(*pods, "--as=x", "--as-group=system:masters")
    assert "items" in await admin.ok(*pods, "--as=x", "--as-group=system:masters")


async def test_whoever_is_shown_a_token_verifies_it_by_the_published_keys(cloud: Cloud) -> None:
    admin = await admin_of(cloud)
    await admin.ok("create", "serviceaccount", "robot")
    token = (await admin.ok("create", "token", "robot", "--audience=vault")).strip()
    robot = cloud.kubectl("robot", (await admin.ok("create", "token", "robot")).strip())
    about = json.loads(await robot.ok("get", "--raw", "/.well-known/openid-configuration"))
    keys = jwt.PyJWKSet.from_dict(json.loads(await robot.ok("get", "--raw", "/openid/v1/jwks")))
    assert about["jwks_uri"] == about["issuer"] + "/openid/v1/jwks"
    key = keys[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, algorithms=["ES256"], audience="vault", issuer=about["issuer"])
    assert claims["sub"] == "system:serviceaccount:default:robot"
    assert await cloud.status("/openid/v1/jwks") == 403
    discovery = "--clusterrole=system:service-account-issuer-discovery"
    await admin.ok("create", "clusterrolebinding", "verifiers", discovery, "--group=system:unauthenticated")
    assert await cloud.status("/openid/v1/jwks") == 200
