# SPDX-License-Identifier: Apache-2.0
"""Which ends of a container are held against it when it is to start again. The agent alone knows, as a kubelet does."""

from __future__ import annotations

from collections.abc import Sequence

from lichen.planning.pod_restart import forgiven_until
from lichen.planning.pod_steps import ContainerActual


class Leniency:
    """All is forgiven to what is seen for the first time, be the agent new or the sandbox, and to what ran well."""

    def __init__(self) -> None:
        self._until: dict[str, dict[str, int]] = {}

    def judge(self, uid: str, containers: Sequence[ContainerActual]) -> tuple[ContainerActual, ...]:
        """The pod's containers, with what is forgiven to them."""
        before = self._until.get(uid, {})
        judged = tuple(forgiven_until(before.get(container.name), container) for container in containers)
        self._until[uid] = {container.name: container.forgiven for container in judged}
        return judged

    def forget(self, uid: str) -> None:
        self._until.pop(uid, None)
