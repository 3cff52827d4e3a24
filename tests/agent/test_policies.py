# SPDX-License-Identifier: Apache-2.0
"""Which policies hold for a port, what the groups are, and what an event touches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest

from lichen.agent.policies import Policies
from lichen.agent.sources import Sources
from lichen.kinds.builtin import NAMESPACE, NETWORK_POLICY
from lichen.kinds.network.port import Port
from lichen.model.data import Object
from lichen.store.memory import MemoryStore
from tests.agent.world import a_port, an_object

WEB, DB = {"app": "web"}, {"app": "db"}


class Site:
    """A store, and what the policies said of it. changed: groups; dirty: ports."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.sources = Sources(self.store)
        self.changed: list[str] = []
        self.dirty: list[str] = []
        self.policies = Policies(self.sources, self._told)

    def _told(self, groups: Iterable[str], ports: Iterable[str]) -> None:
        self.changed += groups
        self.dirty += ports

    async def settled(self) -> None:
        await asyncio.sleep(0.05)

    async def pod(self, number: int, labels: Object, namespace: str = "demo", **spec: Any) -> str:
        """A pod's port; returns its address."""
        port = a_port(f"pod-{number}", str(number), "pod", number)
        port["metadata"]["namespace"] = namespace
        port["spec"] |= {"podLabels": labels, **spec}
        await self.store.create(Port.KIND, port)
        await self.settled()
        return str(port["spec"]["fixedIps"][0]["ipAddress"])

    def port(self, number: int, namespace: str = "demo") -> Object:
        found = self.sources.ports.get(f"pod-{number}", namespace)
        assert found is not None
        return found

    async def namespace(self, name: str, **labels: str) -> None:
        made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        await self.store.create(NAMESPACE, made)
        await self.settled()

    async def policy(self, name: str, **spec: Any) -> None:
        await self.store.create(NETWORK_POLICY, an_object(NETWORK_POLICY, name, {"podSelector": {}, **spec}))
        await self.settled()

    def members(self, number: int) -> tuple[str, ...]:
        """The addresses that the only ingress policy of a pod lets in."""
        (id,) = self.policies.of(self.port(number))[0] or ()
        group = self.policies.group(id)
        assert group is not None
        peers = self.policies.group(group.rules[0].remote_group)
        assert peers is not None
        return peers.members


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    await site.sources.start()
    site.policies.start()
    yield site
    await site.sources.close()


def ids(site: Site, *names: str) -> tuple[str, ...]:
    found = [site.sources.policies.get(name, "demo") for name in names]
    return tuple(sorted(policy["metadata"]["uid"] for policy in found if policy))


async def test_a_pod_that_no_policy_selects_is_open(site: Site):
    await site.pod(1, WEB)
    await site.policy("db", podSelector={"matchLabels": DB})
    assert site.policies.of(site.port(1)) == (None, None)


async def test_policies_of_another_namespace_hold_for_nobody_here(site: Site):
    await site.pod(1, WEB, "other")
    await site.policy("all")
    assert site.policies.of(site.port(1, "other")) == (None, None)


async def test_all_policies_that_select_a_pod_hold_each_in_its_directions(site: Site):
    await site.pod(1, WEB)
    await site.policy("one", ingress=[{}], policyTypes=["Ingress"])
    await site.policy("two", podSelector={"matchLabels": WEB}, policyTypes=["Ingress", "Egress"])
    assert site.policies.of(site.port(1)) == (ids(site, "one", "two"), ids(site, "two"))


async def test_a_port_that_is_no_pods_is_not_filtered(site: Site):
    await site.policy("all")
    assert site.policies.of(a_port("web-0", "x", "compute:nova")) == (None, None)


async def test_the_pods_that_a_policy_lets_in_follow_labels_and_go_with_the_pods(site: Site):
    await site.pod(1, DB)
    two, three = await site.pod(2, WEB), await site.pod(3, WEB)
    await site.policy(
        "db", podSelector={"matchLabels": DB}, ingress=[{"from": [{"podSelector": {"matchLabels": WEB}}]}]
    )
    assert site.members(1) == (two, three)
    site.changed.clear()
    await site.store.patch(Port.KIND, "pod-3", "demo", {"spec": {"podLabels": {"app": "x"}}})
    await site.settled()
    assert site.changed == list(site.policies._peers)
    assert site.members(1) == (two,)
    await site.store.delete(Port.KIND, "pod-2", "demo")
    await site.settled()
    assert site.members(1) == ()


async def test_a_pod_that_no_policy_speaks_of_touches_no_group(site: Site):
    await site.pod(1, DB)
    await site.policy(
        "db", podSelector={"matchLabels": DB}, ingress=[{"from": [{"podSelector": {"matchLabels": WEB}}]}]
    )
    assert site.members(1) == ()
    site.changed.clear()
    await site.pod(2, {"app": "x"})
    await site.pod(3, WEB, "other")
    assert site.changed == []


async def test_a_namespace_that_gets_a_label_joins_with_its_pods(site: Site):
    await site.namespace("other")
    await site.pod(1, DB)
    address = await site.pod(2, WEB, "other")
    await site.policy("db", ingress=[{"from": [{"namespaceSelector": {"matchLabels": {"team": "a"}}}]}])
    assert site.members(1) == ()
    site.changed.clear()
    await site.store.patch(NAMESPACE, "other", "", {"metadata": {"labels": {"team": "a"}}})
    await site.settled()
    assert len(site.changed) == 1
    assert site.members(1) == (address,)


async def test_a_policy_that_comes_changes_or_goes_touches_the_pods_that_it_selects(site: Site):
    await site.pod(1, DB)
    await site.pod(2, WEB)
    first, second = (site.port(number)["spec"]["id"] for number in (1, 2))
    await site.policy("p", podSelector={"matchLabels": DB})
    assert site.dirty == [first]
    site.dirty.clear()
    await site.store.patch(NETWORK_POLICY, "p", "demo", {"spec": {"podSelector": {"matchLabels": WEB}}})
    await site.settled()
    assert site.dirty == [first, second]
    site.dirty.clear()
    await site.store.delete(NETWORK_POLICY, "p", "demo")
    await site.settled()
    assert site.dirty == [second]
    assert site.policies.of(site.port(2)) == (None, None)


async def test_a_changed_policy_keeps_its_group_and_lets_others_in(site: Site):
    await site.pod(1, DB)
    two = await site.pod(2, WEB)
    await site.policy("p", podSelector={"matchLabels": DB}, ingress=[{"from": [{"podSelector": {"matchLabels": DB}}]}])
    ((before,), _) = site.policies.of(site.port(1))  # type: ignore[misc]
    assert two not in site.members(1)
    site.changed.clear()
    web = {"ingress": [{"from": [{"podSelector": {"matchLabels": WEB}}]}]}
    await site.store.patch(NETWORK_POLICY, "p", "demo", {"spec": web})
    await site.settled()
    assert before in site.changed
    assert site.policies.of(site.port(1)) == ((before,), None)
    assert site.members(1) == (two,)


async def test_what_a_pod_calls_a_port_later_is_known_to_policies_that_go_by_it(site: Site):
    await site.pod(1, WEB)
    to = {"to": [{"podSelector": {}}], "ports": [{"port": "sql"}]}
    await site.policy("p", podSelector={"matchLabels": WEB}, policyTypes=["Egress"], egress=[to])
    (id,) = site.policies.of(site.port(1))[1] or ()
    assert (site.policies.group(id) or pytest.fail()).rules == ()
    site.changed.clear()
    await site.pod(2, DB, podPorts=[{"name": "sql", "protocol": "TCP", "port": 5432}])
    assert id in site.changed
    assert {rule.port_min for rule in (site.policies.group(id) or pytest.fail()).rules} == {5432}


async def test_a_policy_that_an_earlier_version_stored_and_nobody_can_read_holds_for_nobody(site: Site):
    await site.pod(1, WEB)
    await site.policy("odd", ingress=[{"from": [{"ipBlock": {"cidr": "nonsense"}}]}])
    assert site.policies.of(site.port(1)) == (None, None)


async def test_a_thousand_pods_cost_each_event_no_more_than_a_look_at_the_groups_it_touches(
    site: Site, monkeypatch: pytest.MonkeyPatch
):
    await site.pod(1, DB)
    await site.policy(
        "db", podSelector={"matchLabels": DB}, ingress=[{"from": [{"podSelector": {"matchLabels": WEB}}]}]
    )
    assert site.members(1) == ()
    built = []
    members = Policies._members
    monkeypatch.setattr(Policies, "_members", lambda self, pods: built.append(pods) or members(self, pods))
    for number in range(2, 1002):
        port = a_port(f"pod-{number}", str(number), "pod", number)
        port["spec"]["podLabels"] = WEB
        port["spec"]["fixedIps"][0]["ipAddress"] = f"10.0.{number // 250}.{number % 250 + 1}"
        await site.store.create(Port.KIND, port)
    await site.settled()
    assert built == []
    assert len(site.members(1)) == 1000
