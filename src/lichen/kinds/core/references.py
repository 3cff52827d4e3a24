# SPDX-License-Identifier: Apache-2.0
"""Which Secrets and ConfigMaps a pod refers to: all that its node may read of them."""

from __future__ import annotations

from collections.abc import Iterator

from lichen.model.data import Object

CONTAINERS = ("containers", "initContainers", "ephemeralContainers")


def references(spec: Object) -> Iterator[tuple[str, str]]:
    """(Secret or ConfigMap, name) of each reference in a pod's spec."""
    for key in CONTAINERS:
        for container in spec.get(key) or ():
            yield from _of_container(container)
    for volume in spec.get("volumes") or ():
        yield from _of_source(volume)
        for source in (volume.get("projected") or {}).get("sources") or ():
            yield from _of_source(source)
    for secret in spec.get("imagePullSecrets") or ():
        yield "Secret", secret.get("name") or ""


def _of_container(container: Object) -> Iterator[tuple[str, str]]:
    sources = [*(container.get("envFrom") or ()), *(e.get("valueFrom") or {} for e in container.get("env") or ())]
    for source in sources:
        for field, kind in (
            ("secretRef", "Secret"),
            ("secretKeyRef", "Secret"),
            ("configMapRef", "ConfigMap"),
            ("configMapKeyRef", "ConfigMap"),
        ):
            if field in source:
                yield kind, (source[field] or {}).get("name") or ""


def _of_source(source: Object) -> Iterator[tuple[str, str]]:
    if "secret" in source:
        yield "Secret", source["secret"].get("secretName") or source["secret"].get("name") or ""
    if "configMap" in source:
        yield "ConfigMap", source["configMap"].get("name") or ""
