# SPDX-License-Identifier: Apache-2.0
"""Acting as another (`kubectl --as`): allowed to whom the verb `impersonate` on that user and its groups is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lichen.kinds.builtin import SERVICE_ACCOUNT
from lichen.model.caller import account_of
from lichen.model.errors import BadRequest, Forbidden
from lichen.model.kind import Kind
from lichen.model.state import Caller

USER_HEADER = b"impersonate-user"
_GROUP_HEADER = b"impersonate-group"
_PREFIX = b"impersonate-"
_USERS = Kind("", "v1", "User", "users", namespaced=False)
_GROUPS = Kind("", "v1", "Group", "groups", namespaced=False)

Headers = Iterable[tuple[bytes, bytes]]


def asks_to_impersonate(headers: dict[bytes, bytes]) -> bool:
    return any(name.startswith(_PREFIX) for name in headers)


def impersonated(access: Any, caller: Caller, headers: Headers) -> Caller:
    """Who `caller` acts as: a Kubernetes identity without OpenStack roles. Forbidden; BadRequest: no user is named."""
    given = list(headers)
    name = next((value.decode("latin-1") for key, value in given if key == USER_HEADER), "")
    groups = tuple(value.decode("latin-1") for key, value in given if key == _GROUP_HEADER)
    if not name:
        raise BadRequest("requested impersonation without impersonating a user")
    _check(access, caller, *_subject(name))
    for group in groups:
        _check(access, caller, _GROUPS, "", group)
    return Caller(name, (*groups, *_implied(name)))


def _subject(name: str) -> tuple[Kind, str, str]:
    """Kind, namespace and name of what is impersonated."""
    if (account := account_of(name)) is not None:
        return SERVICE_ACCOUNT, *account
    return _USERS, "", name


def _implied(name: str) -> tuple[str, ...]:
    if name == "system:anonymous":
        return ("system:unauthenticated",)
    if (account := account_of(name)) is not None:
        return ("system:serviceaccounts", f"system:serviceaccounts:{account[0]}", "system:authenticated")
    return ("system:authenticated",)


def _check(access: Any, caller: Caller, kind: Kind, namespace: str, name: str) -> None:
    if access.refusal(caller, "impersonate", kind, namespace, name) is None:
        return
    where = f' in the namespace "{namespace}"' if namespace else " at the cluster scope"
    raise Forbidden(
        f'{kind.plural} "{name}" is forbidden: User "{caller.name}" cannot impersonate resource "{kind.plural}" in '
        f'API group ""{where}',
        kind=kind.plural,
        name=name,
    )
