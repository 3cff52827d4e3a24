# SPDX-License-Identifier: Apache-2.0
"""Who may do what: RBAC, OpenStack roles as bindings in their project's namespace, and what is shared.

Both languages are answered here, from memory, live: a changed role or binding counts from the next request on.
"""

from __future__ import annotations

from collections.abc import Iterator

from lichen.kernel.identity.builtin_roles import CLOUD_READER, ROLE_TO_CLUSTER_ROLE
from lichen.kernel.identity.delegation import OWNED
from lichen.kernel.identity.directory import Directory, project_id
from lichen.kernel.identity.nodes import BOUND, REFERRED, node_field
from lichen.kernel.identity.offers import OFFERED, is_offered
from lichen.kernel.identity.roles import roles_in
from lichen.kernel.identity.rules import Rule, RuleSet, rules_of
from lichen.kernel.identity.tokens import Scope
from lichen.kinds.builtin import NAMESPACE
from lichen.kinds.compute.server import Server
from lichen.kinds.identity.domain import Domain
from lichen.kinds.identity.limit import Limit
from lichen.kinds.identity.oauth1 import OAuthToken
from lichen.kinds.identity.trust import Trust
from lichen.kinds.identity.user import User
from lichen.kinds.image.image import Image
from lichen.kinds.network.network import Network
from lichen.kinds.network.subnet import Subnet
from lichen.kinds.network.subnetpool import SubnetPool
from lichen.model.caller import account_of
from lichen.model.data import Object
from lichen.model.kind import Kind
from lichen.model.names import CONTROLLERS, DIALECT
from lichen.model.selectors import Matcher, equalities
from lichen.model.state import Caller

READS = frozenset(("get", "list", "watch"))
PUBLIC = frozenset(("public", "community"))
REMEMBERED = 20_000
ONES_OWN = (*OWNED, OAuthToken.KIND)
_Who = tuple[str, tuple[str, ...], str, tuple[str, ...]]


class Authorizer:
    """Decides from memory; never waits."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._rights = -1
        self._rule_sets: dict[_Who, RuleSet] = {}

    def refusal(
        self,
        caller: Caller,
        verb: str,
        kind: Kind,
        namespace: str,
        name: str,
        subresource: str = "",
        fields: str = "",
    ) -> str | None:
        """None: `caller` may. "": no rule allows it. (As `access.Authorizer`.)"""
        if caller.is_admin or (kind.installed and caller.name == CONTROLLERS):
            return None  # what a definition brings has no rules of its own for those who empty namespaces
        if caller.through == DIALECT and kind == Image.KIND and subresource == "status":
            subresource = ""  # it tells what it stored, for whoever may change the image
        resource = f"{kind.plural}/{subresource}" if subresource else kind.plural
        if self.rule_set(caller, namespace or _own_namespace(kind, name)).allows(verb, kind.group, resource, name):
            return _node_refusal(caller, verb, kind, namespace, name, fields) if caller.node else None
        if kind in ONES_OWN and not subresource and self._is_ones_delegation(caller, verb, kind, name, fields):
            return None
        if verb in READS and not subresource and self._is_shared(caller, verb, kind, namespace, name, fields):
            return None
        return ""

    def seen(self, caller: Caller, verb: str, kind: Kind, name: str) -> Matcher | None:
        """None: a rule shows the caller all of a kind. Else what of it is offered to its project."""
        if (
            kind not in OFFERED
            or caller.is_admin
            or self.rule_set(caller, "").allows(verb, kind.group, kind.plural, name)
        ):
            return None
        project = caller.project_id or self._project_of_account(caller)
        return lambda obj: is_offered(obj, project)

    def refusal_of_path(self, caller: Caller, verb: str, path: str) -> str | None:
        """The same for a path that is no resource: /version, /metrics, /apis."""
        if caller.is_admin or self.rule_set(caller, "").allows_path(verb, path):
            return None
        return ""

    def rule_set(self, caller: Caller, namespace: str) -> RuleSet:
        """The rules that hold for a caller in a namespace ("": those that hold in all of them)."""
        if self._rights != self._directory.rights or len(self._rule_sets) > REMEMBERED:
            self._rights = self._directory.rights
            self._rule_sets.clear()
        own = _roles_here(caller, namespace)
        who = (caller.name, caller.groups, namespace, own)
        found = self._rule_sets.get(who)
        if found is None:
            found = self._rule_sets[who] = RuleSet(self._rules(caller, namespace, own))
        return found

    def _rules(self, caller: Caller, namespace: str, roles: tuple[str, ...]) -> Iterator[Rule]:
        subjects = [f"User:{caller.name}", *(f"Group:{group}" for group in caller.groups)]
        for subject in subjects:
            for binding in self._directory.cluster_bindings_by_subject.all(subject):
                yield from self.referenced_rules(binding["roleRef"], "")
            if namespace:
                for binding in self._directory.local_bindings_by_subject.all((namespace, subject)):
                    yield from self.referenced_rules(binding["roleRef"], namespace)
        for role in roles:
            yield from self.referenced_rules({"kind": "ClusterRole", "name": role}, "")

    def referenced_rules(self, reference: Object, namespace: str) -> list[Rule]:
        """The rules behind a binding's roleRef; none if the role is not there."""
        cluster_roles = self._directory.cluster_roles
        if reference.get("kind") == "Role":
            role = self._directory.local_roles.get(reference["name"], namespace)
        else:
            role = cluster_roles.get(reference["name"])
        return [] if role is None else rules_of(role, cluster_roles.items)

    # --- what everyone who is logged in may read ---

    def _is_shared(self, caller: Caller, verb: str, kind: Kind, namespace: str, name: str, fields: str) -> bool:
        if "system:authenticated" not in caller.groups:
            return False
        if kind in OFFERED:
            return True  # as much of it as is `seen`
        if kind == Domain.KIND and not name and caller.domain_id:
            return equalities(fields).get("spec.id") == caller.domain_id
        if kind == Limit.KIND and not name:
            mine = {"spec.projectId": caller.project_id, "spec.domainId": caller.scope_domain_id}
            return any(id and equalities(fields).get(field) == id for field, id in mine.items())
        if kind in (User.KIND, NAMESPACE, Domain.KIND):
            return verb == "get" and bool(caller.user_id) and self._is_ones_own(caller, kind, name)
        if kind == SubnetPool.KIND:
            return not name and equalities(fields).get("spec.shared") == "true"
        if kind not in (Network.KIND, Subnet.KIND, Image.KIND):
            return False
        if name:
            return self._is_shared_object(kind, namespace, name) or (
                verb == "get" and kind == Image.KIND and self._is_member(caller, namespace, name)
            )
        return self._picks_shared(kind, equalities(fields))

    def _project_of_account(self, caller: Caller) -> str:
        """The project that a service account lives in, "" of all others."""
        account = account_of(caller.name)
        project = self._directory.projects.get(account[0]) if account is not None else None
        return project_id(project) if project else ""

    def _is_ones_own(self, caller: Caller, kind: Kind, name: str) -> bool:
        """A user may see itself, and what its tokens can be scoped to."""
        if kind == User.KIND:
            return name == caller.name
        if kind == NAMESPACE:
            project = self._directory.projects.get(name)
            scope = Scope(project=project_id(project) if project else "")
        else:
            domain = self._directory.domains.get(name)
            if domain and domain["spec"]["id"] == caller.domain_id:
                return True
            scope = Scope(domain=domain["spec"]["id"] if domain else "")
        return bool(roles_in(self._directory, caller.user_id, scope))

    def _is_ones_delegation(self, caller: Caller, verb: str, kind: Kind, name: str, fields: str) -> bool:
        """What a user hands on or keeps is its own, and a trust also its trustee's to see."""
        me = caller.user_id
        if not me or verb == "create":
            return bool(me)
        owners = ("trustorUserId", "trusteeUserId") if kind == Trust.KIND else ("userId",)
        if not name:  # a list, a watch, a deletion of many: of what the selector holds to one's own
            terms = equalities(fields)
            picked = owners if verb in READS else owners[:1]
            return any(terms.get(f"spec.{owner}") == me for owner in picked)
        held = self._directory.object(kind, name)
        if held is None:
            return True  # it is not there, and that may be said: names are not told by ids of others
        visible = owners if verb in READS else owners[:1]
        return verb in (*READS, "delete", "update", "patch") and any(held["spec"].get(o) == me for o in visible)

    def _is_shared_object(self, kind: Kind, namespace: str, name: str) -> bool:
        if kind == Image.KIND:
            image = self._directory.images.get(name, namespace)
            return image is not None and image.get("spec", {}).get("visibility") in PUBLIC
        if kind == Network.KIND:
            network = self._directory.networks.get(name, namespace)
            spec = (network or {}).get("spec", {})
            return spec.get("shared") is True or spec.get("external") is True
        subnet = self._directory.subnets.get(name, namespace)
        return subnet is not None and self._directory.shared_networks.has(subnet["spec"].get("networkId"))

    def _is_member(self, caller: Caller, namespace: str, name: str) -> bool:
        """The image is shared with the caller's project."""
        spec = (self._directory.images.get(name, namespace) or {}).get("spec") or {}
        shared = spec.get("visibility", "shared") == "shared"
        return shared and bool(caller.project_id) and caller.project_id in (spec.get("members") or ())

    def _picks_shared(self, kind: Kind, terms: dict[str, str]) -> bool:
        if kind == Image.KIND:
            return terms.get("spec.visibility") in PUBLIC
        if kind == Network.KIND:
            return terms.get("spec.shared") == "true" or terms.get("spec.external") == "true"
        return self._directory.shared_networks.has(terms.get("spec.networkId", ""))


def _node_refusal(caller: Caller, verb: str, kind: Kind, namespace: str, name: str, fields: str) -> str | None:
    """A node lists what is bound to it, or asks for one server by its id. (What it may get, or list and watch one by
    one, by name: `nodes`.)"""
    if name or verb not in ("list", "watch") or kind not in (*BOUND, *REFERRED):
        return None
    terms, node = equalities(fields), caller.node
    if kind in REFERRED:
        named = namespace and terms.get("metadata.name")
        return None if named else f"a node may only {verb} one, by its name"
    if terms.get(f"spec.{node_field(kind)}") == node or (kind == Server.KIND and terms.get("spec.id")):
        return None
    return f"a node may only list what is bound to {node}"


def _roles_here(caller: Caller, namespace: str) -> tuple[str, ...]:
    """The ClusterRoles that a caller's OpenStack roles stand for in a namespace."""
    if caller.scope == "system":
        return (CLOUD_READER,) if "reader" in caller.roles else ()
    if not namespace or namespace != caller.namespace:
        return ()
    return tuple(ROLE_TO_CLUSTER_ROLE[role] for role in caller.roles if role in ROLE_TO_CLUSTER_ROLE)


def _own_namespace(kind: Kind, name: str) -> str:
    """A Namespace object is in itself, as far as rights go."""
    return name if kind.plural == "namespaces" and not kind.group else ""
