# SPDX-License-Identifier: Apache-2.0
"""A Caller as Kubernetes' UserInfo and back, so that a dialect in another process sees the whole of it; and the users
that stand for service accounts."""

from __future__ import annotations

from typing import Any

from lichen.model.data import Object
from lichen.model.state import Caller

PREFIX = "lichen.dev/"
ONE = {
    "user-id": "user_id",
    "user-name": "user_name",
    "domain-id": "domain_id",
    "project-id": "project_id",
    "namespace": "namespace",
    "scope": "scope",
    "scope-domain-id": "scope_domain_id",
    "application-credential-id": "application_credential_id",
    "trust-id": "trust_id",
    "issued-at": "issued_at",
    "expires-at": "expires_at",
}
MANY = {"roles": "roles", "methods": "methods", "audit-ids": "audit_ids", "access-rules": "access_rules"}

_ACCOUNT = "system:serviceaccount:"


def account_user(namespace: str, name: str) -> str:
    """The user that stands for a service account."""
    return f"{_ACCOUNT}{namespace}:{name}"


def account_of(user: str) -> tuple[str, str] | None:
    """Namespace and name of the service account that a user stands for; None of all others."""
    if not user.startswith(_ACCOUNT) or user.count(":") != 3:
        return None
    namespace, _, name = user.removeprefix(_ACCOUNT).partition(":")
    return namespace, name


def to_user_info(caller: Caller) -> Object:
    """UserInfo: username, uid, groups, and the rest of the caller under extra `lichen.dev/…`. Never the token."""
    one = {PREFIX + key: [getattr(caller, name)] for key, name in ONE.items() if getattr(caller, name)}
    many = {PREFIX + key: list(getattr(caller, name)) for key, name in MANY.items() if getattr(caller, name)}
    info: Object = {"username": caller.name, "groups": list(caller.groups)}
    if caller.uid:
        info["uid"] = caller.uid
    return {**info, "extra": {**one, **many}} if one or many else info


def from_user_info(info: Object, token: str = "") -> Caller:
    """The caller that a UserInfo speaks of."""
    extra = info.get("extra") or {}
    one: dict[str, Any] = {name: extra[PREFIX + key][0] for key, name in ONE.items() if extra.get(PREFIX + key)}
    many: dict[str, Any] = {name: tuple(extra[PREFIX + key]) for key, name in MANY.items() if extra.get(PREFIX + key)}
    return Caller(
        name=info.get("username", ""),
        uid=info.get("uid", ""),
        groups=tuple(info.get("groups") or ()),
        token=token,
        **one,
        **many,
    )
