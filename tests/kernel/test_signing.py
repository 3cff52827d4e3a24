# SPDX-License-Identifier: Apache-2.0
"""CertificateSigningRequests: who asks, what stays, and who decides what."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from lichen.kernel.session import Session
from lichen.kinds.builtin import CSR
from lichen.model.errors import Invalid
from lichen.model.kind import new_object
from tests.kernel.helpers import a_kernel

Object = dict[str, Any]
APPROVED = {"type": "Approved", "status": "True", "reason": "Test"}
OTHER = {"type": "Seen", "status": "True", "reason": "Test"}


def a_request(**spec: Any) -> Object:
    """In PEM, as `spec.request` has it."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "example.com")])
    made = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(name)
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    )
    pem = base64.b64encode(made.public_bytes(Encoding.PEM)).decode()
    whole = {"request": pem, "signerName": "example.com/x", "usages": ["client auth"], **spec}
    return new_object(CSR, "csr", spec=whole)


@pytest_asyncio.fixture
async def session() -> Session:
    kernel = await a_kernel()
    return kernel.acting(await kernel.authenticate(""))


async def test_who_asks_is_written_down_whatever_the_request_says(session: Session) -> None:
    made = await session.create(CSR, a_request(username="somebody-else", groups=["system:masters-too"]))
    assert made["spec"]["username"] == session.caller.name
    assert made["spec"]["groups"] == list(session.caller.groups)
    patched = await session.patch(CSR, "csr", "", {"spec": {"signerName": "other.com/y", "username": "x"}})
    assert patched["spec"] == made["spec"]


async def test_approval_decides_and_status_does_not(session: Session) -> None:
    await session.create(CSR, a_request())
    approved = await session.patch(CSR, "csr", "", {"status": {"conditions": [APPROVED]}}, subresource="approval")
    assert approved["status"]["conditions"] == [APPROVED]
    denied = {"conditions": [{**APPROVED, "type": "Denied"}, OTHER], "certificate": "eA=="}
    signed = await session.patch(CSR, "csr", "", {"status": denied}, subresource="status")
    assert signed["status"] == {"conditions": [APPROVED, OTHER], "certificate": "eA=="}
    kept = await session.patch(CSR, "csr", "", {"status": {"certificate": "eQ=="}}, subresource="approval")
    assert kept["status"]["certificate"] == "eA=="


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"request": "aGVsbG8="}, "spec.request"),
        ({"usages": []}, "spec.usages"),
        ({"signerName": "none"}, "spec.signerName"),
        ({"expirationSeconds": 5}, "spec.expirationSeconds"),
    ],
)
async def test_what_cannot_be_signed_is_refused(session: Session, spec: Object, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        await session.create(CSR, a_request(**spec))
    assert [cause.field for cause in caught.value.causes] == [field]
