# SPDX-License-Identifier: Apache-2.0
"""The ClusterRoles and bindings that every cloud starts with. OpenStack's reader, member and manager are view, edit and
admin of their project's namespace; operators extend those three by the usual aggregation labels."""

from __future__ import annotations

from collections.abc import Iterable

from lichen.kinds import builtin
from lichen.kinds.catalog import all_kinds, own_kinds
from lichen.model.data import Object
from lichen.model.kind import Kind, new_object
from lichen.model.names import CONTROLLERS, NODES

ROLE_TO_CLUSTER_ROLE = {"manager": "admin", "member": "edit", "reader": "view"}
CLOUD_READER = "system:cloud-reader"
"""What `reader` on the system stands for: all but Secrets, of everyone."""
ISSUER_DISCOVERY = "system:service-account-issuer-discovery"
"""To verify tokens by themselves. Bind it to Group system:unauthenticated for verifiers outside of the cloud."""
READ = ["get", "list", "watch"]
WRITE = ["create", "delete", "deletecollection", "patch", "update"]
AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"
ADMINS_OWN = frozenset(("roles", "rolebindings"))
HIDDEN = frozenset(("secrets", "roles", "rolebindings", "bindings", "localsubjectaccessreviews"))
GIVEN = frozenset(
    ("resourcequotas", "limitranges", "events", "endpoints", "endpointslices", "leases", "imageshares", "operations")
)
"""Namespaced kinds that a project may read but not write."""
EDIT_SUBRESOURCES = (
    "pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "pods/eviction", "services/proxy",
)  # fmt: skip
SCALED = frozenset(("deployments", "replicasets", "statefulsets"))


WITHDRAWN = {
    "system:basic-user": (("compute.lichen.dev", "flavors", READ), ("volume.lichen.dev", "volumetypes", READ)),
    "system:aggregate-to-edit": (("compute.lichen.dev", "operations", WRITE),),
}
"""What these roles gave in earlier releases: (group, resource, verbs), taken out of rules that give no more verbs."""


def without_withdrawn(role: str, rules: list[Object]) -> list[Object]:
    """A built-in role's rules as they were stored, less what is withdrawn."""
    for group, resource, verbs in WITHDRAWN.get(role, ()):
        rules = [_without(held, group, resource, verbs) for held in rules]
    return [held for held in rules if held.get("resources") or held.get("nonResourceURLs")]


def _without(held: Object, group: str, resource: str, verbs: list[str]) -> Object:
    if held.get("apiGroups") != [group] or not set(held["verbs"]) <= set(verbs):
        return held
    return {**held, "resources": [name for name in held["resources"] if name != resource]}


def rule(groups: Iterable[str], resources: Iterable[str], verbs: Iterable[str]) -> Object:
    return {"apiGroups": sorted(set(groups)), "resources": sorted(set(resources)), "verbs": sorted(set(verbs))}


def cluster_roles() -> list[Object]:
    """All built-in ClusterRoles."""
    everything = [rule(["*"], ["*"], ["*"]), {"nonResourceURLs": ["*"], "verbs": ["*"]}]
    return [
        _role("cluster-admin", everything),
        _aggregated("admin", ()),
        _aggregated("edit", ("admin",)),
        _aggregated("view", ("edit",)),
        _role("system:aggregate-to-view", _view_rules(), ("view",)),
        _role("system:aggregate-to-edit", _edit_rules(), ("edit",)),
        _role("system:aggregate-to-admin", _admin_rules(), ("admin",)),
        _role("system:basic-user", _basic_rules()),
        _role("system:discovery", [_paths("/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*")]),
        _role(ISSUER_DISCOVERY, [_paths("/.well-known/openid-configuration", "/openid/v1/jwks", "/openid/v1/jwks/")]),
        _role("system:public-info-viewer", [_paths("/healthz", "/livez", "/readyz", "/version", "/version/")]),
        _role(CLOUD_READER, _cloud_reader_rules()),
        _role("system:node", _node_rules()),
        _role(CONTROLLERS, _controller_rules()),
    ]


def cluster_role_bindings() -> list[Object]:
    """Which of them hold for whom from the start."""
    return [
        _binding("cluster-admin", "Group", "system:masters"),
        _binding("system:basic-user", "Group", "system:authenticated"),
        _binding("system:discovery", "Group", "system:authenticated"),
        _binding("system:public-info-viewer", "Group", "system:authenticated", "system:unauthenticated"),
        _binding(ISSUER_DISCOVERY, "Group", "system:serviceaccounts"),
        _binding("system:node", "Group", NODES),
        _binding(CONTROLLERS, "User", CONTROLLERS),
    ]


def _namespaced() -> list[Kind]:
    return [k for k in all_kinds() if k.namespaced and "get" in k.verbs]


def _by_group(kinds: Iterable[Kind], verbs: list[str], *, subresources: bool = False) -> list[Object]:
    grouped: dict[str, list[str]] = {}
    for kind in kinds:
        names = grouped.setdefault(kind.group, [])
        names.append(kind.plural)
        if subresources:
            names.extend(_readable_subresources(kind))
    return [rule([group], names, verbs) for group, names in sorted(grouped.items())]


def _readable_subresources(kind: Kind) -> list[str]:
    names = ["status"] if "status" in kind.subresources or kind.model is None else []
    names += ["scale"] if kind.plural in SCALED else []
    names += ["log"] if kind.plural == "pods" else []
    return [f"{kind.plural}/{name}" for name in names]


def _view_rules() -> list[Object]:
    kinds = [k for k in _namespaced() if k.plural not in HIDDEN]
    return [*_by_group(kinds, READ, subresources=True), rule([""], ["namespaces"], READ)]


def _edit_rules() -> list[Object]:
    kinds = [k for k in _namespaced() if k.plural not in HIDDEN | GIVEN]
    return [
        *_by_group(kinds, WRITE),
        rule([""], ["secrets"], READ + WRITE),
        rule([""], EDIT_SUBRESOURCES, ["get", "create"]),
        rule([""], ["pods/ephemeralcontainers"], ["get", "patch", "update"]),
        rule([""], ["serviceaccounts/token"], ["create"]),
        rule([""], ["serviceaccounts"], ["impersonate"]),
        rule(["apps"], [f"{name}/scale" for name in SCALED], ["patch", "update"]),
        rule(["compute.lichen.dev"], ["servers/log"], ["get"]),  # consoles print first passwords: nova's members only
        rule(["compute.lichen.dev"], ["servers/attach"], ["get", "create"]),
        rule(["image.lichen.dev"], ["imageshares"], ["patch", "update"]),  # made and removed by what the image says
        rule(["coordination.k8s.io"], ["leases"], WRITE),
        rule(["", "events.k8s.io"], ["events"], ["create", "patch", "update"]),
    ]


def _admin_rules() -> list[Object]:
    return [
        rule([builtin.RBAC], ADMINS_OWN, READ + WRITE),
        rule(["authorization.k8s.io"], ["localsubjectaccessreviews"], ["create"]),
    ]


def _basic_rules() -> list[Object]:
    """What everyone who is logged in may do: ask about itself, and see what is on offer (flavors: `offers`)."""
    return [
        rule(["authorization.k8s.io"], ["selfsubjectaccessreviews", "selfsubjectrulesreviews"], ["create"]),
        rule(["authentication.k8s.io"], ["selfsubjectreviews"], ["create"]),
        rule(
            ["identity.lichen.dev"],
            [
                "tokens",
                "tokeninspections",
                "tokenrevocations",
                "passwordchanges",
                "scopereviews",
                "credentialdisclosures",
                "oauthauthorizations",
            ],
            ["create"],
        ),
        rule(
            ["identity.lichen.dev"],
            ["roles", "regions", "catalogservices", "catalogendpoints", "registeredlimits"],
            READ,
        ),
        rule(["compute.lichen.dev"], ["zones"], READ),
        rule(["node.k8s.io"], ["runtimeclasses"], READ),
        rule(["storage.k8s.io"], ["storageclasses"], READ),
        rule(["scheduling.k8s.io"], ["priorityclasses"], READ),
    ]


def _cloud_reader_rules() -> list[Object]:
    readable = [k for k in all_kinds() if "get" in k.verbs and k.plural != "secrets"]
    return _by_group(readable, READ, subresources=True)


def _node_rules() -> list[Object]:
    """What an agent may do; admission holds it to what is bound to its own node."""
    own = ["servers", "pods", "ports"]
    stored = ["volumes", "volumesnapshots", "volumeattachments"]
    return [
        rule(["", "compute.lichen.dev", "network.lichen.dev"], own, READ),
        rule(["", "compute.lichen.dev", "network.lichen.dev"], [f"{name}/status" for name in own], ["patch", "update"]),
        rule(["compute.lichen.dev", "network.lichen.dev"], ["servers", "ports"], ["patch", "update"]),
        rule([""], ["pods"], ["delete"]),
        rule([""], ["nodes", "nodes/status"], ["create", "patch", "update", *READ]),
        rule([""], ["namespaces", "services", "endpoints", "serviceaccounts"], READ),
        rule([""], ["configmaps", "secrets"], READ),
        rule(["discovery.k8s.io"], ["endpointslices"], READ),
        rule(["network.lichen.dev"], ["networks", "subnets", "securitygroups", "routers", "floatingips"], READ),
        rule(["networking.k8s.io"], ["networkpolicies"], READ),
        rule(["volume.lichen.dev"], stored, [*READ, "patch", "update"]),
        rule(["volume.lichen.dev"], [f"{name}/status" for name in stored], ["patch", "update"]),
        rule([""], ["persistentvolumeclaims", "persistentvolumes"], READ),
        rule(["image.lichen.dev"], ["images"], READ),
        rule(["image.lichen.dev"], ["images/status"], ["patch", "update"]),
        rule(["compute.lichen.dev"], ["keypairs"], ["get"]),
        rule(["node.k8s.io"], ["runtimeclasses"], READ),
        rule(["coordination.k8s.io"], ["leases"], ["create", "patch", "update", *READ]),
        rule(["", "events.k8s.io"], ["events"], ["create", "patch", "update"]),
        rule([""], ["serviceaccounts/token"], ["create"]),
        rule(["authentication.k8s.io"], ["tokenreviews"], ["create"]),
        rule(["authorization.k8s.io"], ["subjectaccessreviews"], ["create"]),
    ]


def _controller_rules() -> list[Object]:
    """Everything but giving rights: who is who and who may what stays with people."""
    groups = {k.group for k in all_kinds()} - {"identity.lichen.dev", builtin.RBAC}
    identity = [k.plural for k in own_kinds() if k.group == "identity.lichen.dev"]
    return [
        rule(groups, ["*"], READ + WRITE),
        rule(["identity.lichen.dev"], identity, READ),
        rule([builtin.RBAC], ["roles", "rolebindings", "clusterroles", "clusterrolebindings"], READ),
        rule([builtin.RBAC], ["roles", "rolebindings"], ["delete", "deletecollection", "patch", "update"]),
    ]


def _paths(*paths: str) -> Object:
    return {"nonResourceURLs": list(paths), "verbs": ["get"]}


def _role(name: str, rules: list[Object], aggregate_to: tuple[str, ...] = ()) -> Object:
    labels = {"kubernetes.io/bootstrapping": "rbac-defaults", **{AGGREGATE + to: "true" for to in aggregate_to}}
    return {**new_object(builtin.CLUSTER_ROLE, name, labels=labels), "rules": rules}


def _aggregated(name: str, aggregate_to: tuple[str, ...]) -> Object:
    selector = {"clusterRoleSelectors": [{"matchLabels": {AGGREGATE + name: "true"}}]}
    return {**_role(name, [], aggregate_to), "aggregationRule": selector}


def _binding(role: str, kind: str, *names: str) -> Object:
    labels = {"kubernetes.io/bootstrapping": "rbac-defaults"}
    reference = {"apiGroup": builtin.RBAC, "kind": "ClusterRole", "name": role}
    subjects = [{"apiGroup": builtin.RBAC, "kind": kind, "name": name} for name in names]
    binding = new_object(builtin.CLUSTER_ROLE_BINDING, role, labels=labels)
    return {**binding, "roleRef": reference, "subjects": subjects}
