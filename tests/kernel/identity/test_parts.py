# SPDX-License-Identifier: Apache-2.0
"""The parts of identity on their own: keys, sealed Secrets, passwords, RBAC rules."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lichen.kernel.identity.keys import Keys, jwk_of
from lichen.kernel.identity.mirror import Mirror
from lichen.kernel.identity.passwords import Cost, Passwords
from lichen.kernel.identity.rules import RuleSet
from lichen.kernel.identity.secretbox import SecretBox
from lichen.kinds.builtin import CONFIG_MAP, SECRET
from lichen.model.errors import InternalError, TooManyRequests
from lichen.model.kind import new_object
from lichen.model.state import Event
from lichen.store import MemoryStore, SqliteStore

from .world import CHEAP, Clock


def test_keys_are_made_once_and_are_ours_alone(tmp_path: Path):
    folder = tmp_path / "keys"
    first, second = Keys.load(folder), Keys.load(folder)
    assert (first.sealing, first.key_id) == (second.sealing, second.key_id)
    assert first.digest != second.digest
    assert sorted((f.name, f.stat().st_mode & 0o777) for f in folder.iterdir()) == [
        ("secrets.key", 0o600),
        ("tokens.pem", 0o600),
    ]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert set(jwk_of(first.key_id, first.signing.public_key())) == {"kty", "crv", "use", "alg", "kid", "x", "y"}


def test_only_secrets_are_sealed_and_only_our_key_opens_them():
    box = SecretBox(Keys.fresh().sealing)
    sealed = box.seal("", "secrets", b'{"data":"hush"}')
    assert b"hush" not in sealed
    assert sealed != box.seal("", "secrets", b'{"data":"hush"}')
    assert box.unseal("", "secrets", sealed) == b'{"data":"hush"}'
    assert box.seal("", "configmaps", b"{}") == b"{}"
    assert box.unseal("", "secrets", b"{}") == b"{}"
    for broken in (sealed[:-1], sealed[:-1] + bytes([sealed[-1] ^ 1])):
        with pytest.raises(InternalError):
            box.unseal("", "secrets", broken)
    with pytest.raises(InternalError):
        SecretBox(Keys.fresh().sealing).unseal("", "secrets", sealed)


async def test_a_secret_is_not_in_the_clear_on_the_disk(tmp_path: Path):
    box, path = SecretBox(Keys.fresh().sealing), tmp_path / "store.db"
    store = await SqliteStore.open(path, sealer=box)
    hush = base64.b64encode(b"very secret indeed").decode()
    await store.create(SECRET, {**new_object(SECRET, "s", "default"), "data": {"k": hush}})
    await store.create(CONFIG_MAP, {**new_object(CONFIG_MAP, "c", "default"), "data": {"k": "in the open"}})
    await store.close()
    written = b"".join(f.read_bytes() for f in tmp_path.iterdir())
    assert b"in the open" in written
    assert hush.encode() not in written
    again = await SqliteStore.open(path, sealer=box)
    assert (await again.get(SECRET, "s", "default"))["data"] == {"k": hush}
    await again.close()


async def test_a_right_password_is_remembered_for_a_while_and_a_wrong_one_never():
    clock = Clock()
    passwords = Passwords(b"k" * 32, clock, CHEAP)
    stored = await passwords.hash("pw")
    assert stored.startswith("scrypt$2$8$1$")
    assert stored != await passwords.hash("pw")
    assert await passwords.matches("pw", stored)
    broken = stored[:-8] + "AAAAAAA="
    assert not await passwords.matches("pw", broken)
    assert not await passwords.matches("Pw", stored)
    assert not await passwords.matches("pw", None)
    assert not await passwords.matches("x" * 5000, stored)
    assert passwords._verified
    clock.time += 301
    assert await passwords.matches("pw", stored)
    passwords.close()


async def test_a_password_that_was_just_set_need_not_be_hashed_again():
    passwords = Passwords(b"k" * 32, Clock(), CHEAP)
    stored = await passwords.hash("pw")
    passwords.close()  # whatever would have to be hashed now fails
    assert await passwords.matches("pw", stored)
    with pytest.raises(RuntimeError):
        await passwords.matches("Pw", stored)


async def test_a_flood_of_passwords_is_turned_away():
    passwords = Passwords(b"k" * 32, Clock(), Cost(n=1 << 10))
    answers = await asyncio.gather(*(passwords.hash(str(i)) for i in range(100)), return_exceptions=True)
    refused = [a for a in answers if isinstance(a, TooManyRequests)]
    assert len(refused) == 100 - 64
    passwords.close()


RULES = RuleSet(
    [
        {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods", "pods/log"]},
        {"verbs": ["*"], "apiGroups": ["apps"], "resources": ["*"]},
        {"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a", "b"]},
        {"verbs": ["get"], "apiGroups": ["x"], "resources": ["*/scale"]},
        {"verbs": ["get"], "nonResourceURLs": ["/metrics", "/logs/*"]},
    ]
)


@pytest.mark.parametrize(
    ("verb", "group", "resource", "name", "allowed"),
    [
        ("get", "", "pods", "x", True),
        ("get", "", "pods/log", "x", True),
        ("get", "", "pods/exec", "x", False),
        ("delete", "", "pods", "x", False),
        ("get", "apps", "pods", "x", True),
        ("anything", "apps", "deployments/scale", "x", True),
        ("get", "", "secrets", "a", True),
        ("get", "", "secrets", "c", False),
        ("get", "", "secrets", "", False),
        ("list", "", "secrets", "a", False),
        ("get", "x", "things/scale", "", True),
        ("get", "x", "things", "", False),
    ],
)
def test_a_rule_allows_what_it_says(verb: str, group: str, resource: str, name: str, allowed: bool):
    assert RULES.allows(verb, group, resource, name) is allowed


@pytest.mark.parametrize(
    ("rule", "covered"),
    [
        ({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}, True),
        ({"verbs": ["get", "delete"], "apiGroups": [""], "resources": ["pods"]}, False),
        ({"verbs": ["*"], "apiGroups": ["apps"], "resources": ["*"]}, True),
        ({"verbs": ["*"], "apiGroups": ["apps", ""], "resources": ["pods"]}, False),
        ({"verbs": ["get"], "apiGroups": ["*"], "resources": ["pods"]}, False),
        ({"verbs": ["get"], "apiGroups": [""], "resources": ["*"]}, False),
        ({"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"]}, False),
        ({"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a"]}, True),
        ({"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a", "c"]}, False),
        ({"verbs": ["get"], "apiGroups": ["x"], "resources": ["*/scale"]}, True),
        ({"verbs": ["get"], "apiGroups": ["x"], "resources": ["*/status"]}, False),
        ({"verbs": ["get"], "nonResourceURLs": ["/metrics", "/logs/a"]}, True),
        ({"verbs": ["get"], "nonResourceURLs": ["/*"]}, False),
        ({"verbs": ["post"], "nonResourceURLs": ["/metrics"]}, False),
        ({"verbs": [], "apiGroups": [], "resources": []}, True),
    ],
)
def test_rules_cover_what_they_allow_and_nothing_wider(rule: dict[str, list[str]], covered: bool):
    assert RULES.covers(rule) is covered


async def test_a_mirror_follows_and_never_brings_back_what_it_saw_go():
    store, moved = MemoryStore(), asyncio.Event()
    mirror = Mirror(store, CONFIG_MAP, moved.set)
    by_team = mirror.index(lambda o: [o["metadata"].get("labels", {}).get("team", "")])
    await store.create(CONFIG_MAP, new_object(CONFIG_MAP, "a", "x", labels={"team": "red"}))
    await mirror.load()
    follower = asyncio.create_task(mirror.follow())
    await store.create(CONFIG_MAP, new_object(CONFIG_MAP, "b", "x", labels={"team": "red"}))
    await store.delete(CONFIG_MAP, "b", "x")
    await mirror.refresh("b", "x")
    assert [o["metadata"]["name"] for o in by_team.all("red")] == ["a"]
    await store.patch(CONFIG_MAP, "a", "x", {"metadata": {"labels": {"team": "blue"}}})
    await mirror.refresh("a", "x")
    assert (by_team.all("red"), len(by_team.all("blue"))) == ([], 1)
    await store.create(CONFIG_MAP, new_object(CONFIG_MAP, "c", "x"))
    while mirror.get("c", "x") is None:
        moved.clear()
        await asyncio.wait_for(moved.wait(), 5)
    assert set(mirror.items) == {("x", "a"), ("x", "c")}
    follower.cancel()


class Flaky(MemoryStore):
    """A store whose first watch ends with an error that nobody foresaw."""

    broken = True

    def watch(self, *args: Any, **options: Any) -> AsyncIterator[Event]:
        if self.broken:
            self.broken = False
            raise KeyError("unforeseen")
        return super().watch(*args, **options)


async def test_a_mirror_whose_watch_breaks_loads_again_and_follows_on(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("lichen.kernel.identity.mirror.RETRY_SECONDS", 0.0)
    store, moved = Flaky(), asyncio.Event()
    mirror = Mirror(store, CONFIG_MAP, moved.set)
    await mirror.load()
    await store.create(CONFIG_MAP, new_object(CONFIG_MAP, "a", "x"))
    follower = asyncio.create_task(mirror.follow())
    while mirror.get("a", "x") is None:
        moved.clear()
        await asyncio.wait_for(moved.wait(), 5)
    await store.create(CONFIG_MAP, new_object(CONFIG_MAP, "b", "x"))
    while mirror.get("b", "x") is None:
        moved.clear()
        await asyncio.wait_for(moved.wait(), 5)
    follower.cancel()
