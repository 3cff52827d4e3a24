# SPDX-License-Identifier: Apache-2.0
"""A cloud in another process: how a dialect, a controller or an agent reaches the kernel over HTTP.

async with RemoteCloud("https://127.0.0.1:6443", token_file=path, ca_file=ca) as cloud:
    caller = await cloud.authenticate(token)
    await cloud.acting(caller).list(POD, "default")
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Self

from lichen.client.channels import Channels
from lichen.client.state import RemoteState
from lichen.client.transport import PATIENCE, Transport, tls_context
from lichen.kinds.builtin import SELF_SUBJECT_REVIEW
from lichen.model.caller import from_user_info
from lichen.model.errors import NotFound, Unauthorized, Unavailable
from lichen.model.state import Caller


class TokenFile:
    """A token that is rotated by replacing its file: read again when the file changes."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._read_at: tuple[int, int] = (0, 0)
        self._token = ""

    def __call__(self) -> str:
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            raise Unavailable(f"the credential {self._path} is not there yet") from None
        if self._read_at != (stat.st_mtime_ns, stat.st_ino):
            self._token = self._path.read_text().strip()
            self._read_at = (stat.st_mtime_ns, stat.st_ino)
        return self._token


class RemoteCloud:
    """A Cloud over HTTP. base_url: https://…, http://… or unix:///socket. token, token_file: its own credential,
    which others' requests do not need: a bearer's token is asked about with that token. proof: the token that says
    that it is OpenStack's API which asks for them. Close it, or use it as a context."""

    def __init__(
        self,
        base_url: str,
        *,
        token: str = "",
        token_file: str | Path | None = None,
        ca_file: str | Path | None = None,
        tls: ssl.SSLContext | None = None,
        patience: float = PATIENCE,
        proof: Callable[[], str] | None = None,
    ) -> None:
        if tls is None and base_url.startswith("https://"):
            tls = tls_context(ca_file)
        self._transport = Transport(base_url, tls=tls, patience=patience, proof=proof)
        self._token: Callable[[], str] = TokenFile(token_file) if token_file is not None else lambda: token

    @property
    def state(self) -> RemoteState:
        """The State as this cloud's own credential may see and change it."""
        return RemoteState(self._transport, self._token)

    async def authenticate(self, token: str) -> Caller:
        """Who bears `token`. Unauthorized."""
        if not token or not token.isascii() or not token.isprintable():
            raise Unauthorized("the token is not valid")
        review = {"apiVersion": SELF_SUBJECT_REVIEW.api_version, "kind": SELF_SUBJECT_REVIEW.kind, "metadata": {}}
        answer = await RemoteState(self._transport, lambda: token).create(SELF_SUBJECT_REVIEW, review)
        return from_user_info(answer["status"]["userInfo"], token)

    def acting(self, caller: Caller) -> RemoteState:
        """The State as `caller` may see and change it, by the caller's own token."""
        return RemoteState(self._transport, lambda: caller.token)

    async def read(self, caller: Caller, path: str) -> bytes:
        """The body of a GET of `path`, with its query. NotFound."""
        if not path.startswith("/"):
            raise NotFound(f"{path!r} is not a path")
        return (await self._transport.request("GET", path, token=caller.token, accept="*/*")).body

    def attach(self, path: str) -> AbstractAsyncContextManager[Channels]:
        """The streams behind `path`, an exec or attach subresource with its query, by this cloud's own credential.
        ApiError."""
        return self._transport.channels(path, token=self._token())

    async def close(self) -> None:
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()
