# SPDX-License-Identifier: Apache-2.0
"""Taints and tolerations, as Kubernetes core/v1 defines them."""

from __future__ import annotations

from collections.abc import Sequence

from lichen.model.data import Object
from lichen.planning.times import seconds_of


def tolerates(toleration: Object, taint: Object) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if not toleration.get("key"):
        return bool(toleration.get("operator") == "Exists")
    if toleration["key"] != taint["key"]:
        return False
    return bool(toleration.get("operator") == "Exists" or toleration.get("value", "") == taint.get("value", ""))


def leaves_in(pod: Object, taints: Sequence[Object], now: float, since: float = 0.0) -> float | None:
    """Seconds until a pod must leave a node with these taints: 0.0 for at once, None if it may stay.

    since: no taint counts as older than this (unix seconds), as nobody could have seen it go before.
    """
    waits: list[float] = []
    for taint in taints:
        if taint.get("effect") != "NoExecute":
            continue
        matching = [t for t in pod["spec"].get("tolerations") or [] if tolerates(t, taint)]
        if not matching:
            return 0.0
        limits = [t["tolerationSeconds"] for t in matching if t.get("tolerationSeconds") is not None]
        if limits:
            began = max(seconds_of(taint.get("timeAdded")), since)
            waits.append(max(began + min(limits) - now, 0.0))
    return min(waits, default=None)
