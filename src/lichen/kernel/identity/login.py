# SPDX-License-Identifier: Apache-2.0
"""Logging in: virtual kinds Token, TokenInspection, TokenRevocation and ScopeReview."""

from __future__ import annotations

import contextlib
import hashlib
from typing import Any

import msgspec

from lichen.kernel.access import Clock
from lichen.kernel.identity import roles, times
from lichen.kernel.identity.authenticator import Authenticator
from lichen.kernel.identity.credentials import Credentials
from lichen.kernel.identity.delegation import Delegations
from lichen.kernel.identity.directory import Directory, display_name, project_domain, project_name
from lichen.kernel.identity.oauth1 import OAuth1
from lichen.kernel.identity.tokens import Claims, Scope, Tokens, new_audit_id
from lichen.kinds.identity.token import (
    ApplicationCredentialLogin,
    ListedEndpoint,
    ListedService,
    Named,
    PasswordLogin,
    RevokedToken,
    ScopeReview,
    ShownEndpoints,
    ThroughAccessToken,
    ThroughTrust,
    Token,
    TokenInspection,
    TokenRevocation,
    TokenScope,
    TokenStatus,
)
from lichen.model.data import Object, to_wire
from lichen.model.errors import AlreadyExists, BadRequest, Forbidden, NotFound, Unauthorized
from lichen.model.kind import new_object
from lichen.model.meta import name_of
from lichen.model.names import PROJECT_ID
from lichen.model.state import Caller, State

LIFETIME = 3600.0
METHODS = frozenset(("password", "token", "application_credential", "oauth1"))
REFUSED = "The request you have made requires authentication."


class Login:
    """Issues, shows and ends users' tokens."""

    def __init__(
        self,
        store: State,
        directory: Directory,
        tokens: Tokens,
        authenticator: Authenticator,
        credentials: Credentials,
        delegations: Delegations,
        oauth1: OAuth1,
        clock: Clock,
        lifetime: float = LIFETIME,
    ) -> None:
        self._store = store
        self._directory = directory
        self._tokens = tokens
        self._authenticator = authenticator
        self._credentials = credentials
        self._delegations = delegations
        self._oauth1 = oauth1
        self._clock = clock
        self._lifetime = lifetime

    async def issue(self, caller: Caller, obj: Object) -> Object:
        """Token: check who asks, find what for, sign. Unauthorized, BadRequest."""
        spec = Token.of(obj).spec
        if not spec.methods or not set(spec.methods) <= METHODS:
            raise Unauthorized("Attempted to authenticate with an unsupported method.")
        now = self._clock.now()
        parent = self._parent(spec.token) if "token" in spec.methods else None
        credential, granted = await self._credential(spec), await self._granted(spec)
        user = await self._prove(spec, parent, credential or granted)
        user_id = user["spec"]["id"]
        app = credential["spec"]["id"] if credential else parent.app if parent else ""
        trust = self._trust(spec.scope, user_id)
        scope = self._scope_of(user, spec.scope, app, trust, granted, parent)
        claims = Claims(
            sub=trust["spec"]["trustorUserId"] if trust and trust["spec"].get("impersonation") else user_id,
            app=app,
            trust=trust["spec"]["id"] if trust else "",
            oauth=granted["spec"]["id"] if granted else "",
            iat=now,
            exp=self._end(parent.exp if parent else now + self._lifetime, credential, trust, granted),
            jti=new_audit_id(),
            lichen="user",
            scope=scope,
            methods=sorted({*spec.methods, *(parent.methods if parent else ())}),
            parents=[(parent.parents or [parent.jti])[-1]] if parent else [],
        )
        token = self._tokens.sign(claims)
        self._authenticator.caller_of(claims, token)
        return _answer(obj, self._status(claims, token))

    async def inspect(self, caller: Caller, obj: Object) -> Object:
        """TokenInspection: what a token says. NotFound: it does not hold. Forbidden: it is another's."""
        claims = self._other_token(caller, TokenInspection.of(obj).spec.token, ("service",), ("system",))
        if claims.lichen != "user":
            raise NotFound("Could not find token.")
        return _answer(obj, self._status(claims, ""))

    async def revoke(self, caller: Caller, obj: Object) -> Object:
        """TokenRevocation: the token does not hold from now on, in any replica. NotFound, Forbidden."""
        claims = self._other_token(caller, TokenRevocation.of(obj).spec.token, (), ())
        await self._forget_expired()
        name = hashlib.sha256(claims.jti.encode()).hexdigest()[:40]
        spec = {"auditId": claims.jti, "expiresAt": times.to_text(claims.exp)}
        with contextlib.suppress(AlreadyExists):
            await self._store.create(RevokedToken.KIND, new_object(RevokedToken.KIND, name, spec=spec))
        await self._directory.refresh(RevokedToken.KIND, name)
        return {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": {}}

    async def scopes(self, caller: Caller, obj: Object) -> Object:
        """ScopeReview: where a user has roles. Forbidden: another user, without admin."""
        user_id = ScopeReview.of(obj).spec.user_id or caller.user_id
        if user_id != caller.user_id and not (caller.is_admin or caller.scope == "system"):
            raise Forbidden("You are not authorized to perform the requested action: see another user's projects.")
        status = ScopeReview.Status(
            namespaces=sorted(name_of(p) for p in roles.projects_of(self._directory, user_id)),
            domains=sorted(name_of(d) for d in roles.domains_of(self._directory, user_id)),
            system=roles.has_system_role(self._directory, user_id),
        )
        return {**obj, "status": to_wire(status)}

    def _end(self, usual: float, *delegations: Object | None) -> float:
        """No token outlives what it came through."""
        ends = [times.to_seconds(d["spec"].get("expiresAt", "")) for d in delegations if d is not None]
        return min([usual, *(end for end in ends if end)])

    # --- who asks ---

    def _parent(self, token: str) -> Claims:
        """The token to exchange. NotFound, as upstream: it does not hold (any more)."""
        try:
            claims = self._authenticator.claims_of(token)
        except Unauthorized:
            raise NotFound("Could not find token.") from None
        if claims.lichen != "user":
            raise Unauthorized(REFUSED)
        return claims

    async def _credential(self, spec: Token.Spec) -> Object | None:
        """The application credential that is shown, if one is. Unauthorized."""
        if "application_credential" not in spec.methods:
            return None
        shown = spec.application_credential
        if shown is None:
            raise BadRequest("Method application_credential needs an application credential and its secret.")
        found = self._named_credential(shown)
        is_right = found is not None and await self._delegations.proves(found, shown.secret)
        if found is None or not is_right or self._authenticator.is_over(found):
            raise Unauthorized(REFUSED)
        return found

    def _named_credential(self, shown: ApplicationCredentialLogin) -> Object | None:
        if shown.id:
            return self._directory.application_credentials_by_id.one(shown.id)
        login = PasswordLogin(
            user_id=shown.user_id, user_name=shown.user_name, user_domain_id=shown.user_domain_id,
            user_domain_name=shown.user_domain_name, password="",
        )  # fmt: skip
        user = self._named_user(login)
        mine = self._directory.application_credentials_by_part.all(user["spec"]["id"]) if user else []
        return next((c for c in mine if display_name(c) == shown.name), None)

    async def _granted(self, spec: Token.Spec) -> Object | None:
        """The access token that the request is signed with, if with one. NotFound, Unauthorized."""
        if "oauth1" not in spec.methods:
            return None
        if spec.oauth1 is None:
            raise BadRequest("Method oauth1 needs a request that is signed.")
        return await self._oauth1.granted(spec.oauth1)

    async def _prove(self, spec: Token.Spec, parent: Claims | None, through: Object | None) -> Object:
        """through: the application credential or the access token, which stand alone."""
        if through is not None:
            if len(set(spec.methods)) > 1:
                raise Unauthorized("Attempted to authenticate with an unsupported method.")
            return self._authenticator.live_user(through["spec"]["userId"])
        if "password" not in spec.methods:
            assert parent is not None
            return self._authenticator.live_user(parent.sub)
        if spec.password is None:
            raise BadRequest("Method password needs a user and a password.")
        user = self._named_user(spec.password)
        began = self._clock.now()
        is_right = await self._credentials.check(user, spec.password.password)
        if user is None or not is_right or (parent is not None and parent.sub != user["spec"]["id"]):
            raise Unauthorized(REFUSED)
        user = self._authenticator.live_user(user["spec"]["id"])
        if times.to_seconds(user["spec"].get("tokensValidAfter", "")) > began:
            raise Unauthorized(REFUSED)
        self._credentials.check_expiry(user)
        return user

    def _named_user(self, login: PasswordLogin) -> Object | None:
        if login.user_id:
            return self._directory.user(login.user_id)
        if not login.user_name:
            raise BadRequest("A user is named by its id, or by its name and domain.")
        domain = self._domain_id(login.user_domain_id, login.user_domain_name)
        return self._directory.users_by_name.one((domain, login.user_name))

    def _domain_id(self, id: str, name: str) -> str:
        if id:
            return id
        if not name:
            raise BadRequest("A name needs its domain: by id or by name.")
        domain = self._directory.domain(name=name)
        found: str = domain["spec"]["id"] if domain else ""
        return found

    # --- what for ---

    def _trust(self, wanted: TokenScope | None, user_id: str) -> Object | None:
        """The trust that is asked for, if one is: only its trustee uses it. Forbidden."""
        if wanted is None or not wanted.trust_id:
            return None
        trust = self._directory.trusts_by_id.one(wanted.trust_id)
        if trust is None or trust["spec"]["trusteeUserId"] != user_id or self._authenticator.is_over(trust):
            raise Forbidden("You are not authorized to perform the requested action: use that trust.")
        return trust

    def _scope_of(
        self,
        user: Object,
        wanted: TokenScope | None,
        app: str,
        trust: Object | None,
        granted: Object | None,
        parent: Claims | None,
    ) -> Scope:
        """The project of what a token comes through is given with it; a token that came through one stays there."""
        if parent and (parent.trust or parent.oauth):
            raise Forbidden("You are not authorized to perform the requested action: rescope a delegation's token.")
        if trust is not None:
            if app or granted:
                raise Forbidden("You are not authorized to perform the requested action: rescope that token.")
            return Scope(project=trust["spec"]["projectId"])
        if not app and granted is None:
            return self._scope(user, wanted)
        through = granted or self._directory.application_credentials_by_id.one(app)
        scope = Scope(project=through["spec"]["projectId"] if through else "-")
        if wanted is not None and self._scope(user, wanted) not in (scope, Scope()):
            raise Unauthorized("A token of an application credential or an access token is for its project.")
        return scope

    def _scope(self, user: Object, wanted: TokenScope | None) -> Scope:
        if wanted is None:
            default = user["spec"].get("defaultProjectId", "")
            usable = default and roles.roles_in(self._directory, user["spec"]["id"], Scope(project=default))
            return Scope(project=default) if usable else Scope()
        if wanted.unscoped:
            return Scope()
        if wanted.system:
            return Scope(system=True)
        if wanted.project_id or wanted.project_name:
            return Scope(project=wanted.project_id or self._project_id(wanted))
        if wanted.domain_id or wanted.domain_name:
            return Scope(domain=self._domain_id(wanted.domain_id, wanted.domain_name) or "-")
        raise BadRequest("A scope is a project, a domain, the system or nothing.")

    def _project_id(self, wanted: TokenScope) -> str:
        domain = self._domain_id(wanted.domain_id, wanted.domain_name)
        project = self._directory.projects_by_name.one((domain, wanted.project_name))
        if project is None:
            raise Unauthorized(REFUSED)
        id: str = project["metadata"]["labels"][PROJECT_ID]
        return id

    # --- what it says ---

    def _other_token(self, caller: Caller, token: str, roles_too: tuple[str, ...], scopes: tuple[str, ...]) -> Claims:
        try:
            claims = self._authenticator.claims_of(token)
        except Unauthorized:
            raise NotFound("Could not find token.") from None
        mine = bool(caller.user_id) and claims.sub == caller.user_id
        if not (mine or caller.is_admin or caller.scope in scopes or set(roles_too) & set(caller.roles)):
            raise Forbidden("You are not authorized to perform the requested action: it is another user's token.")
        return claims

    def _status(self, claims: Claims, token: str) -> TokenStatus:
        user = self._directory.user(claims.sub)
        assert user is not None
        return TokenStatus(
            token=token,
            issued_at=times.to_text(claims.iat),
            expires_at=times.to_text(claims.exp),
            audit_ids=[claims.jti, *claims.parents],
            methods=claims.methods,
            user=self._named(claims.sub, display_name(user), user["spec"].get("domainId") or "default"),
            password_expires_at=user["spec"].get("passwordExpiresAt", ""),
            project=self._project(claims.scope.project),
            domain=self._domain(claims.scope.domain),
            system=claims.scope.system,
            roles=[
                Named(id=role["spec"]["id"], name=display_name(role))
                for role in roles.roles_of(self._directory, claims)
                if not role["spec"].get("domainId")
            ],
            application_credential=self._through(claims.app),
            restricted=bool(claims.app) and not self._credential_spec(claims.app).get("unrestricted", False),
            trust=self._through_trust(claims.trust),
            oauth1=self._through_access_token(claims.oauth),
            services=self._services(),
            shown=self._shown(claims.scope.project),
        )

    def _credential_spec(self, id: str) -> Object:
        credential = self._directory.application_credentials_by_id.one(id)
        spec: Object = credential["spec"] if credential else {}
        return spec

    def _through(self, app: str) -> Named | None:
        return Named(id=app, name=self._credential_spec(app).get("displayName", "")) if app else None

    def _through_trust(self, id: str) -> ThroughTrust | None:
        trust = self._directory.trusts_by_id.one(id) if id else None
        if trust is None:
            return None
        spec = trust["spec"]
        return ThroughTrust(
            id=id, impersonation=spec.get("impersonation", False), trustor_user_id=spec["trustorUserId"],
            trustee_user_id=spec["trusteeUserId"],
        )  # fmt: skip

    def _through_access_token(self, id: str) -> ThroughAccessToken | None:
        token = self._directory.oauth_tokens_by_id.one(id) if id else None
        return ThroughAccessToken(id=id, consumer_id=token["spec"]["consumerId"]) if token else None

    def _services(self) -> list[ListedService]:
        return [
            ListedService(
                id=spec["id"], type=spec["type"], name=spec.get("displayName", ""),
                endpoints=[
                    ListedEndpoint(
                        id=e["id"], interface=e["interface"], region_id=e.get("regionId", ""), url=e["url"]
                    )
                    for e in (o["spec"] for o in self._directory.endpoints_by_service.all(spec["id"]))
                    if e.get("enabled", True)
                ],
            )
            for spec in (o["spec"] for o in self._directory.services.items.values())
            if spec.get("enabled", True)
        ]  # fmt: skip

    def _shown(self, project_id: str) -> ShownEndpoints | None:
        held = [a["spec"] for a in self._directory.endpoint_associations_by_part.all(project_id)] if project_id else []
        if not held:
            return None
        groups = (self._directory.endpoint_groups_by_id.one(a["groupId"]) for a in held if a.get("groupId"))
        return ShownEndpoints(
            endpoint_ids=[a["endpointId"] for a in held if a.get("endpointId")],
            filters=[group["spec"]["filters"] for group in groups if group],
        )

    def _named(self, id: str, name: str, domain_id: str) -> Named:
        return Named(id=id, name=name, domain_id=domain_id, domain_name=self._directory.domain_name(domain_id))

    def _project(self, id: str) -> Named | None:
        project = self._directory.projects_by_id.one(id) if id else None
        return self._named(id, project_name(project), project_domain(project)) if project else None

    def _domain(self, id: str) -> Named | None:
        return Named(id=id, name=self._directory.domain_name(id)) if id else None

    async def _forget_expired(self) -> None:
        now = self._clock.now()
        for obj in list(self._directory.revoked.items.values())[:100]:
            if times.to_seconds(obj["spec"]["expiresAt"]) < now:
                try:
                    await self._store.delete(RevokedToken.KIND, name_of(obj))
                except NotFound:
                    continue


def _answer(obj: Object, status: TokenStatus) -> Object:
    """The object with its status, and without what it was asked with: a password never comes back."""
    wire: dict[str, Any] = msgspec.to_builtins(status)
    return {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": {}, "status": wire}
