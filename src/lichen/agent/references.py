# SPDX-License-Identifier: Apache-2.0
"""The ConfigMaps, Secrets and tokens that a container refers to, read when it is about to start."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

from lichen.agent.pod_spec import Find
from lichen.kinds.builtin import CONFIG_MAP, SECRET
from lichen.model.data import Object
from lichen.model.errors import NotFound
from lichen.model.meta import namespace_of
from lichen.model.state import State

Tokens = Callable[[Object, Object], Awaitable[str]]
"""(pod, the serviceAccountToken projection) → a token of the pod's service account."""


def token_key(projection: Object) -> str:
    """What tells one serviceAccountToken projection of a pod from another."""
    return f"{projection.get('audience') or ''}/{projection.get('expirationSeconds') or ''}"


def mounts_tokens(pod: Object, container: Object) -> bool:
    return any("serviceAccountToken" in source for source in _sources(pod, container))


class References:
    """Reads through State. tokens: how this node gets tokens for pods."""

    def __init__(self, state: State, tokens: Tokens) -> None:
        self._state = state
        self._tokens = tokens

    async def of(self, pod: Object, container: Object) -> Find:
        """A finder over everything the container refers to."""
        found: dict[tuple[str, str], Object | None] = {}
        for kind, name in {*_in_env(container), *_in_volumes(pod, container)}:
            found[kind, name] = await self._read(kind, name, namespace_of(pod))
        return lambda kind, name: found.get((kind, name))

    async def tokens(self, pod: Object, container: Object) -> dict[str, str]:
        """The tokens that the container mounts, by `token_key`. Permanent (FailedMount): there is none to have."""
        found: dict[str, str] = {}
        for source in _sources(pod, container):
            projection = source.get("serviceAccountToken")
            if projection is not None and token_key(projection) not in found:
                found[token_key(projection)] = await self._tokens(pod, projection)
        return found

    async def _read(self, kind: str, name: str, namespace: str) -> Object | None:
        try:
            found = await self._state.get(CONFIG_MAP if kind == "ConfigMap" else SECRET, name, namespace)
        except NotFound:
            return None
        return {**found, "kind": kind}


def _in_env(container: Object) -> Iterator[tuple[str, str]]:
    for source in container.get("envFrom") or []:
        for field, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            if field in source:
                yield kind, source[field].get("name") or ""
    for entry in container.get("env") or []:
        for field, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
            if field in (entry.get("valueFrom") or {}):
                yield kind, entry["valueFrom"][field].get("name") or ""


def _in_volumes(pod: Object, container: Object) -> Iterator[tuple[str, str]]:
    for source in _sources(pod, container):
        if "configMap" in source:
            yield "ConfigMap", source["configMap"].get("name") or ""
        if "secret" in source:
            yield "Secret", source["secret"].get("secretName") or source["secret"].get("name") or ""


def _sources(pod: Object, container: Object) -> Iterator[Object]:
    """Volume sources that the container mounts, those inside projected volumes one by one."""
    mounted = {mount["name"] for mount in container.get("volumeMounts") or []}
    for volume in pod["spec"].get("volumes") or []:
        if volume["name"] in mounted:
            yield from (volume["projected"].get("sources") or []) if "projected" in volume else [volume]
