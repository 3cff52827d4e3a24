# SPDX-License-Identifier: Apache-2.0
"""What a NetworkPolicy is as port filters."""

from __future__ import annotations

from typing import Any

from lichen.agent.policyspecs import (
    Compiled,
    NamedPort,
    Numbers,
    compile_policy,
    depends_on_names,
    directions,
    policy_id,
    variant,
)
from lichen.drivers.base import FilterRule
from lichen.kinds.builtin import NETWORK_POLICY
from lichen.model.data import Object
from tests.agent.world import a_port, an_object

IN, OUT = True, False


def a_policy(**spec: Any) -> Object:
    return an_object(NETWORK_POLICY, "p", {"podSelector": {}, **spec}, uid="uid")


def compiled(own: tuple[NamedPort, ...] = (), numbers: Numbers | None = None, **spec: Any) -> Compiled:
    return compile_policy(a_policy(**spec), own, numbers or {})


def rules(own: tuple[NamedPort, ...] = (), numbers: Numbers | None = None, **spec: Any) -> tuple[FilterRule, ...]:
    return compiled(own, numbers, **spec).group.rules


def ipv4(some: tuple[FilterRule, ...]) -> list[FilterRule]:
    return [rule for rule in some if rule.version == 4]


def pods(**labels: str) -> Object:
    return {"podSelector": {"matchLabels": labels}}


def test_a_policy_isolates_what_its_types_say():
    assert directions(a_policy(policyTypes=["Ingress"])) == (True, False)
    assert directions(a_policy(policyTypes=["Egress"])) == (False, True)
    assert directions(a_policy(policyTypes=["Egress", "Ingress"])) == (True, True)


def test_a_policy_without_types_isolates_what_it_has_rules_for_and_always_what_comes():
    assert directions(a_policy()) == (True, False)
    assert directions(a_policy(egress=[{}])) == (True, True)
    assert directions(a_policy(egress=[])) == (True, False)


def test_a_policy_without_rules_lets_nothing_through():
    assert rules() == ()
    assert rules(ingress=[], egress=[], policyTypes=["Ingress", "Egress"]) == ()


def test_an_empty_rule_lets_everything_through():
    assert rules(ingress=[{}]) == (FilterRule(IN, 4), FilterRule(IN, 6))
    assert rules(egress=[{}], policyTypes=["Egress"]) == (FilterRule(OUT, 4), FilterRule(OUT, 6))


def test_rules_of_a_direction_that_is_not_among_its_types_mean_nothing():
    assert rules(ingress=[{}], policyTypes=["Egress"]) == ()
    assert rules(egress=[{}], policyTypes=["Ingress"]) == ()


def test_empty_lists_of_peers_and_ports_mean_all():
    assert rules(ingress=[{"from": [], "ports": []}]) == rules(ingress=[{}])


def test_pods_of_the_own_namespace_are_a_group():
    found = compiled(ingress=[{"from": [pods(app="web")]}])
    (peers,) = found.peers.values()
    assert (peers.namespace, peers.pods.matches({"app": "web"}), peers.pods.matches({"app": "db"})) == (
        "demo",
        True,
        False,
    )
    assert ipv4(found.group.rules) == [FilterRule(IN, remote_group=peers.id)]


def test_pods_of_other_namespaces_are_chosen_by_both_selectors():
    peer = {"namespaceSelector": {"matchLabels": {"team": "a"}}, **pods(app="web")}
    (peers,) = compiled(ingress=[{"from": [peer]}]).peers.values()
    assert peers.reaches("anywhere", {"team": "a"})
    assert not peers.reaches("demo", {"team": "b"})
    assert peers.has({"spec": {"podLabels": {"app": "web"}}})
    assert not peers.has({"spec": {"podLabels": {"app": "db"}}})
    assert not peers.has({"spec": {}})


def test_a_namespace_selector_alone_chooses_all_pods_there_and_an_empty_one_all_namespaces():
    (peers,) = compiled(ingress=[{"from": [{"namespaceSelector": {}}]}]).peers.values()
    assert peers.reaches("anywhere", {})
    assert peers.has({"spec": {}})


def test_two_peers_in_one_list_are_either_and_two_selectors_in_one_peer_are_both():
    either = compiled(ingress=[{"from": [pods(app="web"), {"namespaceSelector": {}}]}])
    both = compiled(ingress=[{"from": [{"namespaceSelector": {}, **pods(app="web")}]}])
    assert (len(either.peers), len(both.peers)) == (2, 1)


def test_the_same_pods_are_the_same_group_however_they_are_written():
    one = compiled(ingress=[{"from": [pods(a="1", b="2")]}])
    other = compiled(egress=[{"to": [{"podSelector": {"matchLabels": {"a": "1", "b": "2"}}}]}], policyTypes=["Egress"])
    assert one.peers.keys() == other.peers.keys()


def test_a_range_is_let_through_less_what_is_excepted():
    block = {"cidr": "10.0.0.0/8", "except": ["10.2.0.0/16", "10.1.0.0/16"]}
    assert rules(ingress=[{"from": [{"ipBlock": block}]}]) == (
        FilterRule(IN, 4, remote_cidr="10.0.0.0/8", remote_except=("10.1.0.0/16", "10.2.0.0/16")),
    )


def test_a_range_of_ipv6_is_a_rule_of_ipv6():
    assert rules(egress=[{"to": [{"ipBlock": {"cidr": "fd00::/64"}}]}], policyTypes=["Egress"]) == (
        FilterRule(OUT, 6, remote_cidr="fd00::/64"),
    )


def test_bits_beyond_a_ranges_prefix_mean_nothing():
    assert rules(ingress=[{"from": [{"ipBlock": {"cidr": "10.9.0.7/24"}}]}])[0].remote_cidr == "10.9.0.0/24"


def test_ports_are_tcp_unless_they_say_otherwise():
    ports = [{"port": 80}, {"port": 53, "protocol": "UDP"}, {"port": 9, "protocol": "SCTP"}]
    assert ipv4(rules(ingress=[{"ports": ports}])) == [
        FilterRule(IN, 4, 6, 80, 80),
        FilterRule(IN, 4, 17, 53, 53),
        FilterRule(IN, 4, 132, 9, 9),
    ]


def test_a_protocol_without_a_port_is_all_of_its_ports():
    assert ipv4(rules(ingress=[{"ports": [{"protocol": "UDP"}]}])) == [FilterRule(IN, 4, 17)]


def test_a_range_of_ports_is_one_rule():
    assert ipv4(rules(ingress=[{"ports": [{"port": 8000, "endPort": 9000}]}])) == [FilterRule(IN, 4, 6, 8000, 9000)]


def test_each_peer_is_let_to_each_port():
    blocks = [{"ipBlock": {"cidr": f"10.{n}.0.0/16"}} for n in (1, 2)]
    found = rules(ingress=[{"from": blocks, "ports": [{"port": 80}, {"port": 443}]}])
    assert [(rule.remote_cidr, rule.port_min) for rule in found] == [
        ("10.1.0.0/16", 80),
        ("10.2.0.0/16", 80),
        ("10.1.0.0/16", 443),
        ("10.2.0.0/16", 443),
    ]


def test_rules_that_say_the_same_are_one():
    assert rules(ingress=[{}, {}]) == rules(ingress=[{}])


def test_a_name_of_a_port_is_what_the_filtered_pod_calls_so():
    said = {"ingress": [{"ports": [{"port": "http"}]}]}
    assert ipv4(rules((("http", "TCP", 8080),), **said)) == [FilterRule(IN, 4, 6, 8080, 8080)]
    assert rules((), {("http", "TCP"): [8080]}, **said) == ()


def test_pods_that_mean_another_number_are_filtered_by_another_variant():
    policy = a_policy(ingress=[{"ports": [{"port": "http"}]}])
    one, other = a_port("one", "1", "pod"), a_port("other", "2", "pod")
    one["spec"]["podPorts"] = [
        {"name": "http", "protocol": "TCP", "port": 80},
        {"name": "x", "protocol": "TCP", "port": 1},
    ]
    other["spec"]["podPorts"] = [{"name": "http", "protocol": "UDP", "port": 80}]
    assert variant(policy, one) == (("http", "TCP", 80),)
    assert variant(policy, other) == ()
    assert policy_id(policy, variant(policy, one)) != policy_id(policy, variant(policy, other))


def test_a_policy_without_names_is_the_same_for_all_pods():
    port = a_port("one", "1", "pod")
    port["spec"]["podPorts"] = [{"name": "http", "protocol": "TCP", "port": 80}]
    assert policy_id(a_policy(ingress=[{}]), variant(a_policy(ingress=[{}]), port)) == "uid"


def test_a_name_in_egress_is_what_each_peer_calls_so():
    said: Object = {"egress": [{"to": [pods(app="db")], "ports": [{"port": "sql"}]}], "policyTypes": ["Egress"]}
    found = compiled((), {("sql", "TCP"): {5432, 5433}}, **said)
    assert [(r.port_min, found.peers[r.remote_group].port) for r in ipv4(found.group.rules)] == [
        (5432, ("sql", "TCP", 5432)),
        (5433, ("sql", "TCP", 5433)),
    ]
    assert depends_on_names(a_policy(**said))


def test_a_name_in_egress_to_anywhere_is_any_pod_that_calls_a_port_so():
    found = compiled((), {("sql", "TCP"): {1}}, egress=[{"ports": [{"port": "sql"}]}], policyTypes=["Egress"])
    (peers,) = found.peers.values()
    assert peers.has({"spec": {"podPorts": [{"name": "sql", "protocol": "TCP", "port": 1}]}})
    assert not peers.has({"spec": {"podPorts": [{"name": "sql", "protocol": "TCP", "port": 2}]}})


def test_a_range_of_addresses_has_no_names_of_ports():
    block = {"ipBlock": {"cidr": "10.0.0.0/8"}}
    said: Object = {"egress": [{"to": [block], "ports": [{"port": "sql"}]}], "policyTypes": ["Egress"]}
    assert rules((), {("sql", "TCP"): {1}}, **said) == ()
