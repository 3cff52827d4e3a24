# SPDX-License-Identifier: Apache-2.0
"""The cloud's own authority, and a certificate for each of its listeners. EC P-256; renewed a month before they end."""

from __future__ import annotations

import datetime
import ipaddress
import socket
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lichen.client.local import write_private

AUTHORITY_YEARS = 10
LEAF_DAYS = 365
RENEW_DAYS = 30

SERVICE_NAMES = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)
SERVICE_ADDRESSES = ("127.0.0.1", "::1", "10.96.0.1")


def ensure_authority(keys_dir: Path, tls_dir: Path) -> None:
    """Make the authority once: `keys_dir/ca.key` (0600) and `tls_dir/ca.crt`."""
    key_path, certificate_path = keys_dir / "ca.key", tls_dir / "ca.crt"
    if key_path.exists() and certificate_path.exists():
        return
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"lichen authority of {socket.gethostname()}")])
    certificate = (
        _builder(name, name, key.public_key(), datetime.timedelta(days=365 * AUTHORITY_YEARS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    write_private(key_path, _key_pem(key), 0o600)
    write_private(certificate_path, certificate.public_bytes(serialization.Encoding.PEM), 0o644)


def ensure_leaf(keys_dir: Path, tls_dir: Path, listener: str, addresses: tuple[str, ...] = ()) -> tuple[Path, Path]:
    """Certificate and key of `listener` in `tls_dir/<listener>/`, renewed when old or incomplete."""
    certificate_path, key_path = tls_dir / listener / "tls.crt", tls_dir / listener / "tls.key"
    names = _alternatives(addresses)
    if certificate_path.exists() and key_path.exists() and _is_good(certificate_path.read_bytes(), names, tls_dir):
        return certificate_path, key_path
    authority_key = serialization.load_pem_private_key((keys_dir / "ca.key").read_bytes(), None)
    authority = x509.load_pem_x509_certificate((tls_dir / "ca.crt").read_bytes())
    if not isinstance(authority_key, ec.EllipticCurvePrivateKey):
        raise TypeError("the authority's key is not an EC key")
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"lichen {listener}")])
    certificate = (
        _builder(subject, authority.subject, key.public_key(), datetime.timedelta(days=LEAF_DAYS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    write_private(key_path, _key_pem(key), 0o600)
    write_private(certificate_path, certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    return certificate_path, key_path


def _alternatives(addresses: tuple[str, ...]) -> list[x509.GeneralName]:
    hosts = dict.fromkeys((*SERVICE_NAMES, socket.gethostname(), *SERVICE_ADDRESSES, *addresses))
    return [_general_name(host) for host in hosts if host]


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _is_good(pem: bytes, names: list[x509.GeneralName], tls_dir: Path) -> bool:
    certificate = x509.load_pem_x509_certificate(pem)
    authority = x509.load_pem_x509_certificate((tls_dir / "ca.crt").read_bytes())
    left = certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    known = {str(name.value) for name in held}
    return (
        _is_issued_by(authority, certificate)
        and left > datetime.timedelta(days=RENEW_DAYS)
        and all(str(name.value) in known for name in names)
    )


def _is_issued_by(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, InvalidSignature):
        return False
    return True


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, life: datetime.timedelta
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + life)
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
