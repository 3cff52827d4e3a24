# SPDX-License-Identifier: Apache-2.0
"""The ConfigMaps, Secrets and tokens that a container refers to, read when it starts and when they change."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from itertools import chain

from lichen.agent.followed import KINDS
from lichen.agent.pod_spec import Find
from lichen.model.data import Object
from lichen.model.errors import NotFound
from lichen.model.meta import namespace_of
from lichen.model.state import State
from lichen.planning.volume_files import Reference, mounted_references, sources

Tokens = Callable[[Object, Object], Awaitable[str]]
"""(pod, the serviceAccountToken projection) → a token of the pod's service account."""


def token_key(projection: Object) -> str:
    """What tells one serviceAccountToken projection of a pod from another."""
    return f"{projection.get('audience') or ''}/{projection.get('expirationSeconds') or ''}"


def mounts_tokens(pod: Object, container: Object) -> bool:
    return any("serviceAccountToken" in source for source in sources(pod, container))


class References:
    """Reads through State. tokens: how this node gets tokens for pods."""

    def __init__(self, state: State, tokens: Tokens) -> None:
        self._state = state
        self._tokens = tokens

    async def of(self, pod: Object, container: Object) -> Find:
        """A finder over everything the container refers to."""
        return await self._find(pod, {*_in_env(container), *mounted_references(pod, container)})

    async def mounted(self, pod: Object, containers: Iterable[Object]) -> Find:
        """A finder over what their volumes are made of."""
        return await self._find(pod, set().union(*(mounted_references(pod, c) for c in containers)))

    async def tokens(self, pod: Object, containers: Iterable[Object]) -> dict[str, str]:
        """The tokens that the containers mount, by `token_key`. Permanent (FailedMount): there is none to have."""
        found: dict[str, str] = {}
        for source in chain.from_iterable(sources(pod, container) for container in containers):
            projection = source.get("serviceAccountToken")
            if projection is not None and token_key(projection) not in found:
                found[token_key(projection)] = await self._tokens(pod, projection)
        return found

    async def _find(self, pod: Object, references: Iterable[Reference]) -> Find:
        found = {(kind, name): await self._read(kind, name, namespace_of(pod)) for kind, name in references}
        return lambda kind, name: found.get((kind, name))

    async def _read(self, kind: str, name: str, namespace: str) -> Object | None:
        try:
            found = await self._state.get(KINDS[kind], name, namespace)
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
