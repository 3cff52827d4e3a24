# SPDX-License-Identifier: Apache-2.0
"""Network policies in the kernel, and through kubectl: pods and a VM on one network."""

from __future__ import annotations

import base64
import dataclasses
import time
from collections.abc import Iterator
from typing import Any

import pytest

from lichen.drivers.base import FilterRule, GroupSpec, ServiceRule
from lichen.drivers.linuxnet import LinuxNetworks
from tests.conformance.cloud import Here, a_cloud, until
from tests.conformance.networks import a_network, a_port
from tests.real.machine import tiny_image
from tests.real.test_filters import plugged, reaches
from tests.real.test_networks import Site, networks, site

pytestmark = [pytest.mark.real, pytest.mark.timeout(300), pytest.mark.xdist_group("first-light")]
__all__ = ["networks", "site"]

DB, FRIEND, SERVICE = "http://10.9.0.11:8080/", "10.9.0.12", "http://10.96.0.9:80/"
PEERS = GroupSpec("peers", members=(FRIEND,))
FROM_PEERS = GroupSpec("policy", (FilterRule(True, protocol=6, port_min=8080, port_max=8080, remote_group="peers"),))
TO_DB = GroupSpec("policy", (FilterRule(False, protocol=6, port_min=8080, port_max=8080, remote_cidr="10.9.0.11/32"),))


async def test_a_policy_lets_its_peers_in_directly_and_through_a_service(site: Site, networks: LinuxNetworks) -> None:
    network_id = "net-" + site.mark
    db, friend, stranger = (a_port(network_id, number) for number in (11, 12, 13))
    db = dataclasses.replace(db, ingress=("policy",))
    await networks.ensure_network(a_network(db, friend, stranger))
    await networks.ensure_services((ServiceRule(network_id, "10.96.0.9", "TCP", 80, (("10.9.0.11", 8080),)),))
    await networks.ensure_groups((FROM_PEERS, PEERS))
    own, second, third = await plugged(site, networks, db, friend, stranger)
    for url in (DB, SERVICE):
        assert await reaches(second, url)
        assert not await reaches(third, url)
        assert await reaches(own, url)
    assert (await networks.reach(network_id, "10.9.0.11", 8080, b"GET / HTTP/1.0\r\n\r\n")).startswith(b"HTTP/")
    assert await reaches(own, "http://10.9.0.13:8080/")  # what it sends is nobody's matter
    await networks.ensure_groups((FROM_PEERS, dataclasses.replace(PEERS, members=(FRIEND, "10.9.0.13"))))
    assert await reaches(third, DB)
    assert await reaches(third, SERVICE)
    await networks.ensure_groups((GroupSpec("policy"),))
    assert not await reaches(second, DB)
    assert not await reaches(second, SERVICE)
    await networks.filter_port(dataclasses.replace(db, ingress=None))
    await networks.ensure_groups(())
    assert await reaches(third, DB)
    assert await reaches(third, SERVICE)


async def test_a_policy_lets_out_only_to_where_it_says_and_asks_of_services_where_they_lead(
    site: Site, networks: LinuxNetworks
) -> None:
    network_id = "net-" + site.mark
    caller, db, other = (a_port(network_id, number) for number in (12, 11, 13))
    caller = dataclasses.replace(caller, egress=("policy",))
    await networks.ensure_network(a_network(caller, db, other))
    to_db = ServiceRule(network_id, "10.96.0.9", "TCP", 80, (("10.9.0.11", 8080),))
    to_other = ServiceRule(network_id, "10.96.0.10", "TCP", 80, (("10.9.0.13", 8080),))
    await networks.ensure_groups((TO_DB,))
    own, _, _ = await plugged(site, networks, caller, db, other)
    await networks.ensure_services((to_db, to_other))
    assert await reaches(own, DB)
    assert await reaches(own, SERVICE)
    assert not await reaches(own, "http://10.9.0.13:8080/")
    assert not await reaches(own, "http://10.96.0.10:80/")


async def test_what_passes_must_pass_groups_and_policies_both(site: Site, networks: LinuxNetworks) -> None:
    network_id = "net-" + site.mark
    db, friend = a_port(network_id, 11, groups=("group",), ingress=("policy",)), a_port(network_id, 12)
    await networks.ensure_network(a_network(db, friend))
    _, second = await plugged(site, networks, db, friend)
    open_ = GroupSpec("group", (FilterRule(True),))
    for group, policy, passes in ((open_, FROM_PEERS, True), (GroupSpec("group"), FROM_PEERS, False)):
        await networks.ensure_groups((group, policy, PEERS))
        assert await reaches(second, DB) is passes
    await networks.ensure_groups((open_, GroupSpec("policy")))
    assert not await reaches(second, DB)


async def test_a_range_lets_in_all_but_what_it_excepts(site: Site, networks: LinuxNetworks) -> None:
    network_id = "net-" + site.mark
    db, friend, stranger = (a_port(network_id, number) for number in (11, 12, 13))
    db = dataclasses.replace(db, ingress=("policy",))
    await networks.ensure_network(a_network(db, friend, stranger))
    rule = FilterRule(True, remote_cidr="0.0.0.0/0", remote_except=("10.9.0.13/32", "10.9.0.0/29"))
    await networks.ensure_groups((GroupSpec("policy", (rule,)),))
    _, second, third = await plugged(site, networks, db, friend, stranger)
    assert await reaches(second, DB)
    assert not await reaches(third, DB)


async def test_policies_outlive_the_driver_that_made_them_and_another_takes_them_away(
    site: Site, networks: LinuxNetworks
) -> None:
    network_id = "net-" + site.mark
    db, friend = a_port(network_id, 11, ingress=("policy",)), a_port(network_id, 12)
    await networks.ensure_network(a_network(db, friend))
    await networks.ensure_services((ServiceRule(network_id, "10.96.0.9", "TCP", 80, (("10.9.0.11", 8080),)),))
    await networks.ensure_groups((GroupSpec("policy"),))
    _, second = await plugged(site, networks, db, friend)
    assert not await reaches(second, SERVICE)
    again = site.driver()
    await again.filter_port(dataclasses.replace(db, ingress=None))
    await again.ensure_groups(())
    assert await reaches(second, DB)
    assert await reaches(second, SERVICE)
    await again.close()


# --- through kubectl --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cloud() -> Iterator[Here]:
    with a_cloud(simulate=False) as here:
        yield here


def a_page(name: str, **labels: str) -> dict[str, Any]:
    """A pod with a page on port 8080, which it calls `web`."""
    script = f"echo hello from {name} > /tmp/index.html; exec httpd -f -p 8080 -h /tmp"
    container = {
        "name": "c",
        "image": "busybox",
        "command": ["sh", "-c", script],
        "ports": [{"name": "web", "containerPort": 8080}],
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
    }
    metadata = {"name": name, "namespace": "demo", "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}


def a_policy(name: str, **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "demo"}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


def apply(cloud: Here, *objects: dict[str, Any]) -> None:
    for each in objects:
        cloud.kubectl_ok("apply", "-f", "-", input=each)


def fetches(cloud: Here, pod: str, place: str) -> bool:
    """place: address and port."""
    ask = f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 2 {place}"
    return "hello" in cloud.kubectl("-n", "demo", "exec", pod, "--", "sh", "-c", ask).out.lower()


def becomes(cloud: Here, pod: str, place: str, wanted: bool) -> None:
    said = f"{pod} {'reaches' if wanted else 'does not reach'} {place}"
    until(said, lambda: fetches(cloud, pod, place) is wanted, 30)


def address(cloud: Here, pod: str) -> str:
    return str(cloud.object("-n", "demo", "pod", pod)["status"]["podIP"])


class Machine:
    """A VM that fetches a page over and over, as its console shows."""

    def __init__(self, cloud: Here, url: str) -> None:
        self.cloud, sdk = cloud, cloud.sdk()
        sdk.create_image("lichen-tiny", filename=str(tiny_image()), disk_format="qcow2", wait=True)
        script = f"#!/bin/sh\n(while :; do fetch {url}; sleep 1; done) &\n"
        made = sdk.compute.create_server(
            name="vm", image_id=sdk.image.find_image("lichen-tiny").id, flavor_id=sdk.compute.find_flavor("m1.tiny").id,
            networks=[{"uuid": sdk.network.find_network("cluster").id}],
            user_data=base64.b64encode(script.encode()).decode(), config_drive=True,
        )  # fmt: skip
        sdk.compute.wait_for_server(made)
        sdk.network.create_security_group_rule(
            security_group_id=sdk.network.find_security_group("default").id, direction="ingress", protocol="tcp"
        )

        until("the VM runs", lambda: self.object["status"].get("phase") == "Running", 90)

    @property
    def object(self) -> dict[str, Any]:
        found: dict[str, Any] = self.cloud.object("-n", "demo", "server", "vm")
        return found

    @property
    def address(self) -> str:
        return str(self.object["status"]["addresses"][0]["ip"])

    def fetched(self) -> int:
        shown = self.cloud.sdk().compute.get_server_console_output(self.object["spec"]["id"])["output"]
        return str(shown).count("hello from db")

    def reaches(self) -> bool:
        """Whether it fetched the page in the last seconds."""
        before = self.fetched()
        time.sleep(4)
        return self.fetched() > before


def test_pods_and_a_vm_reach_a_pod_as_its_policies_say_until_they_are_gone(cloud: Here) -> None:
    apply(cloud, *(a_page(name, app=name) for name in ("db", "friend", "stranger")))
    cloud.kubectl_ok("-n", "demo", "wait", "pod", "--all", "--for=condition=Ready", "--timeout=60s")
    cloud.kubectl_ok("-n", "demo", "expose", "pod", "db", "--port=80", "--target-port=web")
    service = f"{cloud.object('-n', 'demo', 'service', 'db')['spec']['clusterIP']} 80"
    db, page = f"{address(cloud, 'db')} 8080", f"http://{address(cloud, 'db')}:8080/"
    vm = Machine(cloud, page)
    for pod in ("friend", "stranger"):
        becomes(cloud, pod, db, True)
        becomes(cloud, pod, service, True)
    until("the VM reaches the pod", vm.reaches, 120)

    friends = {"podSelector": {"matchLabels": {"app": "friend"}}}
    said = {"podSelector": {"matchLabels": {"app": "db"}}, "ingress": [{"from": [friends], "ports": [{"port": "web"}]}]}
    apply(cloud, a_policy("friends", **said))
    for url in (db, service):
        becomes(cloud, "stranger", url, False)
        assert fetches(cloud, "friend", url)
    until("the VM does not reach the pod", lambda: not vm.reaches(), 30)
    assert cloud.object("-n", "demo", "pod", "db")["status"]["containerStatuses"][0]["ready"]  # probes still come

    block = {"ipBlock": {"cidr": f"{vm.address}/32"}}
    apply(cloud, a_policy("vm", **said | {"ingress": [{"from": [block]}]}))
    until("the VM reaches the pod", vm.reaches, 60)
    assert not fetches(cloud, "stranger", db)
    cloud.kubectl_ok("-n", "demo", "label", "pod", "stranger", "app=friend", "--overwrite")
    becomes(cloud, "stranger", service, True)

    out = {"podSelector": {"matchLabels": {"app": "friend"}}, "policyTypes": ["Egress"], "egress": [{"to": [block]}]}
    apply(cloud, a_policy("out", **out))
    becomes(cloud, "friend", db, False)
    assert not fetches(cloud, "friend", service)
    becomes(cloud, "friend", f"{vm.address} 80", True)

    cloud.kubectl_ok("-n", "demo", "delete", "networkpolicy", "--all")
    cloud.kubectl_ok("-n", "demo", "label", "pod", "stranger", "app=stranger", "--overwrite")
    for pod in ("friend", "stranger"):
        becomes(cloud, pod, db, True)
        becomes(cloud, pod, service, True)
