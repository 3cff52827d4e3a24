# SPDX-License-Identifier: Apache-2.0
"""The keys of tokens: the newest signs, older ones are good for what they signed until that has ended.

The first is a file (`keys.Keys`), later ones are SigningKeys, which every replica follows. Virtual time: the clock's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import NamedTuple

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lichen.kernel.access import Clock
from lichen.kernel.admission import Request
from lichen.kernel.identity import times
from lichen.kernel.identity.directory import Directory
from lichen.kernel.identity.kept import Kept
from lichen.kernel.identity.keys import Keys, jwk_of, key_id_of, new_signing_pem
from lichen.kinds.identity.signing_key import SigningKey
from lichen.model.data import Object
from lichen.model.errors import LichenError, NotFound
from lichen.model.kind import Kind
from lichen.model.meta import name_of
from lichen.model.state import State

log = logging.getLogger(__name__)
LONGEST_TOKEN = 30 * 86400.0
"""No token lives longer, seconds: so long an older key is accepted."""
RETRY_SECONDS = 1.0


class Key(NamedTuple):
    """private: None where this process has not read it (yet)."""

    id: str
    public: ec.EllipticCurvePublicKey
    private: ec.EllipticCurvePrivateKey | None
    signs_from: float
    ends_older: bool = False


class Keyring:
    """Which key signs and which are accepted. Admission of SigningKey, too: it makes the key."""

    kinds: tuple[Kind, ...] | None = (SigningKey.KIND,)
    verbs: tuple[str, ...] = ("create", "update", "delete")

    def __init__(self, store: State, directory: Directory, keys: Keys, clock: Clock) -> None:
        self._store = store
        self._directory = directory
        self._clock = clock
        self._kept = Kept(store)
        first = keys.signing
        self._keys = [Key(keys.key_id, first.public_key(), first, 0.0)]
        self._tasks: list[asyncio.Task[None]] = []
        self.rotated: list[Callable[[], object]] = []
        """Called when another key signs, or older ones are not accepted any more."""

    # --- what tokens need ---

    @property
    def signing(self) -> tuple[str, ec.EllipticCurvePrivateKey]:
        """Id and private half of the newest key that this process has."""
        return next((key.id, key.private) for key in reversed(self._accepted()) if key.private is not None)

    def public(self, key_id: str) -> ec.EllipticCurvePublicKey | None:
        """The key of that id, if what it signed is still accepted."""
        return next((key.public for key in self._accepted() if key.id == key_id), None)

    def jwks(self) -> Object:
        """All that are accepted, as a JSON Web Key Set, the one that signs first."""
        return {"keys": [jwk_of(key.id, key.public) for key in reversed(self._accepted())]}

    def _accepted(self) -> list[Key]:
        """Oldest first."""
        now = self._clock.now()
        ended = [key.signs_from for key in self._keys if key.ends_older]
        least = max(ended, default=-1.0)
        followed = zip(self._keys, [*self._keys[1:], None], strict=True)
        return [
            key
            for key, after in followed
            if key.signs_from >= least and (after is None or after.signs_from + LONGEST_TOKEN > now)
        ]

    # --- following the store ---

    async def start(self) -> None:
        """Take over the keys as the directory has them, and follow it."""
        await self._load()
        self._tasks = [asyncio.create_task(self._follow(), name="keyring")]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._tasks = []

    async def _follow(self) -> None:
        while True:
            await self._directory.keys_changed.wait()
            try:
                await self._load()
            except LichenError:
                log.exception("the signing keys cannot be read; trying again")
                await asyncio.sleep(RETRY_SECONDS)
                self._directory.keys_changed.set()

    async def _load(self) -> None:
        self._directory.keys_changed.clear()
        before = self._keys
        known = {key.id: key.private for key in before}
        found = [await self._read(obj, known) for obj in self._directory.signing_keys.items.values()]
        later = sorted((key for key in found if key.id != before[0].id), key=lambda key: (key.signs_from, key.id))
        self._keys = [before[0], *later]
        if [key.id for key in before] != [key.id for key in self._keys]:
            for call in self.rotated:
                call()

    async def _read(self, obj: Object, known: dict[str, ec.EllipticCurvePrivateKey | None]) -> Key:
        spec = SigningKey.of(obj).spec
        public = serialization.load_pem_public_key(spec.public_key.encode())
        assert isinstance(public, ec.EllipticCurvePublicKey)
        private = known.get(spec.key_id) or await self._private(name_of(obj), spec.key_id)
        return Key(spec.key_id, public, private, times.to_seconds(spec.signs_from), spec.ends_older)

    async def _private(self, name: str, key_id: str) -> ec.EllipticCurvePrivateKey | None:
        pem = await self._kept.get(_secret(name), key_id)
        if pem is None:
            log.warning("signing key %s has no private half: it signs nothing here", name)
            return None
        key = serialization.load_pem_private_key(pem.encode(), password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return key

    # --- admission ---

    async def admit(self, request: Request) -> None:
        secret = _secret(request.name)
        if request.verb == "delete":
            request.done.append(lambda: self._kept.remove(secret))
        elif request.verb == "create":
            await self._make(request, secret)
        request.done.append(self._load)

    async def _make(self, request: Request, secret: str) -> None:
        """A new pair; the private half is there before the object, so that whoever sees the key can sign with it."""
        pem = new_signing_pem()
        key = serialization.load_pem_private_key(pem, password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        spec = {"keyId": key_id_of(key.public_key()), "publicKey": public.decode()}
        wanted = request.object.get("spec") or {}
        request.object["spec"] = {**wanted, **spec, "signsFrom": times.to_text(self._clock.now())}
        if request.dry_run:
            return
        await self._kept.put(secret, spec["keyId"], pem.decode())
        request.undo.append(lambda: self._kept.remove(secret))
        request.done.append(self._forget_ended)

    async def _forget_ended(self) -> None:
        """Keys whose tokens have all ended are deleted."""
        accepted = {key.id for key in self._accepted()}
        ended = {key.id for key in self._keys} - accepted
        for obj in list(self._directory.signing_keys.items.values()):
            if obj["spec"]["keyId"] in ended:
                with contextlib.suppress(NotFound):
                    await self._store.delete(SigningKey.KIND, name_of(obj))
                await self._kept.remove(_secret(name_of(obj)))


def _secret(name: str) -> str:
    return f"signing-key-{name}"
