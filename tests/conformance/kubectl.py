# SPDX-License-Identifier: Apache-2.0
"""Fixtures that serve the Kubernetes API on a port of the system's choice, over TLS, and run the real kubectl on it."""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

KUBECTL = "/usr/bin/kubectl"


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Kubectl:
    """kubectl with a kubeconfig and a cache of its own in `folder`."""

    folder: Path
    server: str
    ca: Path
    token: str
    namespace: str = "default"
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config = self.folder / "kubeconfig"
        user = {"token": self.token} if self.token else {}
        self.config.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [
                        {"name": "t", "cluster": {"server": self.server, "certificate-authority": str(self.ca)}}
                    ],
                    "users": [{"name": "t", "user": user}],
                    "contexts": [{"name": "t", "context": {"cluster": "t", "user": "t", "namespace": self.namespace}}],
                    "current-context": "t",
                }
            )
        )

    async def start(self, *args: str, stdin: bool = False) -> asyncio.subprocess.Process:
        """A running kubectl; the caller ends it."""
        env = {"HOME": str(self.folder), "PATH": os.environ["PATH"], "KUBECONFIG": str(self.config), **self.env}
        return await asyncio.create_subprocess_exec(
            KUBECTL,
            "--cache-dir",
            str(self.folder / "cache"),
            *args,
            stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=env,
        )

    async def run(self, *args: str, input: str | dict[str, Any] | None = None, timeout: float = 60) -> Result:
        """Run to the end, whatever the code."""
        text = json.dumps(input) if isinstance(input, dict) else input
        process = await self.start(*args, stdin=text is not None)
        try:
            out, err = await asyncio.wait_for(process.communicate(text.encode() if text is not None else None), timeout)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return Result(process.returncode or 0, out.decode(), err.decode())

    async def ok(self, *args: str, input: str | dict[str, Any] | None = None) -> str:
        """What it prints; fails the test if it fails."""
        result = await self.run(*args, input=input)
        assert result.code == 0, f"kubectl {' '.join(args)}: {result.err}{result.out}"
        return result.out

    async def fails(self, *args: str, input: str | dict[str, Any] | None = None) -> str:
        """What it complains of; fails the test if it succeeds."""
        result = await self.run(*args, input=input)
        assert result.code != 0, f"kubectl {' '.join(args)} succeeded: {result.out}"
        return result.err


@asynccontextmanager
async def serving(app: Any, folder: Path) -> AsyncIterator[tuple[str, Path]]:
    """Serve an ASGI application over TLS on 127.0.0.1; gives its address and the certificate to trust."""
    certificate, key = self_signed(folder)
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        ssl_certfile=str(certificate),
        ssl_keyfile=str(key),
        log_config=None,
        access_log=False,
        ws="websockets-sansio",
        timeout_graceful_shutdown=1,
        server_header=False,
        date_header=False,
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    task = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0.005)
        if task.done():
            task.result()
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"https://127.0.0.1:{port}", certificate
    finally:
        server.should_exit = True
        await task


def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key."""
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "tls.crt", folder / "tls.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths
