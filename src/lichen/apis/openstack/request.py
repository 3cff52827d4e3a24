# SPDX-License-Identifier: Apache-2.0
"""One request, as a handler sees it: its caller, its State, its query, its body, and where it came from."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlencode

from lichen.apis.openstack import body
from lichen.apis.openstack.routing import Service, Version
from lichen.model.data import Object
from lichen.model.errors import BadRequest
from lichen.model.state import Caller, Cloud, State

T = TypeVar("T")
NOBODY = Caller(name="system:anonymous", groups=("system:unauthenticated",))
_HOST = re.compile(r"[A-Za-z0-9.\-_]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")
_TRUE = frozenset(("1", "t", "true", "on", "y", "yes"))
_FALSE = frozenset(("0", "f", "false", "off", "n", "no"))


@dataclass(frozen=True, slots=True)
class Dialect:
    """What every handler stands on. images: the folder that uploaded images are kept in, None: no uploads here."""

    cloud: Cloud
    services: tuple[Service, ...]
    region: str = "RegionOne"
    images: Path | None = None


@dataclass(kw_only=True)
class Request:
    """One call. `path` is relative to the service's mount; header names are lower-case. names_nothing: where an id
    belongs, the path ends."""

    dialect: Dialect
    service: Service
    method: str
    path: str
    query_string: str
    headers: dict[str, str]
    scheme: str
    server: str
    receive: body.Receive
    root_path: str = ""
    names_nothing: bool = False
    request_id: str = ""
    params: dict[str, str] = field(default_factory=dict)
    version: Version = (0, 0)
    caller: Caller = NOBODY
    share: str = ""  # of whose share of requests it is

    @property
    def cloud(self) -> Cloud:
        return self.dialect.cloud

    @cached_property
    def state(self) -> State:
        """The cloud as the caller may see and change it."""
        return self.dialect.cloud.acting(self.caller)

    @property
    def namespace(self) -> str:
        """The caller's project, as a namespace. BadRequest: the token has no project."""
        if not self.caller.namespace:
            raise BadRequest("This call needs a token that is scoped to a project.")
        return self.caller.namespace

    def since(self, major: int, minor: int) -> bool:
        """Whether the negotiated microversion is at least this."""
        return self.version >= (major, minor)

    # --- query ---

    @cached_property
    def query(self) -> dict[str, list[str]]:
        try:
            return parse_qs(self.query_string, keep_blank_values=True, max_num_fields=1000)
        except ValueError as error:
            raise BadRequest(f"The query cannot be read: {error}.") from None

    def arg(self, name: str, default: str = "") -> str:
        """The last value of a query parameter."""
        return self.query.get(name, (default,))[-1]

    def flag(self, name: str, default: bool | None = None) -> bool | None:
        """A query parameter as a truth; present without a value is true. BadRequest: it is neither."""
        if name not in self.query:
            return default
        value = self.arg(name).lower()
        if value in _TRUE or value == "":
            return True
        if value in _FALSE:
            return False
        raise BadRequest(f"Invalid input for query parameter {name}: {self.arg(name)!r} is not a boolean.")

    def number(self, name: str, default: int = 0) -> int:
        """A query parameter as an integer from 0. BadRequest."""
        value = self.arg(name)
        if name not in self.query:
            return default
        if not value.isascii() or not value.isdigit() or len(value) > 18:
            raise BadRequest(f"Invalid input for query parameter {name}: {value!r} is not a non-negative integer.")
        return int(value)

    # --- body ---

    async def read(self) -> bytes:
        """The body's bytes, up to the service's limit. TooLarge."""
        return await body.read_all(self.receive, self.service.body_limit)

    async def document(self) -> Object:
        """The body as a JSON object. BadRequest, TooLarge."""
        return body.decode_object(await self.read())

    async def json(self, key: str, shape: type[T], *, lax: bool = True) -> T:
        """What the body has under `key`, in the given shape. BadRequest, TooLarge."""
        return body.pick(await self.document(), key, shape, lax=lax)

    def stream(self) -> AsyncIterator[bytes]:
        """The body in chunks, without a limit."""
        return body.chunks(self.receive)

    # --- links ---

    @cached_property
    def base_url(self) -> str:
        """How the client reached us: scheme and host, without a slash at the end."""
        scheme = self.headers.get("x-forwarded-proto", self.scheme)
        host = self.headers.get("x-forwarded-host") or self.headers.get("host", "")
        if scheme not in ("http", "https"):
            scheme = self.scheme
        return f"{scheme}://{host if _HOST.fullmatch(host) else self.server}{self.root_path}"

    def url(self, path: str, **query: Any) -> str:
        """An absolute URL inside this service: `req.url("/v2.1/servers", limit=10)`."""
        return self.absolute(self.service.mount + path, **query)

    def absolute(self, path: str, **query: Any) -> str:
        """An absolute URL in this cloud, mount included."""
        tail = f"?{urlencode(query, doseq=True)}" if query else ""
        return f"{self.base_url}{path}{tail}"

    def this_url(self, **changed: Any) -> str:
        """The URL of this request with some query parameters replaced (None: left out)."""
        query = {k: v for k, v in {**self.query, **changed}.items() if v is not None}
        return self.url(self.path, **query)
