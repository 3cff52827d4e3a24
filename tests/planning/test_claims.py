# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

from lichen.kinds.builtin import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM
from lichen.kinds.volume.attachment import VolumeAttachment
from lichen.kinds.volume.volume import Volume
from lichen.model.data import Object
from lichen.planning.claims import (
    DRIVER,
    EXISTING,
    PROTECTION,
    ClaimWorld,
    best_match,
    plan_claim,
    plan_mounts,
    plan_persistent,
)
from lichen.planning.steps import Create, Delete, Note, Patch

CLASS = {"metadata": {"name": "lichen"}, "provisioner": DRIVER, "volumeBindingMode": "Immediate"}
LATER = {**CLASS, "volumeBindingMode": "WaitForFirstConsumer"}


def a_claim(size: str = "1Gi", **more: Any) -> Object:
    meta = {"name": "data", "namespace": "demo", "uid": "u1", **more.pop("metadata", {})}
    spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": "lichen", **more.pop("spec", {})}
    return {"metadata": meta, "spec": {"resources": {"requests": {"storage": size}}, **spec}, **more}


def a_pv(name: str, size: str, **spec: Any) -> Object:
    wanted = {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], "storageClassName": "lichen", **spec}
    return {"metadata": {"name": name, "uid": f"uid-{name}"}, "spec": wanted, "status": {"phase": "Available"}}


def a_volume(phase: str = "Available", size: int = 1) -> Object:
    meta = {"name": "pvc-u1", "namespace": "demo", "uid": "v1"}
    return {"metadata": meta, "spec": {"id": "id-1", "size": size}, "status": {"phase": phase, "size": size}}


def a_pod(node: str = "node-1") -> Object:
    return {"metadata": {"name": "p", "namespace": "demo"}, "spec": {"nodeName": node}}


def attachment(node: str = "node-1", **spec: Any) -> Object:
    meta = {"name": "pvc-u1", "namespace": "demo", "uid": "a1"}
    return {"metadata": meta, "spec": {"volume": "pvc-u1", "pods": True, "node": node, **spec}}


def test_a_claim_gets_a_volume_of_whole_gibibytes():
    (step,) = plan_claim(a_claim("1500Mi"), ClaimWorld(CLASS))
    assert isinstance(step, Create)
    assert (step.kind, step.object["metadata"]["name"], step.object["spec"]["size"]) == (Volume.KIND, "pvc-u1", 2)


def test_a_claim_that_waits_for_its_first_pod_is_made_where_that_is():
    (note,) = plan_claim(a_claim(), ClaimWorld(LATER, pods=[{**a_pod(), "spec": {}}]))
    assert isinstance(note, Note)
    (step,) = plan_claim(a_claim(), ClaimWorld(LATER, pods=[a_pod("node-7")]))
    assert isinstance(step, Create)
    assert step.object["spec"]["node"] == "node-7"


def test_a_made_volume_becomes_a_persistent_volume_meant_for_the_claim():
    assert plan_claim(a_claim(), ClaimWorld(CLASS, volume=a_volume("Creating"))) == []
    step = plan_claim(a_claim(), ClaimWorld(CLASS, volume=a_volume()))[0]
    assert isinstance(step, Create)
    assert step.object["spec"]["csi"] == {"driver": DRIVER, "volumeHandle": "id-1", "fsType": "ext4"}
    bound = plan_claim(a_claim(), ClaimWorld(CLASS, volume=a_volume(), free=[step.object]))
    assert [(s.kind, s.subresource) for s in bound if isinstance(s, Patch)] == [
        (PERSISTENT_VOLUME, ""), (PERSISTENT_VOLUME_CLAIM, ""), (PERSISTENT_VOLUME_CLAIM, "status"),
    ]  # fmt: skip


def test_the_smallest_volume_that_fits_is_taken_and_none_that_is_meant_for_another():
    other = {"namespace": "demo", "name": "other"}
    free = [a_pv("big", "9Gi"), a_pv("fit", "2Gi"), a_pv("small", "1Gi"), a_pv("taken", "2Gi", claimRef=other)]
    match = best_match(a_claim("2Gi"), free)
    assert match is not None
    assert match["metadata"]["name"] == "fit"
    mine = a_pv("mine", "9Gi", claimRef={"namespace": "demo", "name": "data"})
    assert best_match(a_claim("2Gi"), [*free, mine]) is mine
    assert best_match(a_claim("20Gi"), free) is None


def test_a_claim_for_an_existing_volume_keeps_it():
    named = a_claim(metadata={"annotations": {EXISTING: "pvc-u1"}})
    (step,) = plan_claim(named, ClaimWorld(LATER, volume=a_volume()))
    assert isinstance(step, Create)
    assert step.object["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
    assert plan_claim(named, ClaimWorld(CLASS)) == []


def test_a_bound_claim_grows_with_its_volume():
    claim = a_claim("3Gi", spec={"volumeName": "pv"}, status={"phase": "Bound"})
    pv = a_pv("pv", "1Gi", claimRef={"namespace": "demo", "name": "data", "uid": "u1"})
    (grow,) = plan_claim(claim, ClaimWorld(CLASS, volume=a_volume(), persistent=pv))
    assert isinstance(grow, Patch)
    assert grow.patch == {"spec": {"size": 3}}
    grown = plan_claim(claim, ClaimWorld(CLASS, volume=a_volume(size=3), persistent=pv))
    assert next(s.patch for s in grown if isinstance(s, Patch)) == {"spec": {"capacity": {"storage": "3Gi"}}}


def test_a_deleted_claim_waits_for_its_pods():
    claim = a_claim(metadata={"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": [PROTECTION]})
    assert plan_claim(claim, ClaimWorld(CLASS, pods=[a_pod()])) == []
    (step,) = plan_claim(claim, ClaimWorld(CLASS))
    assert isinstance(step, Patch)
    assert step.patch == {"metadata": {"finalizers": None}}


def test_a_volume_is_attached_where_pods_mount_it_as_long_as_they_do():
    pv = a_pv("pv", "1Gi", csi={"driver": DRIVER, "volumeHandle": "id-1", "fsType": "ext4"})
    (made,) = plan_mounts(pv, a_volume(), [a_pod()], None)
    assert isinstance(made, Create)
    assert (made.object["metadata"]["name"], made.object["spec"]["node"]) == ("pvc-u1", "node-1")
    assert plan_mounts(pv, a_volume(), [a_pod()], attachment()) == []
    (gone,) = plan_mounts(pv, a_volume(), [], attachment())
    assert gone == Delete(VolumeAttachment.KIND, "pvc-u1", "demo", "a1")
    assert plan_mounts(pv, a_volume(), [a_pod()], attachment(pods=False, server="web")) == []


def test_a_released_volume_goes_after_its_attachment_if_its_policy_says_so():
    reference = {"namespace": "demo", "name": "data", "uid": "u1"}
    pv = a_pv("pv", "1Gi", claimRef=reference, persistentVolumeReclaimPolicy="Delete")
    released = plan_persistent(pv, None, a_volume(), attachment())
    assert [s.kind for s in released if isinstance(s, Delete)] == [VolumeAttachment.KIND]
    released = plan_persistent(pv, None, a_volume(), None)
    assert [s.kind for s in released if isinstance(s, Delete)] == [Volume.KIND]
    assert [s.kind for s in plan_persistent(pv, None, None, None) if isinstance(s, Delete)] == [PERSISTENT_VOLUME]
    kept = a_pv("pv", "1Gi", claimRef=reference, persistentVolumeReclaimPolicy="Retain")
    assert not [s for s in plan_persistent(kept, None, a_volume(), None) if isinstance(s, Delete)]
