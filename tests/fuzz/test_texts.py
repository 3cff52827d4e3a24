# SPDX-License-Identifier: Apache-2.0
"""What is read elsewhere, or written into a host's files: no value becomes a line, no text breaks its reader."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lichen.agent.metadata import answer
from lichen.client.clouds import CloudsError, merge_clouds
from lichen.client.kubeconfig import KubeconfigError, read_kubeconfig
from lichen.drivers.containerd.netplug import parse, pod_uid
from lichen.drivers.linuxnet.dhcp import _text
from lichen.kinds.network.ranges import address_of
from lichen.model.data import Object
from lichen.model.errors import Permanent
from tests.fuzz import nasty
from tests.fuzz.harness import Ask, Target, examples

NETWORK = "network.lichen.dev/v1"
EVIL = (
    "10.9.0.1\ndhcp-script=/x",
    "::1%\ndhcp-script=/x",
    "fe80::%\nx/64",
    "10.9.0.1,x",
    "10.9.0.1 x",
    "10.9.0.0/24\n",
    "1\r2",
)


def a(kind: str, version: str, **spec: object) -> Object:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "x"}, "spec": spec}


def a_subnet(**spec: object) -> tuple[str, Object]:
    return f"/apis/{NETWORK}/namespaces/kestrel/subnets", a("Subnet", NETWORK, **{
        "network": "kestrel-net", "cidr": "10.9.0.0/24", **spec})  # fmt: skip


def a_port(**spec: object) -> tuple[str, Object]:
    return f"/apis/{NETWORK}/namespaces/kestrel/ports", a("Port", NETWORK, network="kestrel-net", **spec)


def a_pod(**spec: object) -> tuple[str, Object]:
    return "/api/v1/namespaces/kestrel/pods", a("Pod", "v1", containers=[{"name": "c", "image": "i"}], **spec)


def a_rule(**rule: object) -> tuple[str, Object]:
    rules = [{"direction": "ingress", **rule}]
    return f"/apis/{NETWORK}/namespaces/kestrel/securitygroups", a("SecurityGroup", NETWORK, rules=rules)


@pytest.mark.parametrize("evil", EVIL)
def test_no_address_or_name_is_more_than_one_word(target: Target, evil: str) -> None:
    """dnsmasq's configuration, hosts files, nft rules and resolv.conf are made of these."""
    wrong = [
        a_subnet(cidr=evil), a_subnet(gatewayIp=evil), a_subnet(dnsNameservers=[evil]),
        a_subnet(hostRoutes=[{"destination": evil, "nexthop": "10.9.0.1"}]),
        a_subnet(hostRoutes=[{"destination": "10.0.0.0/8", "nexthop": evil}]),
        a_subnet(allocationPools=[{"start": evil, "end": "10.9.0.9"}]),
        a_port(mac=evil), a_port(fixedIps=[{"ipAddress": evil}]),
        a_rule(remoteCidr=evil), a_rule(protocol=evil),
        a_pod(hostname=evil), a_pod(subdomain=evil), a_pod(dnsConfig={"nameservers": [evil]}),
        a_pod(dnsConfig={"searches": [evil]}), a_pod(hostAliases=[{"ip": evil, "hostnames": ["a"]}]),
        a_pod(hostAliases=[{"ip": "10.0.0.1", "hostnames": [evil]}]),
    ]  # fmt: skip
    for path, body in wrong:
        ask = Ask("member", "POST", path, nasty.encoded(body), {"content-type": "application/json"})
        assert target.try_kubernetes(ask).status in (400, 409, 422), body


@given(st.lists(st.text(), max_size=4))
@examples(300)
def test_a_file_for_dnsmasq_has_as_many_lines_as_were_meant(lines: list[str]) -> None:
    try:
        text = _text(lines)
    except Permanent:
        assert any(not line.isprintable() for line in lines)
    else:
        assert text.splitlines() == lines


@given(st.text() | st.ip_addresses(v=6).map(lambda a: f"{a}%\nx"))
@examples(300)
def test_an_address_is_one_printable_word(text: str) -> None:
    address = address_of(text)
    assert address is None or (str(address).isprintable() and "%" not in str(address))


@given(st.sampled_from(nasty.RAW) | st.binary(max_size=60))
@examples(300)
def test_a_kubeconfig_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "kubeconfig"
    path.write_bytes(raw)
    with pytest.raises(KubeconfigError):
        read_kubeconfig(path)


@given(st.sampled_from(nasty.RAW) | st.binary(max_size=60))
@examples(300)
def test_a_clouds_file_is_extended_or_left_alone(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "clouds.yaml"
    path.write_bytes(raw)
    try:
        merge_clouds(path, {"lichen": {"region_name": "x"}})
    except CloudsError:
        assert path.read_bytes() == raw
    else:
        assert b"lichen" in path.read_bytes()


@given(st.binary(max_size=200) | st.sampled_from(nasty.RAW))
@examples(300)
def test_whatever_a_plugin_is_told_it_finds_a_pod_or_none(raw: bytes) -> None:
    assert isinstance(pod_uid(parse(raw)), str)


CONTENT = {"openstack/latest/meta_data.json": b"{}", "latest/meta-data/hostname": b"h", "latest/user-data": b"secret"}


@given(st.lists(st.sampled_from((*nasty.PATHS, "openstack", "latest", "meta-data", "", "2018-08-27")), max_size=6))
@examples(500)
def test_the_metadata_service_tells_files_that_it_has_and_no_others(parts: list[str]) -> None:
    said = answer(CONTENT, ("k\ney",), "/" + "/".join(parts))
    assert said is None or said in CONTENT.values() or b"secret" not in said
