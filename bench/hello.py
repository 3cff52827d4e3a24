# SPDX-License-Identifier: Apache-2.0
"""The limit: an ASGI app that does nothing, served as Lichen serves. `python -m bench.hello DESCRIPTOR TLS_DIR`."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path
from typing import Any

from lichen.daemon.life import run_until_stopped
from lichen.daemon.serving import serving

HEADERS = [(b"content-type", b"text/plain"), (b"content-length", b"5")]


async def app(_scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": b"hello"})


async def main(stopped: asyncio.Event) -> None:
    sock, tls = socket.socket(fileno=int(sys.argv[1])), Path(sys.argv[2])
    async with serving(app, sock, (tls / "tls.crt", tls / "tls.key")):
        await stopped.wait()


if __name__ == "__main__":
    run_until_stopped(main)
