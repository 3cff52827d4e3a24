# SPDX-License-Identifier: Apache-2.0
"""What nodes and pods use: the kinds that `kubectl top` reads. Named and versioned as upstream's metrics server has
them."""

from __future__ import annotations

from lichen.model.data import Data, field
from lichen.model.kind import Kind, Resource

GROUP = "metrics.k8s.io"


class ContainerMetrics(Data):
    """What one container uses."""

    name: str = field("Name of the container.")
    usage: dict[str, str] = field("`cpu` in cores, `memory` in bytes without what the host may drop.")


class NodeMetrics(Resource):
    """What a node uses now, all that runs on it together. Measured when it is asked for, and never stored."""

    timestamp: str = field("When, RFC 3339: the end of the window.")
    window: str = field("How long was measured, such as `15s`.")
    usage: dict[str, str] = field("`cpu` in cores, `memory` in bytes.")


class PodMetrics(Resource):
    """What a pod's running containers use now. Measured when it is asked for, and never stored."""

    timestamp: str = field("When, RFC 3339: the end of the window.")
    window: str = field("How long was measured, such as `15s`.")
    containers: list[ContainerMetrics] = field("What each of them uses.")


NodeMetrics.KIND = Kind(
    GROUP, "v1beta1", "NodeMetrics", "nodes", namespaced=False, verbs=("get", "list"), model=NodeMetrics
)
PodMetrics.KIND = Kind(GROUP, "v1beta1", "PodMetrics", "pods", verbs=("get", "list"), model=PodMetrics)
