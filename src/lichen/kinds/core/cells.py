# SPDX-License-Identifier: Apache-2.0
"""What kubectl shows of pods, nodes and services."""

from __future__ import annotations

from lichen.kinds.columns import AGE, NAME, Column, age
from lichen.model.data import Object

Columns = dict[tuple[str, str], tuple[Column, ...]]

_ROLE = "node-role.kubernetes.io/"


def _statuses(pod: Object, part: str = "containerStatuses") -> list[Object]:
    return (pod.get("status") or {}).get(part) or []


def _sidecars(pod: Object) -> set[str]:
    inits = (pod.get("spec") or {}).get("initContainers") or ()
    return {spec["name"] for spec in inits if spec.get("restartPolicy") == "Always"}


def pod_ready(pod: Object, now: float) -> str:
    """Of the containers that run for the pod's life, sidecars among them."""
    sidecars = _sidecars(pod)
    beside = [c for c in _statuses(pod, "initContainerStatuses") if c["name"] in sidecars]
    ready = sum(bool(c.get("ready")) for c in [*beside, *_statuses(pod)])
    return f"{ready}/{len(sidecars) + len((pod.get('spec') or {}).get('containers') or ())}"


def pod_restarts(pod: Object, now: float) -> str:
    """`2 (5m ago)`: how often, and when last."""
    statuses = [*_statuses(pod), *_statuses(pod, "initContainerStatuses")]
    count = sum(int(c.get("restartCount", 0)) for c in statuses)
    ended = [((c.get("lastState") or {}).get("terminated") or {}).get("finishedAt") for c in statuses]
    last = max((stamp for stamp in ended if stamp), default=None)
    return f"{count} ({age(last, now)} ago)" if count and last else str(count)


def pod_status(pod: Object, now: float) -> str:
    """The most telling word about a pod."""
    status = pod.get("status") or {}
    if pod["metadata"].get("deletionTimestamp"):
        return "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    word: str = status.get("reason") or status.get("phase") or "Unknown"
    initializing = _initializing(pod)
    if initializing:
        return initializing
    running = False
    for container in reversed(_statuses(pod)):
        state = container.get("state") or {}
        ended = state.get("terminated")
        if (state.get("waiting") or {}).get("reason"):
            word = state["waiting"]["reason"]
        elif ended is not None:
            word = ended.get("reason") or _ended(ended)
        elif container.get("ready") and state.get("running") is not None:
            running = True
    if word == "Completed" and running:
        return "Running" if _is_ready(status) else "NotReady"
    return word


def _ended(terminated: Object) -> str:
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _initializing(pod: Object) -> str:
    """How far the init containers are, while they are not done."""
    statuses = _statuses(pod, "initContainerStatuses")
    total = len((pod.get("spec") or {}).get("initContainers") or ())
    sidecars = _sidecars(pod)
    for index, container in enumerate(statuses):
        state = container.get("state") or {}
        ended = state.get("terminated")
        if ended is not None and not ended.get("exitCode"):
            continue
        if container["name"] in sidecars and container.get("started"):
            continue
        if ended is not None:
            return f"Init:{ended.get('reason') or _ended(ended)}"
        waiting = (state.get("waiting") or {}).get("reason")
        if waiting and waiting != "PodInitializing":
            return f"Init:{waiting}"
        return f"Init:{index}/{total}"
    return ""


def _is_ready(status: Object) -> bool:
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in status.get("conditions") or ())


def _gates(pod: Object, now: float) -> str:
    gates = (pod.get("spec") or {}).get("readinessGates") or []
    if not gates:
        return "<none>"
    held = {c["type"] for c in (pod.get("status") or {}).get("conditions") or () if c.get("status") == "True"}
    return f"{sum(g['conditionType'] in held for g in gates)}/{len(gates)}"


def _pod_ip(pod: Object, now: float) -> str:
    return str((pod.get("status") or {}).get("podIP") or "<none>")


def _nominated(pod: Object, now: float) -> str:
    return str((pod.get("status") or {}).get("nominatedNodeName") or "<none>")


POD_CELLS: Columns = {
    ("", "pods"): (
        NAME, Column("Ready", pod_ready), Column("Status", pod_status), Column("Restarts", pod_restarts), AGE,
        Column("IP", _pod_ip, priority=1),
        Column("Node", lambda pod, now: (pod.get("spec") or {}).get("nodeName") or "<none>", priority=1),
        Column("Nominated Node", _nominated, priority=1),
        Column("Readiness Gates", _gates, priority=1),
    ),
}  # fmt: skip


def node_status(node: Object, now: float) -> str:
    conditions = (node.get("status") or {}).get("conditions") or ()
    ready = next((c for c in conditions if c.get("type") == "Ready"), None)
    word = "Unknown" if ready is None else "Ready" if ready.get("status") == "True" else "NotReady"
    return f"{word},SchedulingDisabled" if (node.get("spec") or {}).get("unschedulable") else word


def _roles(node: Object, now: float) -> str:
    labels = node["metadata"].get("labels") or {}
    return ",".join(sorted(k.removeprefix(_ROLE) for k in labels if k.startswith(_ROLE))) or "<none>"


def _address(kind: str) -> Column:
    def cell(node: Object, now: float) -> str:
        addresses = (node.get("status") or {}).get("addresses") or ()
        return next((str(a["address"]) for a in addresses if a.get("type") == kind), "<none>")

    name = "Internal-IP" if kind == "InternalIP" else "External-IP"
    return Column(name, cell, priority=1)


def _info(name: str, field: str, *, wide: bool = True) -> Column:
    def cell(node: Object, now: float) -> str:
        return str(((node.get("status") or {}).get("nodeInfo") or {}).get(field) or "<unknown>")

    return Column(name, cell, priority=1 if wide else 0)


NODE_CELLS: Columns = {
    ("", "nodes"): (
        NAME, Column("Status", node_status), Column("Roles", _roles), AGE,
        _info("Version", "kubeletVersion", wide=False), _address("InternalIP"), _address("ExternalIP"),
        _info("OS-Image", "osImage"), _info("Kernel-Version", "kernelVersion"),
        _info("Container-Runtime", "containerRuntimeVersion"),
    ),
}  # fmt: skip


def _external_ip(service: Object, now: float) -> str:
    spec = service.get("spec") or {}
    given = list(spec.get("externalIPs") or ())
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName", ""))
    if spec.get("type") == "LoadBalancer":
        ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
        given = [*(str(i.get("ip") or i.get("hostname")) for i in ingress), *given]
        return ",".join(given) or "<pending>"
    return ",".join(given) or "<none>"


def _service_ports(service: Object, now: float) -> str:
    ports = (service.get("spec") or {}).get("ports") or ()
    return ",".join(_service_port(port) for port in ports) or "<none>"


def _service_port(port: Object) -> str:
    node = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port.get('port')}{node}/{port.get('protocol')}"


def _selector(service: Object, now: float) -> str:
    selector = (service.get("spec") or {}).get("selector") or {}
    return ",".join(f"{key}={value}" for key, value in sorted(selector.items())) or "<none>"


SERVICE_CELLS: Columns = {
    ("", "services"): (
        NAME, Column("Type", lambda service, now: (service.get("spec") or {}).get("type") or "<none>"),
        Column("Cluster-IP", lambda service, now: (service.get("spec") or {}).get("clusterIP") or "<none>"),
        Column("External-IP", _external_ip), Column("Port(s)", _service_ports), AGE,
        Column("Selector", _selector, priority=1),
    ),
}  # fmt: skip
