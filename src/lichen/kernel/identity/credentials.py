# SPDX-License-Identifier: Apache-2.0
"""Users' passwords: their hashes in Secrets `user-<name>` of the system's namespace; virtual kind PasswordChange."""

from __future__ import annotations

import base64

from lichen.kernel.access import Clock
from lichen.kernel.identity import times
from lichen.kernel.identity.directory import Directory
from lichen.kernel.identity.passwords import MAX_LENGTH, Passwords
from lichen.kinds.builtin import SECRET
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


class Credentials:
    """Checks and sets passwords."""

    def __init__(self, store: State, directory: Directory, passwords: Passwords, clock: Clock) -> None:
        self._store = store
        self._directory = directory
        self._passwords = passwords
        self._clock = clock

    async def check(self, user: Object | None, password: str) -> bool:
        """Whether it is the user's password. It takes as long for a user who is not there. TooManyRequests."""
        return await self._passwords.matches(password, await self._stored_hash(user) if user else None)

    async def has_password(self, user: Object) -> bool:
        return await self._stored_hash(user) is not None

    async def set(self, user: Object, password: str) -> None:
        """Give a user a password; its tokens issued until now end."""
        if not 0 < len(password) <= MAX_LENGTH:
            raise BadRequest(f"A password has 1 to {MAX_LENGTH} characters.")
        await self._store_hash(user, await self._passwords.hash(password))
        patch = {"spec": {"tokensValidAfter": times.to_text(self._clock.now())}}
        await self._store.patch(User.KIND, name_of(user), "", patch)
        await self._directory.refresh(User.KIND, name_of(user))

    async def change(self, caller: Caller, obj: Object) -> Object:
        """PasswordChange: admin anyone's; a user its own, knowing the old one. Unauthorized, Forbidden, NotFound."""
        wanted = PasswordChange.of(obj).spec
        if wanted.user_id != caller.user_id and not caller.is_admin:
            raise Forbidden("You are not authorized to perform the requested action: change another user's password.")
        user = self._directory.user(wanted.user_id)
        if user is None:
            raise NotFound(f"Could not find user: {wanted.user_id}.")
        must_prove = bool(wanted.original_password) or not caller.is_admin
        if must_prove and not await self.check(user, wanted.original_password):
            raise Unauthorized("The request you have made requires authentication.")
        await self.set(user, wanted.password)
        return {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": {}}

    async def _stored_hash(self, user: Object) -> str | None:
        try:
            secret = await self._store.get(SECRET, secret_name(name_of(user)), SYSTEM_NAMESPACE)
        except NotFound:
            return None
        data = secret.get("data") or {}
        if data.get("uid") not in (None, base64.b64encode(uid_of(user).encode()).decode()):
            return None
        return base64.b64decode(data["hash"]).decode() if "hash" in data else None

    async def _store_hash(self, user: Object, hashed: str) -> None:
        """The Secret is bound to this incarnation of the user: a new user of the same name does not inherit it."""
        secret = new_object(SECRET, secret_name(name_of(user)), SYSTEM_NAMESPACE)
        secret["type"] = SECRET_TYPE
        values = {"hash": hashed, "uid": uid_of(user)}
        secret["data"] = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        try:
            await self._store.create(SECRET, secret)
        except AlreadyExists:
            await self._store.update(SECRET, secret)
