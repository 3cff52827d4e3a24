# SPDX-License-Identifier: Apache-2.0
"""ControllerRevisions: the templates that a StatefulSet or a DaemonSet had, for rolls and for `kubectl rollout`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lichen.kinds.builtin import CONTROLLER_REVISION
from lichen.model.data import Object
from lichen.model.meta import annotations_of, labels_of, name_of, namespace_of, owner_reference, uid_of
from lichen.model.names import ASKED_BY
from lichen.planning.deployment import template_hash
from lichen.planning.steps import Create, Delete, Patch, Step

HASH = "controller-revision-hash"
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class RevisionPlan(NamedTuple):
    """update: the revision of the owner's present template; steps make it so, if it is not."""

    update: Object
    steps: list[Step]


def plan_revision(owner: Object, revisions: Sequence[Object]) -> RevisionPlan:
    """Find or make the revision of the owner's template, and make it the newest."""
    template = owner["spec"]["template"]
    newest = max((r.get("revision", 0) for r in revisions), default=0)
    held = [r for r in revisions if template_of(r) == template]
    same = max(held, key=lambda r: int(r.get("revision", 0)), default=None)
    if same is None:
        made = _revision(owner, template, newest + 1)
        return RevisionPlan(made, [Create(CONTROLLER_REVISION, made)])
    if same.get("revision", 0) == newest:
        return RevisionPlan(same, [])
    patch = Patch(CONTROLLER_REVISION, name_of(same), namespace_of(same), {"revision": newest + 1})
    return RevisionPlan({**same, "revision": newest + 1}, [patch])


def plan_history(owner: Object, revisions: Sequence[Object], live: Iterable[str]) -> list[Step]:
    """Revisions beyond the owner's limit go, the oldest first; those named in `live` stay."""
    kept = set(live)
    idle = sorted((r for r in revisions if name_of(r) not in kept), key=lambda r: int(r.get("revision", 0)))
    surplus = max(len(idle) - owner["spec"].get("revisionHistoryLimit", 10), 0)
    return [Delete(CONTROLLER_REVISION, name_of(r), namespace_of(r), uid_of(r)) for r in idle[:surplus]]


def template_of(revision: Object) -> Object:
    template: Object = ((revision.get("data") or {}).get("spec") or {}).get("template") or {}
    return {key: value for key, value in template.items() if key != "$patch"}


def hash_of(revision: Object) -> str:
    return labels_of(revision).get(HASH, "")


def _revision(owner: Object, template: Object, number: int) -> Object:
    digest = template_hash(template, (owner.get("status") or {}).get("collisionCount"))
    told = {key: value for key, value in annotations_of(owner).items() if key not in (_LAST_APPLIED, ASKED_BY)}
    return {
        "apiVersion": CONTROLLER_REVISION.api_version,
        "kind": CONTROLLER_REVISION.kind,
        "metadata": {
            "name": f"{name_of(owner)}-{digest}",
            "namespace": namespace_of(owner),
            "labels": {**((template.get("metadata") or {}).get("labels") or {}), HASH: digest},
            **({"annotations": told} if told else {}),
            "ownerReferences": [owner_reference(owner)],
        },
        "data": {"spec": {"template": {**template, "$patch": "replace"}}},
        "revision": number,
    }
