# SPDX-License-Identifier: Apache-2.0
"""Built-in kinds that show what others store, as pure functions both ways: events.k8s.io/v1 over Events, and
autoscaling/v1 over autoscaling/v2."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from lichen.model.data import Object


class Forms(NamedTuple):
    """shown: from what is stored. kept: back. fields: paths of field selectors, (as shown, as stored)."""

    shown: Callable[[Object], Object]
    kept: Callable[[Object], Object]
    fields: tuple[tuple[str, str], ...] = ()


_EVENT = (
    ("note", "message"),
    ("regarding", "involvedObject"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
)
"""(in events.k8s.io, in the core group)."""


def _renamed(obj: Object, names: dict[str, str]) -> Object:
    return {names.get(key, key): value for key, value in obj.items()}


def show_event(event: Object) -> Object:
    shown = _renamed(event, {core: ours for ours, core in _EVENT})
    shown.setdefault("eventTime", None)
    return shown


def keep_event(event: Object) -> Object:
    kept = _renamed(event, dict(_EVENT))
    kept.setdefault("involvedObject", {})
    return kept


_MARK = "autoscaling.alpha.kubernetes.io/"


def show_autoscaler(scaler: Object) -> Object:
    """autoscaling/v1: the cpu target is a field of its own, what else there is goes to annotations."""
    spec, status = dict(scaler.get("spec") or {}), dict(scaler.get("status") or {})
    metrics = spec.pop("metrics", None) or []
    marks: dict[str, Any] = {"behavior": spec.pop("behavior", None), "conditions": status.pop("conditions", None)}
    target = next((m for m in metrics if _cpu(m, "target") is not None), None)
    if target is not None:
        spec["targetCPUUtilizationPercentage"] = _cpu(target, "target")
    marks["metrics"] = [m for m in metrics if m is not target]
    current = status.pop("currentMetrics", None) or []
    seen = next((m for m in current if _cpu(m, "current") is not None), None)
    if seen is not None:
        status["currentCPUUtilizationPercentage"] = _cpu(seen, "current")
    marks["current-metrics"] = [m for m in current if m is not seen]
    return {**_annotated(scaler, marks), "spec": spec, "status": status}


def keep_autoscaler(scaler: Object) -> Object:
    """autoscaling/v2."""
    metadata, marks = _unmarked(scaler["metadata"])
    spec, status = dict(scaler.get("spec") or {}), dict(scaler.get("status") or {})
    percent = spec.pop("targetCPUUtilizationPercentage", None)
    metrics = [*([] if percent is None else [_cpu_metric("target", percent)]), *(marks.get("metrics") or [])]
    for key, value in (("metrics", metrics), ("behavior", marks.get("behavior"))):
        if value:
            spec[key] = value
    seen = status.pop("currentCPUUtilizationPercentage", None)
    current = [*([] if seen is None else [_cpu_metric("current", seen)]), *(marks.get("current-metrics") or [])]
    for key, value in (("currentMetrics", current), ("conditions", marks.get("conditions"))):
        if value:
            status[key] = value
    return {**scaler, "metadata": metadata, "spec": spec, "status": status}


def _cpu(metric: Object, side: str) -> int | None:
    """The utilization that a metric of the cpu wants (target) or has (current)."""
    resource = metric.get("resource") or {}
    value: int | None = (resource.get(side) or {}).get("averageUtilization")
    return value if metric.get("type") == "Resource" and resource.get("name") == "cpu" else None


def _cpu_metric(side: str, percent: int) -> Object:
    value = {"averageUtilization": percent, **({"type": "Utilization"} if side == "target" else {})}
    return {"type": "Resource", "resource": {"name": "cpu", side: value}}


def _annotated(obj: Object, marks: dict[str, Any]) -> Object:
    said = {_MARK + key: msgspec.json.encode(value).decode() for key, value in marks.items() if value}
    if not said:
        return obj
    return {
        **obj,
        "metadata": {**obj["metadata"], "annotations": {**(obj["metadata"].get("annotations") or {}), **said}},
    }


def _unmarked(metadata: Object) -> tuple[Object, dict[str, Any]]:
    """Metadata without our annotations, and what they said; what cannot be read stays an annotation."""
    kept: dict[str, str] = {}
    marks: dict[str, Any] = {}
    for key, text in (metadata.get("annotations") or {}).items():
        name = key.removeprefix(_MARK)
        try:
            if name != key and name in ("metrics", "behavior", "conditions", "current-metrics"):
                marks[name] = msgspec.json.decode(text)
                continue
        except msgspec.DecodeError:
            marks.pop(name, None)
        kept[key] = text
    if not marks:
        return metadata, marks
    rest = {key: value for key, value in metadata.items() if key != "annotations"}
    return {**rest, "annotations": kept} if kept else rest, marks


FORMS = {
    ("events.k8s.io", "events"): Forms(
        show_event, keep_event, tuple((f"{ours}", core) for ours, core in _EVENT if ours != "note")
    ),
    ("autoscaling", "horizontalpodautoscalers"): Forms(show_autoscaler, keep_autoscaler),
}
