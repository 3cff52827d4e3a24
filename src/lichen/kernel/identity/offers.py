# SPDX-License-Identifier: Apache-2.0
"""What the cloud offers, to all or to some projects: each sees of it what it may use."""

from __future__ import annotations

from lichen.kinds.compute.flavor import Flavor
from lichen.kinds.volume.volume_type import VolumeType
from lichen.model.data import Object

OFFERED = frozenset((Flavor.KIND, VolumeType.KIND))


def is_offered(obj: Object, project: str) -> bool:
    """Whether a project ("": none) may use a flavor or a volume type."""
    spec = obj["spec"]
    return bool(spec.get("public", True) or (project and project in (spec.get("projects") or ())))
