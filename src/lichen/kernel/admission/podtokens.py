# SPDX-License-Identifier: Apache-2.0
"""The volume by which a pod gets its service account's token, the cloud's authority and its namespace."""

from __future__ import annotations

import secrets

from lichen.model.data import Object
from lichen.model.names import ROOT_CA

MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
PREFIX = "kube-api-access-"
SECONDS = 3607
"""An hour and a little: what asks for it by name can be told from what asks for an hour."""
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


def mount_token(spec: Object) -> None:
    """Add the volume and its mounts to a pod's spec; containers that mount something there keep that."""
    containers = [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]
    lacking = [c for c in containers if all(m.get("mountPath") != MOUNT_PATH for m in c.get("volumeMounts") or [])]
    if not lacking:
        return
    volumes = spec.setdefault("volumes", [])
    known = next((v["name"] for v in volumes if v["name"].startswith(PREFIX) and "projected" in v), None)
    name = known or PREFIX + "".join(secrets.choice(_LETTERS) for _ in range(5))
    if known is None:
        volumes.append(_volume(name))
    for container in lacking:
        mount = {"name": name, "readOnly": True, "mountPath": MOUNT_PATH}
        container.setdefault("volumeMounts", []).append(mount)


def _volume(name: str) -> Object:
    field = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
    sources: list[Object] = [
        {"serviceAccountToken": {"expirationSeconds": SECONDS, "path": "token"}},
        {"configMap": {"name": ROOT_CA, "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": field}]}},
    ]
    return {"name": name, "projected": {"sources": sources, "defaultMode": 0o644}}
