# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from lichen.model.data import Data, field
from lichen.model.kind import Resource, kind


@kind("zones", group="compute", short=("az",), namespaced=False)
class Zone(Resource):
    """A zone that nodes are in, by their label `topology.kubernetes.io/zone`: what everybody may know of them. It is
    written by the cloud and follows the nodes."""

    class Spec(Data):
        display_name: str = field("The label's value.", default="", immutable=True, column="Zone")

    class Status(Data):
        available: bool = field("A node of it is ready and takes new things.", default=False, column="Available")
        nodes: int = field("Nodes in it.", default=0, column="Nodes")

    spec: Spec = field("Its name.", default_factory=Spec)
    status: Status = field("What is observed.", default_factory=Status)
