# SPDX-License-Identifier: Apache-2.0
"""Tokens of ServiceAccounts (`serviceaccounts/token`, TokenRequest) and of our own processes."""

from __future__ import annotations

from typing import Any

from lichen.kernel.access import Clock
from lichen.kernel.identity import times
from lichen.kernel.identity.tokens import AUDIENCE, Claims, Tokens, new_audit_id
from lichen.kinds.builtin import POD
from lichen.model.caller import account_user
from lichen.model.data import Object
from lichen.model.errors import BadRequest, Cause, Conflict, Forbidden, Invalid
from lichen.model.meta import name_of, namespace_of, uid_of
from lichen.model.state import Caller, State

LEAST_SECONDS = 600
MOST_SECONDS = 48 * 3600


class ServiceAccountTokens:
    """Signs tokens that stand for no user."""

    def __init__(self, tokens: Tokens, clock: Clock, store: State) -> None:
        self._store = store
        self._tokens = tokens
        self._clock = clock

    async def request(self, caller: Caller, account: Object, body: Object) -> Object:
        """TokenRequest on a ServiceAccount: the body with its status. Asked lifetimes are cut to 48 hours."""
        spec = _mapping(body.get("spec"), "spec")
        audiences = spec.get("audiences") or [AUDIENCE]
        if not isinstance(audiences, list) or not all(isinstance(a, str) for a in audiences):
            raise BadRequest("spec.audiences: must be a list of strings")
        bound = _mapping(spec.get("boundObjectRef"), "spec.boundObjectRef")
        await self._check_bound(caller, account, bound)
        now = self._clock.now()
        claims = Claims(
            sub=account_user(namespace_of(account), name_of(account)),
            iat=now,
            exp=now + _seconds(spec.get("expirationSeconds")),
            jti=new_audit_id(),
            lichen="service-account",
            aud=audiences,
            uid=uid_of(account),
            pod=str(bound.get("name") or ""),
        )
        expires = times.to_text(claims.exp)
        status = {"token": self._tokens.sign(claims), "expirationTimestamp": expires[:19] + "Z"}
        kept = {**spec, "audiences": audiences, "expirationSeconds": int(claims.exp - now)}
        metadata = {"name": name_of(account), "namespace": namespace_of(account)}
        api = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
        return {**api, "metadata": metadata, "spec": kept, "status": status}

    async def _check_bound(self, caller: Caller, account: Object, bound: Object) -> None:
        """What a token is bound to must be there; a node gets tokens for its own pods only. NotFound, Conflict,
        Forbidden."""
        node = caller.node
        name, uid = str(bound.get("name") or ""), bound.get("uid")
        if bound.get("kind") != "Pod" or not name:
            if node:
                raise _refused(caller, account, "it must be bound to a pod")
            return
        pod = await self._store.get(POD, name, namespace_of(account))
        if uid and uid != uid_of(pod):
            raise Conflict(f'pods "{name}" has another uid than {uid}', kind="pods", name=name)
        of_pod = pod["spec"].get("serviceAccountName") or "default"
        if of_pod != name_of(account):
            raise _refused(caller, account, f"pod {name} has the service account {of_pod}")
        if node and pod["spec"].get("nodeName") != node:
            raise _refused(caller, account, f"pod {name} is not bound to {node}")

    def system(self, name: str, groups: tuple[str, ...] = (), seconds: float = 3600.0) -> str:
        """A token for one of our processes: `system:node:a` of group `system:nodes`, `system:lichen-controllers`…"""
        now = self._clock.now()
        claims = Claims(
            sub=name, iat=now, exp=now + seconds, jti=new_audit_id(), lichen="system", groups=list(groups)
        )  # fmt: skip
        return self._tokens.sign(claims)


def _refused(caller: Caller, account: Object, why: str) -> Forbidden:
    name = name_of(account)
    message = f'serviceaccounts "{name}" is forbidden: {caller.name} may not have this token: {why}'
    return Forbidden(message, kind="serviceaccounts", name=name)


def _seconds(wanted: Any) -> int:
    if wanted is None:
        return 3600
    if not isinstance(wanted, int) or wanted < LEAST_SECONDS:
        message = f"may not specify a duration less than {LEAST_SECONDS} seconds"
        cause = Cause("spec.expirationSeconds", message)
        raise Invalid(f"spec.expirationSeconds: Invalid value: {message}", causes=(cause,), kind="TokenRequest")
    return min(wanted, MOST_SECONDS)


def _mapping(value: Any, where: str) -> Object:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadRequest(f"{where}: must be an object")
    return value
