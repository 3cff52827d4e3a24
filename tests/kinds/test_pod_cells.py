# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from lichen.kinds.core.cells import pod_ready, pod_status
from lichen.model.data import Object

RUNS = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
ENDED = {"terminated": {"exitCode": 0, "reason": "Completed"}}


def a_pod(
    inits: list[Object], mains: list[Object], *, sidecars: tuple[str, ...] = (), phase: str = "Running"
) -> Object:
    specs = [{"name": c["name"], **({"restartPolicy": "Always"} if c["name"] in sidecars else {})} for c in inits]
    status = {"phase": phase, "initContainerStatuses": inits, "containerStatuses": mains}
    return {
        "metadata": {"name": "p"},
        "spec": {"initContainers": specs, "containers": [{"name": c["name"]} for c in mains]},
        "status": status,
    }


def said(name: str, state: Object, *, ready: bool = True, started: bool = True) -> dict[str, Any]:
    return {"name": name, "state": state, "ready": ready, "started": started}


def shown(pod: Object) -> tuple[str, str]:
    return pod_ready(pod, 0.0), pod_status(pod, 0.0)


def test_a_sidecar_that_has_started_is_behind_us_and_counts_among_the_containers():
    pod = a_pod([said("init", ENDED), said("side", RUNS)], [said("main", RUNS)], sidecars=("side",))
    assert shown(pod) == ("2/2", "Running")


def test_a_sidecar_that_is_not_ready_is_seen_in_the_count():
    pod = a_pod([said("side", RUNS, ready=False)], [said("main", RUNS)], sidecars=("side",))
    assert shown(pod) == ("1/2", "Running")


@pytest.mark.parametrize(
    ("inits", "sidecars", "word"),
    [
        ([said("init", RUNS, ready=False)], (), "Init:0/1"),
        ([said("init", ENDED), said("side", RUNS, ready=False, started=False)], ("side",), "Init:1/2"),
        ([said("init", {"terminated": {"exitCode": 1, "reason": "Error"}})], (), "Init:Error"),
    ],
)
def test_what_is_still_ahead_of_the_main_containers_is_shown(inits: list[Object], sidecars: tuple[str, ...], word: str):
    waits = said("main", {"waiting": {"reason": "PodInitializing"}}, ready=False, started=False)
    assert pod_status(a_pod(inits, [waits], sidecars=sidecars, phase="Pending"), 0.0) == word
