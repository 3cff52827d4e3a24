# SPDX-License-Identifier: Apache-2.0
"""Kubernetes' questions about callers and rights: TokenReview, SelfSubjectReview, the access and rules reviews."""

from __future__ import annotations

from lichen.kernel.identity.authenticator import Authenticator
from lichen.kernel.identity.authorizer import Authorizer
from lichen.kernel.identity.rules import RuleSet
from lichen.kernel.identity.tokens import AUDIENCE
from lichen.kinds.catalog import all_kinds
from lichen.model.caller import from_user_info, to_user_info
from lichen.model.data import Object
from lichen.model.errors import BadRequest, Unauthorized
from lichen.model.kind import Kind
from lichen.model.state import Caller

EVERYTHING = [
    {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
    {"verbs": ["*"], "nonResourceURLs": ["*"]},
]


class Reviews:
    """Answers them from the authenticator and the authorizer."""

    def __init__(self, authenticator: Authenticator, authorizer: Authorizer) -> None:
        self._authenticator = authenticator
        self._authorizer = authorizer

    async def token(self, caller: Caller, obj: Object) -> Object:
        """TokenReview: who bears a token. One that does not hold is an answer, not an error."""
        spec = obj.get("spec") or {}
        audiences = spec.get("audiences") or [AUDIENCE]
        try:
            bearer = await self._authenticator.authenticate(spec.get("token") or "")
        except Unauthorized as error:
            return _answer(obj, {"authenticated": False, "error": error.message})
        if AUDIENCE not in audiences:
            return _answer(obj, {"authenticated": False, "error": "the token is for another audience"})
        return _answer(obj, {"authenticated": True, "user": to_user_info(bearer), "audiences": [AUDIENCE]})

    async def myself(self, caller: Caller, obj: Object) -> Object:
        """SelfSubjectReview: who I am."""
        return _answer(obj, {"userInfo": to_user_info(caller)})

    async def my_access(self, caller: Caller, obj: Object) -> Object:
        """SelfSubjectAccessReview: may I?"""
        return _answer(obj, self._access(caller, obj.get("spec") or {}))

    async def access(self, caller: Caller, obj: Object) -> Object:
        """SubjectAccessReview: may they?"""
        spec = obj.get("spec") or {}
        if not spec.get("user") and not spec.get("groups"):
            raise BadRequest("spec: at least one of user or groups must be specified")
        info = {**spec, "username": spec.get("user", "")}
        return _answer(obj, self._access(from_user_info(info), spec))

    async def local_access(self, caller: Caller, obj: Object) -> Object:
        """LocalSubjectAccessReview: may they, in this namespace?"""
        wanted = ((obj.get("spec") or {}).get("resourceAttributes") or {}).get("namespace", "")
        if wanted != obj["metadata"].get("namespace"):
            raise BadRequest("spec.resourceAttributes.namespace: must match metadata.namespace")
        return await self.access(caller, obj)

    async def my_rules(self, caller: Caller, obj: Object) -> Object:
        """SelfSubjectRulesReview: what may I do in a namespace?"""
        namespace = (obj.get("spec") or {}).get("namespace") or ""
        if not namespace:
            raise BadRequest("no namespace on request")
        rules = self._authorizer.rule_set(caller, namespace)
        if caller.is_admin:
            rules = RuleSet(EVERYTHING)
        resources = [r for r in rules.rules if r.get("resources")]
        paths = [r for r in rules.rules if r.get("nonResourceURLs")]
        return _answer(obj, {"resourceRules": resources, "nonResourceRules": paths, "incomplete": False})

    def _access(self, caller: Caller, spec: Object) -> Object:
        resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
        if (resource is None) == (path is None):
            raise BadRequest("spec: exactly one of nonResourceAttributes or resourceAttributes must be specified")
        if path is not None:
            refusal = self._authorizer.refusal_of_path(caller, path.get("verb") or "", path.get("path") or "")
        else:
            refusal = self._resource_refusal(caller, resource or {})
        return {"allowed": refusal is None, **({"reason": refusal} if refusal else {})}

    def _resource_refusal(self, caller: Caller, wanted: Object) -> str | None:
        group, plural = wanted.get("group") or "", wanted.get("resource") or ""
        plural, _, in_path = plural.partition("/")
        return self._authorizer.refusal(
            caller,
            wanted.get("verb") or "",
            _kind(group, plural),
            wanted.get("namespace") or "",
            wanted.get("name") or "",
            wanted.get("subresource") or in_path,
            _fields(wanted),
        )


def _kind(group: str, plural: str) -> Kind:
    """The kind a review asks about; what is no kind may still be a rule's resource."""
    found = next((k for k in all_kinds() if k.group == group and k.plural == plural), None)
    return found or Kind(group, "v1", plural, plural)


def _fields(wanted: Object) -> str:
    selector = wanted.get("fieldSelector") or {}
    terms = [
        f"{r['key']}={r['values'][0]}"
        for r in selector.get("requirements") or []
        if r.get("operator") == "In" and len(r.get("values") or []) == 1
    ]
    return selector.get("rawSelector") or ",".join(terms)


def _answer(obj: Object, status: Object) -> Object:
    return {**obj, "status": status}
