# SPDX-License-Identifier: Apache-2.0
"""Services and their EndpointSlices, namespaces and what is in them, ports of pods and servers."""

from __future__ import annotations

from typing import Any

from lichen.kinds.builtin import (
    CONFIG_MAP,
    DEPLOYMENT,
    ENDPOINT_SLICE,
    ENDPOINTS,
    EVENT,
    NAMESPACE,
    POD,
    SERVICE,
    SERVICE_ACCOUNT,
)
from lichen.kinds.compute.flavor import Flavor
from lichen.kinds.compute.server import Server
from lichen.kinds.network.network import Network
from lichen.kinds.network.port import Port
from lichen.kinds.network.subnet import Subnet
from lichen.model.data import Object
from lichen.model.kind import new_object
from lichen.model.meta import find_condition, is_deleting, name_of, uid_of
from tests.controllers.world import Cloud, a_workload


def ready_endpoints(pieces: list[Object]) -> list[str]:
    return sorted(
        endpoint["targetRef"]["name"]
        for piece in pieces
        for endpoint in piece.get("endpoints") or []
        if endpoint["conditions"]["ready"]
    )


async def test_a_service_lists_the_ready_pods_that_it_selects(cloud: Cloud):
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}
    await cloud.create(SERVICE, "web", spec)
    await cloud.create(DEPLOYMENT, "web", a_workload(3))
    await cloud.create(DEPLOYMENT, "other", a_workload(1, app="other"))
    pieces = await cloud.until_all(ENDPOINT_SLICE, lambda pieces: len(ready_endpoints(pieces)) == 3)
    assert ready_endpoints(pieces) == await cloud.names(POD, labels="app=web")
    assert [port["port"] for port in pieces[0]["ports"]] == [8080]
    await cloud.patch(DEPLOYMENT, "web", {"spec": {"replicas": 1}})
    await cloud.until_all(ENDPOINT_SLICE, lambda pieces: len(ready_endpoints(pieces)) == 1)
    await cloud.state.delete(SERVICE, "web", "demo")
    await cloud.until_all(ENDPOINT_SLICE, lambda pieces: not pieces)


async def test_a_pod_whose_labels_leave_the_service_leaves_its_endpoints(cloud: Cloud):
    await cloud.create(SERVICE, "web", {"selector": {"app": "web"}, "ports": [{"port": 80}]})
    await cloud.create(POD, "one", a_pod_spec(), labels={"app": "web"})
    await cloud.until_all(ENDPOINT_SLICE, lambda pieces: ready_endpoints(pieces) == ["one"])
    await cloud.patch(POD, "one", {"metadata": {"labels": {"app": "none"}}})
    await cloud.until_all(ENDPOINT_SLICE, lambda pieces: ready_endpoints(pieces) == [])


async def test_a_service_has_endpoints_too_and_they_go_with_it(cloud: Cloud):
    await cloud.create(SERVICE, "web", {"selector": {"app": "web"}, "ports": [{"port": 80}]}, labels={"a": "b"})
    empty = await cloud.until(ENDPOINTS, "web", lambda endpoints: True)
    assert empty["metadata"]["labels"] == {"a": "b", "endpoints.kubernetes.io/managed-by": "endpoint-controller"}
    await cloud.create(POD, "one", a_pod_spec(), labels={"app": "web"})
    filled = await cloud.until(ENDPOINTS, "web", lambda e: e.get("subsets") and "addresses" in e["subsets"][0])
    (subset,) = filled["subsets"]
    assert [address["targetRef"]["name"] for address in subset["addresses"]] == ["one"]
    assert subset["ports"] == [{"port": 80, "protocol": "TCP"}]
    await cloud.state.delete(SERVICE, "web", "demo")
    await cloud.until_gone(ENDPOINTS, "web")


async def test_endpoints_of_somebodys_own_are_mirrored_for_a_service_without_a_selector(cloud: Cloud):
    await cloud.create(SERVICE, "own", {"ports": [{"port": 80}]})
    await cloud.state.create(ENDPOINTS, endpoints_at("10.1.2.3"))
    (piece,) = await cloud.until_all(ENDPOINT_SLICE, len)
    assert piece["metadata"]["labels"] == {
        "kubernetes.io/service-name": "own",
        "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io",
    }
    assert piece["endpoints"] == [{"addresses": ["10.1.2.3"], "conditions": {"ready": True}}]
    assert piece["ports"] == [{"name": "", "port": 80, "protocol": "TCP"}]
    await cloud.state.update(ENDPOINTS, endpoints_at("10.2.3.4"))
    await cloud.until_all(ENDPOINT_SLICE, lambda ps: [p["endpoints"][0]["addresses"] for p in ps] == [["10.2.3.4"]])
    await cloud.state.delete(ENDPOINTS, "own", "demo")
    await cloud.until_all(ENDPOINT_SLICE, lambda pieces: not pieces)
    assert await cloud.names(SERVICE) == ["own"]


def endpoints_at(address: str) -> Object:
    subsets = [{"addresses": [{"ip": address}], "ports": [{"port": 80}]}]
    return {**new_object(ENDPOINTS, "own", "demo"), "subsets": subsets}


async def test_the_apis_own_service_says_where_pods_reach_it_and_stays_so(cloud: Cloud):
    place = {"namespace": "default"}
    piece = await cloud.until(ENDPOINT_SLICE, "kubernetes", bool, **place)
    assert piece["metadata"]["labels"] == {"kubernetes.io/service-name": "kubernetes"}
    assert piece["endpoints"] == [{"addresses": ["169.254.169.254"], "conditions": {"ready": True}}]
    assert piece["ports"] == [{"name": "https", "port": 6443, "protocol": "TCP"}]
    endpoints = await cloud.until(ENDPOINTS, "kubernetes", bool, **place)
    assert endpoints["metadata"]["labels"] == {"endpointslice.kubernetes.io/skip-mirror": "true"}
    subset = {"addresses": [{"ip": "169.254.169.254"}], "ports": piece["ports"]}
    assert endpoints["subsets"] == [subset]
    await cloud.state.delete(ENDPOINT_SLICE, "kubernetes", "default")
    await cloud.patch(ENDPOINTS, "kubernetes", {"subsets": None, "metadata": {"labels": None}}, **place)
    await cloud.until(ENDPOINTS, "kubernetes", lambda e: e.get("subsets") == [subset], **place)
    again = await cloud.until(ENDPOINT_SLICE, "kubernetes", bool, **place)
    assert uid_of(again) != uid_of(piece)
    assert await cloud.names(ENDPOINT_SLICE, "default") == ["kubernetes"]


async def test_every_namespace_has_its_service_account(cloud: Cloud):
    await cloud.until(SERVICE_ACCOUNT, "default", lambda account: True)
    await cloud.state.delete(SERVICE_ACCOUNT, "default", "demo")
    await cloud.until(SERVICE_ACCOUNT, "default", lambda account: True)


def a_pod_spec(**more: Any) -> Object:
    return {"containers": [{"name": "main", "image": "busybox:v1"}], **more}


async def a_server(cloud: Cloud, name: str = "vm") -> Object:
    flavor = new_object(Flavor.KIND, "tiny", spec={"vcpus": 1, "memory": 128, "disk": 0})
    await cloud.state.create(Flavor.KIND, flavor)
    return await cloud.create(Server.KIND, name, {"flavor": "tiny"})


async def a_network(cloud: Cloud) -> None:
    await cloud.create(Network.KIND, "net", {})
    await cloud.create(Subnet.KIND, "sub", {"network": "net", "cidr": "192.168.7.0/24"})


async def test_a_pod_gets_a_port_with_an_address_and_takes_it_along(cloud: Cloud):
    pod = await cloud.create(POD, "one", a_pod_spec())
    port = await cloud.until(Port.KIND, "pod-one", lambda port: port["spec"].get("node"))
    assert port["spec"]["deviceId"] == uid_of(pod)
    assert port["spec"]["fixedIps"][0]["ipAddress"].startswith("10.244.")
    await cloud.state.delete(POD, "one", "demo")
    await cloud.until_gone(Port.KIND, "pod-one")


async def test_a_pod_of_the_same_name_gets_a_port_of_its_own(cloud: Cloud):
    await cloud.create(POD, "one", a_pod_spec())
    await cloud.until(Port.KIND, "pod-one", lambda port: port["spec"].get("node"))
    await cloud.state.delete(POD, "one", "demo", grace_seconds=0)
    again = await cloud.create(POD, "one", a_pod_spec())
    await cloud.until(Port.KIND, "pod-one", lambda port: port["spec"]["deviceId"] == uid_of(again))


async def test_a_port_that_a_user_named_like_a_pods_is_left_alone(cloud: Cloud):
    await a_network(cloud)
    mine = await cloud.create(Port.KIND, "pod-one", {"network": "net", "deviceId": "mine"})
    await cloud.create(POD, "one", a_pod_spec())
    await cloud.settle()
    held = await cloud.get(Port.KIND, "pod-one")
    assert (uid_of(held), held["spec"]["deviceId"]) == (uid_of(mine), "mine")


async def test_a_server_gets_a_port_shows_its_address_and_takes_it_along(cloud: Cloud):
    await a_network(cloud)
    await a_server(cloud)
    port = await cloud.until(Port.KIND, "vm-0", lambda port: port["spec"].get("node"))
    server = await cloud.until(Server.KIND, "vm", lambda server: (server.get("status") or {}).get("addresses"))
    assert server["status"]["addresses"][0]["ip"] == port["spec"]["fixedIps"][0]["ipAddress"]
    await cloud.state.delete(Server.KIND, "vm", "demo")
    await let_go(cloud, "vm")
    await cloud.until_gone(Port.KIND, "vm-0")


async def let_go(cloud: Cloud, name: str) -> None:
    """What the agent does when a deleted server's guest is gone."""
    await cloud.until(Server.KIND, name, is_deleting)
    await cloud.patch(Server.KIND, name, {"metadata": {"finalizers": None}})


async def test_a_server_takes_no_port_that_another_uses(cloud: Cloud):
    await a_network(cloud)
    taken = {"network": "net", "deviceId": "another", "deviceOwner": "compute:nova"}
    await cloud.create(Port.KIND, "vm-0", taken)
    await a_server(cloud)
    await cloud.settle()
    assert (await cloud.get(Port.KIND, "vm-0"))["spec"]["deviceId"] == "another"


async def test_a_namespace_goes_with_all_that_is_in_it_in_both_languages(cloud: Cloud):
    await a_network(cloud)
    await a_server(cloud)
    await cloud.create(DEPLOYMENT, "web", a_workload(2))
    await cloud.create(SERVICE, "web", {"selector": {"app": "web"}, "ports": [{"port": 80}]})
    await cloud.create(CONFIG_MAP, "settings")
    await cloud.until(DEPLOYMENT, "web", lambda d: d["status"].get("availableReplicas") == 2)
    await cloud.until(Server.KIND, "vm", lambda server: server["spec"].get("node"))
    await cloud.state.delete(NAMESPACE, "demo")
    await let_go(cloud, "vm")
    await cloud.until_gone(NAMESPACE, "demo")
    for kind in (POD, DEPLOYMENT, SERVICE, CONFIG_MAP, Server.KIND, Port.KIND, Network.KIND, Subnet.KIND):
        assert await cloud.names(kind) == []


async def test_what_holds_a_namespace_is_named(cloud: Cloud):
    await cloud.create(CONFIG_MAP, "held", finalizers=["example.org/mine"])
    await cloud.state.delete(NAMESPACE, "demo")

    def conditions(namespace: Object) -> str:
        return " ".join(c.get("message", "") for c in (namespace.get("status") or {}).get("conditions") or [])

    namespace = await cloud.until(NAMESPACE, "demo", lambda n: "configmaps" in conditions(n))
    assert "example.org/mine" in conditions(namespace)
    await cloud.patch(CONFIG_MAP, "held", {"metadata": {"finalizers": None}})
    await cloud.until_gone(NAMESPACE, "demo")
    assert name_of(namespace) == "demo"


async def test_what_a_pod_may_use_stays_until_the_pod_has_gone(cloud: Cloud):
    await cloud.create(CONFIG_MAP, "settings")
    await cloud.create(POD, "slow", a_pod_spec(), finalizers=["example.org/mine"])
    await cloud.state.delete(NAMESPACE, "demo")
    await cloud.until(NAMESPACE, "demo", lambda n: find_condition(n, "NamespaceDeletionContentFailure"))
    assert is_deleting(await cloud.get(POD, "slow"))
    assert not is_deleting(await cloud.get(CONFIG_MAP, "settings"))
    await cloud.patch(POD, "slow", {"metadata": {"finalizers": None}})
    await cloud.until_gone(NAMESPACE, "demo")


async def test_why_a_pod_gets_no_port_is_told(cloud: Cloud):
    await cloud.create(POD, "lost", a_pod_spec(), annotations={"network.lichen.dev/network": "nowhere"})
    events = await cloud.until_all(EVENT, lambda found: any(e["reason"] == "FailedCreatePort" for e in found))
    (event,) = [e for e in events if e["reason"] == "FailedCreatePort"]
    assert "nowhere" in event["message"]
    await cloud.create(Network.KIND, "nowhere", {})
    await cloud.create(Subnet.KIND, "sub", {"network": "nowhere", "cidr": "192.168.9.0/24"})
    await cloud.until(Port.KIND, "pod-lost", bool)
