# SPDX-License-Identifier: Apache-2.0
"""A StatefulSet keeps pods with lasting names, made, updated and ended in order. Semantics: Kubernetes apps/v1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy

from lichen.kinds.builtin import PERSISTENT_VOLUME_CLAIM, POD
from lichen.model.data import Object
from lichen.model.meta import is_deleting, labels_of, name_of, namespace_of, uid_of
from lichen.planning.revisions import HASH, template_of
from lichen.planning.steps import Create, Delete, Step
from lichen.planning.workload import has_ended, is_available, is_ready, pod_from_template

POD_NAME, POD_INDEX = "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"


def plan_stateful_set(owner: Object, pods: Sequence[Object], current: Object, update: Object, now: float) -> list[Step]:
    """Steps from the pods it owns to what its spec wants. current, update: the revision that it comes from and the one
    that it goes to; the same when no roll is under way."""
    if is_deleting(owner):
        return []
    held = by_ordinal(owner, pods)
    wanted = wanted_ordinals(owner)
    ordered = owner["spec"].get("podManagementPolicy", "OrderedReady") == "OrderedReady"
    steps, waits = _fill(owner, held, wanted, current, update, now, ordered=ordered)
    if waits:
        return steps
    surplus, waits = _shrink(owner, held, wanted, now, ordered=ordered)
    if waits:
        return steps + surplus
    return steps + surplus + _roll(owner, held, wanted, update, now)


def wanted_ordinals(owner: Object) -> range:
    start = (owner["spec"].get("ordinals") or {}).get("start", 0)
    return range(start, start + owner["spec"].get("replicas", 1))


def by_ordinal(owner: Object, pods: Sequence[Object]) -> dict[int, Object]:
    """The set's pods by the number in their names."""
    prefix, held = f"{name_of(owner)}-", {}
    for pod in pods:
        number = name_of(pod).removeprefix(prefix)
        if name_of(pod).startswith(prefix) and number.isdecimal() and str(int(number)) == number:
            held[int(number)] = pod
    return held


def partition_of(owner: Object) -> int:
    rolling = (owner["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
    return int(rolling.get("partition") or 0)


def stateful_pod(owner: Object, ordinal: int, revision: Object) -> Object:
    """The pod of an ordinal, as a revision's template says."""
    name = f"{name_of(owner)}-{ordinal}"
    pod = pod_from_template(owner, template_of(revision), name=name)
    labels = pod["metadata"].get("labels") or {}
    pod["metadata"]["labels"] = {**labels, POD_NAME: name, POD_INDEX: str(ordinal), HASH: name_of(revision)}
    pod["spec"]["hostname"] = name
    if owner["spec"].get("serviceName"):
        pod["spec"]["subdomain"] = owner["spec"]["serviceName"]
    claims = {name_of(t): claim_name(owner, t, ordinal) for t in owner["spec"].get("volumeClaimTemplates") or []}
    others = [v for v in pod["spec"].get("volumes") or [] if v["name"] not in claims]
    mine = [{"name": volume, "persistentVolumeClaim": {"claimName": claim}} for volume, claim in claims.items()]
    if others or mine:
        pod["spec"]["volumes"] = [*others, *mine]
    return pod


def claim_name(owner: Object, template: Object, ordinal: int) -> str:
    return f"{name_of(template)}-{name_of(owner)}-{ordinal}"


def _claims(owner: Object, ordinal: int) -> list[Step]:
    """The volumes of an ordinal; they outlive its pods."""
    steps: list[Step] = []
    for template in owner["spec"].get("volumeClaimTemplates") or []:
        given = template["metadata"]
        metadata = {key: given[key] for key in ("labels", "annotations") if given.get(key)}
        metadata["labels"] = {**(owner["spec"]["selector"].get("matchLabels") or {}), **(given.get("labels") or {})}
        claim = {
            "apiVersion": PERSISTENT_VOLUME_CLAIM.api_version,
            "kind": PERSISTENT_VOLUME_CLAIM.kind,
            "metadata": {**metadata, "name": claim_name(owner, template, ordinal), "namespace": namespace_of(owner)},
            "spec": deepcopy(template["spec"]),
        }
        steps.append(Create(PERSISTENT_VOLUME_CLAIM, claim))
    return steps


def _fill(
    owner: Object,
    held: Mapping[int, Object],
    wanted: range,
    current: Object,
    update: Object,
    now: float,
    *,
    ordered: bool,
) -> tuple[list[Step], bool]:
    """Missing pods come, ended ones are replaced. True: what follows must wait."""
    steps: list[Step] = []
    keeps = (owner["spec"].get("updateStrategy") or {}).get("type") != "OnDelete"
    for ordinal in wanted:
        pod = held.get(ordinal)
        if pod is None:
            revision = current if keeps and ordinal < wanted.start + partition_of(owner) else update
            steps += [*_claims(owner, ordinal), Create(POD, stateful_pod(owner, ordinal, revision))]
        elif has_ended(pod) and not is_deleting(pod):
            steps.append(_delete(pod))
        elif not ordered or (not is_deleting(pod) and _is_healthy(owner, pod, now)):
            continue
        if ordered:
            return steps, True
    return steps, bool(steps)


def _shrink(
    owner: Object, held: Mapping[int, Object], wanted: range, now: float, *, ordered: bool
) -> tuple[list[Step], bool]:
    """Pods beyond the wanted ones go, the last first. True: what follows must wait."""
    surplus = [held[ordinal] for ordinal in sorted(held, reverse=True) if ordinal not in wanted]
    going = [pod for pod in surplus if not is_deleting(pod)]
    if not ordered:
        return [_delete(pod) for pod in going], False
    if not surplus:
        return [], False
    if is_deleting(surplus[0]):
        return [], True
    return [_delete(surplus[0])], True


def _roll(owner: Object, held: Mapping[int, Object], wanted: range, update: Object, now: float) -> list[Step]:
    """The last pod of another revision goes, once all after it are healthy."""
    if (owner["spec"].get("updateStrategy") or {}).get("type") == "OnDelete":
        return []
    for ordinal in reversed(wanted[min(partition_of(owner), len(wanted)) :]):
        pod = held.get(ordinal)
        if pod is None or is_deleting(pod):
            return []
        if labels_of(pod).get(HASH) != name_of(update):
            return [_delete(pod)]
        if not _is_healthy(owner, pod, now):
            return []
    return []


def _is_healthy(owner: Object, pod: Object, now: float) -> bool:
    return is_available(pod, owner["spec"].get("minReadySeconds", 0), now)


def _delete(pod: Object) -> Step:
    return Delete(POD, name_of(pod), namespace_of(pod), uid_of(pod))


def stateful_set_status(owner: Object, pods: Sequence[Object], current: Object, update: Object, now: float) -> Object:
    """Counts and revisions; a roll is over when every pod has the update revision and is ready."""
    mine = list(by_ordinal(owner, pods).values())
    min_ready = owner["spec"].get("minReadySeconds", 0)
    alive = [pod for pod in mine if not is_deleting(pod)]
    counts = {
        "replicas": len(mine),
        "readyReplicas": sum(map(is_ready, mine)),
        "availableReplicas": sum(is_available(pod, min_ready, now) for pod in mine),
        "currentReplicas": sum(labels_of(pod).get(HASH) == name_of(current) for pod in alive),
        "updatedReplicas": sum(labels_of(pod).get(HASH) == name_of(update) for pod in alive),
    }
    replicas = owner["spec"].get("replicas", 1)
    over = counts["updatedReplicas"] == counts["replicas"] == counts["readyReplicas"] == replicas
    if over:
        counts["currentReplicas"] = counts["updatedReplicas"]
    return {
        **counts,
        "observedGeneration": owner["metadata"].get("generation", 0),
        "currentRevision": name_of(update if over else current),
        "updateRevision": name_of(update),
        "collisionCount": (owner.get("status") or {}).get("collisionCount", 0),
    }
