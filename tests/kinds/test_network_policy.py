# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy

import pytest

from lichen.kinds.core.networkpolicy import default_network_policy, validate_network_policy
from lichen.kinds.faults import Faults
from lichen.model.data import Object


def faults(spec: Object) -> list[str]:
    """The fields that are refused."""
    found = Faults()
    validate_network_policy({"metadata": {"name": "p"}, "spec": spec}, found)
    return [cause.field for cause in found]


@pytest.mark.parametrize(
    ("spec", "types"),
    [
        ({}, ["Ingress"]),
        ({"egress": []}, ["Ingress"]),
        ({"egress": [{}]}, ["Ingress", "Egress"]),
        ({"policyTypes": ["Egress"]}, ["Egress"]),
    ],
)
def test_a_policy_isolates_what_comes_and_what_goes_if_it_has_rules_for_that(spec: Object, types: list[str]):
    policy = {"spec": copy.deepcopy(spec)}
    default_network_policy(policy)
    assert policy["spec"]["policyTypes"] == types


def test_ports_are_tcp_by_default():
    policy: Object = {"spec": {"egress": [{"ports": [{"port": 80}]}]}}
    default_network_policy(policy)
    assert policy["spec"]["egress"] == [{"ports": [{"port": 80, "protocol": "TCP"}]}]


def test_what_upstream_takes_is_taken():
    block = {"ipBlock": {"cidr": "10.0.0.1/8", "except": ["10.1.0.0/16"]}}
    ports = [{"port": "web-1"}, {"port": 80, "endPort": 90, "protocol": "SCTP"}, {"protocol": "UDP"}]
    peer = {"podSelector": {}, "namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}}
    assert faults({"ingress": [{"from": [block, peer], "ports": ports}], "egress": [{}]}) == []


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ({"from": [{}]}, "from[0]"),
        ({"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}]}, "from[0]"),
        ({"from": [{"ipBlock": {"cidr": "10.0.0.0"}}]}, "from[0].ipBlock.cidr"),
        ({"from": [{"ipBlock": {"cidr": "10.0.0.0/33"}}]}, "from[0].ipBlock.cidr"),
        ({"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"]}}]}, "from[0].ipBlock.except[0]"),
        ({"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.0.0.0/8"]}}]}, "from[0].ipBlock.except[0]"),
        ({"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["fd00::/64"]}}]}, "from[0].ipBlock.except[0]"),
        ({"from": [{"podSelector": {"matchLabels": {"a b": "c"}}}]}, "from[0].podSelector"),
        (
            {"from": [{"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "Near"}]}}]},
            "from[0].namespaceSelector",
        ),
        ({"ports": [{"port": 0}]}, "ports[0].port"),
        ({"ports": [{"port": "UPPER"}]}, "ports[0].port"),
        ({"ports": [{"port": "a-name-that-is-too-long"}]}, "ports[0].port"),
        ({"ports": [{"port": 90, "endPort": 80}]}, "ports[0].endPort"),
        ({"ports": [{"port": "web", "endPort": 80}]}, "ports[0].endPort"),
        ({"ports": [{"endPort": 80}]}, "ports[0].endPort"),
        ({"ports": [{"port": 1, "protocol": "ICMP"}]}, "ports[0].protocol"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_field(rule: Object, field: str):
    assert faults({"ingress": [rule]}) == [f"spec.ingress[0].{field}"]


def test_a_type_and_a_selector_that_do_not_exist_are_refused():
    assert faults({"policyTypes": ["Sideways"]}) == ["spec.policyTypes[0]"]
    assert faults({"podSelector": {"matchLabels": {"": "x"}}}) == ["spec.podSelector"]
