# SPDX-License-Identifier: Apache-2.0
"""HTTP to one server, over TLS, plainly, or through a unix socket. A server that is restarting is only a pause."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
from yarl import URL

from lichen.client.channels import PROTOCOL, Channels
from lichen.client.errors import error_from
from lichen.model.errors import Unavailable
from lichen.model.names import DIALECT_HEADER
from lichen.model.tracing import AUDIT_ID, REQUEST_ID

PATIENCE = 8.0
"""Seconds for which an absent server is asked again."""
_PAUSES = (0.02, 0.05, 0.1, 0.2, 0.4)
_NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ClientProxyConnectionError)
_CUT = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, aiohttp.ClientPayloadError)
_WHOLE = 120.0
"""Seconds in which an answer must be there."""
_CONNECT = aiohttp.ClientTimeout(total=None, sock_connect=10)


class Answer(NamedTuple):
    body: bytes
    headers: Mapping[str, str]
    warnings: list[str]


class Transport:
    """One server. base_url: `https://host:port`, `http://…`, or `unix:///path/of/socket`. proof: what each request
    bears as DIALECT_HEADER."""

    def __init__(
        self,
        base_url: str,
        *,
        tls: ssl.SSLContext | None = None,
        patience: float = PATIENCE,
        proof: Callable[[], str] | None = None,
    ) -> None:
        self.socket = base_url.removeprefix("unix://") if base_url.startswith("unix://") else ""
        self._base = "http://localhost" if self.socket else base_url.rstrip("/")
        self._tls = tls
        self._patience = patience
        self._proof = proof
        self._session: aiohttp.ClientSession | None = None

    async def request(
        self,
        method: str,
        path: str,
        *,
        token: str = "",
        body: bytes | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        question: bool = False,
    ) -> Answer:
        """One request, answered whole. `path` is encoded and may have a query. ApiError: what the server refused with;
        Unavailable: it was not there. What was never sent is sent again; so is a GET that was cut off, and what is
        asked as a `question`: a request of another method that changes nothing."""
        headers = self._headers(token, accept, content_type if body is not None else "")
        again = (*_NEVER_SENT, *_CUT) if question or method == "GET" else _NEVER_SENT
        deadline = asyncio.get_running_loop().time() + self._patience
        attempt = 0
        while True:
            try:
                return await self._once(method, path, headers, body)
            except aiohttp.ClientSSLError as error:
                raise Unavailable(f"{self._base}: {error}") from error
            except again as error:
                if asyncio.get_running_loop().time() >= deadline:
                    raise Unavailable(f"{self._base} does not answer: {error}") from error
                await asyncio.sleep(_PAUSES[min(attempt, len(_PAUSES) - 1)])
                attempt += 1
            except (aiohttp.ClientError, TimeoutError) as error:
                raise Unavailable(f"{self._base}: {error or type(error).__name__}") from error

    @asynccontextmanager
    async def stream(self, path: str, *, token: str = "") -> AsyncIterator[aiohttp.StreamReader]:
        """The body of a GET as it comes. ApiError, Unavailable (also while it is read)."""
        headers = self._headers(token, "application/json", "")
        try:
            async with self._open("GET", path, headers, None) as response:
                if response.status >= 400:
                    raise error_from(response.status, await response.read())
                yield response.content
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"{self._base}: {error or type(error).__name__}") from error

    @asynccontextmanager
    async def channels(self, path: str, *, token: str = "") -> AsyncIterator[Channels]:
        """A remote-command WebSocket. ApiError: refused; Unavailable."""
        headers = self._headers(token, "application/json", "")
        self._session = self._session or self._connect()
        try:
            async with self._session.ws_connect(self._base + path, headers=headers, protocols=(PROTOCOL,)) as socket:
                yield Channels(socket)
        except aiohttp.WSServerHandshakeError as error:
            raise error_from(error.status, b"") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"{self._base}: {error or type(error).__name__}") from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _once(self, method: str, path: str, headers: dict[str, str], body: bytes | None) -> Answer:
        # Our own limit, as aiohttp's costs a tenth of a request.
        async with asyncio.timeout(_WHOLE), self._open(method, path, headers, body) as response:
            content = await response.read()
            if response.status >= 400:
                raise error_from(response.status, content)
            return Answer(content, response.headers, response.headers.getall("Warning", []))

    def _headers(self, token: str, accept: str, content_type: str) -> dict[str, str]:
        headers = _headers(token, accept, content_type)
        return headers if self._proof is None else {**headers, DIALECT_HEADER: self._proof()}

    def _open(self, method: str, path: str, headers: dict[str, str], body: bytes | None) -> Any:
        if self._session is None:
            self._session = self._connect()
        return self._session.request(
            method,
            URL(self._base + path, encoded=True),
            headers=headers,
            data=body,
            allow_redirects=False,
            timeout=_CONNECT,
        )

    def _connect(self) -> aiohttp.ClientSession:
        connector: aiohttp.BaseConnector
        if self.socket:
            connector = aiohttp.UnixConnector(self.socket, limit=0)
        else:
            connector = aiohttp.TCPConnector(limit=0, ssl=self._tls if self._tls is not None else True)
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=True)


def tls_context(
    ca_file: str | Path | None = None,
    ca_data: bytes = b"",
    *,
    cert_file: str | Path | None = None,
    key_file: str | Path | None = None,
    verify: bool = True,
) -> ssl.SSLContext:
    """Trusts `ca_file` or `ca_data` (PEM) if given, else the system's authorities; shows a certificate if there is
    one."""
    context = ssl.create_default_context(
        cafile=str(ca_file) if ca_file else None, cadata=ca_data.decode() if ca_data else None
    )
    if not verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if cert_file:
        context.load_cert_chain(cert_file, key_file)
    return context


def _headers(token: str, accept: str, content_type: str) -> dict[str, str]:
    headers = {"Accept": accept, "Accept-Encoding": "identity", "User-Agent": "lichen"}
    if request_id := REQUEST_ID.get():
        headers[AUDIT_ID] = request_id
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if content_type:
        headers["Content-Type"] = content_type
    return headers
