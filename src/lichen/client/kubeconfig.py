# SPDX-License-Identifier: Apache-2.0
"""kubeconfig files: Lichen writes one of its own, and reads any."""

from __future__ import annotations

import base64
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, NamedTuple

import yaml

from lichen.client.local import write_private
from lichen.client.remote import RemoteCloud
from lichen.client.transport import tls_context
from lichen.model.errors import LichenError

NAME = "lichen"


class KubeconfigError(LichenError):
    """The file cannot be read as a kubeconfig; the message names it."""


class Access(NamedTuple):
    """What a context says: where the server is, whom to trust, and what to show. Certificates and keys are PEM."""

    server: str
    namespace: str = "default"
    ca: bytes = b""
    token: str = ""
    token_file: str = ""
    certificate: bytes = b""
    key: bytes = b""
    insecure: bool = False


def kubeconfig_text(server: str, ca: bytes, token: str, *, namespace: str = "default") -> str:
    """A kubeconfig with the one context `lichen`. ca: PEM."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": NAME,
        "clusters": [
            {"name": NAME, "cluster": {"server": server, "certificate-authority-data": base64.b64encode(ca).decode()}}
        ],
        "users": [{"name": NAME, "user": {"token": token}}],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": NAME, "namespace": namespace}}],
    }
    return yaml.safe_dump(config, sort_keys=False)


def write_kubeconfig(path: Path, server: str, ca: bytes, token: str) -> None:
    """Replace Lichen's own kubeconfig file; only its owner may read it."""
    write_private(path, kubeconfig_text(server, ca, token).encode())


def read_kubeconfig(path: str | Path, context: str = "") -> Access:
    """What a context (by default the current one) says. KubeconfigError."""
    path = Path(path)
    try:
        config = yaml.safe_load(path.read_bytes()) or {}
        chosen = context or config.get("current-context") or ""
        where = _named(config, "contexts", chosen)["context"]
        cluster = _named(config, "clusters", where["cluster"])["cluster"]
        user = _named(config, "users", where["user"])["user"] if where.get("user") else {}
        return Access(
            server=cluster["server"],
            namespace=where.get("namespace") or "default",
            ca=_material(path, cluster, "certificate-authority"),
            token=user.get("token") or "",
            token_file=str(path.parent / user["tokenFile"]) if user.get("tokenFile") else "",
            certificate=_material(path, user, "client-certificate"),
            key=_material(path, user, "client-key"),
            insecure=bool(cluster.get("insecure-skip-tls-verify")),
        )
    except OSError as error:
        raise KubeconfigError(f"{error.filename}: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise KubeconfigError(f"{path} is not a kubeconfig that can be used: {error}") from error


def cloud_of(access: Access) -> RemoteCloud:
    """The cloud that a context leads to."""
    tls = None
    if access.server.startswith("https://"):
        with NamedTemporaryFile(suffix=".pem") as pair:
            pair.write(access.certificate + b"\n" + access.key)
            pair.flush()
            shown = pair.name if access.certificate else None
            tls = tls_context(ca_data=access.ca, cert_file=shown, verify=not access.insecure)
    return RemoteCloud(access.server, token=access.token, token_file=access.token_file or None, tls=tls)


def _named(config: Any, kind: str, name: str) -> Any:
    for entry in config.get(kind) or []:
        if entry["name"] == name:
            return entry
    raise KeyError(f"no {kind[:-1]} named {name!r}")


def _material(path: Path, section: Any, key: str) -> bytes:
    if data := section.get(f"{key}-data"):
        return base64.b64decode(data, validate=True)
    if file := section.get(key):
        return Path(path.parent, file).read_bytes()
    return b""
