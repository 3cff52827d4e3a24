# SPDX-License-Identifier: Apache-2.0
"""Kinds that show what others store."""

from __future__ import annotations

from typing import Any

from lichen.kernel.session import Session
from lichen.kinds.builtin import EVENT
from lichen.kinds.catalog import by_resource, default_catalog
from lichen.model.kind import Kind
from lichen.model.state import PatchType

Object = dict[str, Any]


def served(group: str, version: str, plural: str) -> Kind:
    kind = by_resource(group, version, plural)
    assert kind is not None
    return kind


NEW_EVENT = served("events.k8s.io", "v1", "events")
V1, V2 = (served("autoscaling", version, "horizontalpodautoscalers") for version in ("v1", "v2"))


def an_event(**more: Any) -> Object:
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "e", "namespace": "default"},
        "regarding": {"kind": "Pod", "name": "p", "namespace": "default"},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "tests",
        "reportingInstance": "one",
        "action": "Do",
        "reason": "Done",
        "note": "It is done.",
        "type": "Normal",
        **more,
    }


async def test_an_event_is_seen_in_both_groups(session: Session) -> None:
    made = await session.create(NEW_EVENT, an_event())
    assert (made["apiVersion"], made["note"], made["regarding"]["name"]) == ("events.k8s.io/v1", "It is done.", "p")
    core = await session.get(EVENT, "e", "default")
    assert (core["apiVersion"], core["message"], core["involvedObject"]["name"]) == ("v1", "It is done.", "p")
    assert core["reportingComponent"] == "tests"
    patch = {"series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:01.000000Z"}}
    patched = await session.patch(NEW_EVENT, "e", "default", patch, type=PatchType.STRATEGIC)
    assert (patched["series"]["count"], patched["note"]) == (2, "It is done.")
    assert (await session.list(NEW_EVENT, "default")).items == [patched]
    found = await session.list(NEW_EVENT, fields="regarding.name=p")
    assert [e["metadata"]["name"] for e in found.items] == ["e"]
    await session.delete_collection(NEW_EVENT, "default")
    assert (await session.list(EVENT, "default")).items == []


async def test_what_is_deleted_is_shown_in_the_form_that_was_asked_for(session: Session) -> None:
    await session.create(NEW_EVENT, an_event())
    assert (await session.delete(NEW_EVENT, "e", "default"))["note"] == "It is done."
    await session.create(NEW_EVENT, an_event())
    (gone,) = await session.delete_collection(NEW_EVENT, "default")
    assert (gone["apiVersion"], gone["reportingController"]) == ("events.k8s.io/v1", "tests")


async def test_an_autoscaler_keeps_what_the_old_version_cannot_say(session: Session) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    memory = {"type": "Resource", "resource": {"name": "memory", "target": {"type": "Value", "value": "1Gi"}}}
    spec = {"scaleTargetRef": target, "maxReplicas": 3, "targetCPUUtilizationPercentage": 50}
    old = {"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "spec": spec}
    made = await session.create(V1, {**old, "metadata": {"name": "h", "namespace": "default"}})
    assert made["spec"]["targetCPUUtilizationPercentage"] == 50
    new = await session.get(V2, "h", "default")
    assert new["spec"]["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 50}
    new["spec"]["metrics"].append(memory)
    await session.update(V2, new)
    shown = await session.get(V1, "h", "default")
    assert shown["spec"]["targetCPUUtilizationPercentage"] == 50
    shown["spec"]["targetCPUUtilizationPercentage"] = 60
    await session.update(V1, shown)
    again = await session.get(V2, "h", "default")
    assert [m["resource"]["name"] for m in again["spec"]["metrics"]] == ["cpu", "memory"]
    assert again["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 60
    assert "annotations" not in again["metadata"]


def test_what_is_stored_is_listed_once() -> None:
    stored = default_catalog().stored_kinds()
    assert NEW_EVENT not in stored
    assert V1 not in stored
    assert EVENT in stored
    assert V2 in stored
