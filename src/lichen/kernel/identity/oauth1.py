# SPDX-License-Identifier: Apache-2.0
"""OAuth 1.0a (OS-OAUTH1): a consumer signs what it asks for, a user delegates some of its roles to it. Virtual kinds
OAuthExchange and OAuthAuthorization; admission of consumers and tokens; secrets stay in Secrets."""

from __future__ import annotations

import hmac
import secrets
import string
import uuid
from typing import Any

from lichen.kernel.access import Clock
from lichen.kernel.admission import Request, refused
from lichen.kernel.identity import times
from lichen.kernel.identity.directory import Directory
from lichen.kernel.identity.kept import Kept
from lichen.kernel.identity.passwords import MAX_LENGTH
from lichen.kernel.identity.roles import roles_in
from lichen.kernel.identity.tokens import Scope
from lichen.kinds.identity.oauth1 import OAuthAuthorization, OAuthConsumer, OAuthExchange, OAuthToken, SignedRequest
from lichen.model.data import Object, to_wire
from lichen.model.errors import BadRequest, Conflict, Forbidden, NotFound, Unauthorized
from lichen.model.kind import Kind, new_object
from lichen.model.meta import name_of
from lichen.model.state import Caller, State

LIFETIMES = {"request": 8 * 3600.0, "access": 24 * 3600.0}
"""As Keystone's defaults."""
VERIFIER_LENGTH = 8
VERIFIER_LETTERS = "".join(c for c in string.ascii_letters + string.digits if c not in "jiIl1oO0")
"""It is typed by people: letters that look alike are left out."""


class OAuth1:
    """Admission of the kinds, what signed requests are answered, and whom an access token lets log in."""

    kinds: tuple[Kind, ...] | None = (OAuthConsumer.KIND, OAuthToken.KIND)
    verbs: tuple[str, ...] = ("create", "update", "delete")

    def __init__(self, store: State, directory: Directory, clock: Clock) -> None:
        self._store = store
        self._kept = Kept(store)
        self._directory = directory
        self._clock = clock
        self._seen: dict[tuple[str, str, str], float] = {}

    # --- admission ---

    async def admit(self, request: Request) -> None:
        if request.verb == "delete":
            request.done.append(lambda: self._forget(request))
        elif request.kind == OAuthToken.KIND:
            raise refused(request, "a consumer is given it for a signed request")
        else:
            self._consumer(request)

    def _consumer(self, request: Request) -> None:
        spec = request.object.setdefault("spec", {})
        secret = spec.pop("secret", "")
        if request.verb == "create":
            spec["id"] = spec.get("id") or uuid.uuid4().hex
            if self._directory.oauth_consumers_by_id.has(spec["id"]):
                raise Conflict(f"Duplicate entry found with ID {spec['id']}.")
        if len(secret) > MAX_LENGTH or (request.verb == "create" and not secret):
            raise BadRequest(f"spec.secret: 1 to {MAX_LENGTH} characters.")
        if secret and not request.dry_run:
            request.done.append(lambda: self._kept.put(f"oauth-consumer-{request.name}", spec["id"], secret))

    async def _forget(self, request: Request) -> None:
        """The secrets of what is gone; a consumer's tokens go with it."""
        if request.kind == OAuthToken.KIND:
            await self._forget_secrets(request.name)
            return
        await self._kept.remove(f"oauth-consumer-{request.name}")
        for token in list(self._directory.oauth_tokens_by_part.all(request.object["spec"]["id"])):
            await self._delete(token)

    # --- what a consumer asks ---

    async def exchange(self, caller: Caller, obj: Object) -> Object:
        """OAuthExchange: a token for a signed request. BadRequest, NotFound, Unauthorized."""
        spec = OAuthExchange.of(obj).spec
        consumer, token, signed = await self._signed(spec.request)
        if spec.usage == "access":
            made = await self._access(token, signed)
        elif self._directory.projects_by_id.one(spec.project_id) is None:
            raise NotFound(f"Could not find project: {spec.project_id}.")
        else:
            made = {"consumerId": consumer["spec"]["id"], "projectId": spec.project_id}
        await self._forget_expired()
        return _answer(obj, await self._give({**made, "usage": spec.usage}))

    async def granted(self, request: SignedRequest) -> Object:
        """The access token that a consumer logs in with. BadRequest, NotFound, Unauthorized."""
        _, token, _ = await self._signed(request)
        if token is None or token["spec"]["usage"] != "access":
            raise NotFound("Could not find access token.")
        return token

    async def _access(self, token: Object | None, signed: dict[str, str]) -> Object:
        """What an authorized request token says of the access token that it is exchanged for; once."""
        if not signed.get("oauth_verifier"):
            raise BadRequest("oauth_verifier is required.")
        if token is None or token["spec"]["usage"] != "request":
            raise NotFound("Could not find request token.")
        spec: Object = token["spec"]
        expected = await self._kept.get(f"oauth-verifier-{spec['id']}", spec["id"]) or ""
        if not expected or not hmac.compare_digest(expected.encode(), signed["oauth_verifier"].encode()):
            raise Unauthorized("The request token is not authorized by a user, or the verifier is not the one.")
        if not await self._delete(token):
            raise Unauthorized("The request token was exchanged already.")
        return {key: spec[key] for key in ("consumerId", "projectId", "userId", "roles")}

    async def _signed(self, request: SignedRequest) -> tuple[Object, Object | None, dict[str, str]]:
        """The consumer that signed a request, the token that it is made with, if with any, and its parameters."""
        from lichen.kernel.identity import signatures

        signed = signatures.parameters(request.authorization)
        consumer, token = self._consumer_of(signed), self._token_of(signed)
        id: str = consumer["spec"]["id"]
        secret = await self._kept.get(f"oauth-consumer-{name_of(consumer)}", id) or ""
        proof = await self._kept.get(f"oauth-token-{name_of(token)}", token["spec"]["id"]) if token else ""
        if not secret or proof is None or not signatures.holds(request.url, request.authorization, secret, proof):
            raise Unauthorized("Invalid signature, or its time is over.")
        if token is not None and token["spec"]["consumerId"] != id:
            raise Unauthorized("The token is another consumer's.")
        self._check_is_new((id, signed["oauth_timestamp"], signed["oauth_nonce"]), 2 * signatures.LIFETIME)
        return consumer, token, signed

    def _consumer_of(self, signed: dict[str, str]) -> Object:
        key = signed.get("oauth_consumer_key", "")
        if not key:
            raise BadRequest("oauth_consumer_key is required.")
        consumer = self._directory.oauth_consumers_by_id.one(key)
        if consumer is None:
            raise NotFound(f"Could not find consumer: {key[:64]}.")
        return consumer

    def _token_of(self, signed: dict[str, str]) -> Object | None:
        if not signed.get("oauth_token"):
            return None
        token = self._directory.oauth_tokens_by_id.one(signed["oauth_token"])
        if token is None:
            raise NotFound(f"Could not find token: {signed['oauth_token'][:64]}.")
        self._check_is_live(token)
        return token

    def _check_is_live(self, token: Object) -> None:
        if self._is_over(token):
            raise Unauthorized(f"The {token['spec']['usage']} token is expired.")

    def _check_is_new(self, call: tuple[str, str, str], seconds: float) -> None:
        """Unauthorized: the call was made before."""
        now = self._clock.now()
        for old in [key for key, end in self._seen.items() if end <= now]:
            del self._seen[old]
        if call in self._seen:
            raise Unauthorized("The request was made before: its nonce is used.")
        self._seen[call] = now + seconds

    # --- what a user says ---

    async def authorize(self, caller: Caller, obj: Object) -> Object:
        """OAuthAuthorization: the caller delegates roles that it has itself. NotFound, Unauthorized, Forbidden."""
        wanted = OAuthAuthorization.of(obj).spec
        if caller.application_credential_id or caller.trust_id or "oauth1" in caller.methods:
            raise Forbidden("Cannot authorize a request token with a token issued via delegation.")
        token = self._directory.oauth_tokens_by_id.one(wanted.request_token_id)
        held = self._roles(caller, token["spec"]["projectId"]) if token else set()
        if token is None or token["spec"]["usage"] != "request" or not held:
            raise NotFound(f"Could not find token: {wanted.request_token_id[:64]}.")
        self._check_is_live(token)
        if not wanted.roles:
            raise BadRequest("At least one role must be delegated.")
        if not held.issuperset(wanted.roles):
            raise Unauthorized("The authorizing user does not have that role on the requested project.")
        verifier = "".join(secrets.choice(VERIFIER_LETTERS) for _ in range(VERIFIER_LENGTH))
        await self._kept.put(f"oauth-verifier-{name_of(token)}", token["spec"]["id"], verifier)
        await self._store.patch(
            OAuthToken.KIND, name_of(token), "", {"spec": {"userId": caller.user_id, "roles": wanted.roles}}
        )
        await self._directory.refresh(OAuthToken.KIND, name_of(token))
        return _answer(obj, OAuthAuthorization.Status(verifier=verifier))

    def _roles(self, caller: Caller, project_id: str) -> set[str]:
        """Ids of the caller's roles; where it has none, nothing is there for it."""
        return {role["spec"]["id"] for role in roles_in(self._directory, caller.user_id, Scope(project=project_id))}

    # --- parts ---

    async def _give(self, spec: Object) -> OAuthExchange.Status:
        """A new token, and what is signed with it."""
        id, secret = uuid.uuid4().hex, secrets.token_hex(16)
        ends = times.to_text(self._clock.now() + LIFETIMES[spec["usage"]])
        await self._kept.put(f"oauth-token-{id}", id, secret)
        given = {"userId": "", "roles": [], **spec, "id": id, "expiresAt": ends}
        await self._store.create(OAuthToken.KIND, new_object(OAuthToken.KIND, id, spec=given))
        await self._directory.refresh(OAuthToken.KIND, id)
        return OAuthExchange.Status(id=id, secret=secret, expires_at=ends)

    async def _forget_expired(self) -> None:
        for token in [t for t in self._directory.oauth_tokens.items.values() if self._is_over(t)][:100]:
            await self._delete(token)

    async def _delete(self, token: Object) -> bool:
        """Whether it was there."""
        try:
            await self._store.delete(OAuthToken.KIND, name_of(token))
        except NotFound:
            return False
        await self._directory.refresh(OAuthToken.KIND, name_of(token))
        await self._forget_secrets(name_of(token))
        return True

    async def _forget_secrets(self, name: str) -> None:
        for what in ("token", "verifier"):
            await self._kept.remove(f"oauth-{what}-{name}")

    def _is_over(self, token: Object) -> bool:
        return times.to_seconds(token["spec"]["expiresAt"]) <= self._clock.now()


def _answer(obj: Object, status: Any) -> Object:
    """The object with its status, and without what it was asked with."""
    return {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": {}, "status": to_wire(status)}
