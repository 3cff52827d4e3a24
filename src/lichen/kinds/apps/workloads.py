# SPDX-License-Identifier: Apache-2.0
"""Rules of what makes pods from a template: Deployment, ReplicaSet, ReplicationController, StatefulSet, DaemonSet,
Job, CronJob, PodTemplate."""

from __future__ import annotations

from typing import Any

from lichen.kinds.apps.cron import Schedule
from lichen.kinds.core.common import check_immutable, check_not_negative, check_selector, one_of
from lichen.kinds.core.podcheck import check_pod_spec
from lichen.kinds.core.podspec import default_pod_spec
from lichen.kinds.faults import Faults
from lichen.kinds.rules import Rules
from lichen.model.data import Object
from lichen.model.meta import name_of

_COUNTS = ("replicas", "revisionHistoryLimit", "progressDeadlineSeconds", "minReadySeconds")
_STATEFUL_MUTABLE = (
    "replicas", "ordinals", "template", "updateStrategy", "persistentVolumeClaimRetentionPolicy", "minReadySeconds",
    "revisionHistoryLimit",
)  # fmt: skip
_STATEFUL_FIXED = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
CONTROLLER_UID, JOB_NAME = "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"


def _template(spec: Object) -> None:
    template = spec.setdefault("template", {})
    template.setdefault("metadata", {})
    default_pod_spec(template.setdefault("spec", {}))


def _defaults(spec: Object, values: dict[str, Any]) -> None:
    for key, value in values.items():
        spec.setdefault(key, value)


def default_deployment(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    _defaults(spec, {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600})
    strategy = spec.setdefault("strategy", {})
    strategy.setdefault("type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _defaults(strategy.setdefault("rollingUpdate", {}), {"maxUnavailable": "25%", "maxSurge": "25%"})
    _template(spec)


def default_replica_set(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    _template(spec)


def default_stateful_set(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    _defaults(spec, {"replicas": 1, "revisionHistoryLimit": 10, "podManagementPolicy": "OrderedReady"})
    strategy = spec.setdefault("updateStrategy", {})
    strategy.setdefault("type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        strategy.setdefault("rollingUpdate", {}).setdefault("partition", 0)
    _defaults(
        spec.setdefault("persistentVolumeClaimRetentionPolicy", {}), {"whenDeleted": "Retain", "whenScaled": "Retain"}
    )
    for claim in spec.get("volumeClaimTemplates") or ():
        claim.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
        claim.setdefault("status", {}).setdefault("phase", "Pending")
    _template(spec)


def default_daemon_set(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("revisionHistoryLimit", 10)
    strategy = spec.setdefault("updateStrategy", {})
    strategy.setdefault("type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _defaults(strategy.setdefault("rollingUpdate", {}), {"maxUnavailable": 1, "maxSurge": 0})
    _template(spec)


def default_job_spec(spec: Object) -> None:
    _defaults(spec, {"backoffLimit": 6, "completionMode": "NonIndexed", "suspend": False})
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    _defaults(spec, {"parallelism": 1, "manualSelector": False, "podReplacementPolicy": "TerminatingOrFailed"})
    _template(spec)


def default_job(obj: Object) -> None:
    default_job_spec(obj.setdefault("spec", {}))


def begin_job(obj: Object) -> None:
    """A job selects its pods by its own uid."""
    obj["status"] = {}
    spec = obj["spec"]
    if spec.get("manualSelector"):
        return
    labels = spec["template"]["metadata"].setdefault("labels", {})
    labels.update({CONTROLLER_UID: obj["metadata"]["uid"], JOB_NAME: obj["metadata"]["name"]})
    spec["selector"] = {"matchLabels": {CONTROLLER_UID: obj["metadata"]["uid"]}}


def carry_job(new: Object, old: Object) -> None:
    new["spec"].setdefault("selector", old["spec"].get("selector"))
    labels = (old["spec"]["template"].get("metadata") or {}).get("labels") or {}
    kept = {key: value for key, value in labels.items() if key in (CONTROLLER_UID, JOB_NAME)}
    metadata = new["spec"]["template"]["metadata"]
    if kept:
        metadata["labels"] = {**(metadata.get("labels") or {}), **kept}


def default_cron_job(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    values = {"concurrencyPolicy": "Allow", "suspend": False}
    _defaults(spec, {**values, "successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1})
    default_job_spec(spec.setdefault("jobTemplate", {}).setdefault("spec", {}))


def begin(obj: Object) -> None:
    obj["status"] = {}


def begin_counted(obj: Object) -> None:
    obj["status"] = {"replicas": 0}


def _check(obj: Object, faults: Faults, restart: tuple[str, ...] = ("Always",)) -> None:
    spec = obj.get("spec") or {}
    for field in _COUNTS:
        check_not_negative(spec, field, faults)
    check_selector(spec, faults)
    template = (spec.get("template") or {}).get("spec") or {}
    claims = frozenset(name_of(claim) for claim in spec.get("volumeClaimTemplates") or () if claim.get("metadata"))
    check_pod_spec(template, "spec.template.spec", faults, claims)
    one_of(template, "restartPolicy", restart, "spec.template.spec", faults)


def validate_deployment(obj: Object, faults: Faults) -> None:
    _check(obj, faults)
    strategy = obj["spec"].get("strategy") or {}
    one_of(strategy, "type", ("Recreate", "RollingUpdate"), "spec.strategy", faults)
    rolling = strategy.get("rollingUpdate") or {}
    if strategy.get("type") == "Recreate" and rolling:
        faults.forbidden("spec.strategy.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'")
    for field in ("maxUnavailable", "maxSurge"):
        _check_share(rolling.get(field), f"spec.strategy.rollingUpdate.{field}", faults)
    if rolling and all(rolling.get(field) in (0, "0%") for field in ("maxUnavailable", "maxSurge")):
        faults.invalid(
            "spec.strategy.rollingUpdate.maxUnavailable",
            rolling["maxUnavailable"],
            "may not be 0 when `maxSurge` is 0",
        )


def _check_share(value: Any, path: str, faults: Faults) -> None:
    if isinstance(value, int) and value < 0:
        faults.invalid(path, value, "must be greater than or equal to 0")
    if isinstance(value, str) and not (value.endswith("%") and value[:-1].isdigit()):
        faults.invalid(path, value, "a valid percent string must be a numeric string followed by an ending '%'")


def validate_job(obj: Object, faults: Faults) -> None:
    spec = obj.get("spec") or {}
    for field in ("parallelism", "completions", "backoffLimit", "ttlSecondsAfterFinished"):
        check_not_negative(spec, field, faults)
    template = (spec.get("template") or {}).get("spec") or {}
    check_pod_spec(template, "spec.template.spec", faults)
    one_of(template, "restartPolicy", ("OnFailure", "Never"), "spec.template.spec", faults)


def validate_cron_job(obj: Object, faults: Faults) -> None:
    spec = obj.get("spec") or {}
    for field, arguments in (("schedule", (spec.get("schedule", ""),)), ("timeZone", ("@daily", spec.get("timeZone")))):
        try:
            Schedule.parse(*(argument or "" for argument in arguments))
        except ValueError as error:
            faults.invalid(f"spec.{field}", spec.get(field), str(error))
    one_of(spec, "concurrencyPolicy", ("Allow", "Forbid", "Replace"), "spec", faults)


def _keeps_selector(new: Object, old: Object, faults: Faults) -> None:
    check_immutable(new, old, ("spec.selector",), faults)


def validate_stateful_update(new: Object, old: Object, faults: Faults) -> None:
    changed = [
        key
        for key in {*new["spec"], *old["spec"]} - set(_STATEFUL_MUTABLE)
        if new["spec"].get(key) != old["spec"].get(key)
    ]
    if changed:
        faults.forbidden("spec", _STATEFUL_FIXED)


def default_replication_controller(obj: Object) -> None:
    default_replica_set(obj)
    labels = (obj["spec"]["template"].get("metadata") or {}).get("labels")
    if labels:
        obj["spec"]["selector"] = obj["spec"].get("selector") or dict(labels)
        obj["metadata"]["labels"] = obj["metadata"].get("labels") or dict(labels)


def validate_replication_controller(obj: Object, faults: Faults) -> None:
    """Its selector is a plain map of labels."""
    spec = obj["spec"]
    _check({**obj, "spec": {**spec, "selector": {"matchLabels": spec.get("selector") or {}}}}, faults)


def default_pod_template(obj: Object) -> None:
    _template(obj)


RULES: dict[tuple[str, str], Rules] = {
    ("", "replicationcontrollers"): Rules(
        default=default_replication_controller, begin=begin_counted, validate=validate_replication_controller
    ),
    ("", "podtemplates"): Rules(default=default_pod_template),
    ("apps", "deployments"): Rules(
        default=default_deployment, begin=begin, validate=validate_deployment, validate_update=_keeps_selector
    ),
    ("apps", "replicasets"): Rules(
        default=default_replica_set, begin=begin_counted, validate=_check, validate_update=_keeps_selector
    ),
    ("apps", "statefulsets"): Rules(
        default=default_stateful_set, begin=begin, validate=_check, validate_update=validate_stateful_update
    ),
    ("apps", "daemonsets"): Rules(
        default=default_daemon_set, begin=begin, validate=_check, validate_update=_keeps_selector
    ),
    ("batch", "jobs"): Rules(
        default=default_job,
        begin=begin_job,
        validate=validate_job,
        validate_update=lambda new, old, faults: check_immutable(
            new, old, ("spec.selector", "spec.completionMode", "spec.template"), faults
        ),
        carry=carry_job,
    ),
    ("batch", "cronjobs"): Rules(default=default_cron_job, begin=begin, validate=validate_cron_job),
}
