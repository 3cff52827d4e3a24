# SPDX-License-Identifier: Apache-2.0
"""Tokens of pods' service accounts: asked of the kernel, bound to the pod, renewed before they end."""

from __future__ import annotations

from lichen.kinds.builtin import SERVICE_ACCOUNT
from lichen.model.data import Object
from lichen.model.errors import ApiError, Forbidden, Invalid, Permanent, Temporary
from lichen.model.meta import name_of, namespace_of, uid_of
from lichen.model.state import State
from lichen.planning.times import seconds_of
from lichen.runtime.clock import Clock

SECONDS = 3607
RENEW_AT = 0.8
AGAIN_SECONDS = 60.0


class PodTokens:
    """Implements `references.Tokens`, and remembers when which pod needs new ones."""

    def __init__(self, state: State, clock: Clock) -> None:
        self._state = state
        self._clock = clock
        self._due: dict[str, float] = {}

    async def __call__(self, pod: Object, projection: Object) -> str:
        """A fresh token for one serviceAccountToken projection. Permanent: it is refused; Temporary."""
        account = pod["spec"].get("serviceAccountName") or "default"
        bound = {"apiVersion": "v1", "kind": "Pod", "name": name_of(pod), "uid": uid_of(pod)}
        spec: Object = {
            "expirationSeconds": projection.get("expirationSeconds") or SECONDS,
            "audiences": [projection["audience"]] if projection.get("audience") else [],
            "boundObjectRef": bound,
        }
        body: Object = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "metadata": {"name": account, "namespace": namespace_of(pod)},
            "spec": spec,
        }
        try:
            made = await self._state.create(SERVICE_ACCOUNT, body, subresource="token")
        except (Forbidden, Invalid) as error:
            raise Permanent("FailedMount", f"failed to fetch token: {error.message}") from error
        except ApiError as error:
            raise Temporary(f"failed to fetch token: {error.message}") from error
        self._remember(uid_of(pod), seconds_of(made["status"]["expirationTimestamp"]))
        return str(made["status"]["token"])

    def due(self, uid: str) -> float:
        """When the pod's tokens must be renewed, unix seconds; 0.0: at once, for what an earlier agent asked for."""
        return self._due.get(uid, 0.0)

    def begin(self, uid: str) -> None:
        """They are about to be renewed; if that fails, it is tried again soon."""
        self._due[uid] = self._clock.now() + AGAIN_SECONDS

    def forget(self, uid: str) -> None:
        self._due.pop(uid, None)

    def _remember(self, uid: str, expires: float) -> None:
        now = self._clock.now()
        due = now + RENEW_AT * max(0.0, expires - now)
        known = self._due.get(uid)
        self._due[uid] = due if known is None or known <= now + AGAIN_SECONDS else min(known, due)
