# SPDX-License-Identifier: Apache-2.0
"""From a token to a Caller: the signature once, then whether its bearer still is who and may what it says."""

from __future__ import annotations

from lichen.kernel.access import Clock
from lichen.kernel.identity import times
from lichen.kernel.identity.directory import Directory, display_name, is_project_enabled, project_domain
from lichen.kernel.identity.roles import roles_of
from lichen.kernel.identity.tokens import AUDIENCE, Claims, Tokens, digest_of
from lichen.model.data import Object
from lichen.model.errors import Unauthorized
from lichen.model.state import Caller

REMEMBERED = 20_000
REFUSED = "The request you have made requires authentication."


class Authenticator:
    """`authenticate` is a dictionary's answer while nothing changed in the directory."""

    def __init__(self, tokens: Tokens, directory: Directory, clock: Clock) -> None:
        self._tokens = tokens
        self._directory = directory
        self._clock = clock
        self._generation = -1
        self._callers: dict[bytes, tuple[Caller, float]] = {}

    async def authenticate(self, token: str) -> Caller:
        """Who bears `token`. Unauthorized: it is forged, expired, revoked, or its bearer's rights are gone."""
        digest = digest_of(token)
        if self._generation != self._directory.generation or len(self._callers) > REMEMBERED:
            self._generation = self._directory.generation
            self._callers.clear()
        known = self._callers.get(digest)
        if known is not None and known[1] > self._clock.now():
            return known[0]
        claims = self._tokens.verify(token, digest)
        caller = self.caller_of(claims, token)
        self._callers[digest] = (caller, claims.exp)
        return caller

    def claims_of(self, token: str) -> Claims:
        """What a token says, if it still holds. Unauthorized."""
        claims = self._tokens.verify(token, digest_of(token))
        self.caller_of(claims, token)
        return claims

    def caller_of(self, claims: Claims, token: str) -> Caller:
        """The bearer, as the directory has it now. Unauthorized."""
        if self._directory.revoked_by_id.has(claims.jti):
            raise Unauthorized(REFUSED)
        if claims.lichen == "user":
            return self._user(claims, token)
        if claims.lichen == "service-account":
            return self._service_account(claims, token)
        if claims.lichen == "system":
            groups = (*claims.groups, "system:authenticated")
            return Caller(name=claims.sub, groups=groups, token=token, expires_at=times.to_text(claims.exp))
        raise Unauthorized(REFUSED)

    def _user(self, claims: Claims, token: str) -> Caller:
        user = self.live_user(claims.sub)
        spec = user["spec"]
        if claims.iat < times.to_seconds(spec.get("tokensValidAfter", "")):
            raise Unauthorized(REFUSED)
        namespace = self._scope_namespace(claims)
        self._check_delegation(claims)
        roles = roles_of(self._directory, claims)
        is_scoped = claims.scope.project or claims.scope.domain or claims.scope.system
        if is_scoped and not roles:
            raise Unauthorized(REFUSED)
        return Caller(
            name=user["metadata"]["name"],
            groups=(*self._group_names(claims.sub), "system:authenticated"),
            uid=user["metadata"].get("uid", ""),
            user_id=claims.sub,
            user_name=display_name(user),
            domain_id=spec.get("domainId", ""),
            project_id=claims.scope.project,
            namespace=namespace,
            scope=_scope_name(claims),
            scope_domain_id=claims.scope.domain,
            roles=tuple(display_name(role) for role in roles if not role["spec"].get("domainId")),
            methods=tuple(claims.methods),
            application_credential_id=claims.app,
            trust_id=claims.trust,
            access_rules=self._access_rules(claims),
            audit_ids=(claims.jti, *claims.parents),
            issued_at=times.to_text(claims.iat),
            expires_at=times.to_text(claims.exp),
            token=token,
        )

    def live_user(self, user_id: str) -> Object:
        """The user, if it and its domain are enabled. Unauthorized."""
        user = self._directory.user(user_id)
        if user is None or user["spec"].get("enabled", True) is not True:
            raise Unauthorized(REFUSED)
        if not self._directory.is_domain_enabled(user["spec"].get("domainId") or "default"):
            raise Unauthorized(REFUSED)
        return user

    def _check_delegation(self, claims: Claims) -> None:
        """Unauthorized: what a token came through (credential, trust, access token) is gone, or at its end."""
        directory = self._directory
        for id, by_id in (
            (claims.app, directory.application_credentials_by_id),
            (claims.trust, directory.trusts_by_id),
            (claims.oauth, directory.oauth_tokens_by_id),
        ):
            if not id:
                continue
            through = by_id.one(id)
            if through is None or self.is_over(through):
                raise Unauthorized(REFUSED)
            if claims.trust:
                self.live_user(through["spec"]["trustorUserId"])

    def is_over(self, delegation: Object) -> bool:
        ends = times.to_seconds(delegation["spec"].get("expiresAt", ""))
        return bool(ends) and ends <= self._clock.now()

    def _access_rules(self, claims: Claims) -> tuple[str, ...]:
        credential = self._directory.application_credentials_by_id.one(claims.app) if claims.app else None
        rules = (credential["spec"].get("accessRules") if credential else None) or ()
        return tuple(f"{rule['method']} {rule['service']} {rule['path']}" for rule in rules)

    def _group_names(self, user_id: str) -> tuple[str, ...]:
        return tuple(sorted(g["metadata"]["name"] for g in self._directory.groups_by_user.all(user_id)))

    def _scope_namespace(self, claims: Claims) -> str:
        """The scope's namespace, if the scope is still open to anyone. Unauthorized."""
        if claims.scope.domain and not self._directory.is_domain_enabled(claims.scope.domain):
            raise Unauthorized(REFUSED)
        if not claims.scope.project:
            return ""
        project = self._directory.projects_by_id.one(claims.scope.project)
        if project is None or not is_project_enabled(project):
            raise Unauthorized(REFUSED)
        if not self._directory.is_domain_enabled(project_domain(project)):
            raise Unauthorized(REFUSED)
        name: str = project["metadata"]["name"]
        return name

    def _service_account(self, claims: Claims, token: str) -> Caller:
        _, _, namespace, name = claims.sub.split(":", 3)
        account = self._directory.service_accounts.get(name, namespace)
        if account is None or account["metadata"].get("uid") != claims.uid or AUDIENCE not in claims.aud:
            raise Unauthorized(REFUSED)
        return Caller(
            name=claims.sub,
            groups=("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"),
            uid=claims.uid,
            expires_at=times.to_text(claims.exp),
            token=token,
        )


def _scope_name(claims: Claims) -> str:
    if claims.scope.project:
        return "project"
    if claims.scope.domain:
        return "domain"
    return "system" if claims.scope.system else ""
