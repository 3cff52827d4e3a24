# SPDX-License-Identifier: Apache-2.0
"""/v3/auth: issue, check and end tokens; what the caller's token could be scoped to."""

from __future__ import annotations

from lichen.apis.openstack.identity import bodies, catalog, domains, oauth1, projects
from lichen.apis.openstack.identity.common import listed
from lichen.apis.openstack.reply import Reply, created, no_content
from lichen.apis.openstack.request import Request
from lichen.kinds.builtin import NAMESPACE
from lichen.kinds.identity.domain import Domain
from lichen.kinds.identity.token import ScopeReview, Token, TokenInspection, TokenRevocation
from lichen.model.data import Object
from lichen.model.errors import BadRequest, NotFound
from lichen.model.kind import Kind


async def issue(req: Request) -> Reply:
    auth = await req.json("auth", bodies.Auth)
    answer = await req.state.create(Token.KIND, _bare(Token.KIND, _spec(req, auth)))
    status = answer["status"]
    return created(_document(req, status), **{"X-Subject-Token": status["token"], "Vary": "X-Auth-Token"})


async def show(req: Request) -> Reply:
    token = _subject(req)
    answer = await req.state.create(TokenInspection.KIND, _bare(TokenInspection.KIND, {"token": token}))
    return Reply(_document(req, answer["status"]), headers={"X-Subject-Token": token, "Vary": "X-Auth-Token"})


async def revoke(req: Request) -> Reply:
    await req.state.create(TokenRevocation.KIND, _bare(TokenRevocation.KIND, {"token": _subject(req)}))
    return no_content()


async def list_my_projects(req: Request) -> Reply:
    return listed(req, "projects", [projects.view(req, p) for p in await reachable_projects(req)])


async def list_my_domains(req: Request) -> Reply:
    names = (await scopes(req))["domains"]
    found = [await req.state.get(Domain.KIND, name) for name in names]
    return listed(req, "domains", [domains.view(req, d) for d in found])


async def show_my_system(req: Request) -> Reply:
    has_role = (await scopes(req))["system"]
    return Reply({"system": [{"all": True}] if has_role else [], "links": {"self": req.this_url()}})


async def scopes(req: Request, user_id: str = "") -> Object:
    """Where a user has roles: namespaces, domains, system."""
    answer = await req.state.create(ScopeReview.KIND, _bare(ScopeReview.KIND, {"userId": user_id} if user_id else {}))
    status: Object = answer.get("status") or {}
    return {"namespaces": [], "domains": [], "system": False, **status}


async def reachable_projects(req: Request, user_id: str = "") -> list[Object]:
    """The projects (Namespaces) that a user has a role on."""
    names = (await scopes(req, user_id))["namespaces"]
    return [await req.state.get(NAMESPACE, name) for name in names]


def _bare(kind: Kind, spec: Object) -> Object:
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {}, "spec": spec}


def _subject(req: Request) -> str:
    token = req.headers.get("x-subject-token", "")
    if not token:
        raise BadRequest("The header X-Subject-Token is required.")
    return token


def _spec(req: Request, auth: bodies.Auth) -> Object:
    """Keystone's auth document as a Token's spec."""
    spec: Object = {"methods": auth.identity.methods}
    if "password" in auth.identity.methods:
        if auth.identity.password is None:
            raise BadRequest("Invalid input: auth.identity.password is required by its method.")
        spec["password"] = _login(auth.identity.password.user)
    if "token" in auth.identity.methods:
        if auth.identity.token is None:
            raise BadRequest("Invalid input: auth.identity.token is required by its method.")
        spec["token"] = auth.identity.token.id
    if "application_credential" in auth.identity.methods:
        shown = auth.identity.application_credential
        if shown is None:
            raise BadRequest("Invalid input: auth.identity.application_credential is required by its method.")
        who = _login(shown.user)
        spec["applicationCredential"] = _present({**who, "password": "", "id": shown.id, "name": shown.name})
        spec["applicationCredential"]["secret"] = shown.secret
    if "oauth1" in auth.identity.methods:
        spec["oauth1"] = oauth1.signed(req)
    if auth.scope is not None:
        spec["scope"] = _scope(auth.scope)
    return spec


def _login(user: bodies.AuthUser) -> Object:
    who = {
        "userId": user.id,
        "userName": user.name,
        "userDomainId": user.domain.id,
        "userDomainName": user.domain.name,
    }
    return {"password": user.password, **{key: value for key, value in who.items() if value}}


def _scope(scope: object) -> Object:
    if not isinstance(scope, bodies.AuthScope) or scope.unscoped is not None:
        return {"unscoped": True}
    if scope.trust is not None:
        return {"trustId": scope.trust.id}
    given = [part for part in (scope.project, scope.domain, scope.system) if part is not None]
    if len(given) != 1:
        raise BadRequest("Invalid input: auth.scope names exactly one of project, domain and system.")
    if scope.system is not None:
        return {"system": True}
    if scope.domain is not None:
        return _present({"domainId": scope.domain.id, "domainName": scope.domain.name})
    project = scope.project
    assert project is not None
    domain = {} if project.id else {"domainId": project.domain.id, "domainName": project.domain.name}
    return _present({"projectId": project.id, "projectName": "" if project.id else project.name, **domain})


def _present(values: dict[str, str]) -> Object:
    return {key: value for key, value in values.items() if value}


def _document(req: Request, status: Object) -> Object:
    user = status.get("user")
    if user is None:
        raise NotFound("Could not find token.")
    token: Object = {
        "methods": status.get("methods", []),
        "user": {**_in_domain(user), "password_expires_at": _instant(status.get("passwordExpiresAt", ""))},
        "audit_ids": status.get("auditIds", []),
        "issued_at": status["issuedAt"],
        "expires_at": status["expiresAt"],
    }
    if status.get("project"):
        token |= {"project": _in_domain(status["project"]), "is_domain": False}
    elif status.get("domain"):
        token["domain"] = {"id": status["domain"]["id"], "name": status["domain"].get("name", "")}
    elif status.get("system"):
        token["system"] = {"all": True}
    if status.get("roles"):
        token["roles"] = [{"id": role["id"], "name": role["name"]} for role in status["roles"]]
        if "nocatalog" not in req.query:
            token["catalog"] = catalog.catalog(req, status)
    return {"token": token | _through(status)}


def _through(status: Object) -> Object:
    """What a token came through: an application credential, a trust, an access token."""
    through: Object = {}
    if credential := status.get("applicationCredential"):
        about = {
            "id": credential["id"],
            "name": credential.get("name", ""),
            "restricted": status.get("restricted", False),
        }
        through["application_credential"] = about
    if trust := status.get("trust"):
        through["OS-TRUST:trust"] = {
            "id": trust["id"],
            "impersonation": trust.get("impersonation", False),
            "trustor_user": {"id": trust["trustorUserId"]},
            "trustee_user": {"id": trust["trusteeUserId"]},
        }
    if granted := status.get("oauth1"):
        through["OS-OAUTH1"] = {"access_token_id": granted["id"], "consumer_id": granted["consumerId"]}
    return through


def _instant(text: str) -> str | None:
    """As keystone writes this one: without its zone."""
    return text.removesuffix("Z") or None


def _in_domain(thing: Object) -> Object:
    domain = {"id": thing.get("domainId", ""), "name": thing.get("domainName", "")}
    return {"id": thing["id"], "name": thing.get("name", ""), "domain": domain}
