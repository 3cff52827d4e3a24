# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

from lichen.planning.endpoint_slice import EARLIER_MANAGER, MANAGED_BY, MANAGER, is_ours, plan_endpoint_slices
from lichen.planning.steps import Create, Delete, Patch


def a_service(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "shop", "uid": "abcdefgh"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080, "protocol": "TCP"}], **spec},
    }


def a_pod(name: str, ip: str = "10.0.0.1", *, ready: bool = True, **fields: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "shop", "uid": f"{name}-uid"},
        "spec": {"nodeName": "n1", "containers": [{"ports": [{"name": "http", "containerPort": 8081}]}]},
        "status": {
            "phase": "Running",
            "podIP": ip,
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            **fields,
        },
    }


def made(service: dict[str, Any], pods: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [step.object for step in plan_endpoint_slices(service, pods, []) if isinstance(step, Create)]


def test_ready_pods_become_ready_endpoints():
    (piece,) = made(a_service(), [a_pod("a")])
    assert piece["endpoints"] == [
        {
            "addresses": ["10.0.0.1"],
            "conditions": {"ready": True, "serving": True, "terminating": False},
            "nodeName": "n1",
            "targetRef": {"kind": "Pod", "name": "a", "namespace": "shop", "uid": "a-uid"},
        }
    ]
    assert piece["ports"] == [{"name": "", "protocol": "TCP", "port": 8080}]


def test_a_pod_that_is_not_ready_is_listed_as_such():
    (piece,) = made(a_service(), [a_pod("a", ready=False)])
    assert piece["endpoints"][0]["conditions"]["ready"] is False


def test_unready_addresses_are_published_when_asked_for():
    (piece,) = made(a_service(publishNotReadyAddresses=True), [a_pod("a", ready=False)])
    assert piece["endpoints"][0]["conditions"]["ready"] is True


def test_pods_without_an_address_or_that_ended_are_left_out():
    (piece,) = made(a_service(), [a_pod("a", ip=""), a_pod("b", phase="Succeeded")])
    assert piece["endpoints"] == []


def test_a_named_target_port_is_the_pods_own():
    (piece,) = made(a_service(ports=[{"port": 80, "targetPort": "http"}]), [a_pod("a")])
    assert piece["ports"] == [{"name": "", "protocol": "TCP", "port": 8081}]


def test_a_service_without_a_selector_is_let_be():
    assert plan_endpoint_slices(a_service(selector=None), [a_pod("a")], []) == []


def test_a_name_for_something_outside_has_no_slices():
    assert plan_endpoint_slices(a_service(type="ExternalName"), [a_pod("a")], []) == []


def test_a_true_slice_is_not_written_again():
    pieces = made(a_service(), [a_pod("a")])
    assert plan_endpoint_slices(a_service(), [a_pod("a")], pieces) == []


def test_a_slice_follows_its_pods():
    pieces = made(a_service(), [a_pod("a")])
    (step,) = plan_endpoint_slices(a_service(), [a_pod("a"), a_pod("b", "10.0.0.2")], pieces)
    assert isinstance(step, Patch)
    assert [e["addresses"] for e in step.patch["endpoints"]] == [["10.0.0.1"], ["10.0.0.2"]]


def test_slices_nobody_needs_go():
    pieces = made(a_service(), [a_pod("a")])
    (step,) = plan_endpoint_slices(a_service(selector=None), [], pieces)
    assert isinstance(step, Delete)


def test_a_thousand_endpoints_fill_a_slice():
    pods = [a_pod(f"p{n:04}", f"10.0.{n // 250}.{n % 250}") for n in range(1500)]
    assert [len(piece["endpoints"]) for piece in made(a_service(), pods)] == [1000, 500]


def test_a_slice_of_an_earlier_lichen_is_taken_over_under_the_new_name():
    (piece,) = made(a_service(), [a_pod("a")])
    piece["metadata"]["labels"][MANAGED_BY] = EARLIER_MANAGER
    assert is_ours(piece)
    (step,) = plan_endpoint_slices(a_service(), [a_pod("a")], [piece])
    assert isinstance(step, Patch)
    assert step.patch["metadata"] == {"labels": {MANAGED_BY: MANAGER}}
