# SPDX-License-Identifier: Apache-2.0
"""OAuth 1.0a: a signature is the only proof, a user hands on what it holds, and secrets are shown to nobody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from oauthlib.oauth1 import Client

from lichen.kinds.builtin import NAMESPACE, SECRET
from lichen.kinds.identity.oauth1 import OAuthAuthorization, OAuthConsumer, OAuthExchange, OAuthToken
from lichen.kinds.identity.role_assignment import RoleAssignment
from lichen.kinds.identity.trust import Trust
from lichen.kinds.identity.user import User
from lichen.model.data import Object
from lichen.model.errors import ApiError, BadRequest, Forbidden, NotFound, Unauthorized
from lichen.model.kind import new_object
from lichen.model.names import SYSTEM_NAMESPACE
from lichen.model.state import Caller

from .world import NOBODY, World

URL = "https://cloud.test/identity/v3/OS-OAUTH1/request_token"
SECRET_OF_CONSUMER = "the consumer's own secret"


@dataclass
class Key:
    """A consumer's or a token's id and secret."""

    id: str
    secret: str


def sign(consumer: Key, token: Key | None = None, **more: Any) -> Object:
    client = Client(
        consumer.id,
        client_secret=consumer.secret,
        resource_owner_key=token.id if token else None,
        resource_owner_secret=token.secret if token else None,
        **more,
    )
    return {"url": URL, "authorization": client.sign(URL, "POST")[1]["Authorization"]}


async def a_consumer(world: World, name: str = "robot") -> Key:
    spec = {"secret": SECRET_OF_CONSUMER}
    made = await world.state.create(OAuthConsumer.KIND, new_object(OAuthConsumer.KIND, name, spec=spec))
    return Key(made["spec"]["id"], SECRET_OF_CONSUMER)


async def exchange(world: World, usage: str, request: Object, project_id: str = "") -> Key:
    spec = {"usage": usage, "request": request, "projectId": project_id}
    status = (await world.ask(NOBODY, OAuthExchange.KIND, spec))["status"]
    return Key(status["id"], status["secret"])


async def authorize(world: World, caller: Caller, token: Key, *roles: str) -> str:
    spec = {"requestTokenId": token.id, "roles": [await world.role_id(role) for role in roles]}
    return str((await world.ask(caller, OAuthAuthorization.KIND, spec))["status"]["verifier"])


async def an_access_token(world: World, user: Caller, consumer: Key, *roles: str) -> Key:
    asked = await exchange(world, "request", sign(consumer), user.project_id)
    verifier = await authorize(world, user, asked, *(roles or ("reader",)))
    return await exchange(world, "access", sign(consumer, asked, verifier=verifier))


async def login(world: World, consumer: Key, token: Key, **more: Any) -> Object:
    answer = await world.issue({"methods": ["oauth1"], "oauth1": sign(consumer, token), **more})
    status: Object = answer["status"]
    return status


async def bearer(world: World, consumer: Key, token: Key) -> Caller:
    return await world.kernel.authenticate((await login(world, consumer, token))["token"])


async def test_a_consumer_acts_as_the_user_in_the_project_with_the_roles_that_were_delegated(world: World):
    ann, consumer = await world.member("ann"), await a_consumer(world)
    token = await an_access_token(world, ann, consumer, "reader")
    robot = await bearer(world, consumer, token)
    assert (robot.name, robot.namespace, robot.roles, robot.methods) == ("ann", "ann", ("reader",), ("oauth1",))
    assert (await login(world, consumer, token))["oauth1"] == {"id": token.id, "consumerId": consumer.id}


async def test_secrets_and_verifiers_are_in_secrets_alone(world: World):
    ann, consumer = await world.member("ann"), await a_consumer(world)
    asked = await exchange(world, "request", sign(consumer), ann.project_id)
    verifier = await authorize(world, ann, asked, "reader")
    shown = [await world.state.list(kind) for kind in (OAuthConsumer.KIND, OAuthToken.KIND)]
    assert not any(secret in str(shown) for secret in (consumer.secret, asked.secret, verifier))
    held = {f"oauth-token-{asked.id}", f"oauth-verifier-{asked.id}", "oauth-consumer-robot"}
    assert held <= await secret_names(world)
    await world.state.delete(OAuthConsumer.KIND, "robot")
    assert not {name for name in await secret_names(world) if name.startswith("oauth-")}


async def secret_names(world: World) -> set[str]:
    return {s["metadata"]["name"] for s in (await world.state.list(SECRET, SYSTEM_NAMESPACE)).items}


@pytest.mark.parametrize("wrong", ["consumer", "token", "time", "nonce", "method", "url"])
async def test_what_is_not_signed_right_gets_nothing(world: World, wrong: str):
    ann, consumer = await world.member("ann"), await a_consumer(world)
    token = await an_access_token(world, ann, consumer)
    other = Key(consumer.id if wrong == "consumer" else token.id, "guessed")
    signer, owner = (other if wrong == "consumer" else consumer), (other if wrong == "token" else token)
    more = {"time": {"timestamp": "1500000000"}, "nonce": {"nonce": "-"}, "method": {"signature_method": "PLAINTEXT"}}
    request = sign(signer, owner, **more.get(wrong, {}))
    if wrong == "url":
        request["url"] = "http://[not a url"
    with pytest.raises(Unauthorized):
        await world.issue({"methods": ["oauth1"], "oauth1": request})


async def test_a_signed_request_is_good_once(world: World):
    ann, consumer = await world.member("ann"), await a_consumer(world)
    request = sign(consumer, await an_access_token(world, ann, consumer))
    await world.issue({"methods": ["oauth1"], "oauth1": request})
    with pytest.raises(Unauthorized, match="before"):
        await world.issue({"methods": ["oauth1"], "oauth1": request})


@pytest.mark.parametrize(
    ("authorization", "error"),
    [
        ("Bearer x", BadRequest),
        ("OAuth oauth_token=x", BadRequest),
        ('OAuth oauth_consumer_key="nobody"', NotFound),
        ('OAuth oauth_consumer_key="', BadRequest),
    ],
)
async def test_what_is_no_signed_request_is_told_so(world: World, authorization: str, error: type[ApiError]):
    with pytest.raises(error):
        await exchange(world, "request", {"url": URL, "authorization": authorization}, "p")


async def test_a_request_token_is_for_a_project_that_is_there_and_exchanged_once_with_its_verifier(world: World):
    ann, consumer = await world.member("ann"), await a_consumer(world)
    with pytest.raises(NotFound):
        await exchange(world, "request", sign(consumer), "nowhere")
    asked = await exchange(world, "request", sign(consumer), ann.project_id)
    with pytest.raises(Unauthorized, match="not authorized"):
        await exchange(world, "access", sign(consumer, asked, verifier="x"))
    verifier = await authorize(world, ann, asked, "reader")
    with pytest.raises(Unauthorized, match="verifier"):
        await exchange(world, "access", sign(consumer, asked, verifier="x"))
    with pytest.raises(BadRequest):
        await exchange(world, "access", sign(consumer, asked))
    with pytest.raises(NotFound):
        await login(world, consumer, asked)
    await exchange(world, "access", sign(consumer, asked, verifier=verifier))
    with pytest.raises(NotFound):
        await exchange(world, "access", sign(consumer, asked, verifier=verifier))


async def test_a_token_is_of_no_use_to_another_consumer(world: World):
    ann, consumer, thief = await world.member("ann"), await a_consumer(world), await a_consumer(world, "thief")
    token = await an_access_token(world, ann, consumer)
    with pytest.raises(Unauthorized, match="another"):
        await login(world, thief, token)


async def test_a_user_hands_on_what_it_holds_in_that_project_and_nothing_else(world: World):
    ann, bob, consumer = await world.member("ann"), await world.member("bob"), await a_consumer(world)
    asked = await exchange(world, "request", sign(consumer), ann.project_id)
    with pytest.raises(Unauthorized):
        await authorize(world, ann, asked, "admin")
    with pytest.raises(NotFound):
        await authorize(world, bob, asked, "member")
    with pytest.raises(BadRequest):
        await authorize(world, ann, asked)
    with pytest.raises(NotFound):
        await authorize(world, ann, Key("nothing", ""), "reader")


async def test_what_was_delegated_is_not_delegated_on_nor_widened(world: World):
    ann, consumer = await world.member("ann"), await a_consumer(world)
    robot = await bearer(world, consumer, await an_access_token(world, ann, consumer, "member"))
    asked = await exchange(world, "request", sign(consumer), ann.project_id)
    with pytest.raises(Forbidden):
        await authorize(world, robot, asked, "reader")
    trust = {"trusteeUserId": ann.user_id, "projectId": ann.project_id, "roles": [await world.role_id("reader")]}
    with pytest.raises(Forbidden):
        await world.kernel.acting(robot).create(Trust.KIND, new_object(Trust.KIND, "t", spec=trust))
    with pytest.raises(Forbidden):
        await world.issue({"methods": ["token"], "token": robot.token})


async def test_its_login_is_for_its_project_and_stands_alone(world: World):
    ann, consumer = await world.member("ann"), await a_consumer(world)
    await world.assign("member", user_id=ann.user_id, project_id=await world.project("other"))
    token = await an_access_token(world, ann, consumer)
    with pytest.raises(Unauthorized):
        await login(world, consumer, token, scope={"projectId": await world.project_id("other")})
    assert (await login(world, consumer, token, scope={"projectId": ann.project_id}))["project"]["id"] == ann.project_id
    with pytest.raises(Unauthorized):
        await world.issue({"methods": ["oauth1", "token"], "oauth1": sign(consumer, token), "token": ann.token})


@pytest.mark.parametrize("gone", ["token", "consumer", "user", "project", "role", "time"])
async def test_its_tokens_end_with_what_it_depends_on(world: World, gone: str):
    ann, consumer = await world.member("ann"), await a_consumer(world)
    token = await an_access_token(world, ann, consumer)
    robot = await bearer(world, consumer, token)
    if gone == "token":
        await world.kernel.acting(ann).delete(OAuthToken.KIND, token.id)
    elif gone == "consumer":
        await world.state.delete(OAuthConsumer.KIND, "robot")
    elif gone == "user":
        await world.state.delete(User.KIND, "ann")
    elif gone == "project":
        await world.state.delete(NAMESPACE, "ann")
    elif gone == "role":
        for assignment in (await world.state.list(RoleAssignment.KIND, fields=f"spec.userId={ann.user_id}")).items:
            await world.state.delete(RoleAssignment.KIND, assignment["metadata"]["name"])
    else:
        world.clock.time += 86_401
    with pytest.raises(Unauthorized):
        await world.kernel.authenticate(robot.token)
    with pytest.raises((Unauthorized, NotFound)):
        await login(world, consumer, token)
    if gone not in ("role", "time"):
        assert not (await world.state.list(OAuthToken.KIND)).items


async def test_what_is_over_is_forgotten_when_the_next_one_asks(world: World):
    ann, consumer = await world.member("ann"), await a_consumer(world)
    old = await exchange(world, "request", sign(consumer), ann.project_id)
    world.clock.time += 8 * 3600 + 1
    with pytest.raises(Unauthorized, match="expired"):
        await authorize(world, ann, old, "reader")
    new = await exchange(world, "request", sign(consumer), ann.project_id)
    assert [t["spec"]["id"] for t in (await world.state.list(OAuthToken.KIND)).items] == [new.id]


async def test_tokens_are_their_users_to_see_and_end_and_nobodys_to_make(world: World):
    ann, bob, consumer = await world.member("ann"), await world.member("bob"), await a_consumer(world)
    token = await an_access_token(world, ann, consumer)
    mine = await world.kernel.acting(ann).list(OAuthToken.KIND, fields=f"spec.userId={ann.user_id}")
    assert [t["spec"]["id"] for t in mine.items] == [token.id]
    state = world.kernel.acting(bob)
    for refused in (
        state.list(OAuthToken.KIND, fields=f"spec.userId={ann.user_id}"),
        state.get(OAuthToken.KIND, token.id),
        state.delete(OAuthToken.KIND, token.id),
        state.list(OAuthConsumer.KIND),
        world.kernel.acting(await world.admin()).create(
            OAuthToken.KIND, new_object(OAuthToken.KIND, "forged", spec={**mine.items[0]["spec"], "id": "forged"})
        ),
    ):
        with pytest.raises(Forbidden):
            await refused


async def test_a_consumer_has_a_secret_and_an_id_of_its_own(world: World):
    consumer = await a_consumer(world)
    for spec, error in (({}, BadRequest), ({"secret": "s", "id": consumer.id}, ApiError)):
        with pytest.raises(error):
            await world.state.create(OAuthConsumer.KIND, new_object(OAuthConsumer.KIND, "second", spec=spec))
    await world.state.patch(OAuthConsumer.KIND, "robot", "", {"spec": {"secret": "changed"}})
    ann = await world.member("ann")
    with pytest.raises(Unauthorized):
        await exchange(world, "request", sign(consumer), ann.project_id)
    assert await exchange(world, "request", sign(Key(consumer.id, "changed")), ann.project_id)
