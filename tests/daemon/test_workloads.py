# SPDX-License-Identifier: Apache-2.0
"""Workloads of a simulated cloud as kubectl drives them: rollouts and their history, jobs, schedules, events."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.cloud import Here, until

FOREVER = "while true; do sleep 1; done"


def a_workload(kind: str, name: str, script: str = FOREVER, **spec: Any) -> dict[str, Any]:
    labels = {"app": name}
    template = {
        "metadata": {"labels": labels},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "c", "image": "busybox", "command": ["sh", "-c", script], "env": [version("1")]}],
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "demo"},
        "spec": {"selector": {"matchLabels": labels}, "template": template, **spec},
    }


def version(number: str) -> dict[str, str]:
    return {"name": "VERSION", "value": number}


def a_job(name: str, script: str, **spec: Any) -> dict[str, Any]:
    container = {"name": "c", "image": "busybox", "command": ["sh", "-c", script]}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    metadata = {"name": name, "namespace": "demo"}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": template, **spec}}


def demo(cloud: Here, *arguments: str, **more: Any) -> str:
    return cloud.kubectl_ok("-n", "demo", *arguments, **more)


def versions(cloud: Here, app: str) -> set[str]:
    pods = cloud.object("-n", "demo", "pods", "-l", f"app={app}")["items"]
    alive = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    return {pod["spec"]["containers"][0]["env"][0]["value"] for pod in alive}


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("Deployment", {"replicas": 2}),
        ("StatefulSet", {"replicas": 2, "serviceName": "x"}),
        ("DaemonSet", {"updateStrategy": {"rollingUpdate": {"maxUnavailable": "100%"}}}),
    ],
    ids=["deployment", "statefulset", "daemonset"],
)
def test_a_rollout_is_followed_told_undone_and_restarted(cloud: Here, kind: str, spec: dict[str, Any]):
    name = f"roll-{kind.lower()}"
    what = f"{kind.lower()}/{name}"

    def rolled() -> None:
        demo(cloud, "rollout", "status", what, "--timeout=60s")

    demo(cloud, "apply", "-f", "-", input=a_workload(kind, name, **spec))
    rolled()
    demo(cloud, "set", "env", what, "VERSION=2")
    demo(cloud, "annotate", what, "kubernetes.io/change-cause=second")
    rolled()
    assert versions(cloud, name) == {"2"}
    history = demo(cloud, "rollout", "history", what)
    assert [line.split()[0] for line in history.splitlines() if line[:1].isdigit()] == ["1", "2"]
    assert "VERSION:	1" in demo(cloud, "rollout", "history", what, "--revision=1")
    demo(cloud, "rollout", "undo", what)
    until("the first version is back", lambda: versions(cloud, name) == {"1"})
    rolled()
    before = {p["metadata"]["uid"] for p in cloud.object("-n", "demo", "pods", "-l", f"app={name}")["items"]}
    demo(cloud, "rollout", "restart", what)
    rolled()
    after = {p["metadata"]["uid"] for p in cloud.object("-n", "demo", "pods", "-l", f"app={name}")["items"]}
    assert not before & after
    demo(cloud, "delete", what)


def test_a_roll_that_gets_nowhere_fails_as_rollout_status_expects(cloud: Here):
    deployment = a_workload("Deployment", "stuck", progressDeadlineSeconds=2)
    deployment["spec"]["template"]["spec"]["nodeSelector"] = {"nowhere": "at all"}
    demo(cloud, "apply", "-f", "-", input=deployment)
    ended = cloud.kubectl("-n", "demo", "rollout", "status", "deploy/stuck", "--timeout=60s")
    assert ended.code != 0
    assert "exceeded its progress deadline" in ended.err
    assert "FailedScheduling" in demo(cloud, "events", "--types=Warning")
    described = demo(cloud, "describe", "deploy/stuck")
    assert "ScalingReplicaSet" in described
    demo(cloud, "delete", "deploy/stuck")


def test_a_job_is_waited_for_and_its_log_read(cloud: Here):
    demo(cloud, "apply", "-f", "-", input=a_job("sum", "echo the sum is 42", completions=2))
    demo(cloud, "wait", "--for=condition=complete", "job/sum", "--timeout=60s")
    assert "the sum is 42" in demo(cloud, "logs", "job/sum")
    described = demo(cloud, "describe", "pods", "-l", "job-name=sum")
    assert all(word in described for word in ("Scheduled", "Pulled", "Created", "Started", "lichen-agent"))
    assert "2/2" in demo(cloud, "get", "job/sum")
    demo(cloud, "delete", "job/sum")
    until("its pods go with it", lambda: not cloud.object("-n", "demo", "pods", "-l", "job-name=sum")["items"])


def test_a_job_that_fails_says_so(cloud: Here):
    demo(cloud, "apply", "-f", "-", input=a_job("bad", "exit 3", backoffLimit=0))
    demo(cloud, "wait", "--for=condition=failed", "job/bad", "--timeout=60s")
    assert "BackoffLimitExceeded" in demo(cloud, "describe", "job/bad")
    demo(cloud, "delete", "job/bad")


def test_a_schedule_is_kept_and_run_by_hand(cloud: Here):
    demo(cloud, "create", "cronjob", "nightly", "--image=busybox", "--schedule=0 3 * * *", "--", "true")
    demo(cloud, "create", "job", "now", "--from=cronjob/nightly")
    demo(cloud, "wait", "--for=condition=complete", "job/now", "--timeout=60s")
    until("it is noted", lambda: cloud.object("-n", "demo", "cronjob", "nightly")["status"].get("lastSuccessfulTime"))
    ended = cloud.kubectl("-n", "demo", "create", "cronjob", "odd", "--image=b", "--schedule=61 * * * *", "--", "true")
    assert "'61' is no minute" in ended.err
    demo(cloud, "delete", "cronjob/nightly")


def test_a_workload_is_refused_what_its_writer_is_refused(cloud: Here) -> None:
    workload = a_workload("Deployment", "vip")
    workload["spec"]["template"]["spec"]["priorityClassName"] = "system-cluster-critical"
    demo(cloud, "apply", "-f", "-", input=workload)
    events = ("get", "events", "--field-selector", "reason=FailedCreate", "-o", "jsonpath={.items[*].message}")
    assert "priorityClass is not permitted in demo namespace" in until("it is refused", lambda: demo(cloud, *events))
    assert demo(cloud, "get", "pods", "-l", "app=vip", "-o", "name") == ""
    demo(cloud, "delete", "deployment", "vip")
