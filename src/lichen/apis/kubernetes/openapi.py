# SPDX-License-Identifier: Apache-2.0
"""OpenAPI documents, built from the catalog on first use, off the event loop, and kept.

v3 has one document for each group and version; its address carries a digest of its content, so that clients keep it.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from lichen.apis.kubernetes.discovery import groups_of
from lichen.apis.kubernetes.openapi_paths import paths_of
from lichen.apis.kubernetes.openapi_v2 import document_v2, encode_v2
from lichen.apis.kubernetes.wire import encode
from lichen.kinds import bundle
from lichen.kinds.catalog import Catalog, definition_name
from lichen.model.data import Object
from lichen.model.errors import NotFound
from lichen.model.kind import Kind

Kinds = tuple[Kind, ...]
_INFO = {"title": "Lichen", "version": "v1.36.0+lichen"}
_EXTRA = (f"{bundle.META}.DeleteOptions", f"{bundle.META}.Status", f"{bundle.META}.ListMeta")


class Built(NamedTuple):
    """One document: as it is, compressed, and its digest."""

    plain: bytes
    packed: bytes
    digest: str


class OpenAPI:
    """All documents of one state of a catalog. before: those of the state before, whose fixed parts are kept."""

    def __init__(self, catalog: Catalog, before: OpenAPI | None = None) -> None:
        self._catalog = catalog
        self._kinds = catalog.all_kinds()
        self._installed = {definition_name(k): catalog.schema_of(k) for k in self._kinds if k.installed}
        self._fixed: dict[str, Built] = before._fixed if before is not None else {}
        self._v3: asyncio.Task[dict[str, Built]] | None = None
        self._v2: asyncio.Task[tuple[bytes, bytes]] | None = None

    async def v3_index(self) -> bytes:
        """GET /openapi/v3."""
        documents = await self._documents()
        paths = {
            name: {"serverRelativeURL": f"/openapi/v3/{name}?hash={built.digest}"} for name, built in documents.items()
        }
        return encode({"paths": paths})

    async def v3(self, name: str) -> Built:
        """GET /openapi/v3/<name>, e.g. `api/v1` or `apis/apps/v1`. NotFound."""
        built = (await self._documents()).get(name)
        if built is None:
            raise NotFound("the server could not find the requested resource")
        return built

    async def v2(self) -> tuple[bytes, bytes]:
        """GET /openapi/v2: all definitions in one document, in JSON and in protobuf."""
        if self._v2 is None:
            self._v2 = asyncio.create_task(asyncio.to_thread(self._build_v2))
        return await asyncio.shield(self._v2)

    async def _documents(self) -> dict[str, Built]:
        if self._v3 is None:
            self._v3 = asyncio.create_task(asyncio.to_thread(self._build_v3))
        return await asyncio.shield(self._v3)

    def _build_v3(self) -> dict[str, Built]:
        return {
            (name := f"apis/{group}/{version}" if group else f"api/{version}"): self._built_of(name, members)
            for group, versions in groups_of(self._kinds).items()
            for version, members in versions.items()
        }

    def _built_of(self, name: str, members: Kinds) -> Built:
        """What has no installed kinds never changes."""
        if any(kind.installed for kind in members):
            return _built(self._document(members))
        if name not in self._fixed:
            self._fixed[name] = _built(self._document(members))
        return self._fixed[name]

    def _document(self, members: Kinds) -> Object:
        paths: Object = {}
        for kind in members:
            paths.update(paths_of(kind))
        return {
            "openapi": "3.0.0",
            "info": _INFO,
            "paths": paths,
            "components": {"schemas": _wrapped(self._schemas(members))},
        }

    def _schemas(self, members: Kinds) -> Object:
        found: Object = {}
        waiting = [*_EXTRA, *(definition_name(kind) for kind in members)]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found[name] = self._installed.get(name) or self._catalog.definition(name)
                waiting.extend(_references(found[name]))
        return dict(sorted(found.items()))

    def _build_v2(self) -> tuple[bytes, bytes]:
        document = document_v2(_INFO, self._schemas(self._kinds))
        return encode(document), encode_v2(document)


def _built(document: Object) -> Built:
    plain = encode(document)
    return Built(plain, gzip.compress(plain, 3, mtime=0), hashlib.sha256(plain).hexdigest()[:32].upper())


def _references(node: Any) -> Iterator[str]:
    """Names of the definitions that a schema refers to."""
    if isinstance(node, dict) and isinstance(node.get("$ref"), str):
        yield node["$ref"].removeprefix(bundle.PREFIX)
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _references(inner)


def _wrapped(schema: Any) -> Any:
    """In OpenAPI 3.0 nothing stands beside a `$ref`: what does moves out, the reference into `allOf`."""
    if isinstance(schema, list):
        return [_wrapped(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: _wrapped(value) for key, value in schema.items()}
    if isinstance(schema.get("$ref"), str) and len(inner) > 1:
        inner["allOf"] = [{"$ref": inner.pop("$ref")}]
    return inner
