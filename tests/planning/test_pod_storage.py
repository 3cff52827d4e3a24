# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from lichen.model.data import Object
from lichen.planning.pod_storage import Taken, has_limits, memory_size, overuse

MIB = 1 << 20


def limited(name: str, limit: str = "", **more: str) -> Object:
    return {"name": name, "resources": {"limits": {"ephemeral-storage": limit} if limit else {"cpu": "1"}}, **more}


def a_pod(*containers: Object, inits: tuple[Object, ...] = (), **empty_dirs: Object) -> Object:
    volumes = [{"name": name, "emptyDir": spec} for name, spec in empty_dirs.items()]
    return {"spec": {"containers": list(containers), "initContainers": list(inits), "volumes": volumes}}


@pytest.mark.parametrize(
    ("pod", "limits"),
    [
        (a_pod(limited("a"), scratch={}), False),
        (a_pod(limited("a"), scratch={"sizeLimit": "0"}), False),
        (a_pod(limited("a"), scratch={"sizeLimit": "1Mi"}), True),
        (a_pod(limited("a", "1Gi")), True),
        (a_pod(limited("a"), inits=(limited("i", "1Gi"),)), True),
    ],
)
def test_only_pods_with_limits_are_measured(pod: Object, limits: bool):
    assert has_limits(pod) is limits


def test_an_empty_directory_has_its_own_limit():
    pod = a_pod(limited("a"), scratch={"sizeLimit": "1024Ki"}, free={})
    assert overuse(pod, Taken({"scratch": MIB, "free": 9 * MIB})) == ""
    said = 'Usage of EmptyDir volume "scratch" exceeds the limit "1Mi".'
    assert overuse(pod, Taken({"scratch": MIB + 1})) == said


def test_a_container_has_its_own_limit():
    pod = a_pod(limited("a", "1Mi"), limited("b", "8Mi"))
    assert overuse(pod, Taken(containers={"a": MIB, "b": 8 * MIB})) == ""
    said = 'Container a exceeded its local ephemeral storage limit "1Mi".'
    assert overuse(pod, Taken(containers={"a": 2 * MIB})) == said


def test_a_pod_has_the_limits_of_its_containers_together_its_empty_directories_on_the_disk_with_them():
    pod = a_pod(limited("a", "1Mi"), limited("b", "1Mi"), disk={}, memory={"medium": "Memory"})
    assert overuse(pod, Taken({"disk": MIB, "memory": 9 * MIB}, {"a": MIB})) == ""
    said = "Pod ephemeral local storage usage exceeds the total limit of containers 2Mi."
    assert overuse(pod, Taken({"disk": MIB + 1}, {"a": MIB})) == said


@pytest.mark.parametrize(
    ("inits", "total"),
    [
        ((limited("i", "5Mi"),), 5),
        ((limited("i", "1Mi"),), 2),
        ((limited("s", "4Mi", restartPolicy="Always"),), 6),
    ],
)
def test_a_pod_may_take_what_all_that_runs_at_once_may_or_one_that_comes_before(inits: tuple[Object, ...], total: int):
    pod = a_pod(limited("a", "2Mi"), inits=inits, disk={})
    assert overuse(pod, Taken({"disk": total * MIB})) == ""
    assert overuse(pod, Taken({"disk": total * MIB + 1})) != ""


@pytest.mark.parametrize(
    ("memory", "limit", "size"),
    [
        ((None, None), None, 100),
        ((None, None), "10", 10),
        (("20", None), None, 100),
        (("20", "30"), None, 50),
        (("20", "30"), "10", 10),
        (("20", "30"), "60", 50),
        ((None, None), "1Gi", 100),
    ],
)
def test_an_empty_directory_in_memory_is_no_larger_than_its_limit_its_pod_and_its_machine(
    memory: tuple[str | None, ...], limit: str | None, size: int
):
    containers = [{"name": "c", "resources": {"limits": {"memory": each} if each else {}}} for each in memory]
    pod = a_pod(*containers, fast={"medium": "Memory", **({"sizeLimit": limit} if limit else {})})
    assert memory_size(pod, pod["spec"]["volumes"][0], 100) == size
