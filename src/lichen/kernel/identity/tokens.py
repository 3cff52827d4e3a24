# SPDX-License-Identifier: Apache-2.0
"""Signed tokens (ES256 JWTs): what one says, how it is signed, and a memory of verified signatures.

Three sorts, by claim `lichen`: `user` (sub is the user's id, with a scope), `service-account`
(sub is `system:serviceaccount:ns:name`) and `system` (a process of ours: sub is its name, with its groups).
A user's may come through an application credential (app), a trust or an access token of OAuth 1.0a (oauth), by id: they
limit its roles.
A token says who was authenticated and for which scope; rights are looked up when it is used.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

import jwt
import msgspec

from lichen.kernel.access import Clock
from lichen.kernel.identity.keyring import Keyring
from lichen.model.errors import Unauthorized
from lichen.model.metrics import TOKENS

ISSUER = "https://kubernetes.default.svc.cluster.local"
AUDIENCE = ISSUER
MAX_LENGTH = 8192
REMEMBERED = 20_000


class Scope(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a user's token is for; all empty: nothing (unscoped)."""

    project: str = ""
    domain: str = ""
    system: bool = False


class Claims(msgspec.Struct, frozen=True, omit_defaults=True):
    """A token's content. iat and exp are unix seconds with fractions; jti is OpenStack's audit id."""

    sub: str
    iat: float
    exp: float
    jti: str
    lichen: str
    aud: list[str] = []
    scope: Scope = Scope()
    methods: list[str] = []
    parents: list[str] = []
    groups: list[str] = []
    app: str = ""
    trust: str = ""
    oauth: str = ""
    uid: str = ""
    pod: str = ""
    iss: str = ISSUER


def new_audit_id() -> str:
    return secrets.token_urlsafe(16)


class Tokens:
    """Signs and verifies. Verified tokens are remembered by digest, so that a busy client pays for ECDSA once."""

    def __init__(self, keys: Keyring, clock: Clock) -> None:
        self._clock = clock
        self._keys = keys
        self._verified: dict[bytes, tuple[Claims, str]] = {}

    def sign(self, claims: Claims) -> str:
        """The token. What we sign we need not verify again."""
        TOKENS.add(claims.lichen)
        key_id, private = self._keys.signing
        payload: dict[str, Any] = msgspec.to_builtins(claims)
        token = jwt.encode({"iss": ISSUER, **payload}, private, algorithm="ES256", headers={"kid": key_id})
        self._remember(digest_of(token), claims, key_id)
        return token

    def verify(self, token: str, digest: bytes) -> Claims:
        """What a token says, if a key of ours that is still accepted signed it, and it has not expired.
        Unauthorized."""
        claims, key_id = self._verified.get(digest) or self._check(token)
        if claims.exp <= self._clock.now():
            self._verified.pop(digest, None)
            raise Unauthorized("The token has expired.")
        if self._keys.public(key_id) is None:
            raise Unauthorized("The token is not valid.")
        self._remember(digest, claims, key_id)
        return claims

    def _check(self, token: str) -> tuple[Claims, str]:
        if len(token) > MAX_LENGTH:
            raise Unauthorized("The token is not valid.")
        try:
            # Times are checked against our own clock, which can be driven.
            options: Any = {"verify_exp": False, "verify_iat": False, "verify_nbf": False, "verify_aud": False}
            key_id = str(jwt.get_unverified_header(token).get("kid"))
            public = self._keys.public(key_id)
            if public is None:
                raise Unauthorized("The token is not valid.")
            payload = jwt.decode(token, public, algorithms=["ES256"], issuer=ISSUER, options=options)
            return msgspec.convert(payload, Claims), key_id
        except (jwt.PyJWTError, msgspec.ValidationError, ValueError, UnicodeError, RecursionError):
            raise Unauthorized("The token is not valid.") from None

    def _remember(self, digest: bytes, claims: Claims, key_id: str) -> None:
        if len(self._verified) >= REMEMBERED:
            for old in list(self._verified)[: REMEMBERED // 4]:
                del self._verified[old]
        self._verified[digest] = claims, key_id


def digest_of(token: str) -> bytes:
    """What a token is remembered by: memory holds no bearer secrets."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
