# SPDX-License-Identifier: Apache-2.0
"""What is done for a caller only when OpenStack's API asks for it: calls within access rules, and the word on what an
image's bytes are."""

from __future__ import annotations

import pytest

from lichen.model.data import Object
from lichen.model.names import DIALECT, DIALECT_HEADER
from tests.tenancy.filling import KEYSTONE, NET, NOVA
from tests.tenancy.sockets import CHANNELS, dial
from tests.tenancy.test_attributes import IMAGE, MERGE, path_of
from tests.tenancy.world import Frozen, World, thawed

RULES = [{"service": "network", "method": "GET", "path": "/v2.0/networks"}]


async def limited(world: World) -> str:
    """The token of an application credential that may list networks, and nothing else."""
    path = f"{KEYSTONE}/users/{world.ids['member_user']}/application_credentials"
    wanted = {"application_credential": {"name": "narrow", "secret": "s", "access_rules": RULES}}
    made = (await world.ask_openstack("member", "POST", path, wanted)).json()["application_credential"]
    proof = {"id": made["id"], "secret": "s"}
    auth = {"auth": {"identity": {"methods": ["application_credential"], "application_credential": proof}}}
    return (await world.ask_openstack("anonymous", "POST", f"{KEYSTONE}/auth/tokens", auth)).headers["x-subject-token"]


PATHS = ("/api/v1/namespaces/kestrel/secrets", "/api/v1/namespaces/kestrel/pods", "/apis", "/version", "/metrics")


async def test_access_rules_bind_in_both_languages(frozen: Frozen) -> None:
    async with thawed(frozen) as world:
        world.tokens = {**world.tokens, "limited": await limited(world)}
        assert (await world.ask_openstack("limited", "GET", f"{NET}/networks")).status == 200
        assert (await world.ask_openstack("limited", "GET", f"{NOVA}/servers")).status == 401
        before = world.contents()
        for path in PATHS:
            assert (await world.ask_kubernetes("limited", "GET", path)).status == 403, path
        pod = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}}
        assert (await world.ask_kubernetes("limited", "POST", PATHS[0], pod)).status == 403
        assert world.contents() == before


async def test_access_rules_open_no_socket(frozen: Frozen) -> None:
    async with thawed(frozen) as world:
        bearer = {"authorization": f"Bearer {await limited(world)}"}
        path = "/api/v1/namespaces/kestrel/pods/kestrel-pod/exec?command=sh&stdout=true"
        code, _ = await dial(world.kubernetes, path, bearer, CHANNELS)
        assert (code, world.node.calls) == (403, [])


async def test_a_proof_that_is_not_openstacks_proves_nothing(frozen: Frozen) -> None:
    async with thawed(frozen) as world:
        world.tokens = {**world.tokens, "limited": await limited(world)}
        genuine = world.identity.system_token(DIALECT, (DIALECT,))
        for forged in (world.tokens["member"], world.tokens["node"], world.tokens["limited"], "x", DIALECT):
            answer = await world.ask_kubernetes("limited", "GET", PATHS[1], None, {DIALECT_HEADER.lower(): forged})
            assert answer.status == 403, forged
        answer = await world.ask_kubernetes("limited", "GET", PATHS[1], None, {DIALECT_HEADER.lower(): genuine})
        assert answer.status == 200


LIES: list[Object] = [
    {"phase": "active"}, {"size": 1}, {"location": "$image"}, {"checksum": "0" * 32},
    {"decisions": {"x": "accepted"}},
]  # fmt: skip


@pytest.mark.parametrize("status", LIES, ids=str)
async def test_a_member_does_not_say_what_its_image_is(frozen: Frozen, status: Object) -> None:
    async with thawed(frozen) as world:
        for headers in ({}, {DIALECT_HEADER.lower(): world.tokens["member"]}):
            path = path_of(IMAGE, "images", "kestrel-image/status")
            answer = await world.ask_kubernetes("member", "PATCH", path, {"status": status}, {**MERGE, **headers})
            assert answer.status == 403, answer
        assert world.contents() == frozen.rows


async def test_the_image_service_says_it_for_the_member_that_uploads(frozen: Frozen) -> None:
    async with thawed(frozen) as world:
        body = {"name": "fresh", "disk_format": "raw", "container_format": "bare"}
        image = (await world.ask_openstack("member", "POST", "/image/v2/images", body)).json()["id"]
        octets = {"content-type": "application/octet-stream"}
        for who, status in (("reader", 403), ("outsider", 404), ("member", 204)):
            answer = await world.ask_openstack(who, "PUT", f"/image/v2/images/{image}/file", b"bytes", octets)
            assert answer.status == status, (who, answer)
        shown = (await world.ask_openstack("member", "GET", f"/image/v2/images/{image}")).json()
        assert (shown["status"], shown["size"]) == ("active", 5)
