# SPDX-License-Identifier: Apache-2.0
"""The published schemas of Kubernetes' stable kinds, read on first use; each definition is decoded when asked for.

The file is derived by `scripts/bundle`.
"""

from __future__ import annotations

import gzip
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

PREFIX = "#/components/schemas/"
"""What every `$ref` starts with; the rest is a definition's name."""

_PACKAGES = {
    "apiextensions.k8s.io": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions",
    "apiregistration.k8s.io": "io.k8s.kube-aggregator.pkg.apis.apiregistration",
}
META = "io.k8s.apimachinery.pkg.apis.meta.v1"
OBJECT_META = f"{META}.ObjectMeta"


@cache
def _raw() -> dict[str, msgspec.Raw]:
    packed = files("lichen.kinds").joinpath("data/kubernetes.json.gz").read_bytes()
    return msgspec.json.decode(gzip.decompress(packed), type=dict[str, msgspec.Raw])


def names() -> tuple[str, ...]:
    """All definitions' names."""
    return tuple(_raw())


@cache
def definition(name: str) -> dict[str, Any]:
    """One definition, shared: read only. KeyError: there is none of that name."""
    schema: dict[str, Any] = msgspec.json.decode(_raw()[name])
    return schema


def compact(value: Any) -> str:
    """A value as JSON in one line."""
    return msgspec.json.encode(value).decode()


def definition_name(group: str, version: str, kind: str) -> str:
    """`apps`, `v1`, `Deployment` → `io.k8s.api.apps.v1.Deployment`."""
    package = _PACKAGES.get(group) or f"io.k8s.api.{group.removesuffix('.k8s.io').split('.')[0] or 'core'}"
    return f"{package}.{version}.{kind}"
