# SPDX-License-Identifier: Apache-2.0
"""Public keys as in authorized_keys. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib

from lichen.model.errors import BadRequest


def fingerprint(public_key: str) -> str:
    """MD5 of the key, as `aa:bb:…`. BadRequest: it is not a public key."""
    parts = public_key.split()
    try:
        blob = base64.b64decode(parts[1], validate=True)
    except (IndexError, binascii.Error, ValueError):
        raise BadRequest("Keypair data is invalid: failed to generate fingerprint") from None
    length = int.from_bytes(blob[:4], "big")
    if len(blob) < 4 + length or blob[4 : 4 + length] != parts[0].encode() or "\n" in public_key.strip():
        raise BadRequest("Keypair data is invalid: failed to generate fingerprint")
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[i : i + 2] for i in range(0, 32, 2))
