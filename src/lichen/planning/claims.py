# SPDX-License-Identifier: Apache-2.0
"""PersistentVolumeClaims: bound to a volume that is there, or to one that is made for them; attached where pods mount
them; let go of when nobody does. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from lichen.kinds.builtin import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM
from lichen.kinds.volume.attachment import VolumeAttachment
from lichen.kinds.volume.volume import Volume
from lichen.model.data import Object
from lichen.model.kind import new_object
from lichen.model.meta import annotations_of, is_deleting, labels_of, name_of, namespace_of, uid_of
from lichen.model.quantity import parse
from lichen.planning.steps import Create, Delete, Note, Patch, Step, patch_status

CLAIM, PV = PERSISTENT_VOLUME_CLAIM, PERSISTENT_VOLUME
DRIVER = "volume.lichen.dev"
"""The CSI driver's name, and the provisioner of storage classes."""
EXISTING = "volume.lichen.dev/volume"
"""Annotation of a claim: the Volume of its namespace that it is for."""
PROTECTION = "kubernetes.io/pvc-protection"
BOUND = {"pv.kubernetes.io/bind-completed": "yes", "pv.kubernetes.io/bound-by-controller": "yes"}
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class ClaimWorld:
    """What a claim's fate depends on. volume: the one made or named for it; persistent: the PersistentVolume that it
    names; free: those that it could be bound to; pods: those that mount it and have not ended."""

    storage_class: Object | None = None
    volume: Object | None = None
    persistent: Object | None = None
    free: Sequence[Object] = field(default=())
    pods: Sequence[Object] = field(default=())


def plan_claim(claim: Object, world: ClaimWorld) -> list[Step]:
    """Steps to bind the claim, to grow it, or to let it go."""
    if is_deleting(claim):
        return _release(claim, world)
    if claim["spec"].get("volumeName"):
        return _plan_named(claim, world)
    match = best_match(claim, world.free)
    if match is not None:
        return _bind(claim, match)
    if EXISTING in annotations_of(claim):
        return _plan_existing(claim, world.volume)
    if world.storage_class is None or world.storage_class.get("provisioner") != DRIVER:
        return []
    return _plan_provision(claim, world, world.storage_class)


def best_match(claim: Object, free: Iterable[Object]) -> Object | None:
    """The smallest PersistentVolume that was meant for the claim, or that fits and is meant for nobody."""
    meant = [pv for pv in free if _is_for(pv, claim)]
    fitting = [pv for pv in free if not pv["spec"].get("claimRef") and _fits(pv, claim)]
    return min(meant or fitting, key=lambda pv: (_capacity(pv), name_of(pv)), default=None)


def plan_persistent(
    persistent: Object, claim: Object | None, volume: Object | None, attachment: Object | None
) -> list[Step]:
    """The phase of a PersistentVolume, and what becomes of it and its bytes when its claim is gone. volume, attachment:
    the Volume it stands for, and who has that."""
    reference = persistent["spec"].get("claimRef")
    if is_deleting(persistent):
        return []
    if not reference:
        return patch_status(PV, persistent, {"phase": "Available"})
    if claim is not None and reference.get("uid") in (None, "", uid_of(claim)):
        return patch_status(PV, persistent, {"phase": "Bound"}) if reference.get("uid") else []
    if not reference.get("uid"):
        return patch_status(PV, persistent, {"phase": "Available"})
    steps = patch_status(PV, persistent, {"phase": "Released"})
    if attachment is not None:
        return [*steps, *plan_mounts(persistent, volume, (), attachment)]
    if persistent["spec"].get("persistentVolumeReclaimPolicy") != "Delete":
        return steps
    if volume is not None:
        gone: list[Step] = [] if is_deleting(volume) else [
            Delete(Volume.KIND, name_of(volume), namespace_of(volume), uid_of(volume))
        ]  # fmt: skip
        return [*steps, *gone]
    return [*steps, Delete(PV, name_of(persistent), "", uid_of(persistent))]


def plan_mounts(
    persistent: Object | None, volume: Object | None, pods: Sequence[Object], attachment: Object | None
) -> list[Step]:
    """The attachment of a claim's volume: to the node of the pods that mount it, as long as there are any."""
    nodes = [pod["spec"]["nodeName"] for pod in pods if pod["spec"].get("nodeName")]
    if attachment is not None:
        mine = attachment["spec"].get("pods") and not is_deleting(attachment)
        if mine and attachment["spec"].get("node") not in nodes:
            return [Delete(VolumeAttachment.KIND, name_of(attachment), namespace_of(attachment), uid_of(attachment))]
        return []
    if not nodes or persistent is None or volume is None or is_deleting(volume):
        return []
    source = persistent["spec"]["csi"]
    spec = {
        "volume": name_of(volume),
        "pods": True,
        "node": nodes[0],
        "fileSystem": source.get("fsType") or "ext4",
        "readOnly": bool(source.get("readOnly") or volume["spec"].get("readOnly")),
    }
    made = new_object(VolumeAttachment.KIND, name_of(volume), namespace_of(volume), spec)
    return [Create(VolumeAttachment.KIND, made)]


def handle_of(persistent: Object | None) -> str:
    """The id of the Volume that a PersistentVolume stands for, "" if that is not one of ours."""
    source = ((persistent or {}).get("spec") or {}).get("csi") or {}
    return str(source.get("volumeHandle", "")) if source.get("driver") == DRIVER else ""


def volume_name(claim: Object) -> str:
    """The Volume that the claim is for: the one it names, else the one made for it."""
    return annotations_of(claim).get(EXISTING) or f"pvc-{uid_of(claim)}"


def claims_of(pod: Object) -> list[str]:
    """Names of the claims that a pod mounts."""
    volumes = pod["spec"].get("volumes") or []
    return [v["persistentVolumeClaim"]["claimName"] for v in volumes if "persistentVolumeClaim" in v]


def _release(claim: Object, world: ClaimWorld) -> list[Step]:
    finalizers = claim["metadata"].get("finalizers") or []
    if world.pods or PROTECTION not in finalizers:
        return []
    rest = [f for f in finalizers if f != PROTECTION]
    return [_patch(claim, {"metadata": {"finalizers": rest or None}})]


def _plan_named(claim: Object, world: ClaimWorld) -> list[Step]:
    persistent = world.persistent
    bound = (claim.get("status") or {}).get("phase") == "Bound"
    if persistent is None:
        return patch_status(CLAIM, claim, {"phase": "Lost"}) if bound else []
    reference = persistent["spec"].get("claimRef")
    if reference and not _is_for(persistent, claim):
        return []
    if not bound or not (reference or {}).get("uid"):
        return _bind(claim, persistent)
    return _plan_growth(claim, persistent, world.volume)


def _bind(claim: Object, persistent: Object) -> list[Step]:
    reference = {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": name_of(claim), "namespace": namespace_of(claim),
        "uid": uid_of(claim),
    }  # fmt: skip
    spec = persistent["spec"]
    status = {"phase": "Bound", "accessModes": spec.get("accessModes"), "capacity": spec.get("capacity")}
    return [
        Patch(PV, name_of(persistent), "", {"spec": {"claimRef": reference}}),
        _patch(claim, {"metadata": {"annotations": BOUND}, "spec": {"volumeName": name_of(persistent)}}),
        Patch(CLAIM, name_of(claim), namespace_of(claim), {"status": status}, "status"),
    ]


def _plan_growth(claim: Object, persistent: Object, volume: Object | None) -> list[Step]:
    wanted = _gib(_requested(claim))
    if volume is None or wanted <= _gib(_capacity(persistent)):
        return []
    if volume["spec"].get("size", 0) < wanted:
        return [Patch(Volume.KIND, name_of(volume), namespace_of(volume), {"spec": {"size": wanted}})]
    if (volume.get("status") or {}).get("size", 0) < wanted:
        return []
    capacity = {"storage": f"{wanted}Gi"}
    return [
        Patch(PV, name_of(persistent), "", {"spec": {"capacity": capacity}}),
        *patch_status(CLAIM, claim, {"capacity": capacity}),
    ]


def _plan_existing(claim: Object, volume: Object | None) -> list[Step]:
    if volume is None or is_deleting(volume) or (volume.get("status") or {}).get("phase") != "Available":
        return []
    return [Create(PV, _persistent(claim, volume, "Retain"))]


def _plan_provision(claim: Object, world: ClaimWorld, storage_class: Object) -> list[Step]:
    node = next((pod["spec"]["nodeName"] for pod in world.pods if pod["spec"].get("nodeName")), "")
    if world.volume is None:
        if storage_class.get("volumeBindingMode") == "WaitForFirstConsumer" and not node:
            return [Note(claim, "WaitForFirstConsumer", "waiting for first consumer to be created before binding")]
        return [Create(Volume.KIND, _volume(claim, storage_class, node))]
    status = world.volume.get("status") or {}
    if status.get("phase") == "Error":
        return [Note(claim, "ProvisioningFailed", status.get("fault") or "The volume cannot be made.", warning=True)]
    if status.get("phase") != "Available":
        return []
    policy = storage_class.get("reclaimPolicy") or "Delete"
    return [
        Create(PV, _persistent(claim, world.volume, policy)),
        Note(claim, "ProvisioningSucceeded", f"Successfully provisioned volume {name_of(world.volume)}"),
    ]


def _volume(claim: Object, storage_class: Object, node: str) -> Object:
    spec: Object = {"size": max(1, _gib(_requested(claim))), "claim": name_of(claim)}
    spec |= {"description": f"For PersistentVolumeClaim {name_of(claim)}."} | ({"node": node} if node else {})
    wanted = (storage_class.get("parameters") or {}).get("type")
    return new_object(Volume.KIND, volume_name(claim), namespace_of(claim), spec | ({"type": wanted} if wanted else {}))


def _persistent(claim: Object, volume: Object, policy: str) -> Object:
    spec = {
        "capacity": {"storage": f"{volume['spec']['size']}Gi"},
        "accessModes": claim["spec"].get("accessModes") or ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": policy,
        "storageClassName": claim["spec"].get("storageClassName") or "",
        "volumeMode": "Filesystem",
        "csi": {"driver": DRIVER, "volumeHandle": volume["spec"]["id"], "fsType": "ext4"},
        "claimRef": {
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": name_of(claim),
            "namespace": namespace_of(claim), "uid": uid_of(claim),
        },
    }  # fmt: skip
    provisioned = {"pv.kubernetes.io/provisioned-by": DRIVER}
    return new_object(PV, f"pvc-{uid_of(claim)}", "", spec, annotations=provisioned)


def _is_for(persistent: Object, claim: Object) -> bool:
    reference = persistent["spec"].get("claimRef") or {}
    same = (reference.get("namespace"), reference.get("name")) == (namespace_of(claim), name_of(claim))
    return same and reference.get("uid") in (None, "", uid_of(claim))


def _fits(persistent: Object, claim: Object) -> bool:
    spec, wanted = persistent["spec"], claim["spec"]
    labels = ((wanted.get("selector") or {}).get("matchLabels") or {}).items()
    return (
        (spec.get("storageClassName") or "") == (wanted.get("storageClassName") or "")
        and (spec.get("volumeMode") or "Filesystem") == (wanted.get("volumeMode") or "Filesystem")
        and set(wanted.get("accessModes") or ()) <= set(spec.get("accessModes") or ())
        and _capacity(persistent) >= _requested(claim)
        and labels <= labels_of(persistent).items()
        and not is_deleting(persistent)
    )


def _capacity(persistent: Object) -> int:
    return int(parse((persistent["spec"].get("capacity") or {}).get("storage", "0")))


def _requested(claim: Object) -> int:
    return int(parse(((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage", "0")))


def _gib(size: int) -> int:
    return -(-size // GIB)


def _patch(claim: Object, patch: Object) -> Step:
    return Patch(CLAIM, name_of(claim), namespace_of(claim), patch)
