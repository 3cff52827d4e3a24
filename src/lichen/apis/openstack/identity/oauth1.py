# SPDX-License-Identifier: Apache-2.0
"""/v3/OS-OAUTH1 and users' access tokens: a program (consumer) is given some roles of a user, by OAuth 1.0a."""

from __future__ import annotations

import secrets
from urllib.parse import urlencode

import msgspec

from lichen.apis.openstack.identity import bodies, roles
from lichen.apis.openstack.identity.application_credentials import role_id
from lichen.apis.openstack.identity.common import everything, find, links, listed, of_user
from lichen.apis.openstack.reply import Reply, created, no_content
from lichen.apis.openstack.request import Request
from lichen.kinds.identity.oauth1 import OAuthAuthorization, OAuthConsumer, OAuthExchange, OAuthToken
from lichen.kinds.identity.role import Role
from lichen.model.data import Object
from lichen.model.errors import BadRequest, NotFound
from lichen.model.kind import new_object
from lichen.model.meta import name_of

FORM = "application/x-www-form-urlencoded"


async def list_consumers(req: Request) -> Reply:
    return listed(req, "consumers", [_consumer(req, c) for c in await everything(req, OAuthConsumer.KIND)])


async def show_consumer(req: Request, consumer_id: str) -> Reply:
    return Reply({"consumer": _consumer(req, await find(req, OAuthConsumer.KIND, consumer_id))})


async def create_consumer(req: Request) -> Reply:
    body = await req.json("consumer", bodies.ConsumerBody)
    id, secret = secrets.token_hex(16), secrets.token_hex(16)
    spec = {"id": id, "description": body.description or "", "secret": secret}
    made = await req.state.create(OAuthConsumer.KIND, new_object(OAuthConsumer.KIND, id, spec=spec))
    return created({"consumer": {**_consumer(req, made), "secret": secret}})


async def update_consumer(req: Request, consumer_id: str) -> Reply:
    body = await req.json("consumer", bodies.ConsumerUpdate)
    if body.description is msgspec.UNSET:
        raise BadRequest("Invalid input: the description is what can be changed of a consumer.")
    name = name_of(await find(req, OAuthConsumer.KIND, consumer_id))
    changed = await req.state.patch(OAuthConsumer.KIND, name, "", {"spec": {"description": body.description or ""}})
    return Reply({"consumer": _consumer(req, changed)})


async def delete_consumer(req: Request, consumer_id: str) -> Reply:
    await req.state.delete(OAuthConsumer.KIND, name_of(await find(req, OAuthConsumer.KIND, consumer_id)))
    return no_content()


async def create_request_token(req: Request) -> Reply:
    project = req.headers.get("requested-project-id", "")
    if not project:
        raise BadRequest("The header Requested-Project-Id is required.")
    return await _exchange(req, {"usage": "request", "projectId": project})


async def create_access_token(req: Request) -> Reply:
    return await _exchange(req, {"usage": "access"})


async def authorize(req: Request, request_token_id: str) -> Reply:
    wanted = await req.json("roles", list[bodies.RoleRef])
    held = {role["spec"]["id"]: role for role in await everything(req, Role.KIND)}
    ids = sorted({role_id(held, ref) for ref in wanted})
    spec = {"requestTokenId": request_token_id, "roles": ids}
    answer = await req.state.create(OAuthAuthorization.KIND, new_object(OAuthAuthorization.KIND, "", spec=spec))
    return Reply({"token": {"oauth_verifier": answer["status"]["verifier"]}})


async def list_access_tokens(req: Request, user_id: str) -> Reply:
    return listed(req, "access_tokens", [_access_token(req, token) for token in await _access_tokens(req, user_id)])


async def show_access_token(req: Request, user_id: str, access_token_id: str) -> Reply:
    return Reply({"access_token": _access_token(req, await _one(req, user_id, access_token_id))})


async def delete_access_token(req: Request, user_id: str, access_token_id: str) -> Reply:
    await req.state.delete(OAuthToken.KIND, name_of(await _one(req, user_id, access_token_id)))
    return no_content()


async def list_roles(req: Request, user_id: str, access_token_id: str) -> Reply:
    views = await _roles(req, await _one(req, user_id, access_token_id))
    return Reply({"roles": views, "links": {"self": req.this_url(), "previous": None, "next": None}})


async def show_role(req: Request, user_id: str, access_token_id: str, role_id: str) -> Reply:
    for view in await _roles(req, await _one(req, user_id, access_token_id)):
        if view["id"] == role_id:
            return Reply({"role": view})
    raise NotFound(f"Could not find role: {role_id}.")


def signed(req: Request) -> Object:
    """The request as its consumer signed it. BadRequest: it is not."""
    authorization = req.headers.get("authorization", "")
    if not authorization:
        raise BadRequest("The header Authorization is required, with the request's OAuth signature.")
    return {"url": req.this_url(), "authorization": authorization}


async def _exchange(req: Request, spec: Object) -> Reply:
    asked = new_object(OAuthExchange.KIND, "", spec={**spec, "request": signed(req)})
    status = (await req.state.create(OAuthExchange.KIND, asked))["status"]
    answer = {"oauth_token": status["id"], "oauth_token_secret": status["secret"]}
    form = urlencode({**answer, "oauth_expires_at": status["expiresAt"]}, safe=":")
    return Reply(form.encode(), status=201, content_type=FORM)


async def _access_tokens(req: Request, user_id: str) -> list[Object]:
    return [t for t in await of_user(req, OAuthToken.KIND, user_id) if t["spec"]["usage"] == "access"]


async def _one(req: Request, user_id: str, id: str) -> Object:
    found = next((t for t in await _access_tokens(req, user_id) if t["spec"]["id"] == id), None)
    if found is None:
        raise NotFound(f"Could not find access token: {id}.")
    return found


async def _roles(req: Request, token: Object) -> list[Object]:
    held = {role["spec"]["id"]: role for role in await everything(req, Role.KIND)}
    return [roles.view(req, held[id]) for id in token["spec"].get("roles") or [] if id in held]


def _consumer(req: Request, consumer: Object) -> Object:
    """Never its secret."""
    spec = consumer["spec"]
    links_ = links(req, "OS-OAUTH1/consumers", spec["id"])
    return {"id": spec["id"], "description": spec.get("description") or None, "links": links_}


def _access_token(req: Request, token: Object) -> Object:
    """Never its secret."""
    spec = token["spec"]
    here = links(req, f"users/{spec['userId']}/OS-OAUTH1/access_tokens", spec["id"])
    return {
        "id": spec["id"],
        "consumer_id": spec["consumerId"],
        "project_id": spec["projectId"],
        "authorizing_user_id": spec["userId"],
        "expires_at": spec["expiresAt"],
        "links": {**here, "roles": f"{here['self']}/roles"},
    }
