# SPDX-License-Identifier: Apache-2.0
"""Application credentials, access rules, credentials and trusts: each belongs to a user, who alone makes it, within
what the user itself may do; secrets are taken out at admission. Virtual kind CredentialDisclosure."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable

from lichen.kernel.access import Clock
from lichen.kernel.admission import Request, refused
from lichen.kernel.identity import times
from lichen.kernel.identity.directory import Directory, display_name
from lichen.kernel.identity.kept import Kept
from lichen.kernel.identity.passwords import MAX_LENGTH, Passwords
from lichen.kernel.identity.roles import roles_in
from lichen.kernel.identity.tokens import Scope
from lichen.kinds.identity.application_credential import AccessRule, ApplicationCredential
from lichen.kinds.identity.credential import Credential, CredentialDisclosure
from lichen.kinds.identity.trust import Trust
from lichen.model.data import Object
from lichen.model.errors import AlreadyExists, BadRequest, Conflict, Forbidden, NotFound
from lichen.model.kind import Kind, new_object
from lichen.model.meta import name_of
from lichen.model.state import Caller, State

OWNED = (ApplicationCredential.KIND, AccessRule.KIND, Credential.KIND, Trust.KIND)
OWNER = {Trust.KIND: "trustorUserId"}
PREFIX = {ApplicationCredential.KIND: "application-credential", Credential.KIND: "credential"}
SECRET_FIELD = {ApplicationCredential.KIND: "secret", Credential.KIND: "blob"}
MOST_BLOB = 65535


def kept_name(kind: Kind, name: str) -> str:
    """The Secret with the secret part of an object."""
    return f"{PREFIX[kind]}-{name}"


class Delegations:
    """Admission of what a user hands on or keeps."""

    kinds: tuple[Kind, ...] | None = OWNED
    verbs: tuple[str, ...] = ("create", "update", "delete")

    def __init__(self, store: State, directory: Directory, passwords: Passwords, clock: Clock) -> None:
        self._kept = Kept(store)
        self._directory = directory
        self._passwords = passwords
        self._clock = clock

    async def admit(self, request: Request) -> None:
        if request.kind in (ApplicationCredential.KIND, Trust.KIND):
            self._refuse_restricted(request)
        if request.verb == "create":
            await self._create(request)
        elif request.verb == "update":
            await self._update(request)
        else:
            self._delete(request)

    # --- verbs ---

    async def _create(self, request: Request) -> None:
        spec = request.object.setdefault("spec", {})
        spec["id"] = spec.get("id") or uuid.uuid4().hex
        owner = OWNER.get(request.kind, "userId")
        spec[owner] = spec.get(owner) or request.caller.user_id
        others_too = request.kind == Credential.KIND and request.caller.is_admin
        if not self._is_system(request) and spec[owner] != request.caller.user_id and not others_too:
            raise refused(request, "only the user that it belongs to may make it")
        if self._directory.user(spec[owner]) is None:
            raise BadRequest(f"Could not find user: {spec[owner]}.")
        if request.kind == ApplicationCredential.KIND:
            await self._application_credential(request, spec)
        elif request.kind == Trust.KIND:
            self._trust(request, spec)
        elif request.kind == Credential.KIND:
            await self._keep(request, spec)

    async def _update(self, request: Request) -> None:
        old = (request.old or {}).get("spec") or {}
        if request.kind == Credential.KIND and request.object["spec"].get("blob"):
            await self._keep(request, request.object["spec"])
        same = {**request.object["spec"], "displayName": ""} == {**old, "displayName": ""}
        if not same and not self._is_system(request):
            raise refused(request, "it is not changed: delete it and make another")

    def _delete(self, request: Request) -> None:
        if request.kind == AccessRule.KIND and self._is_in_use(request.object["spec"]["id"]):
            raise Forbidden("The access rule is in use by an application credential.")
        if request.kind in PREFIX:
            secret = kept_name(request.kind, request.name)
            request.done.append(lambda: self._kept.remove(secret))

    # --- kinds ---

    async def _application_credential(self, request: Request, spec: Object) -> None:
        spec["projectId"] = spec.get("projectId") or request.caller.project_id
        spec["displayName"] = spec.get("displayName") or request.name
        mine = self._directory.application_credentials_by_part.all(spec["userId"])
        if any(display_name(other) == spec["displayName"] for other in mine):
            raise Conflict(f"There is an application credential named {spec['displayName']} already.")
        self._check_roles(request, spec, spec["userId"])
        self._check_expiry(spec)
        for rule in spec.get("accessRules") or ():
            rule["id"] = await _kept_rule(request.state, spec["userId"], rule)
        await self._keep(request, spec)

    def _trust(self, request: Request, spec: Object) -> None:
        if self._directory.user(spec.get("trusteeUserId", "")) is None:
            raise NotFound(f"Could not find user: {spec.get('trusteeUserId', '')}.")
        if not spec.get("roles"):
            raise Forbidden("At least one role must be delegated.")
        self._check_roles(request, spec, spec["trustorUserId"])
        self._check_expiry(spec)

    def _check_roles(self, request: Request, spec: Object, user_id: str) -> None:
        """What is handed on is held: in the project that the caller is in, so that no token widens itself."""
        if not spec.get("projectId"):
            raise BadRequest("It is for a project: the token that makes it must be scoped to one.")
        held = {role["spec"]["id"] for role in roles_in(self._directory, user_id, Scope(project=spec["projectId"]))}
        if not self._is_system(request):
            if spec["projectId"] != request.caller.project_id:
                raise refused(request, "it is for the project that the token is scoped to")
            through = request.caller.application_credential_id
            limit = self._directory.application_credentials_by_id.one(through) if through else None
            held &= set(limit["spec"].get("roles") or []) if limit else held
        spec["roles"] = spec.get("roles") or sorted(held)
        missing = set(spec["roles"]) - held
        if missing or not spec["roles"]:
            error = Forbidden if request.kind == Trust.KIND else BadRequest
            raise error(f"The user does not have role {', '.join(sorted(missing)) or 'at all'} on that project.")

    def _check_expiry(self, spec: Object) -> None:
        if not spec.get("expiresAt"):
            return
        at = times.to_seconds(spec["expiresAt"])
        if at <= self._clock.now():
            raise BadRequest("expires_at must be a time in the future, as 2030-01-31T12:00:00Z.")
        spec["expiresAt"] = times.to_text(at)

    # --- parts ---

    async def _keep(self, request: Request, spec: Object) -> None:
        """Take the secret out of the object and into a Secret."""
        secret = spec.pop(SECRET_FIELD[request.kind], "")
        most = MAX_LENGTH if request.kind == ApplicationCredential.KIND else MOST_BLOB
        if not 0 < len(secret) <= most:
            raise BadRequest(f"spec.{SECRET_FIELD[request.kind]}: 1 to {most} characters.")
        if request.dry_run:
            return
        if request.kind == ApplicationCredential.KIND:
            secret = await self._passwords.hash(secret)
        name, id = kept_name(request.kind, request.name), spec["id"]

        async def put() -> None:
            await self._kept.put(name, id, secret)

        request.done.append(put)

    def _refuse_restricted(self, request: Request) -> None:
        through = request.caller.application_credential_id
        credential = self._directory.application_credentials_by_id.one(through) if through else None
        is_handed_on = request.caller.trust_id or "oauth1" in request.caller.methods
        if is_handed_on or (through and not (credential or {"spec": {}})["spec"].get("unrestricted")):
            raise Forbidden(
                "A token of a restricted application credential, of a trust or by OAuth makes and deletes no others."
            )

    def _is_in_use(self, rule_id: str) -> bool:
        credentials: Iterable[Object] = self._directory.application_credentials.items.values()
        return any(r.get("id") == rule_id for c in credentials for r in c["spec"].get("accessRules") or ())

    def _is_system(self, request: Request) -> bool:
        return "system:masters" in request.caller.groups

    # --- logging in, and showing ---

    async def proves(self, credential: Object, secret: str) -> bool:
        """Whether it is the application credential's secret."""
        name = kept_name(ApplicationCredential.KIND, name_of(credential))
        return await self._passwords.matches(secret, await self._kept.get(name, credential["spec"]["id"]))

    async def disclose(self, caller: Caller, obj: Object) -> Object:
        """CredentialDisclosure: secrets of one's own; those of others are left out, but for admin."""
        blobs = {}
        for name in CredentialDisclosure.of(obj).spec.names:
            credential = self._directory.credentials.get(name)
            if credential is None or not (caller.is_admin or credential["spec"].get("userId") == caller.user_id):
                continue
            blobs[name] = await self._kept.get(kept_name(Credential.KIND, name), credential["spec"]["id"]) or ""
        return {**obj, "status": {"blobs": blobs}}


async def _kept_rule(state: State, user_id: str, rule: Object) -> str:
    """The id of the user's AccessRule for a call; made if there is none."""
    call = {key: rule.get(key, "") for key in ("service", "method", "path")}
    name = hashlib.sha256("\0".join((user_id, *call.values())).encode()).hexdigest()[:40]
    spec = {"id": rule.get("id") or uuid.uuid4().hex, "userId": user_id, **call}
    try:
        made = await state.create(AccessRule.KIND, new_object(AccessRule.KIND, name, spec=spec))
    except AlreadyExists:
        made = await state.get(AccessRule.KIND, name)
    id: str = made["spec"]["id"]
    return id
