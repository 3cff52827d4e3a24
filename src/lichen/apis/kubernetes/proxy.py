# SPDX-License-Identifier: Apache-2.0
"""The agent of another machine as an ASGI application: HTTP streamed, WebSockets passed frame by frame."""

from __future__ import annotations

import asyncio
import ssl

import aiohttp
from yarl import URL

from lichen.apis.kubernetes.proxy_socket import pass_websocket
from lichen.apis.kubernetes.request import Receive, Scope, Send
from lichen.model.errors import Unavailable

_HOP = frozenset(
    ("connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer", "content-length", "content-encoding")
)
_CONNECT_SECONDS = 10


class RemoteNode:
    """An ASGI application that asks the agent at `base_url`, with a credential of its own. Close it when done."""

    def __init__(self, base_url: str, ssl_context: ssl.SSLContext | None, token: str) -> None:
        self._base = base_url.rstrip("/")
        self._ssl: ssl.SSLContext | bool = ssl_context if ssl_context is not None else True
        self._token = token
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Unavailable: the agent cannot be reached."""
        url = self._base + (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
        query = scope["query_string"].decode("latin-1")
        url = f"{url}?{query}" if query else url
        try:
            if scope["type"] == "websocket":
                await pass_websocket(self._client(), url, self._ssl, scope, receive, send)
            else:
                await self._pass_http(url, scope, receive, send)
        except (aiohttp.ClientConnectionError, TimeoutError) as fault:
            raise Unavailable(f"the node's agent cannot be reached: {fault}", retry_after=1) from fault

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers={"authorization": f"Bearer {self._token}"} if self._token else {},
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
                auto_decompress=False,
            )
        return self._session

    async def _pass_http(self, url: str, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _body_of(receive)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        headers = {name: value for name, value in headers.items() if name not in (*_HOP, "host")}
        async with self._client().request(
            scope["method"], URL(url, encoded=True), data=body or None, headers=headers, ssl=self._ssl
        ) as answer:
            gone = asyncio.create_task(_until_gone(receive))
            passing = asyncio.create_task(_pass_answer(answer, send))
            try:
                await asyncio.wait((gone, passing), return_when=asyncio.FIRST_COMPLETED)
                if passing.done():
                    passing.result()
            finally:
                for task in (gone, passing):
                    task.cancel()
                await asyncio.gather(gone, passing, return_exceptions=True)


def remote_node(base_url: str, ssl_context: ssl.SSLContext | None, token: str) -> RemoteNode:
    """The agent's HTTPS server at `base_url` as an ASGI application."""
    return RemoteNode(base_url, ssl_context, token)


async def _pass_answer(answer: aiohttp.ClientResponse, send: Send) -> None:
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in answer.headers.items()
        if name.lower() not in _HOP or name.lower() == "content-encoding"
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    async for chunk in answer.content.iter_any():
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _body_of(receive: Receive) -> bytes:
    chunks = []
    while True:
        message = await receive()
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(chunks)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
