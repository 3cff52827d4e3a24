# SPDX-License-Identifier: Apache-2.0
"""Why a Service leads nowhere. Pure."""

from __future__ import annotations

from lichen.kinds.idle import idle_words
from lichen.model.data import Object
from lichen.model.meta import find_condition, labels_of, name_of, namespace_of
from lichen.planning.causes import Cause, World


def of_service(service: Object, world: World) -> Cause | None:
    selector = (service.get("spec") or {}).get("selector") or {}
    where = f"kubectl -n {namespace_of(service)}"
    if selector:
        pods = [p for p in world.of("Pod", namespace_of(service)) if selector.items() <= labels_of(p).items()]
        if not pods:
            said = ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
            return Cause(f"has no pod behind it: none has the labels {said}", mend=f"{where} get pods --show-labels")
        if not any((find_condition(pod, "Ready") or {}).get("status") == "True" for pod in pods):
            return Cause("has no pod behind it that is ready", pods[0])
    if words := idle_words(service):
        mend = f"{where} port-forward service/{name_of(service)} :PORT"
        return Cause(f"is there, but {words}", mend=mend)
    return None
