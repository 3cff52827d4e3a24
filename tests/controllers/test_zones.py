# SPDX-License-Identifier: Apache-2.0
"""Zones follow nodes."""

from __future__ import annotations

from lichen.controllers.zone import plan_zones
from lichen.kinds.builtin import NODE
from lichen.kinds.compute.zone import Zone
from lichen.model.data import Object
from lichen.model.kind import new_object
from lichen.planning.steps import Create, Delete, Patch


def a_node(name: str, zone: str = "", ready: str = "True") -> Object:
    labels = {"topology.kubernetes.io/zone": zone} if zone else {}
    node = new_object(NODE, name, labels=labels)
    return {**node, "status": {"conditions": [{"type": "Ready", "status": ready}]}}


def a_zone(text: str, **status: object) -> Object:
    return {**new_object(Zone.KIND, text, spec={"displayName": text}), "status": status}


def test_a_zone_is_made_with_its_first_node_and_told_what_it_has():
    zone = new_object(Zone.KIND, "north-1", spec={"displayName": "North 1"})
    told = {"status": {"available": True, "nodes": 2}}
    nodes = [a_node("a", "North 1"), a_node("b", "North 1", ready="Unknown")]
    assert plan_zones(nodes, []) == [Create(Zone.KIND, zone), Patch(Zone.KIND, "north-1", "", told, "status")]


def test_a_zone_whose_nodes_are_all_silent_takes_nothing_new_and_one_without_nodes_goes():
    zones = [a_zone("nova", available=True, nodes=1), a_zone("south", available=True, nodes=1)]
    assert plan_zones([a_node("a", ready="Unknown")], zones) == [
        Patch(Zone.KIND, "nova", "", {"status": {"available": False}}, "status"),
        Delete(Zone.KIND, "south", ""),
    ]


def test_zones_that_are_right_are_let_be():
    assert plan_zones([a_node("a", "north")], [a_zone("north", available=True, nodes=1)]) == []
