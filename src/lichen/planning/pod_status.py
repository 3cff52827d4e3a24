# SPDX-License-Identifier: Apache-2.0
"""What a pod's status says: phase, conditions and container statuses, worked out from what really is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lichen.model.data import Object
from lichen.model.meta import with_condition
from lichen.planning.pod_container import container_status
from lichen.planning.pod_restart import ephemeral_specs, is_init_done, is_sidecar, main_began
from lichen.planning.pod_steps import ContainerActual, PodActual, PodStep, Report
from lichen.planning.pod_storage import EVICTED
from lichen.planning.qos import qos_class
from lichen.planning.times import rfc3339, seconds_of


@dataclass(frozen=True, slots=True)
class StatusReport:
    """The phase, and [Report] of what differs from the pod's status, or []."""

    phase: str
    steps: list[PodStep]


def status_report(pod: Object, actual: PodActual, now: float) -> StatusReport:
    """What to write into status now. A pod that ended keeps its phase."""
    old = pod.get("status") or {}
    specs, inits = pod["spec"]["containers"], pod["spec"].get("initContainers") or []
    initialized = main_began(pod, actual) or all(_init_done(s, actual) for s in inits)
    statuses = [container_status(pod, s, _find(actual, s["name"]), actual, initialized, now) for s in specs]
    init_statuses = [container_status(pod, s, _find(actual, s["name"]), actual, True, now) for s in inits]
    phase, reason, message = _phase(pod, actual, statuses, init_statuses, initialized, now)
    new: Object = {
        "phase": phase,
        "qosClass": old.get("qosClass") or qos_class(pod),
        "startTime": old.get("startTime") or rfc3339(now),
        "containerStatuses": statuses,
        "conditions": _conditions(pod, actual, phase, statuses, init_statuses, initialized, now),
    }
    if init_statuses:
        new["initContainerStatuses"] = init_statuses
    if beside := ephemeral_specs(pod):
        new["ephemeralContainerStatuses"] = [
            container_status(pod, s, _find(actual, s["name"]), actual, initialized, now) for s in beside
        ]
    if reason:
        new |= {"reason": reason, "message": message}
    if actual.host_ip:
        new |= {"hostIP": actual.host_ip, "hostIPs": [{"ip": actual.host_ip}]}
    if actual.ips:
        new |= {"podIP": actual.ips[0], "podIPs": [{"ip": ip} for ip in actual.ips]}
    changed = {key: value for key, value in new.items() if old.get(key) != value}
    return StatusReport(phase, [Report(changed)] if changed else [])


def _phase(
    pod: Object,
    actual: PodActual,
    statuses: list[Object],
    inits: list[Object],
    initialized: bool,
    now: float,
) -> tuple[str, str, str]:
    """(phase, reason, message), as a kubelet derives them."""
    old = pod.get("status") or {}
    if old.get("phase") in ("Succeeded", "Failed"):
        return old["phase"], old.get("reason", ""), old.get("message", "")
    limit, started = pod["spec"].get("activeDeadlineSeconds"), seconds_of(old.get("startTime"))
    if limit and started and now >= started + limit:
        return "Failed", "DeadlineExceeded", "Pod was active on the node longer than the specified deadline"
    if actual.evicted:
        return "Failed", EVICTED, actual.evicted
    policy = pod["spec"].get("restartPolicy") or "Always"
    if not initialized:
        return ("Failed" if policy == "Never" and _any_failed(pod, inits) else "Pending"), "", ""
    if not statuses or any("waiting" in s["state"] and "terminated" not in s["lastState"] for s in statuses):
        return "Pending", "", ""
    if policy == "Always" or any("running" in s["state"] for s in statuses):
        return "Running", "", ""
    codes = [(s["state"].get("terminated") or s["lastState"].get("terminated") or {}).get("exitCode") for s in statuses]
    if all(code == 0 for code in codes):
        return "Succeeded", "", ""
    return ("Failed" if policy == "Never" else "Running"), "", ""


def _any_failed(pod: Object, inits: list[Object]) -> bool:
    plain = {s["name"] for s in pod["spec"].get("initContainers") or [] if not is_sidecar(s)}
    ended = [s["state"]["terminated"] for s in inits if s["name"] in plain and "terminated" in s["state"]]
    return any(state["exitCode"] != 0 for state in ended)


def _conditions(
    pod: Object,
    actual: PodActual,
    phase: str,
    statuses: list[Object],
    inits: list[Object],
    initialized: bool,
    now: float,
) -> list[Object]:
    conditions: list[Object] = list((pod.get("status") or {}).get("conditions") or [])
    ready = _readiness(pod, actual, phase, statuses, inits)
    for new in (
        _condition("PodReadyToStartContainers", actual.sandbox == "Ready" and phase not in ("Succeeded", "Failed")),
        _initialized(inits, initialized, phase),
        _condition("ContainersReady", *ready),
        _condition("Ready", *_with_gates(pod, conditions, ready)),
    ):
        generation = pod["metadata"].get("generation")
        conditions = with_condition(conditions, {**new, **({"observedGeneration": generation} if generation else {})},
                                    rfc3339(now))  # fmt: skip
    return conditions


def _initialized(inits: list[Object], initialized: bool, phase: str) -> Object:
    if initialized:
        return _condition("Initialized", True, "PodCompleted" if phase == "Succeeded" else "")
    waiting = [s["name"] for s in inits if not (s["ready"] or s.get("started"))]
    words = f"containers with incomplete status: [{' '.join(waiting)}]"
    return _condition("Initialized", False, "ContainersNotInitialized", words)


def _readiness(
    pod: Object, actual: PodActual, phase: str, statuses: list[Object], inits: list[Object]
) -> tuple[Any, ...]:
    if phase == "Succeeded":
        return (False, "PodCompleted", "")
    if phase == "Failed":
        return (False, "PodFailed", "")
    sidecars = {s["name"] for s in pod["spec"].get("initContainers") or [] if is_sidecar(s)}
    unready = [s["name"] for s in [*(i for i in inits if i["name"] in sidecars), *statuses] if not s["ready"]]
    if not unready:
        return (True,)
    words = [actual.probes[name].message for name in unready if name in actual.probes and actual.probes[name].message]
    return (False, "ContainersNotReady", ": ".join([f"containers with unready status: [{' '.join(unready)}]", *words]))


def _with_gates(pod: Object, conditions: list[Object], ready: tuple[Any, ...]) -> tuple[Any, ...]:
    if not ready[0]:
        return ready
    gates = [gate["conditionType"] for gate in pod["spec"].get("readinessGates") or []]
    true = {c["type"] for c in conditions if c.get("status") == "True"}
    closed = [gate for gate in gates if gate not in true]
    if not closed:
        return ready
    return (False, "ReadinessGatesNotReady", f"readiness gates not True: [{' '.join(closed)}]")


def _condition(type_: str, true: bool, reason: str = "", message: str = "") -> Object:
    condition: Object = {"type": type_, "status": "True" if true else "False"}
    if reason:
        condition["reason"] = reason
    if message:
        condition["message"] = message
    return condition


def _init_done(spec: Object, actual: PodActual) -> bool:
    return is_init_done(spec, _find(actual, spec["name"]), actual.probes.get(spec["name"]))


def _find(actual: PodActual, name: str) -> ContainerActual | None:
    return next((c for c in actual.containers if c.name == name), None)
