# SPDX-License-Identifier: Apache-2.0
"""What kubectl shows of workloads and jobs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from lichen.kinds.columns import AGE, NAME, Cell, Column, age, duration
from lichen.model.data import Object

Columns = dict[tuple[str, str], tuple[Column, ...]]


def _part(obj: Object, part: str, field: str, default: Any = 0) -> Any:
    value = (obj.get(part) or {}).get(field)
    return default if value is None else value


def _number(name: str, part: str, field: str, default: int = 0) -> Column:
    return Column(name, lambda obj, now: _part(obj, part, field, default), type="integer")


def _ready(obj: Object, now: float) -> str:
    return f"{_part(obj, 'status', 'readyReplicas')}/{_part(obj, 'spec', 'replicas', 1)}"


def _template(obj: Object) -> list[Object]:
    spec = obj.get("spec") or {}
    spec = ((spec.get("jobTemplate") or {}).get("spec") or {}) if "jobTemplate" in spec else spec
    containers: list[Object] = ((spec.get("template") or {}).get("spec") or {}).get("containers") or []
    return containers


def _of_containers(field: str) -> Cell:
    return lambda obj, now: ",".join(str(c.get(field, "")) for c in _template(obj))


def selector_text(selector: Object | None) -> str:
    """A label selector on one line."""
    if not selector:
        return "<none>"
    terms = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for term in selector.get("matchExpressions") or ():
        values = ",".join(term.get("values") or ())
        words = {"Exists": term["key"], "DoesNotExist": f"!{term['key']}"}
        terms.append(words.get(term["operator"], f"{term['key']} {term['operator'].lower()} ({values})"))
    return ",".join(terms) or "<none>"


_WIDE = (
    Column("Containers", _of_containers("name"), priority=1),
    Column("Images", _of_containers("image"), priority=1),
)
_SELECTOR = Column("Selector", lambda obj, now: selector_text((obj.get("spec") or {}).get("selector")), priority=1)


def _node_selector(obj: Object, now: float) -> str:
    template = ((obj.get("spec") or {}).get("template") or {}).get("spec") or {}
    return selector_text({"matchLabels": template.get("nodeSelector") or {}})


WORKLOAD_CELLS: Columns = {
    ("apps", "deployments"): (
        NAME, Column("Ready", _ready), _number("Up-to-date", "status", "updatedReplicas"),
        _number("Available", "status", "availableReplicas"), AGE, *_WIDE, _SELECTOR,
    ),
    ("apps", "replicasets"): (
        NAME, _number("Desired", "spec", "replicas", 1), _number("Current", "status", "replicas"),
        _number("Ready", "status", "readyReplicas"), AGE, *_WIDE, _SELECTOR,
    ),
    ("apps", "statefulsets"): (NAME, Column("Ready", _ready), AGE, *_WIDE),
    ("apps", "daemonsets"): (
        NAME, _number("Desired", "status", "desiredNumberScheduled"),
        _number("Current", "status", "currentNumberScheduled"), _number("Ready", "status", "numberReady"),
        _number("Up-to-date", "status", "updatedNumberScheduled"), _number("Available", "status", "numberAvailable"),
        Column("Node Selector", _node_selector), AGE, *_WIDE, _SELECTOR,
    ),
}  # fmt: skip


def _job_status(job: Object, now: float) -> str:
    for condition in _part(job, "status", "conditions", []):
        if condition.get("status") == "True" and condition["type"] in ("Complete", "Failed", "Suspended"):
            return str(condition["type"])
    return "Terminating" if job["metadata"].get("deletionTimestamp") else "Running"


def _completions(job: Object, now: float) -> str:
    done, wanted = _part(job, "status", "succeeded"), _part(job, "spec", "completions", None)
    if wanted is not None:
        return f"{done}/{wanted}"
    parallelism = _part(job, "spec", "parallelism", 1)
    return f"{done}/1 of {parallelism}" if parallelism > 1 else f"{done}/1"


def _took(job: Object, now: float) -> str:
    begun, ended = _part(job, "status", "startTime", ""), _part(job, "status", "completionTime", "")
    if not begun:
        return ""
    return duration((_seconds(ended) if ended else now) - _seconds(begun))


def _seconds(stamp: str) -> float:
    return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()


def _last_schedule(obj: Object, now: float) -> str:
    stamp = _part(obj, "status", "lastScheduleTime", "")
    return age(stamp, now) if stamp else "<none>"


JOB_CELLS: Columns = {
    ("batch", "jobs"): (
        NAME, Column("Status", _job_status), Column("Completions", _completions), Column("Duration", _took), AGE,
        *_WIDE, _SELECTOR,
    ),
    ("batch", "cronjobs"): (
        NAME, Column("Schedule", lambda obj, now: _part(obj, "spec", "schedule", "")),
        Column("Timezone", lambda obj, now: _part(obj, "spec", "timeZone", "<none>")),
        Column("Suspend", lambda obj, now: _part(obj, "spec", "suspend", False), type="boolean"),
        Column("Active", lambda obj, now: len(_part(obj, "status", "active", [])), type="integer"),
        Column("Last Schedule", _last_schedule), AGE, *_WIDE,
    ),
}  # fmt: skip
