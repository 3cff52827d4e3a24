# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import ssl
from pathlib import Path

from cryptography import x509

from lichen.daemon.certificates import ensure_authority, ensure_leaf


def made(folder: Path, *addresses: str) -> tuple[bytes, bytes]:
    ensure_authority(folder / "keys", folder / "tls")
    certificate, key = ensure_leaf(folder / "keys", folder / "tls", "kernel", addresses)
    return certificate.read_bytes(), key.read_bytes()


def test_a_listeners_certificate_is_kept_as_long_as_it_names_every_address(tmp_path: Path):
    first = made(tmp_path, "192.0.2.7")
    assert made(tmp_path, "192.0.2.7") == first
    assert made(tmp_path, "192.0.2.8") != first


def test_a_certificate_of_another_authority_is_made_anew(tmp_path: Path):
    first = made(tmp_path)
    (tmp_path / "keys" / "ca.key").unlink()
    (tmp_path / "tls" / "ca.crt").unlink()
    assert made(tmp_path) != first


def test_it_names_the_address_it_listens_on_and_is_signed_by_the_authority(tmp_path: Path):
    pem, _ = made(tmp_path, "192.0.2.7", "cloud.example")
    leaf, authority = x509.load_pem_x509_certificate(pem), x509.load_pem_x509_certificate(
        (tmp_path / "tls" / "ca.crt").read_bytes()
    )  # fmt: skip
    leaf.verify_directly_issued_by(authority)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"192.0.2.7", "cloud.example", "127.0.0.1", "localhost"} <= {str(name.value) for name in names}
    ssl.create_default_context(cafile=str(tmp_path / "tls" / "ca.crt"))


def test_private_keys_are_their_owners_alone(tmp_path: Path):
    made(tmp_path)
    for key in (tmp_path / "keys" / "ca.key", tmp_path / "tls" / "kernel" / "tls.key"):
        assert key.stat().st_mode & 0o777 == 0o600
