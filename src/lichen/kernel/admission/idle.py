# SPDX-License-Identifier: Apache-2.0
"""Kinds that are kept but that nothing here acts on yet: whoever makes one is told so with the answer."""

from __future__ import annotations

from lichen.kernel.admission import Request
from lichen.kinds.builtin import SERVICE
from lichen.kinds.resources import builtin
from lichen.model.kind import Kind

NETWORKING, SCALING, DEVICES = "networking.k8s.io", "autoscaling", "resource.k8s.io"
FLOWS = "flowcontrol.apiserver.k8s.io"
SAID: dict[tuple[str, str], str] = {
    (NETWORKING, "ingresses"): "nothing acts on an Ingress yet: it opens no way in",
    (NETWORKING, "ingressclasses"): "nothing acts on an IngressClass yet, nor on the Ingresses that name it",
    (
        SCALING,
        "horizontalpodautoscalers",
    ): "nothing acts on a HorizontalPodAutoscaler yet: replicas stay as they are set",
    (DEVICES, "deviceclasses"): "nothing acts on a DeviceClass yet",
    (DEVICES, "resourceclaims"): "nothing acts on a ResourceClaim yet: no device is given",
    (DEVICES, "resourceclaimtemplates"): "nothing acts on a ResourceClaimTemplate yet: no device is given",
    (FLOWS, "flowschemas"): "nothing acts on a FlowSchema yet: requests are not sorted by it",
    (FLOWS, "prioritylevelconfigurations"): "nothing acts on a PriorityLevelConfiguration yet",
    ("apiregistration.k8s.io", "apiservices"): "nothing acts on an APIService yet: its requests are not passed on",
}
TYPES = {
    "LoadBalancer": "nothing makes a load balancer for a Service yet: pods and servers reach it at its ClusterIP",
    "NodePort": "nothing opens a Service's node ports yet: pods and servers reach it at its ClusterIP",
}


class Idle:
    """Warns; refuses nothing."""

    kinds: tuple[Kind, ...] | None = (SERVICE, *(builtin(*each) for each in SAID))
    verbs: tuple[str, ...] = ("create", "update")

    async def admit(self, request: Request) -> None:
        if request.subresource:
            return
        said = _said(request.kind, request.object)
        if said and (request.old is None or said != _said(request.kind, request.old)):
            request.warnings.append(said)


def _said(kind: Kind, obj: dict[str, object]) -> str:
    if kind != SERVICE:
        return SAID[kind.group, kind.plural]
    spec = obj.get("spec")
    return TYPES.get(str(spec.get("type")), "") if isinstance(spec, dict) else ""
