# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

from lichen.kinds.builtin import PERSISTENT_VOLUME_CLAIM, POD
from lichen.planning.revisions import HASH
from lichen.planning.stateful_set import plan_stateful_set, stateful_set_status
from lichen.planning.steps import Create, Delete

TEMPLATE = {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "c"}]}}


def a_revision(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": {"spec": {"template": {**TEMPLATE, "$patch": "replace"}}}}


OLD, NEW = a_revision("db-old"), a_revision("db-new")


def a_set(replicas: int = 3, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "db", "namespace": "shop", "uid": "s", "generation": 1},
        "spec": {
            "replicas": replicas,
            "serviceName": "db",
            "selector": {"matchLabels": {"app": "db"}},
            "template": TEMPLATE,
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            **spec,
        },
    }


def a_pod(ordinal: int, revision: str = "db-new", *, ready: bool = True, **metadata: Any) -> dict[str, Any]:
    labels = {"app": "db", HASH: revision}
    return {
        "metadata": {"name": f"db-{ordinal}", "namespace": "shop", "uid": "u", "labels": labels, **metadata},
        "spec": {},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True" if ready else "False"}]},
    }


def steps(owner: Any, *pods: Any, current: Any = NEW, update: Any = NEW) -> list[tuple[str, str]]:
    """(what, pod) of each step on a pod."""
    found = plan_stateful_set(owner, pods, current, update, 0.0)
    made = [("make", s.object["metadata"]["name"]) for s in found if isinstance(s, Create) and s.kind == POD]
    return made + [("end", s.name) for s in found if isinstance(s, Delete)]


def created(owner: Any, *pods: Any, **revisions: Any) -> dict[str, Any]:
    found = plan_stateful_set(owner, pods, revisions.get("current", NEW), revisions.get("update", NEW), 0.0)
    pod: dict[str, Any] = next(s.object for s in found if isinstance(s, Create) and s.kind == POD)
    return pod


GOING = {"deletionTimestamp": "2026-01-01T00:00:00Z"}


def test_pods_come_one_after_the_other():
    assert steps(a_set()) == [("make", "db-0")]
    assert steps(a_set(), a_pod(0, ready=False)) == []
    assert steps(a_set(), a_pod(0)) == [("make", "db-1")]


def test_in_parallel_pods_come_at_once():
    assert steps(a_set(podManagementPolicy="Parallel")) == [("make", f"db-{n}") for n in range(3)]


def test_a_pod_knows_its_name_its_number_and_its_service():
    pod = created(a_set())
    assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == ("db-0", "db")
    assert pod["metadata"]["labels"] == {
        "app": "db",
        "statefulset.kubernetes.io/pod-name": "db-0",
        "apps.kubernetes.io/pod-index": "0",
        HASH: "db-new",
    }


def test_a_lost_pod_comes_back_under_its_name_before_any_other():
    assert steps(a_set(), a_pod(0), a_pod(2)) == [("make", "db-1")]


def test_an_ended_pod_goes_so_that_it_can_come_back():
    failed = a_pod(0)
    failed["status"]["phase"] = "Failed"
    assert steps(a_set(), failed) == [("end", "db-0")]


def test_pods_go_the_last_first_and_one_at_a_time():
    assert steps(a_set(1), a_pod(0), a_pod(1), a_pod(2)) == [("end", "db-2")]
    assert steps(a_set(1), a_pod(0), a_pod(1), a_pod(2, **GOING)) == []
    assert steps(a_set(1, podManagementPolicy="Parallel"), a_pod(0), a_pod(1), a_pod(2)) == [
        ("end", "db-2"),
        ("end", "db-1"),
    ]


def test_a_roll_takes_the_last_old_pod_once_all_after_it_are_ready():
    old = [a_pod(n, "db-old") for n in range(3)]
    assert steps(a_set(), *old, current=OLD) == [("end", "db-2")]
    assert steps(a_set(), old[0], old[1], a_pod(2, **GOING), current=OLD) == []
    assert steps(a_set(), old[0], old[1], a_pod(2), current=OLD) == [("end", "db-1")]
    assert steps(a_set(), old[0], old[1], a_pod(2, ready=False), current=OLD) == []


def test_a_partition_holds_the_first_pods_at_the_old_revision():
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    owner = a_set(updateStrategy=strategy)
    assert steps(owner, a_pod(0, "db-old"), a_pod(1, "db-old"), a_pod(2), current=OLD) == []
    assert created(owner, a_pod(0, "db-old"), a_pod(2), current=OLD)["metadata"]["labels"][HASH] == "db-old"


def test_on_delete_pods_are_only_renewed_when_someone_deletes_them():
    owner = a_set(updateStrategy={"type": "OnDelete"})
    assert steps(owner, *(a_pod(n, "db-old") for n in range(3)), current=OLD) == []
    assert created(owner, a_pod(0, "db-old"), a_pod(2, "db-old"), current=OLD)["metadata"]["labels"][HASH] == "db-new"


def test_numbers_may_start_elsewhere():
    assert steps(a_set(2, ordinals={"start": 5}), a_pod(0)) == [("make", "db-5")]
    assert steps(a_set(1, ordinals={"start": 5}), a_pod(5), a_pod(0)) == [("end", "db-0")]


def test_each_pod_has_claims_of_its_own_that_outlive_it():
    claim = {"metadata": {"name": "data"}, "spec": {"resources": {"requests": {"storage": "1Gi"}}}}
    owner = a_set(volumeClaimTemplates=[claim])
    first, second = plan_stateful_set(owner, [], NEW, NEW, 0.0)
    assert isinstance(first, Create)
    assert isinstance(second, Create)
    assert (first.kind, first.object["metadata"]["name"]) == (PERSISTENT_VOLUME_CLAIM, "data-db-0")
    assert "ownerReferences" not in first.object["metadata"]
    assert second.object["spec"]["volumes"] == [{"name": "data", "persistentVolumeClaim": {"claimName": "data-db-0"}}]


def test_a_roll_is_over_when_all_have_the_new_revision_and_are_ready():
    pods = [a_pod(0, "db-old"), a_pod(1), a_pod(2)]
    status = stateful_set_status(a_set(), pods, OLD, NEW, 0.0)
    assert (status["currentRevision"], status["updateRevision"], status["updatedReplicas"]) == ("db-old", "db-new", 2)
    status = stateful_set_status(a_set(), [a_pod(n) for n in range(3)], OLD, NEW, 0.0)
    assert (status["currentRevision"], status["currentReplicas"], status["readyReplicas"]) == ("db-new", 3, 3)
