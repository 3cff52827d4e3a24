# SPDX-License-Identifier: Apache-2.0
"""Users' passwords: their hashes in Secrets `user-<name>` of the system's namespace; virtual kind PasswordChange."""

from __future__ import annotations

import base64
from typing import NamedTuple

import msgspec

from lichen.kernel.access import Clock
from lichen.kernel.identity import times
from lichen.kernel.identity.directory import Directory
from lichen.kernel.identity.lockout import Lockout
from lichen.kernel.identity.password_rules import check_may_change, check_strength, expiry, must_change
from lichen.kernel.identity.passwords import MAX_LENGTH, Passwords
from lichen.kinds.builtin import SECRET
from lichen.kinds.identity.domain import PasswordRules
from lichen.kinds.identity.token import PasswordChange
from lichen.kinds.identity.user import User
from lichen.model.data import Object
from lichen.model.errors import AlreadyExists, BadRequest, Forbidden, NotFound, Unauthorized
from lichen.model.kind import new_object
from lichen.model.meta import name_of, uid_of
from lichen.model.names import SYSTEM_NAMESPACE
from lichen.model.state import Caller, State

SECRET_TYPE = "identity.lichen.dev/password"  # noqa: S105


def secret_name(user_name: str) -> str:
    """The Secret of a user, by the user's handle."""
    return f"user-{user_name}"


class _Kept(NamedTuple):
    """What is stored of a user's password: hash of it, when it was set (0: not known), hashes of those before."""

    hash: str | None = None
    changed_at: float = 0.0
    history: list[str] = []


class Credentials:
    """Checks and sets passwords, by the rules of their users' domains."""

    def __init__(self, store: State, directory: Directory, passwords: Passwords, clock: Clock) -> None:
        self._store = store
        self._directory = directory
        self._passwords = passwords
        self._clock = clock
        self._lockout = Lockout(store, clock)

    async def check(self, user: Object | None, password: str) -> bool:
        """Whether it is the user's password. It takes as long for a user who is not there, or is locked out.
        TooManyRequests."""
        if user is None:
            return await self._passwords.matches(password, None)
        rules = self.rules(user)
        async with self._lockout.turn(user, rules) as may_try:
            is_right = await self._passwords.matches(password, (await self._kept(user)).hash if may_try else None)
            if is_right and rules.lockout_attempts:
                await self._lockout.passed(user)
            elif not is_right and may_try:
                await self._lockout.failed(user, rules)
            return is_right

    def check_expiry(self, user: Object) -> None:
        """Unauthorized: the password was right, and must be changed first."""
        if must_change(user, self._clock.now()):
            id = user["spec"]["id"]
            raise Unauthorized(f"The password is expired and needs to be changed for user: {id}.")

    def rules(self, user: Object) -> PasswordRules:
        """Those of the user's domain."""
        domain = self._directory.domain(user["spec"].get("domainId") or "default")
        held = (domain["spec"].get("passwordRules") if domain else None) or {}
        return msgspec.convert(held, PasswordRules)

    async def has_password(self, user: Object) -> bool:
        return (await self._kept(user)).hash is not None

    async def set(self, user: Object, password: str, *, by_admin: bool = False, keep: int = 0) -> None:
        """Give a user a password, whatever the rules say; its tokens issued until now end. keep: how many of its
        passwords so far are remembered."""
        if not 0 < len(password) <= MAX_LENGTH:
            raise BadRequest(f"A password has 1 to {MAX_LENGTH} characters.")
        now, before = self._clock.now(), await self._kept(user)
        history = [*([before.hash] if before.hash else ()), *before.history][: max(keep - 1, 0)]
        await self._keep(user, _Kept(await self._passwords.hash(password), now, history))
        await self._lockout.passed(user)
        expires = expiry(self.rules(user), user, now, by_admin=by_admin)
        patch = {"spec": {"tokensValidAfter": times.to_text(now), "passwordExpiresAt": expires}}
        await self._store.patch(User.KIND, name_of(user), "", patch)
        await self._directory.refresh(User.KIND, name_of(user))

    async def change(self, caller: Caller, obj: Object) -> Object:
        """PasswordChange: admin anyone's; a user its own, knowing the old one, which is proof enough (an expired
        password gets no token). Unauthorized, Forbidden, NotFound; BadRequest: the domain's rules forbid it."""
        wanted = PasswordChange.of(obj).spec
        by_admin = caller.is_admin and not wanted.original_password
        if wanted.user_id != caller.user_id and caller.user_id and not caller.is_admin:
            raise Forbidden("You are not authorized to perform the requested action: change another user's password.")
        user = self._directory.user(wanted.user_id)
        if user is None and caller.is_admin:
            raise NotFound(f"Could not find user: {wanted.user_id}.")
        if not by_admin and not await self.check(user, wanted.original_password):
            raise Unauthorized("The request you have made requires authentication.")
        assert user is not None
        rules = self.rules(user)
        check_strength(rules, wanted.password)
        if not by_admin:
            await self._check_change(user, rules, wanted.password)
        await self.set(user, wanted.password, by_admin=by_admin, keep=rules.unique_last)
        return {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": {}}

    async def _check_change(self, user: Object, rules: PasswordRules, password: str) -> None:
        """BadRequest: not yet, or a password of before."""
        kept = await self._kept(user)
        check_may_change(rules, user, kept.changed_at, self._clock.now())
        for old in [*([kept.hash] if kept.hash else ()), *kept.history][: rules.unique_last]:
            if await self._passwords.matches(password, old):
                raise BadRequest(
                    "The new password cannot be identical to a previous one: "
                    f"the last {rules.unique_last} may not be used again."
                )

    async def _kept(self, user: Object) -> _Kept:
        try:
            secret = await self._store.get(SECRET, secret_name(name_of(user)), SYSTEM_NAMESPACE)
        except NotFound:
            return _Kept()
        data = {key: base64.b64decode(text).decode() for key, text in (secret.get("data") or {}).items()}
        if data.get("uid") not in (None, uid_of(user)):
            return _Kept()
        return _Kept(data.get("hash"), times.to_seconds(data.get("changedAt", "")), data.get("history", "").split())

    async def _keep(self, user: Object, kept: _Kept) -> None:
        """The Secret is bound to this incarnation of the user: a new user of the same name does not inherit it."""
        secret = new_object(SECRET, secret_name(name_of(user)), SYSTEM_NAMESPACE)
        secret["type"] = SECRET_TYPE
        values = {"hash": kept.hash or "", "uid": uid_of(user), "changedAt": times.to_text(kept.changed_at)}
        if kept.history:
            values["history"] = " ".join(kept.history)
        secret["data"] = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        try:
            await self._store.create(SECRET, secret)
        except AlreadyExists:
            await self._store.update(SECRET, secret)
