# SPDX-License-Identifier: Apache-2.0
"""The cloud's keys on disk: the one that signs tokens and the one that seals Secrets. Made once, for our eyes only."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lichen.model.data import Object

SIGNING_KEY = "tokens.pem"
SEALING_KEY = "secrets.key"


@dataclass(frozen=True)
class Keys:
    """signing: an ES256 private key; sealing: 32 bytes for AES-256-GCM; digest: fresh in each process."""

    signing: ec.EllipticCurvePrivateKey
    sealing: bytes
    digest: bytes

    @classmethod
    def load(cls, folder: Path) -> Keys:
        """The keys in `folder` (mode 0700), made at the first start. OSError: it cannot be read or written."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        pem = _load_or_make(folder / SIGNING_KEY, new_signing_pem)
        key = serialization.load_pem_private_key(pem, password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise OSError(f"{folder / SIGNING_KEY} holds no EC key")
        return cls(key, _load_or_make(folder / SEALING_KEY, lambda: secrets.token_bytes(32)), secrets.token_bytes(32))

    @classmethod
    def fresh(cls) -> Keys:
        """New keys in memory only: what they sign and seal ends with the process."""
        return cls(ec.generate_private_key(ec.SECP256R1()), secrets.token_bytes(32), secrets.token_bytes(32))

    @property
    def key_id(self) -> str:
        """Names the signing key in a token's header."""
        return key_id_of(self.signing.public_key())


def key_id_of(key: ec.EllipticCurvePublicKey) -> str:
    """The same for the same key."""
    public = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(public).hexdigest()[:16]


def jwk_of(id: str, key: ec.EllipticCurvePublicKey) -> Object:
    """A public key as a JSON Web Key, for whoever wants to verify our tokens."""
    numbers = key.public_numbers()
    x, y = (_base64url(n.to_bytes(32, "big")) for n in (numbers.x, numbers.y))
    return {"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": id, "x": x, "y": y}


def new_signing_pem() -> bytes:
    """A fresh private key."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _load_or_make(path: Path, make: Callable[[], bytes]) -> bytes:
    """The file's bytes; written whole or not at all, and only one of two racing processes makes it."""
    if not path.exists():
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(make())
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(draft, path)
        finally:
            draft.unlink()
    return path.read_bytes()


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
