# SPDX-License-Identifier: Apache-2.0
"""Signing keys are rotated: the newest signs, older ones are accepted until what they signed has ended."""

from __future__ import annotations

import asyncio

import jwt
import pytest

from lichen.kernel.identity.identity import Identity
from lichen.kernel.identity.keyring import LONGEST_TOKEN
from lichen.kernel.identity.keys import Keys
from lichen.kinds.builtin import SECRET
from lichen.kinds.identity.signing_key import SigningKey
from lichen.model.data import Object
from lichen.model.errors import Forbidden, NotFound, Unauthorized
from lichen.model.kind import new_object
from lichen.model.names import SYSTEM_NAMESPACE

from .world import CHEAP, World

ADMIN = {"projectName": "admin", "domainId": "default"}


async def rotate(world: World, name: str = "second", **spec: bool) -> Object:
    return await world.state.create(SigningKey.KIND, new_object(SigningKey.KIND, name, spec=spec))


def key_of(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


def published(identity: Identity) -> list[str]:
    return [key["kid"] for key in identity.jwks()["keys"]]


async def test_a_new_key_signs_at_once_and_older_tokens_hold_until_they_end(world: World):
    first = await world.login("admin", ADMIN)
    key = await rotate(world)
    second = await world.login("admin", ADMIN)
    assert key_of(first) == world.identity.keys.key_id
    assert key_of(second) == key["spec"]["keyId"]
    assert published(world.identity) == [key_of(second), key_of(first)]
    for token in (first, second):
        assert (await world.kernel.authenticate(token)).is_admin
    world.clock.time += LONGEST_TOKEN + 1
    assert published(world.identity) == [key_of(second)]
    assert key_of(await world.login("admin", ADMIN)) == key_of(second)


async def test_the_private_half_is_in_a_secret_and_nowhere_else(world: World):
    key = await rotate(world)
    assert "PRIVATE" not in str(key) + str(await world.state.get(SigningKey.KIND, "second")) + str(
        world.identity.jwks()
    )
    assert await world.state.get(SECRET, "signing-key-second", SYSTEM_NAMESPACE)


async def test_ending_older_keys_ends_their_tokens_at_once(world: World):
    first = await world.login("admin", ADMIN)
    await world.kernel.authenticate(first)
    called: list[bool] = []
    world.identity.keyring.rotated.append(lambda: called.append(True))
    await rotate(world, endsOlder=True)
    with pytest.raises(Unauthorized):
        await world.kernel.authenticate(first)
    assert (await world.kernel.authenticate(await world.login("admin", ADMIN))).is_admin
    assert called


async def test_deleting_a_key_ends_its_tokens_and_the_one_before_signs_again(world: World):
    await rotate(world)
    token = await world.login("admin", ADMIN)
    await world.state.delete(SigningKey.KIND, "second")
    with pytest.raises(Unauthorized):
        await world.kernel.authenticate(token)
    assert key_of(await world.login("admin", ADMIN)) == world.identity.keys.key_id
    with pytest.raises(NotFound):
        await world.state.get(SECRET, "signing-key-second", SYSTEM_NAMESPACE)


async def test_another_replica_follows_without_a_restart(world: World):
    replica = Identity(world.store, world.identity.keys, world.clock, cost=CHEAP)
    await replica.start()
    followed = asyncio.Event()
    replica.keyring.rotated.append(followed.set)
    try:
        await rotate(world)
        token = await world.login("admin", ADMIN)
        async with asyncio.timeout(10):
            await followed.wait()
        assert published(replica) == published(world.identity)
        assert (await replica.authenticate(token)).is_admin
        assert key_of(replica.system_token("system:node:a")) == key_of(token)
    finally:
        await replica.stop()


async def test_a_restarted_kernel_goes_on_with_the_newest_key(world: World):
    await rotate(world)
    token = await world.login("admin", ADMIN)
    again = Identity(world.store, world.identity.keys, world.clock, cost=CHEAP)
    await again.start()
    try:
        assert published(again) == published(world.identity)
        assert (await again.authenticate(token)).is_admin
    finally:
        await again.stop()


async def test_keys_whose_tokens_have_all_ended_are_forgotten_at_a_rotation(world: World):
    await rotate(world, "second")
    await rotate(world, "third")
    world.clock.time += LONGEST_TOKEN + 1
    await rotate(world, "fourth")
    names = {key["metadata"]["name"] for key in (await world.state.list(SigningKey.KIND)).items}
    assert names == {"third", "fourth"}


async def test_only_the_clouds_admin_rotates_and_nobody_brings_a_key(world: World):
    member = await world.member("ann")
    with pytest.raises(Forbidden):
        await world.kernel.acting(member).create(SigningKey.KIND, new_object(SigningKey.KIND, "mine"))
    brought = {"keyId": "mine", "publicKey": "-----BEGIN PUBLIC KEY-----"}
    key = await world.state.create(SigningKey.KIND, new_object(SigningKey.KIND, "theirs", spec=brought))
    assert key["spec"]["keyId"] != "mine"


async def test_a_key_made_elsewhere_is_not_accepted_by_its_name(world: World):
    token, other = await world.login("admin", ADMIN), Keys.fresh()
    claims = jwt.decode(token, options={"verify_signature": False})
    forged = jwt.encode(claims, other.signing, algorithm="ES256", headers={"kid": key_of(token)})
    with pytest.raises(Unauthorized):
        await world.kernel.authenticate(forged)
