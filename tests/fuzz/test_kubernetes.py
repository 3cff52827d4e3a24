# SPDX-License-Identifier: Apache-2.0
"""Spoilt requests to every resource that the served OpenAPI knows: no 500, no hang, no change after a refusal."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz import nasty
from tests.fuzz.harness import SECONDS, Ask, Target, examples
from tests.tenancy import kube
from tests.tenancy.sockets import CHANNELS, dial
from tests.tenancy.world import World, thawed

WHO = ("member", "admin", "node", "outsider", "anonymous")
PATCHES = {
    "application/merge-patch+json": "merge", "application/strategic-merge-patch+json": "merge",
    "application/apply-patch+yaml": "apply", "application/json-patch+json": "json",
}  # fmt: skip
Document = dict[str, Any]


class Api:
    """What is served: each verb with an object that fits it, and the schemas by group, version and kind."""

    def __init__(self, target: Target) -> None:
        self.calls, self.schemas, self.definitions = target.run(_read(target))

    def extra(self, api_version: str, kind: str) -> tuple[str, ...]:
        """Fields that such an object, or something in it, may have."""
        group, _, version = api_version.rpartition("/")
        return self.schemas.get((group, version, kind)) or ("spec", "metadata", "status")


async def _read(target: Target) -> tuple[list[tuple[kube.Served, Document | None]], Document, Document]:
    async with thawed(target.frozen) as world:
        calls = [(what, await kube.object_of(world, what)) for what in await kube.served(world)]
        definitions: Document = {}
        for place in (await world.ask_kubernetes("admin", "GET", "/openapi/v3")).json()["paths"].values():
            document = await _document(world, place["serverRelativeURL"])
            definitions |= document.get("components", {}).get("schemas", {})
    fields = {}
    for schema in definitions.values():
        for gvk in schema.get("x-kubernetes-group-version-kind") or ():
            fields[gvk["group"], gvk["version"], gvk["kind"]] = tuple(sorted(_fields(schema, definitions, set())))
    return calls, fields, definitions


async def _document(world: World, url: str) -> Document:
    return (await world.ask_kubernetes("admin", "GET", url)).json()


def _fields(schema: Any, definitions: Document, seen: set[str]) -> set[str]:
    """The names of all fields at any depth."""
    found: set[str] = set()
    if isinstance(schema, dict):
        reference = str(schema.get("$ref") or "").rpartition("/")[2]
        if reference and reference not in seen:
            seen.add(reference)
            found |= _fields(definitions.get(reference), definitions, seen)
        found |= set(schema.get("properties") or ())
        for part in schema.values():
            found |= _fields(part, definitions, seen) if isinstance(part, dict | list) else set()
    elif isinstance(schema, list):
        for part in schema:
            found |= _fields(part, definitions, seen)
    return found


def test_no_request_breaks_it(target: Target) -> None:
    api = Api(target)
    assert len(api.schemas) > 100, "the served OpenAPI is read"

    @examples(2500)
    @given(st.data())
    def spoil(data: st.DataObject) -> None:
        what, obj = data.draw(st.sampled_from(api.calls))
        name = (obj or {}).get("metadata", {}).get("name", "x")
        path = data.draw(nasty.paths(what.path(name))) + data.draw(nasty.queries())
        headers = data.draw(nasty.headers())
        good = kube.body_of(what, obj) if what.verb in ("create", "update", "patch") else None
        known = api.extra(what.version, (obj or good or {}).get("kind", ""))
        method = kube.METHODS.get(what.verb, "GET")
        if what.verb == "patch":
            content, good = data.draw(patched(good or {}))
            headers = {"content-type": content} | headers
        body = data.draw(nasty.bodies(good, known)) if good is not None else b""
        if what.verb in ("delete", "deletecollection") and data.draw(st.booleans()):
            body = data.draw(
                nasty.bodies({"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": "x"}}, known)
            )
        target.try_kubernetes(Ask(data.draw(st.sampled_from(WHO)), method, path, body, headers))

    spoil()


@st.composite
def patched(draw: st.DrawFn, obj: Document) -> tuple[str, Any]:
    """A patch in one of the four ways, good to begin with."""
    content = draw(st.sampled_from(sorted(PATCHES)))
    whole = json.loads(json.dumps(obj))
    if PATCHES[content] == "json":
        spots = [at for at in nasty.places(whole) if at]
        at = draw(st.sampled_from(spots)) if spots else ("metadata",)
        pointer = "/" + "/".join(str(key).replace("~", "~0").replace("/", "~1") for key in at)
        op = draw(st.sampled_from(("add", "replace", "remove", "test", "copy", "move")))
        return content, [{"op": op, "path": pointer, "value": draw(nasty.values), "from": pointer}]
    whole.get("metadata", {}).pop("managedFields", None)
    return content, whole


STREAMS = ("exec", "attach", "portforward", "log", "proxy", "status", "")


def test_no_socket_breaks_it(target: Target) -> None:
    """Whatever is asked of it, a socket is opened or refused."""

    @examples(500)
    @given(st.data())
    def spoil(data: st.DataObject) -> None:
        kind, name = data.draw(st.sampled_from((("pods", "kestrel-pod"), ("services", "x"), ("secrets", "x"))))
        stream = data.draw(st.sampled_from(STREAMS))
        path = data.draw(nasty.paths(f"/api/v1/namespaces/kestrel/{kind}/{name}/{stream}")) + data.draw(nasty.queries())
        protocols = data.draw(
            st.lists(st.sampled_from((*CHANNELS, "", "é", "base64url.bearer.authorization.k8s.io.!")))
        )
        headers = data.draw(nasty.headers()) | {"authorization": f"Bearer {target.frozen.tokens['member']}"}
        code, said = target.run(_dialled(target, path, headers, tuple(protocols)))
        assert code < 500, (path, headers, protocols, code, said)

    spoil()


async def _dialled(target: Target, path: str, headers: dict[str, str], protocols: tuple[str, ...]) -> tuple[int, bytes]:
    async with thawed(target.frozen) as world, asyncio.timeout(SECONDS):
        return await dial(world.kubernetes, path, headers, protocols)


DISCOVERY = (
    "/", "/api", "/apis", "/api/v1", "/apis/apps", "/apis/apps/v1", "/version", "/healthz", "/livez", "/readyz",
    "/openapi/v2", "/openapi/v3", "/openapi/v3/api/v1", "/metrics", "/.well-known/openid-configuration",
)  # fmt: skip


def test_no_request_for_a_document_breaks_it(target: Target) -> None:
    @examples(300)
    @given(st.data())
    def spoil(data: st.DataObject) -> None:
        path = data.draw(nasty.paths(data.draw(st.sampled_from(DISCOVERY)) + "/")) + data.draw(nasty.queries())
        method = data.draw(st.sampled_from(("GET", "HEAD", "POST", "OPTIONS", "TRACE", "é")))
        target.try_kubernetes(Ask("admin", method, path, b"", data.draw(nasty.headers())))

    spoil()
