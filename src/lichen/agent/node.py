# SPDX-License-Identifier: Apache-2.0
"""The Node object of one machine, and the Lease that says it is alive."""

from __future__ import annotations

import os
import platform
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lichen.kinds.builtin import LEASE, NODE
from lichen.model.data import Object
from lichen.model.errors import AlreadyExists, NotFound
from lichen.model.meta import find_condition, owner_reference, with_condition
from lichen.model.names import POOL, STALLED
from lichen.model.state import State
from lichen.planning.times import rfc3339, rfc3339_micro, seconds_of

ACCELERATOR = "compute.lichen.dev/accelerator"
"""Annotation and label of a Node: kvm, tcg or fake."""
LEASE_NAMESPACE = "kube-node-lease"
LEASE_SECONDS = 40
BEAT_SECONDS = 300.0
"""After these a node's conditions say anew when they were looked at."""
MOST_FAILING = 3
"""What fails that is named; the rest is counted."""
VERSION = "v1.36.0-lichen"


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a machine has: cpu in thousandths, bytes, pods."""

    cpu_millis: int
    memory: int
    storage: int
    pods: int = 110

    def quantities(self) -> dict[str, str]:
        cpu = str(self.cpu_millis // 1000) if self.cpu_millis % 1000 == 0 else f"{self.cpu_millis}m"
        return {
            "cpu": cpu,
            "memory": f"{self.memory // 1024}Ki",
            "ephemeral-storage": f"{self.storage // 1024}Ki",
            "pods": str(self.pods),
        }


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What a node says of itself."""

    name: str
    capacity: Capacity
    addresses: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    accelerator: str = "tcg"
    engine: str = ""
    port: int = 10250
    kernel: str = ""
    os_image: str = ""
    machine_id: str = ""
    boot_id: str = ""


def facts_of_this_machine(name: str, data: Path, addresses: tuple[str, ...], **more: object) -> NodeFacts:
    """The facts of the machine this runs on; `more` overrides."""
    disk = os.statvfs(data)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    capacity = Capacity((os.cpu_count() or 1) * 1000, memory, disk.f_blocks * disk.f_frsize)
    found: dict[str, object] = {
        "capacity": capacity,
        "kernel": platform.release(),
        "os_image": _os_image(),
        "machine_id": _read("/etc/machine-id"),
        "boot_id": _read("/proc/sys/kernel/random/boot_id"),
    }
    return NodeFacts(name=name, addresses=addresses, **(found | more))  # type: ignore[arg-type]


class NodeKeeper:
    """Registers a Node, keeps its status true and its Lease fresh."""

    def __init__(self, state: State, facts: NodeFacts) -> None:
        self._state = state
        self.facts = facts
        self._lease_known = False

    async def register(self, now: float) -> Object:
        """Make the Node, or take over the one of this name."""
        labels = _labels(self.facts)
        annotations = {
            ACCELERATOR: self.facts.accelerator,
            "volumes.kubernetes.io/controller-managed-attach-detach": "true",
        }
        obj: Object = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self.facts.name, "labels": labels, "annotations": annotations},
            "spec": {},
        }
        try:
            await self._state.create(NODE, obj)
        except AlreadyExists:
            patch = {"metadata": {"labels": labels, "annotations": annotations}}
            await self._state.patch(NODE, self.facts.name, "", patch)
        return await self.report(now)

    async def report(
        self, now: float, *, images: list[tuple[tuple[str, ...], int]] | None = None, failing: Collection[str] = ()
    ) -> Object:
        """Write what changed in the Node's status; registers it again if someone deleted it. failing: what cannot be
        done here and is said of no object, a sentence each."""
        try:
            node = await self._state.get(NODE, self.facts.name)
        except NotFound:
            return await self.register(now)
        held = node.get("status") or {}
        wanted = node_status(self.facts, held, now, images, failing)
        changed = {key: value for key, value in wanted.items() if held.get(key) != value}
        if not changed:
            return node
        return await self._state.patch(NODE, self.facts.name, "", {"status": changed}, subresource="status")

    async def renew(self, now: float) -> None:
        """One heartbeat."""
        spec = {
            "holderIdentity": self.facts.name,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": rfc3339_micro(now),
        }
        if self._lease_known:
            try:
                await self._state.patch(LEASE, self.facts.name, LEASE_NAMESPACE, {"spec": spec})
                return
            except NotFound:
                self._lease_known = False
        node = await self._state.get(NODE, self.facts.name)
        owner = owner_reference({"apiVersion": "v1", "kind": "Node", **node}, controller=False)
        lease: Object = {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.kind,
            "metadata": {"name": self.facts.name, "namespace": LEASE_NAMESPACE, "ownerReferences": [owner]},
            "spec": spec,
        }
        try:
            await self._state.create(LEASE, lease)
        except AlreadyExists:
            await self._state.patch(LEASE, self.facts.name, LEASE_NAMESPACE, {"spec": spec})
        self._lease_known = True


def node_status(
    facts: NodeFacts,
    held: Object,
    now: float,
    images: list[tuple[tuple[str, ...], int]] | None = None,
    failing: Collection[str] = (),
) -> Object:
    """The status of a node that is heard."""
    stamp = rfc3339(now)
    conditions: list[Object] = list(held.get("conditions") or [])
    beat = _beat(held, now)
    for type_, truth, reason, message in (
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "the node has sufficient memory available"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "the node has no disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "the node has sufficient PID available"),
        ("Ready", "True", "KubeletReady", "the node agent is posting ready status"),
    ):
        new = {"type": type_, "status": truth, "reason": reason, "message": message, "lastHeartbeatTime": beat}
        conditions = with_condition(conditions, new, stamp)
    conditions = _with_failing(conditions, failing, stamp)
    quantities = facts.capacity.quantities()
    addresses = [{"type": "InternalIP", "address": ip} for ip in facts.addresses]
    status: Object = {
        "capacity": quantities,
        "allocatable": quantities,
        "conditions": conditions,
        "addresses": [*addresses, {"type": "Hostname", "address": facts.name}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": facts.port}},
        "nodeInfo": {
            "machineID": facts.machine_id,
            "systemUUID": facts.machine_id,
            "bootID": facts.boot_id,
            "kernelVersion": facts.kernel,
            "osImage": facts.os_image,
            "containerRuntimeVersion": facts.engine,
            "kubeletVersion": VERSION,
            "kubeProxyVersion": VERSION,
            "operatingSystem": "linux",
            "architecture": _architecture(),
        },
    }
    if images is not None:
        status["images"] = [{"names": list(names), "sizeBytes": size} for names, size in images]
    return status


def _beat(held: Object, now: float) -> str:
    """When the conditions were last looked at, to within a few minutes: the Lease says it to within seconds."""
    known = (find_condition({"status": held}, "Ready") or {}).get("lastHeartbeatTime") or ""
    return known if known and now - seconds_of(known) < BEAT_SECONDS else rfc3339(now)


def _with_failing(conditions: list[Object], failing: Collection[str], stamp: str) -> list[Object]:
    if not failing:
        return [condition for condition in conditions if condition["type"] != STALLED]
    shown = sorted(failing)[:MOST_FAILING]
    more = f" And {len(failing) - len(shown)} more." if len(failing) > len(shown) else ""
    new = {"type": STALLED, "status": "True", "reason": "StepsFailing", "message": f"{' '.join(shown)}{more}"}
    return with_condition(conditions, new, stamp)


def _labels(facts: NodeFacts) -> dict[str, str]:
    return {
        "kubernetes.io/hostname": facts.name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": _architecture(),
        "topology.kubernetes.io/zone": "nova",
        ACCELERATOR: facts.accelerator,
        POOL: facts.name,
        **facts.labels,
    }


def _architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def _os_image() -> str:
    for line in _read("/etc/os-release").splitlines():
        key, _, value = line.partition("=")
        if key == "PRETTY_NAME":
            return value.strip('"')
    return "Linux"


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
