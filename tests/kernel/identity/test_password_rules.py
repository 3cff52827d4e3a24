# SPDX-License-Identifier: Apache-2.0
"""Rules for passwords, as a domain sets them: strength, history, age, expiry, lockout. All off until then."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lichen.kinds.builtin import SECRET
from lichen.kinds.identity.domain import Domain
from lichen.kinds.identity.token import PasswordChange
from lichen.kinds.identity.user import User
from lichen.model.data import Object
from lichen.model.errors import BadRequest, NotFound, Unauthorized
from lichen.model.names import SYSTEM_NAMESPACE

from .world import NOBODY, PASSWORD, World

DAY = 86400.0


async def rules(world: World, **set_: Any) -> None:
    await world.state.patch(Domain.KIND, "default", "", {"spec": {"passwordRules": set_}})


async def change(world: World, user_id: str, new: str, old: str = "") -> Object:
    """By the user itself with the password so far; by the admin without."""
    who = NOBODY if old else await world.admin()
    return await world.ask(who, PasswordChange.KIND, {"userId": user_id, "password": new, "originalPassword": old})


async def test_without_rules_any_password_goes_and_wrong_ones_lock_nobody_out(world: World):
    ann = await world.user("ann")
    for _ in range(20):
        with pytest.raises(Unauthorized):
            await world.login("ann", password="wrong")
    await change(world, ann, "a", PASSWORD)
    await change(world, ann, "a", "a")
    assert await world.login("ann", password="a")


async def test_a_password_that_misses_the_domains_pattern_is_refused_in_its_words(world: World):
    ann = await world.user("ann")
    await rules(world, regex=r"(?=.*\d).{8,}", regexDescription="eight characters, one of them a digit")
    for old in ("", PASSWORD):
        with pytest.raises(BadRequest, match=r"requirements: eight characters, one of them a digit\."):
            await change(world, ann, "no digits here", old)
    await change(world, ann, "with 1 digit", PASSWORD)


async def test_a_pattern_that_is_none_is_refused(world: World):
    with pytest.raises(BadRequest, match=r"spec\.passwordRules\.regex"):
        await rules(world, regex="(")


async def test_the_last_passwords_are_not_taken_again_but_by_an_admin(world: World):
    ann = await world.user("ann")
    await rules(world, uniqueLast=2)
    await change(world, ann, "second", PASSWORD)
    for old in ("second", PASSWORD):
        with pytest.raises(BadRequest, match="the last 2 may not be used again"):
            await change(world, ann, old, "second")
    await change(world, ann, "third", "second")
    await change(world, ann, PASSWORD, "third")
    await change(world, ann, PASSWORD)
    assert await world.login("ann")


async def test_a_password_is_kept_for_its_least_age_unless_an_admin_changes_it(world: World):
    ann = await world.user("ann")
    await rules(world, minimumAgeDays=2)
    world.clock.time += DAY
    with pytest.raises(BadRequest, match=r"must be used for 2 days .* wait 1\.0 days"):
        await change(world, ann, "second", PASSWORD)
    world.clock.time += DAY
    await change(world, ann, "second", PASSWORD)
    await change(world, ann, "third")


async def test_an_expired_password_gets_no_token_and_can_still_be_changed(world: World):
    ann = await world.user("ann")
    await rules(world, expiresDays=30)
    await change(world, ann, "second", PASSWORD)
    assert (await world.state.get(User.KIND, "ann"))["spec"]["passwordExpiresAt"].startswith("2027-02-14T")
    world.clock.time += 30 * DAY
    with pytest.raises(Unauthorized, match=f"^The password is expired and needs to be changed for user: {ann}"):
        await world.login("ann", password="second")
    with pytest.raises(Unauthorized, match=r"^The request you have made requires authentication\.$"):
        await world.login("ann", password="wrong")
    await change(world, ann, "third", "second")
    assert await world.login("ann", password="third")


async def test_a_password_that_an_admin_gave_is_changed_upon_first_use(world: World):
    ann = await world.user("ann")
    await rules(world, changeUponFirstUse=True, minimumAgeDays=2)
    await change(world, ann, "given")
    with pytest.raises(Unauthorized, match="needs to be changed"):
        await world.login("ann", password="given")
    await change(world, ann, "own", "given")
    assert await world.login("ann", password="own")


async def test_wrong_passwords_lock_a_user_out_for_a_while(world: World):
    await world.user("ann")
    await rules(world, lockoutAttempts=3, lockoutSeconds=60)
    await world.login("ann")
    for _ in range(3):
        with pytest.raises(Unauthorized):
            await world.login("ann", password="wrong")
    with pytest.raises(Unauthorized, match=r"^The request you have made requires authentication\.$"):
        await world.login("ann")
    world.clock.time += 61
    with pytest.raises(Unauthorized):
        await world.login("ann", password="wrong")
    assert await world.login("ann")


async def test_many_attempts_at_once_count_as_many(world: World):
    await world.user("ann")
    await rules(world, lockoutAttempts=3)
    tried = (world.login("ann", password=f"guess {n}") for n in range(8))
    assert all(isinstance(r, Unauthorized) for r in await asyncio.gather(*tried, return_exceptions=True))
    with pytest.raises(Unauthorized):
        await world.login("ann")


async def test_guessing_the_old_password_of_a_change_locks_out_too(world: World):
    ann = await world.user("ann")
    await rules(world, lockoutAttempts=2)
    for _ in range(2):
        with pytest.raises(Unauthorized):
            await change(world, ann, "mine", "guess")
    with pytest.raises(Unauthorized):
        await change(world, ann, "mine", PASSWORD)
    await change(world, ann, "new")
    assert await world.login("ann", password="new")


async def test_user_options_are_exceptions_from_the_rules(world: World):
    ann = await world.user("ann")
    await rules(world, lockoutAttempts=1, expiresDays=1)
    options = {"ignore_lockout_failure_attempts": True, "ignore_password_expiry": True, "lock_password": True}
    await world.state.patch(User.KIND, "ann", "", {"spec": {"options": options}})
    with pytest.raises(Unauthorized):
        await world.login("ann", password="wrong")
    assert await world.login("ann")
    with pytest.raises(BadRequest, match="may not change this password yourself"):
        await change(world, ann, "second", PASSWORD)
    await change(world, ann, "second")
    world.clock.time += 2 * DAY
    assert await world.login("ann", password="second")


@pytest.mark.parametrize("option", ["multi_factor_auth_enabled", "no_such_option"])
async def test_an_option_that_nobody_would_heed_is_refused(world: World, option: str):
    await world.user("ann")
    with pytest.raises(BadRequest, match=option):
        await world.state.patch(User.KIND, "ann", "", {"spec": {"options": {option: True}}})


async def test_what_is_remembered_of_a_user_goes_with_it(world: World):
    await world.user("ann")
    await rules(world, lockoutAttempts=1)
    with pytest.raises(Unauthorized):
        await world.login("ann", password="wrong")
    assert await world.state.get(SECRET, "lockout-ann", SYSTEM_NAMESPACE)
    await world.state.delete(User.KIND, "ann")
    for secret in ("lockout-ann", "user-ann"):
        with pytest.raises(NotFound):
            await world.state.get(SECRET, secret, SYSTEM_NAMESPACE)
    await world.user("ann")
    assert await world.login("ann")
