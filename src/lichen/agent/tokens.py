# SPDX-License-Identifier: Apache-2.0
"""Tokens of pods' service accounts: asked of the kernel, bound to the pod, renewed before they end."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from lichen.agent.references import token_key
from lichen.kinds.builtin import SERVICE_ACCOUNT
from lichen.model.data import Object
from lichen.model.errors import ApiError, Forbidden, Invalid, Permanent, Temporary
from lichen.model.meta import name_of, namespace_of, uid_of
from lichen.model.state import State
from lichen.planning.times import seconds_of
from lichen.runtime.clock import Clock

log = logging.getLogger(__name__)

SECONDS = 3607
RENEW_AT = 0.8
AGAIN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class _Held:
    token: str = field(repr=False)
    due: float
    expires: float


class PodTokens:
    """Implements `references.Tokens`: a token is held until it is time for the next one."""

    def __init__(self, state: State, clock: Clock) -> None:
        self._state = state
        self._clock = clock
        self._held: dict[str, dict[str, _Held]] = {}

    async def __call__(self, pod: Object, projection: Object) -> str:
        """A token for one serviceAccountToken projection. Permanent: it is refused; Temporary. Neither while the last
        one is good."""
        key, now, mine = token_key(projection), self._clock.now(), self._held.setdefault(uid_of(pod), {})
        held = mine.get(key)
        if held is None or held.due <= now:
            try:
                mine[key] = await self._asked(pod, projection)
            except (Permanent, Temporary) as error:
                if held is None or held.expires <= now:
                    raise
                log.warning("pod %s: its token cannot be renewed: %s", uid_of(pod), error.message)
                mine[key] = _Held(held.token, now + AGAIN_SECONDS, held.expires)
        return mine[key].token

    def due(self, uid: str) -> float:
        """When the pod's tokens must be renewed, unix seconds; 0.0: at once, for what an earlier agent asked for."""
        return min((held.due for held in (self._held.get(uid) or {}).values()), default=0.0)

    def forget(self, uid: str) -> None:
        self._held.pop(uid, None)

    async def _asked(self, pod: Object, projection: Object) -> _Held:
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
        now, expires = self._clock.now(), seconds_of(made["status"]["expirationTimestamp"])
        return _Held(str(made["status"]["token"]), now + RENEW_AT * max(0.0, expires - now), expires)
