# SPDX-License-Identifier: Apache-2.0
"""Certificates as key pairs, for guests that are logged in to by them (WinRM): self-signed, for client
authentication, with the user's name as Windows asks for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from lichen.model.errors import BadRequest

BITS, YEARS = 2048, 10
_UPN = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")
_CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH


def generate(user: str) -> tuple[str, str]:
    """(private key, certificate), both as PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=BITS)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, user[:64] or "user")])
    principal = f"{user}@localhost".encode()[:120]
    alternative = x509.OtherName(_UPN, bytes([0x0C, len(principal)]) + principal)
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=365 * YEARS))
        .add_extension(x509.ExtendedKeyUsage([_CLIENT]), critical=False)
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private.decode(), certificate.public_bytes(serialization.Encoding.PEM).decode()


def fingerprint(certificate: str) -> str:
    """SHA-1 of the certificate, as `aa:bb:…`. BadRequest: it is none."""
    try:
        loaded = x509.load_pem_x509_certificate(certificate.encode())
    except ValueError:
        raise BadRequest("Keypair data is invalid: it is not a certificate in PEM.") from None
    return loaded.fingerprint(hashes.SHA1()).hex(":")  # noqa: S303 — a name for the eye, not a proof
