# SPDX-License-Identifier: Apache-2.0
"""CertificateSigningRequests: who asks is written down by the kernel, what was asked for stays, and each subresource
changes its own part. Nothing signs them here: the API knows its callers by their tokens, not by certificates."""

from __future__ import annotations

import base64
import binascii

from lichen.kernel.admission import Request, faulty
from lichen.kinds.builtin import CSR
from lichen.kinds.faults import Faults
from lichen.model.caller import to_user_info
from lichen.model.data import Object
from lichen.model.kind import Kind

DECIDED = ("Approved", "Denied")


class SigningRequests:
    """Admission of them."""

    kinds: tuple[Kind, ...] | None = (CSR,)
    verbs: tuple[str, ...] = ("create", "update")

    async def admit(self, request: Request) -> None:
        obj = request.object
        if request.old is None:
            _check(request)
            spec = {k: v for k, v in obj["spec"].items() if k not in ("username", "uid", "groups", "extra")}
            obj["spec"] = {**spec, **to_user_info(request.caller)}
            return
        obj["spec"] = request.old["spec"]
        held = request.old.get("status") or {}
        if request.subresource == "approval":
            obj["status"] = {**held, "conditions": (obj.get("status") or {}).get("conditions") or []}
        elif request.subresource == "status":
            obj["status"] = {**(obj.get("status") or {})}
            _keep_decisions(obj["status"], held)


def _keep_decisions(status: Object, held: Object) -> None:
    """Only `approval` approves and denies."""
    decided = [c for c in held.get("conditions") or () if c["type"] in DECIDED]
    others = [c for c in status.get("conditions") or () if c["type"] not in DECIDED]
    if decided or others:
        status["conditions"] = [*decided, *others]


def _check(request: Request) -> None:
    from cryptography.x509 import load_pem_x509_csr

    faults, spec = Faults(), request.object.get("spec") or {}
    try:
        load_pem_x509_csr(base64.b64decode(spec.get("request") or "", validate=True))
    except (ValueError, binascii.Error):
        faults.invalid("spec.request", spec.get("request"), "PEM block type must be CERTIFICATE REQUEST")
    if "/" not in (spec.get("signerName") or ""):
        faults.invalid("spec.signerName", spec.get("signerName"), "must be a fully qualified domain and path")
    if not spec.get("usages"):
        faults.required("spec.usages")
    if isinstance(spec.get("expirationSeconds"), int) and spec["expirationSeconds"] < 600:
        faults.invalid("spec.expirationSeconds", spec["expirationSeconds"], "may not specify a duration less than 600")
    if faults:
        raise faulty(request, *faults)
