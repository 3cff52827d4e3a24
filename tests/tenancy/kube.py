# SPDX-License-Identifier: Apache-2.0
"""The table of who may in the Kubernetes dialect, what discovery says that there is, and how each of it is tried.

`tables/kubernetes.txt` has blocks: a title in brackets, the resources it is about (as kubectl writes them:
`deployments.apps/scale`), then rows of verbs and, for each of `CALLERS`, yes or no:

    [what members write]
        pods deployments.apps
        get,list,watch      no  yes yes yes yes no  yes no
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from lichen.model.data import Object
from lichen.model.kind import Kind
from tests.apis.openstack.asgi import Answer
from tests.tenancy.filling import OURS
from tests.tenancy.matrix import TABLES
from tests.tenancy.world import CALLERS as PEOPLE
from tests.tenancy.world import World

CALLERS = (*PEOPLE, "node", "stranger")
"""node: the agent's credential of the host that the project's things are bound to; stranger: that of another host."""
Cell = tuple[str, str]
"""(resource, verb)"""
MERGE = {"content-type": "application/merge-patch+json"}
METHODS = {"create": "POST", "update": "PUT", "patch": "PATCH", "delete": "DELETE", "deletecollection": "DELETE"}


@cache
def table() -> dict[Cell, dict[str, str]]:
    """What each caller is answered: `yes` or `no`."""
    rows: dict[Cell, dict[str, str]] = {}
    resources: list[str] = []
    for line in (TABLES / "kubernetes.txt").read_text().splitlines():
        words = line.split()
        if not words or line.startswith("#"):
            continue
        if line.startswith("["):
            resources = []
        elif len(words) == len(CALLERS) + 1 and set(words[1:]) <= {"yes", "no"}:
            for cell in ((resource, verb) for resource in resources for verb in words[0].split(",")):
                assert cell not in rows, f"{cell} is said twice"
                rows[cell] = dict(zip(CALLERS, words[1:], strict=True))
        else:
            resources += words
    return rows


@dataclass(frozen=True)
class Served:
    """One verb on one resource in one version, as discovery tells it."""

    resource: str
    verb: str
    version: str
    plural: str
    subresource: str
    namespaced: bool

    @property
    def cell(self) -> Cell:
        return self.resource, self.verb

    @property
    def key(self) -> str:
        """The resource without its subresource."""
        return self.resource.partition("/")[0]

    def path(self, name: str, namespace: str | None = OURS) -> str:
        """The collection's if the verb is about one, else the object's. namespace None: across all."""
        root = f"/{'api' if self.version == 'v1' else 'apis'}/{self.version}"
        scope = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        collection = f"{root}{scope}/{self.plural}"
        if not self.subresource and self.verb in ("create", "list", "watch", "deletecollection"):
            return collection
        return f"{collection}/{name}" + (f"/{self.subresource}" if self.subresource else "")


async def served(world: World) -> list[Served]:
    """Every verb on every resource."""
    versions = ["v1"]
    for group in (await world.ask_kubernetes("admin", "GET", "/apis")).json()["groups"]:
        versions += [version["groupVersion"] for version in group["versions"]]
    found = []
    for version in versions:
        root = "/api/v1" if version == "v1" else f"/apis/{version}"
        for resource in (await world.ask_kubernetes("admin", "GET", root)).json()["resources"]:
            plural, slash, sub = resource["name"].partition("/")
            group = version.rpartition("/")[0]
            name = f"{plural}.{group}{slash}{sub}" if group else resource["name"]
            found += [Served(name, verb, version, plural, sub, resource["namespaced"]) for verb in resource["verbs"]]
    return found


async def attempt(world: World, who: str, what: Served, obj: Object | None, *, dry: bool) -> Answer:
    """Do it. obj: the object that is there, None for kinds that keep none."""
    name = (obj or {}).get("metadata", {}).get("name", "x")
    path = what.path(name) + ("?dryRun=All" if dry and what.verb in METHODS else "")
    if what.verb in ("get", "list", "watch"):
        query = "?watch=1&timeoutSeconds=1" if what.verb == "watch" else ""
        return await world.ask_kubernetes(who, "GET", path + query)
    if what.verb == "patch":
        return await world.ask_kubernetes(who, "PATCH", path, {"metadata": {"labels": {"tried": who}}}, MERGE)
    return await world.ask_kubernetes(who, METHODS[what.verb], path, body_of(what, obj))


def body_of(what: Served, obj: Object | None) -> Any:
    """A fresh object for a create, the one that is there for an update."""
    if what.verb in ("delete", "deletecollection"):
        return None
    if what.subresource:
        return SUBRESOURCES.get(what.subresource) or obj
    made = {"apiVersion": what.version, **(obj or VIRTUAL.get(what.plural) or {"metadata": {}})}
    made["apiVersion"] = what.version
    if what.verb == "create":
        metadata = {k: v for k, v in made["metadata"].items() if k in ("labels", "annotations", "namespace")}
        made = {**made, "metadata": {**metadata, "name": NAMES.get(what.plural, "new")}}
        made["spec"] = {k: v for k, v in (made.get("spec") or {}).items() if k not in GIVEN_OUT}
        if what.version.startswith("compute."):
            made["spec"].pop("userId", None)  # of who makes it
    return made


NAMES = {"ipaddresses": "10.9.9.8", "apiservices": "v1.y.example.com", "customresourcedefinitions": "ys.example.com"}
GIVEN_OUT = ("id", "nodeName", "node", "address", "externalGateway")
"""What the cloud chooses for the object that a create is a copy of."""
SUBRESOURCES: dict[str, Object] = {
    "binding": {"apiVersion": "v1", "kind": "Binding", "metadata": {}, "target": {"kind": "Node", "name": "node-1"}},
    "eviction": {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {}},
    "token": {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {}, "spec": {}},
    "scale": {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {}, "spec": {"replicas": 2}},
}
VIRTUAL: dict[str, Object] = {
    "selfsubjectaccessreviews": {
        "kind": "SelfSubjectAccessReview", "metadata": {}, "spec": {"resourceAttributes": {"verb": "get"}},
    },
    "selfsubjectrulesreviews": {"kind": "SelfSubjectRulesReview", "metadata": {}, "spec": {"namespace": OURS}},
    "selfsubjectreviews": {"kind": "SelfSubjectReview", "metadata": {}},
    "subjectaccessreviews": {"kind": "SubjectAccessReview", "metadata": {}, "spec": {
        "user": "x", "resourceAttributes": {"verb": "get", "namespace": OURS}}},
    "localsubjectaccessreviews": {"kind": "LocalSubjectAccessReview", "metadata": {}, "spec": {
        "user": "x", "resourceAttributes": {"verb": "get", "namespace": OURS}}},
    "tokenreviews": {"kind": "TokenReview", "metadata": {}, "spec": {"token": "x"}},
    "bindings": {"kind": "Binding", "metadata": {}, "target": {"kind": "Node", "name": "node-1"}},
    "tokens": {"kind": "Token", "metadata": {}, "spec": {"methods": ["password"], "password": {
        "userName": "none", "userDomainId": "default", "password": "wrong"}}},
    "tokeninspections": {"kind": "TokenInspection", "metadata": {}, "spec": {"token": "x"}},
    "tokenrevocations": {"kind": "TokenRevocation", "metadata": {}, "spec": {"token": "x"}},
    "oauthauthorizations": {"kind": "OAuthAuthorization", "metadata": {}, "spec": {
        "requestTokenId": "x", "roles": ["x"]}},
    "oauthexchanges": {"kind": "OAuthExchange", "metadata": {}, "spec": {
        "usage": "request", "projectId": "x", "request": {"url": "https://x", "authorization": "OAuth x"}}},
    "scopereviews": {"kind": "ScopeReview", "metadata": {}, "spec": {}},
    "passwordchanges": {"kind": "PasswordChange", "metadata": {}, "spec": {"userId": "x"}},
    "credentialdisclosures": {"kind": "CredentialDisclosure", "metadata": {}, "spec": {"name": "x"}},
}  # fmt: skip


async def object_of(world: World, what: Served) -> Object | None:
    """The first object of the kind in the project that is tried (or of the cloud)."""
    kind = kind_of(world, what)
    if "list" not in kind.verbs:
        return None
    items = (await world.state.list(kind, OURS if kind.namespaced else None)).items
    items.sort(key=lambda item: not _is_tried(world, item))
    return {**items[0], "apiVersion": kind.api_version, "kind": kind.kind} if items else None


def _is_tried(world: World, obj: Object) -> bool:
    """It is the project's or its member's, though it lies in no namespace."""
    spec = obj.get("spec") or {}
    owner = spec.get("userId") or spec.get("trustorUserId") or spec.get("id")
    return obj["metadata"]["name"] == OURS or owner == world.ids["user"]


def kind_of(world: World, what: Served) -> Kind:
    group, _, version = what.version.rpartition("/")
    kind = world.catalog.by_resource(group, version, what.plural)
    assert kind is not None
    return kind
