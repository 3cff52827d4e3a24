# SPDX-License-Identifier: Apache-2.0
"""What the server says of itself: version, health, discovery, OpenAPI."""

from __future__ import annotations

import hashlib
import platform
from functools import lru_cache

from lichen import __version__
from lichen.apis.kubernetes import discovery
from lichen.apis.kubernetes.negotiation import Form, form_of
from lichen.apis.kubernetes.openapi import OpenAPI
from lichen.apis.kubernetes.request import Request
from lichen.apis.kubernetes.respond import JSON_TYPE, send_object, send_raw
from lichen.apis.kubernetes.wire import encode
from lichen.kernel.access import Publishing
from lichen.kinds.catalog import Catalog
from lichen.model.data import Object
from lichen.model.errors import Forbidden, MethodNotAllowed, NotFound
from lichen.model.state import Caller

_HEALTH = frozenset(("/healthz", "/livez", "/readyz"))
_DISCOVERY_TYPE = (b"content-type", b"application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
_PROTO_TYPE = (b"content-type", b"application/com.github.proto-openapi.spec.v2.v1.0+protobuf")
_PUBLIC = frozenset(("/version", *_HEALTH))
_JWKS = "/openid/v1/jwks"
_ISSUER = ("/.well-known/openid-configuration", _JWKS)
_AN_HOUR = (b"cache-control", b"public, max-age=3600")


def version() -> Object:
    """GET /version: the Kubernetes release whose API this is, with Lichen's own beside it."""
    return {
        "major": "1",
        "minor": "36",
        "gitVersion": "v1.36.0+lichen",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": f"python{platform.python_version()}",
        "compiler": "lichen-" + __version__,
        "platform": f"linux/{_architecture()}",
    }


class Documents:
    """Answers for paths outside of the objects. Each body is built once for each state of the catalog."""

    def __init__(self, catalog: Catalog, access: object = None) -> None:
        """access: publishes the keys of tokens, if it is `Publishing`."""
        self._catalog = catalog
        self._access = access
        self._openapi = OpenAPI(catalog)
        self._groups: discovery.Groups = {}
        self._aggregated: dict[bool, bytes] = {}
        catalog.follow(self._forget)

    def _forget(self) -> None:
        """The catalog changed: all is built anew when it is asked for."""
        self._groups, self._aggregated = {}, {}
        self._openapi = OpenAPI(self._catalog, self._openapi)

    def groups(self) -> discovery.Groups:
        if not self._groups:
            self._groups = discovery.groups_of(self._catalog.all_kinds())
        return self._groups

    async def answer(self, request: Request, caller: Caller) -> bool:
        """False: there is no such document. Forbidden: anonymous callers see version and health only."""
        path = request.path.rstrip("/") or "/"
        if not _is_document(path):
            return False
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed("the server does not allow this method on the requested resource")
        if path.partition("/")[0] == "" and "/" + path.split("/")[1] in _PUBLIC:
            await self._public(request, path)
            return True
        if path in _ISSUER:
            await self._issuer(request, caller, path)
            return True
        if "system:unauthenticated" in caller.groups:
            raise Forbidden(f'forbidden: User "{caller.name}" cannot get path "{path}"')
        await self._document(request, path)
        return True

    async def _public(self, request: Request, path: str) -> None:
        if path == "/version":
            await send_object(request, version(), Form.JSON)
        else:
            await send_raw(request, b"ok", 200, ((b"content-type", b"text/plain; charset=utf-8"),))

    async def _issuer(self, request: Request, caller: Caller, path: str) -> None:
        """By which whoever is shown a token of ours verifies it without asking us."""
        access = self._access
        if not isinstance(access, Publishing):
            raise NotFound("the server could not find the requested resource")
        if access.refusal_of_path(caller, "get", path) is not None:
            raise Forbidden(f'forbidden: User "{caller.name}" cannot get path "{path}"')
        if path == _JWKS:
            await send_raw(
                request, encode(access.jwks()), 200, ((b"content-type", b"application/jwk-set+json"), _AN_HOUR)
            )
            return
        about = {
            "issuer": access.issuer(),
            "jwks_uri": access.issuer() + _JWKS,
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        }
        await send_raw(request, encode(about), 200, ((b"content-type", b"application/json"), _AN_HOUR))

    async def _document(self, request: Request, path: str) -> None:
        if path == "/openapi/v2":
            await self._openapi_v2(request)
        elif path.startswith("/openapi/v3"):
            await self._openapi_v3(request, path.removeprefix("/openapi/v3").lstrip("/"))
        elif path == "/":
            await send_object(request, {"paths": _paths(self.groups())}, Form.JSON)
        else:
            await self._discovery(request, path)

    async def _discovery(self, request: Request, path: str) -> None:
        groups = self.groups()
        parts = path.split("/")[1:]
        aggregated = form_of(request.header(b"accept")) is Form.DISCOVERY and len(parts) == 1
        if aggregated:
            body = self._all_groups(parts[0] == "api")
            await _cached(request, body, (_DISCOVERY_TYPE, (b"vary", b"accept")))
            return
        if parts == ["api"]:
            document = discovery.api_versions()
        elif parts == ["apis"]:
            document = discovery.api_groups(groups)
        elif parts[0] == "api":
            document = discovery.api_resources(groups, "", parts[1])
        elif len(parts) == 2:
            document = discovery.api_group(groups, parts[1])
        else:
            document = discovery.api_resources(groups, parts[1], parts[2])
        await send_object(request, document, Form.JSON)

    async def _openapi_v2(self, request: Request) -> None:
        plain, packed = await self._openapi.v2()
        if b"proto-openapi" in request.headers.get(b"accept", b""):
            await _cached(request, packed, (_PROTO_TYPE, (b"vary", b"accept")))
        else:
            await _cached(request, plain, (JSON_TYPE, (b"vary", b"accept")))

    async def _openapi_v3(self, request: Request, name: str) -> None:
        documents = self._openapi
        if not name:
            await _cached(request, await documents.v3_index(), (JSON_TYPE,))
            return
        built = await documents.v3(name)
        if b"gzip" in request.headers.get(b"accept-encoding", b""):
            packed = (JSON_TYPE, (b"content-encoding", b"gzip"), (b"vary", b"accept-encoding"))
            await _cached(request, built.packed, packed)
        else:
            await _cached(request, built.plain, (JSON_TYPE,))

    def _all_groups(self, core: bool) -> bytes:
        body = self._aggregated.get(core)
        if body is None:
            body = self._aggregated[core] = encode(discovery.aggregated(self.groups(), core=core))
        return body


async def _cached(request: Request, body: bytes, headers: tuple[tuple[bytes, bytes], ...]) -> None:
    """Answer with an entity tag; 304 to whoever has it already."""
    tag = _tag(body)
    if request.headers.get(b"if-none-match") == tag:
        await send_raw(request, b"", 304, ((b"etag", tag),))
        return
    await send_raw(request, body, 200, (*headers, (b"etag", tag)))


@lru_cache(maxsize=128)
def _tag(body: bytes) -> bytes:
    return b'"%b"' % hashlib.sha256(body).hexdigest()[:32].upper().encode()


def _is_document(path: str) -> bool:
    first = path.split("/")[1]
    return path in _ISSUER or first in ("", "api", "apis", "openapi", "version") or "/" + first in _HEALTH


def _paths(groups: discovery.Groups) -> list[str]:
    paths = ["/api", "/api/v1", "/apis"]
    for group, versions in groups.items():
        if group:
            paths += [f"/apis/{group}", *(f"/apis/{group}/{v}" for v in versions)]
    return [*_ISSUER, *paths, "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]


def _architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
