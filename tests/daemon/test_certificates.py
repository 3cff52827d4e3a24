# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from lichen.daemon.certificates import ensure_authority, ensure_leaf
from lichen.daemon.serving import serving


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


async def no_app(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("nobody asks")


async def spoken(folder: Path, version: ssl.TLSVersion, ciphers: str) -> tuple[str, str]:
    """Version and cipher of a handshake with a listener, by a client that accepts no others."""
    ensure_authority(folder / "keys", folder / "tls")
    context = ssl.create_default_context(cafile=str(folder / "tls" / "ca.crt"))
    context.minimum_version = context.maximum_version = version
    context.set_ciphers(ciphers)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        async with serving(no_app, listening, ensure_leaf(folder / "keys", folder / "tls", "kernel")):
            _, writer = await asyncio.open_connection(
                "127.0.0.1", listening.getsockname()[1], ssl=context, server_hostname="localhost"
            )
            name, said, _ = writer.get_extra_info("cipher")
            writer.close()
    return said, name


async def test_listeners_speak_modern_tls(tmp_path: Path) -> None:
    assert (await spoken(tmp_path, ssl.TLSVersion.TLSv1_3, "DEFAULT"))[0] == "TLSv1.3"
    assert await spoken(tmp_path, ssl.TLSVersion.TLSv1_2, "DEFAULT") == ("TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384")


@pytest.mark.parametrize(
    ("version", "ciphers"),
    [
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES256-SHA384:@SECLEVEL=0"),
        (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"),
        (ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0"),
    ],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1")
async def test_listeners_refuse_old_tls(tmp_path: Path, version: ssl.TLSVersion, ciphers: str) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await spoken(tmp_path, version, ciphers)
