# SPDX-License-Identifier: Apache-2.0
"""Secrets encrypted at rest (AES-256-GCM): what a store calls around the bytes that it keeps.

store = await SqliteStore.open(path, sealer=SecretBox(keys.sealing))
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lichen.model.errors import InternalError

MARK = b"\x01lichen-sealed\x01"
"""How sealed bytes begin; a stored object's JSON never does."""


class SecretBox:
    """Seals whole Secret objects; whatever is no Secret passes as it is."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, group: str, plural: str, raw: bytes) -> bytes:
        """What is to be kept in the place of `raw`."""
        if (group, plural) != ("", "secrets") or not raw:
            return raw
        nonce = os.urandom(12)
        return MARK + nonce + self._cipher.encrypt(nonce, raw, MARK)

    def unseal(self, group: str, plural: str, sealed: bytes) -> bytes:
        """What `seal` was given. InternalError: it was sealed with another key, or changed since."""
        if not sealed.startswith(MARK):
            return sealed
        at = len(MARK)
        try:
            return self._cipher.decrypt(sealed[at : at + 12], sealed[at + 12 :], MARK)
        except InvalidTag:
            raise InternalError("A stored Secret cannot be opened: it was sealed with another key.") from None
