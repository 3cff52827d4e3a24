# SPDX-License-Identifier: Apache-2.0
"""What the Linux network driver says to dnsmasq and nft, and how it names things."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lichen.drivers.base import FilterRule, GroupSpec, Lease, NetworkSpec, PortSpec, ServiceRule, SubnetSpec
from lichen.drivers.linuxnet import dhcp, filters, policing, rules
from lichen.drivers.linuxnet.names import Names
from lichen.drivers.linuxnet.networks import LinuxNetworks

SUBNET = SubnetSpec("s", "10.9.0.0/24", "10.9.0.1")
PORT = PortSpec("p", "n", "fa:16:3e:00:00:01", (("10.9.0.5", 24), ("fd00::5", 64)))


def test_names_fit_into_interfaces_and_are_recognised() -> None:
    names = Names("abcdef", "site")
    assert all(len(name) == 15 for name in (names.bridge("x"), names.tap("x"), names.veth("x")))
    assert names.owns(names.tap("x"))
    assert not names.owns("abcdefeth0")
    assert not Names("abc").owns(names.tap("x"))
    assert names.parse(names.alias("port", "id:1"), "port") == "id:1"
    assert names.parse(names.alias("port", "id:1"), "network") == ""


def test_a_prefix_that_is_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="fifteen"):
        LinuxNetworks(tmp_path, prefix="sevenxx")


def test_dhcp_serves_only_ports_it_knows_with_mtu_router_and_dns() -> None:
    text = dhcp.config_text(NetworkSpec("n", mtu=1400, subnets=(SUBNET,)), Path("/run/x"))
    assert "dhcp-range=set:s0,10.9.0.0,static,255.255.255.0,86400" in text
    assert "dhcp-ignore=tag:!known" in text
    assert "dhcp-option-force=option:mtu,1400" in text
    assert "dhcp-option=tag:s0,option:router,10.9.0.1" in text
    assert "dhcp-option=tag:s0,option:dns-server,10.9.0.1" in text


def test_given_name_servers_and_routes_are_told_with_the_default_route() -> None:
    subnet = SubnetSpec("s", "10.9.0.0/24", "10.9.0.1", True, ("9.9.9.9", "fd00::1"), (("10.8.0.0/16", "10.9.0.2"),))
    text = dhcp.config_text(NetworkSpec("n", subnets=(subnet,)), Path("/run/x"))
    assert "option:dns-server,9.9.9.9\n" in text
    assert "dhcp-option=tag:s0,121,10.8.0.0/16,10.9.0.2,0.0.0.0/0,10.9.0.1" in text


def test_subnets_without_dhcp_or_of_ipv6_are_not_served() -> None:
    others = (SubnetSpec("a", "10.1.0.0/24", "10.1.0.1", dhcp=False), SubnetSpec("c", "fd00::/64", "fd00::1"))
    assert dhcp.served(NetworkSpec("n", subnets=(*others, SUBNET))) == [SUBNET]


def test_a_subnet_without_gateway_is_served_without_router_and_name_server() -> None:
    text = dhcp.config_text(NetworkSpec("n", subnets=(SubnetSpec("b", "10.2.0.0/24"),)), Path("/run/x"))
    assert "dhcp-option=tag:s0,option:router\n" in text
    assert "dhcp-option=tag:s0,option:dns-server\n" in text
    assert "shared-network=gw0,10.2.0.0\n" in text


def test_leases_and_names_are_sorted_and_hold_each_address() -> None:
    leases = (Lease("p2", "fa:16:3e:00:00:02", "", ("10.9.0.6",)), Lease("p", PORT.mac, "web", ("10.9.0.5", "fd00::5")))
    network = NetworkSpec("n", leases=leases)
    assert dhcp.leases_text(network) == "fa:16:3e:00:00:01,10.9.0.5,web\nfa:16:3e:00:00:02,10.9.0.6\n"
    assert dhcp.hosts_text(network) == "10.9.0.5 web\nfd00::5 web\n"


def test_a_guarded_port_sends_from_its_own_addresses() -> None:
    text = rules.guard_port("t", "lt1", PORT)
    assert "add rule bridge t lt1 ether saddr != { fa:16:3e:00:00:01 } drop" in text
    assert "add rule bridge t lt1 arp saddr ip != { 0.0.0.0, 10.9.0.5 } drop" in text
    assert "add rule bridge t lt1 ip saddr { 10.9.0.5 } accept" in text
    assert "add rule bridge t lt1 ip6 saddr { fe80::/10, ::, fd00::5 } accept" in text
    assert text.endswith("add element bridge t ports { lt1 : goto lt1 }\n")


def test_a_guarded_port_sends_from_the_addresses_too_that_it_is_allowed() -> None:
    pairs = (("10.9.0.0/28", ""), ("10.9.0.7", "fa:16:3e:00:00:09"), ("fd00::/64", ""))
    text = rules.guard_port("t", "lt1", replace(PORT, pairs=pairs))
    assert "add rule bridge t lt1 ether saddr != { fa:16:3e:00:00:01, fa:16:3e:00:00:09 } drop" in text
    assert "add rule bridge t lt1 ip saddr { 10.9.0.0/28 } accept" in text
    assert "add rule bridge t lt1 ip6 saddr { fe80::/10, ::, fd00::/64 } accept" in text


def test_names_of_a_network_with_a_domain_are_said_with_and_without_it(tmp_path: Path) -> None:
    network = NetworkSpec("n", leases=(Lease("p", PORT.mac, "web", ("10.9.0.5",)),), domain="shop.example")
    assert dhcp.hosts_text(network) == "10.9.0.5 web web.shop.example\n"
    assert "domain=shop.example\nlocal=/shop.example/\n" in dhcp.config_text(network, tmp_path)


def test_a_service_spreads_over_its_endpoints_and_refuses_without_any() -> None:
    text = rules.services(
        "t",
        (
            ServiceRule("n", "10.96.0.1", "TCP", 80, (("10.9.0.6", 81), ("10.9.0.5", 81))),
            ServiceRule("n", "10.96.0.2", "UDP", 53),
        ),
    )
    assert "dnat ip to numgen random mod 2 map { 0 : 10.9.0.5 . 81, 1 : 10.9.0.6 . 81 }" in text
    assert "vmap { 10.96.0.1 . tcp . 80 : goto service-" in text
    assert "{ 10.96.0.2 . udp . 53 } reject" in text
    assert text.startswith("add table ip t\ndelete table ip t\ntable ip t {")


def test_without_services_the_table_holds_no_lookup() -> None:
    text = rules.services("t", ())
    assert "vmap" not in text
    assert "reject" not in text


def test_names_and_metadata_are_asked_for_whatever_the_groups_say_and_the_api_is_not() -> None:
    rules_of_link_local = [line for line in filters.base_table("t", "br").splitlines() if "169.254.169.254" in line]
    assert rules_of_link_local == [
        f"add rule inet t {chain} ip daddr 169.254.169.254 {what} accept"
        for chain in ("sending", "leaving")
        for what in ("udp dport 53", "tcp dport { 53, 80 }")
    ]


def test_a_policed_port_reaches_itself_and_is_reached_by_its_node() -> None:
    text = filters.police_port("t", "lv00000001", replace(PORT, gateway="10.9.0.1", ingress=("p",)))
    assert [line for line in text.splitlines() if line.startswith("add rule")] == [
        f"add rule inet t policed-in-lv00000001 {rule}"
        for rule in (
            "ip saddr 10.9.0.5 accept",
            "ip6 saddr fd00::5 accept",
            "ip saddr 169.254.169.254 accept",
            "ip saddr 10.9.0.1 accept",
            f"jump {filters.chain_of('p', 'in')}",
            "drop",
        )
    ]


def test_a_port_whose_policies_filter_what_it_sends_leaves_services_to_its_network() -> None:
    text = filters.police_port("t", "lv00000001", replace(PORT, egress=()))
    assert "add rule inet t policed-out-lv00000001 ip daddr @services accept\n" in text
    assert "policed-in" not in text


def test_a_range_less_some_is_said_as_all_that_differ() -> None:
    rule = FilterRule(True, remote_cidr="10.0.0.0/8", remote_except=("10.1.0.0/16", "10.2.0.0/16"))
    assert (
        "meta nfproto ipv4 ip saddr 10.0.0.0/8 ip saddr != 10.1.0.0/16 ip saddr != 10.2.0.0/16 accept"
        in filters.group("t", GroupSpec("g", (rule,)))
    )


def test_ports_of_the_same_policies_share_a_chain_where_services_are_translated() -> None:
    ports = [replace(PORT, id=str(n), addresses=((f"10.9.0.{n}", 24),), ingress=("p",)) for n in (2, 3)]
    text = policing.table("t", ports, {"p": GroupSpec("p", (FilterRule(True, remote_group="peers"),))})
    assert "add element inet t in { 10.9.0.2 : goto in-0, 10.9.0.3 : goto in-0 }\n" in text
    assert "add element inet t selves { 10.9.0.2 . 10.9.0.2, 10.9.0.3 . 10.9.0.3 }\n" in text
    assert "add element inet t out" not in text
