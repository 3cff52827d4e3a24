# SPDX-License-Identifier: Apache-2.0
"""Faults on demand. A server asks for them by metadata, a pod by label, under the key `lichen.dev/simulate-fault`:

| value       | server                          | pod                               |
|-------------|---------------------------------|-----------------------------------|
| `disk`      | its image is unusable           |                                   |
| `start`     | the engine refuses to start it  | its containers cannot be started  |
| `sandbox`   |                                 | its sandbox cannot be made        |
| `crash-<s>` | crashes s seconds after a start | its containers end with code 137  |
| `oom-<s>`   |                                 | its containers end as OOMKilled   |
| `off-<s>`   | powers itself off               |                                   |
| `hang`      | ignores a polite power-off      |                                   |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

KEY = "lichen.dev/simulate-fault"
META_DATA = "openstack/latest/meta_data.json"


@dataclass(frozen=True, slots=True)
class Fault:
    """What is to go wrong, and how many seconds after the start."""

    kind: str = ""
    after: float = 0.0


def fault_of(value: str) -> Fault:
    """`crash-5` → Fault("crash", 5.0); what cannot be read is no fault."""
    kind, _, seconds = value.partition("-")
    try:
        return Fault(kind, float(seconds or 0))
    except ValueError:
        return Fault()


def guest_fault(files: Mapping[str, bytes]) -> Fault:
    """The fault that a guest's config drive asks for."""
    try:
        meta = msgspec.json.decode(files.get(META_DATA, b"{}")).get("meta") or {}
    except (msgspec.DecodeError, AttributeError):
        return Fault()
    return fault_of(str(meta.get(KEY, "")))


def pod_fault(labels: Mapping[str, str]) -> Fault:
    """The fault that a pod's labels ask for."""
    return fault_of(labels.get(KEY, ""))
