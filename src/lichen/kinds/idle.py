# SPDX-License-Identifier: Apache-2.0
"""Kinds, and types of Services, that are kept but that nothing here acts on yet, and what is said of them."""

from __future__ import annotations

from lichen.kinds.resources import builtin
from lichen.model.data import Object

NETWORKING, SCALING, DEVICES = "networking.k8s.io", "autoscaling", "resource.k8s.io"
FLOWS = "flowcontrol.apiserver.k8s.io"
IDLE: dict[tuple[str, str], str] = {
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
"""By (group, plural)."""
SERVICES = {
    "LoadBalancer": "nothing makes a load balancer for a Service yet: pods and servers reach it at its ClusterIP",
    "NodePort": "nothing opens a Service's node ports yet: pods and servers reach it at its ClusterIP",
}
"""By spec.type."""
_BY_KIND = {(group, builtin(group, plural).kind): words for (group, plural), words in IDLE.items()}


def idle_words(obj: Object) -> str:
    """What is said of an object that nothing acts on; "" of all others."""
    group, slash, _ = str(obj.get("apiVersion", "")).partition("/")
    if not slash and obj.get("kind") == "Service":
        spec = obj.get("spec")
        return SERVICES.get(str(spec.get("type")), "") if isinstance(spec, dict) else ""
    return _BY_KIND.get((group, str(obj.get("kind"))), "")
