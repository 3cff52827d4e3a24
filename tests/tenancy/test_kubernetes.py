# SPDX-License-Identifier: Apache-2.0
"""Tenancy in the Kubernetes dialect: every verb of every resource tried by everyone, as the table says.

What is allowed (and all that the admin does) is tried as a dry run, what is refused in earnest: neither may change
anything.
"""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import product

import pytest

from lichen.model.data import Object
from tests.apis.openstack.asgi import Answer
from tests.tenancy import kube
from tests.tenancy.filling import OURS, THEIRS
from tests.tenancy.kube import CALLERS, Served
from tests.tenancy.secrecy import told
from tests.tenancy.sockets import CHANNELS, dial
from tests.tenancy.world import Frozen, Row, World, thawed

RESOURCES = sorted({resource for resource, _ in kube.table()})
REFUSED = (401, 403, 405)


async def test_every_verb_is_in_the_table_and_the_table_has_no_other(furnished: Frozen) -> None:
    async with thawed(furnished) as world:
        cells = {what.cell for what in await kube.served(world)}
    assert sorted(cells - set(kube.table())) == [], "say in tests/tenancy/tables/kubernetes.txt who may"
    assert sorted(set(kube.table()) - cells) == [], "tests/tenancy/tables/kubernetes.txt names what is not served"


@pytest.mark.parametrize("resource", RESOURCES)
async def test_who_may(furnished: Frozen, resource: str) -> None:
    async with thawed(furnished) as world:
        tried: dict[str, dict[str, str]] = defaultdict(dict)
        for what in [what for what in await kube.served(world) if what.resource == resource]:
            obj = await kube.object_of(world, what)
            for who in CALLERS:
                expected = kube.table()[what.cell][who]
                answer = await kube.attempt(world, who, what, obj, dry=expected == "yes" or who == "admin")
                assert answer.status < 500, (what, who, answer)
                assert settled(world) == rows(furnished), f"{what} by {who} changed something: {answer}"
                assert told(furnished, who, answer, said(what, obj)) == [], (what, who)
                tried[what.verb][who] = "no" if answer.status in REFUSED else "yes"
    assert dict(tried) == {verb: row for (name, verb), row in kube.table().items() if name == resource}


def said(what: Served, obj: Object | None) -> str:
    """What the attempt itself names."""
    sent = json.dumps(kube.body_of(what, obj)) if what.verb in ("create", "update") else ""
    return what.path((obj or {}).get("metadata", {}).get("name", "")) + sent


def settled(world: World) -> list[Row]:
    return [row for row in world.contents() if row[3] != "resourcequotas"]


def rows(frozen: Frozen) -> list[Row]:
    """All but the quotas, which are counted in the background."""
    return [row for row in frozen.rows if row[3] != "resourcequotas"]


TABLE = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
META = {"accept": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}
QUERIES = (
    "", "?watch=1&timeoutSeconds=1", f"?fieldSelector=metadata.namespace%3D{OURS}", "?limit=1", "?resourceVersion=0",
    f"?fieldSelector=metadata.namespace!%3D{THEIRS}&watch=1&timeoutSeconds=1", "?fieldSelector=spec.shared%3Dtrue",
    "?fieldSelector=spec.external%3Dtrue", "?fieldSelector=spec.visibility%3Dpublic",
    "?fieldSelector=spec.shared%3Dtrue,spec.shared!%3Dtrue", "?fieldSelector=spec.visibility%3Dcommunity&watch=1",
    "?fieldSelector=spec.nodeName%3Dnode-1", "?fieldSelector=spec.node%3Dnode-1", "?labelSelector=a%3Db",
    "?sendInitialEvents=true&watch=1&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=1&timeoutSeconds=1",
)  # fmt: skip


@pytest.mark.parametrize("resource", sorted(r for r, verb in kube.table() if verb == "list"))
async def test_no_list_and_no_watch_tells_of_anothers_things(furnished: Frozen, resource: str) -> None:
    """Whatever the selector, across all namespaces and in the caller's own, in each form that an answer has."""
    async with thawed(furnished) as world:
        for what in [what for what in await kube.served(world) if what.cell == (resource, "list")]:
            for who, query, form in product(("outsider", "anonymous"), QUERIES, ({}, TABLE, META)):
                for namespace in {None, THEIRS} if what.namespaced else {None}:
                    answer = await world.ask_kubernetes(who, "GET", what.path("", namespace) + query, None, form)
                    assert answer.status < 500, (what, query, answer)
                    assert told(furnished, who, answer, query) == [], (what, who, query, namespace)


async def test_a_tenant_sees_no_cluster_wide_list_but_what_is_on_offer(furnished: Frozen) -> None:
    async with thawed(furnished) as world:
        lists = [what for what in await kube.served(world) if what.verb == "list" and what.namespaced]
        seen = [w.resource for w in lists if await status(world, "outsider", w.path("", None)) == 200]
    assert seen == []


async def status(world: World, who: str, path: str) -> int:
    return (await world.ask_kubernetes(who, "GET", path)).status


DETOURS = (
    "/api/v1/namespaces/heron/../kestrel/secrets", "/api/v1/namespaces/heron/secrets/../../kestrel/secrets",
    "/api/v1/namespaces/heron%2F..%2Fkestrel/secrets", "/api/v1//namespaces/kestrel/secrets",
    "/api/v1/namespaces/kestrel//secrets", "/api/v1/namespaces//secrets/kestrel-secret",
    "/api/v1/secrets/kestrel-secret", "/api/v1/namespaces/heron/secrets/kestrel%2Fkestrel-secret",
    "/api/v1/namespaces/heron/secrets/..%00", "/api/v1/watch/namespaces/kestrel/secrets", "/api/v1/watch/secrets",
    "/api/v1/proxy/namespaces/kestrel/pods/kestrel-pod", "/api/v1/namespaces/kestrel/secrets/",
    "/api/v1/secrets?watch=1",
    "/api/v1/namespaces/KESTREL/secrets", "/api/v1/namespaces/kestrel%00/secrets", "/api/v1/nodes/node-1/proxy/pods",
    "/API/V1/namespaces/kestrel/secrets", "/apis//v1/namespaces/kestrel/secrets", "/api/v1/namespaces/kestrel/status",
    "/apis/v1/namespaces/kestrel/secrets", "/api/v1/namespaces/kestrel",
    "/api/v1/namespaces/kestrel/pods/kestrel-pod/log",
    "/apis/compute.lichen.dev/v1/namespaces/kestrel/servers/kestrel-server/log", "/metrics", "/logs/", "/debug/pprof/",
)  # fmt: skip


@pytest.mark.parametrize("path", DETOURS)
async def test_no_detour_leads_to_anothers_things(furnished: Frozen, path: str) -> None:
    async with thawed(furnished) as world:
        for who in ("outsider", "anonymous"):
            answer = await world.ask_kubernetes(who, "GET", path)
            assert answer.status in (400, 401, 403, 404, 405), answer
            assert told(furnished, who, answer, path) == []
        assert world.node.calls == []


FORGED = [
    {"impersonate-user": "admin"},
    {"impersonate-user": "system:admin", "impersonate-group": "system:masters"},
    {"impersonate-user": "system:serviceaccount:kestrel:default"},
    {"impersonate-user": "system:node:node-1", "impersonate-group": "system:nodes"},
    {"impersonate-group": "system:masters"},
    {"impersonate-uid": "x"},
    {"impersonate-extra-scopes": "x"},
    {"x-remote-user": "admin", "x-remote-group": "system:masters"},
    {"x-forwarded-user": "admin"},
]


@pytest.mark.parametrize("headers", FORGED, ids=str)
async def test_no_header_makes_one_someone_else(furnished: Frozen, headers: dict[str, str]) -> None:
    async with thawed(furnished) as world:
        for who in ("outsider", "anonymous", "manager"):
            path = f"/api/v1/namespaces/{THEIRS if who == 'manager' else OURS}/secrets"
            answer = await world.ask_kubernetes(who, "GET", path, None, headers)
            assert answer.status in (400, 403), answer


SOCKETS = (
    "/api/v1/namespaces/kestrel/pods/kestrel-pod/exec?command=sh&stdin=true&stdout=true",
    "/api/v1/namespaces/kestrel/pods/kestrel-pod/attach?stdout=true",
    "/api/v1/namespaces/kestrel/pods/kestrel-pod/portforward?ports=80",
    "/api/v1/namespaces/kestrel/pods/kestrel-pod/log?follow=true",
    "/apis/compute.lichen.dev/v1/namespaces/kestrel/servers/kestrel-server/log",
    "/apis/compute.lichen.dev/v1/namespaces/kestrel/servers/kestrel-server/attach",
    "/api/v1/namespaces/kestrel/secrets?watch=1", "/api/v1/secrets?watch=1", "/api/v1/namespaces/kestrel/pods?watch=1",
    "/apis/compute.lichen.dev/v1/servers?watch=1", "/api/v1/namespaces/kestrel/pods/kestrel-pod/proxy/",
    "/api/v1/nodes/node-1/proxy/", "/api/v1/namespaces/kestrel/services/kestrel-service/proxy/",
)  # fmt: skip


@pytest.mark.parametrize("path", SOCKETS)
async def test_no_socket_is_opened_to_anothers_things(furnished: Frozen, path: str) -> None:
    async with thawed(furnished) as world:
        for who in ("outsider", "anonymous", "stranger"):
            bearer = {"authorization": f"Bearer {world.tokens[who]}"} if who in world.tokens else {}
            for protocols in (CHANNELS, (), (*CHANNELS, "base64url.bearer.authorization.k8s.io.eA")):
                code, said = await dial(world.kubernetes, path, bearer, protocols)
                assert code in (400, 401, 403, 404, 405), (who, code, said)
                assert told(furnished, who, Answer(code, {}, said), path) == []
        assert world.node.calls == []


async def test_a_members_socket_is_opened(furnished: Frozen) -> None:
    """So that the refusals above are of the caller, not of the call."""
    async with thawed(furnished) as world:
        bearer = {"authorization": f"Bearer {world.tokens['member']}"}
        code, _ = await dial(world.kubernetes, SOCKETS[0], bearer, CHANNELS)
        assert (code, [call[0] for call in world.node.calls]) == (101, ["node-1"])


async def test_a_body_that_names_another_namespace_changes_nothing_there(furnished: Frozen) -> None:
    async with thawed(furnished) as world:
        for method, path in (("POST", "configmaps"), ("PUT", "configmaps/heron-configmap"), ("PATCH", "configmaps/x")):
            for content in ("application/json", "application/merge-patch+json", "application/apply-patch+yaml"):
                body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": OURS}}
                query = "?fieldManager=x" if "apply" in content else ""
                url = f"/api/v1/namespaces/{THEIRS}/{path}{query}"
                answer = await world.ask_kubernetes("outsider", method, url, body, {"content-type": content})
                assert answer.status in (400, 404, 415, 422), answer
        assert settled(world) == rows(furnished)


def test_each_caller_of_the_table_is_told_apart() -> None:
    """A table in which two callers never differ tests one of them for nothing."""
    columns = {who: tuple(row[who] for row in kube.table().values()) for who in CALLERS}
    assert len(set(columns.values())) == len(CALLERS)


def test_served_paths() -> None:
    """The table's resources are written as kubectl writes them."""
    scale = Served("deployments.apps/scale", "get", "apps/v1", "deployments", "scale", True)
    assert scale.path("web") == "/apis/apps/v1/namespaces/kestrel/deployments/web/scale"
