# SPDX-License-Identifier: Apache-2.0
"""Errors and successes as Kubernetes' Status objects."""

from __future__ import annotations

from lichen.apis.kubernetes.wire import encode
from lichen.model.data import Object
from lichen.model.errors import ApiError, Expired


def status_of(error: ApiError) -> Object:
    """The Status that a caller sees for a refusal."""
    status: Object = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": _metadata_of(error),
        "status": "Failure",
        "message": error.message,
        "reason": error.reason,
        "code": error.code,
    }
    details = _details_of(error)
    if details:
        status["details"] = details
    return status


def status_body(error: ApiError) -> bytes:
    return encode(status_of(error))


def success(*, name: str, group: str, resource: str, uid: str) -> Object:
    """The Status that answers a deletion which is complete."""
    details = {"name": name, "kind": resource, "uid": uid}
    if group:
        details["group"] = group
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def _metadata_of(error: ApiError) -> Object:
    token = error.continue_token if isinstance(error, Expired) else ""
    return {"continue": token} if token else {}


def _details_of(error: ApiError) -> Object:
    details: Object = {}
    for key, value in (("name", error.name), ("group", error.group), ("kind", error.kind)):
        if value:
            details[key] = value
    if error.causes:
        details["causes"] = [{"reason": c.reason, "message": c.message, "field": c.field} for c in error.causes]
    if error.retry_after is not None:
        details["retryAfterSeconds"] = error.retry_after
    return details
