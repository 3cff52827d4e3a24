# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

from lichen.planning.ports import PORT, plan_pod_port, plan_server_ports, pod_network, server_addresses
from lichen.planning.steps import Create, Delete, Patch


def a_pod(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": "shop", "uid": "pod-uid"},
        "spec": spec,
        "status": {"phase": "Pending"},
    }


def a_port(name: str = "pod-web", **spec: Any) -> dict[str, Any]:
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "web", "uid": "pod-uid", "controller": True}
    metadata = {"name": name, "namespace": "shop", "uid": "port-uid", "ownerReferences": [owner]}
    return {"metadata": metadata, "spec": {"deviceId": "pod-uid", **spec}}


def a_server(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "compute.lichen.dev/v1",
        "kind": "Server",
        "metadata": {"name": "vm", "namespace": "shop", "uid": "vm-uid"},
        "spec": {"flavor": "tiny", "id": "vm-id", "node": "", **spec},
    }


def test_a_pod_gets_a_port_on_the_clusters_network():
    (step,) = plan_pod_port(a_pod(), None, None)
    assert isinstance(step, Create)
    assert step.object["metadata"]["name"] == "pod-web"
    assert step.object["spec"] == {
        "network": "lichen-system/cluster",
        "deviceOwner": "pod",
        "deviceId": "pod-uid",
        "node": "",
    }


def test_a_pods_own_word_on_its_network_wins_over_its_namespaces():
    namespace = {"metadata": {"annotations": {"network.lichen.dev/network": "ours"}}}
    pod = a_pod()
    assert pod_network(pod, namespace) == "ours"
    pod["metadata"]["annotations"] = {"network.lichen.dev/network": "mine"}
    assert pod_network(pod, namespace) == "mine"


def test_a_port_follows_its_pod_to_the_node():
    assert plan_pod_port(a_pod(nodeName="n1"), None, a_port()) == [
        Patch(PORT, "pod-web", "shop", {"spec": {"node": "n1"}})
    ]
    assert plan_pod_port(a_pod(nodeName="n1"), None, a_port(node="n1")) == []


def test_a_pod_on_its_hosts_network_has_no_port():
    assert plan_pod_port(a_pod(hostNetwork=True), None, None) == []
    assert plan_pod_port(a_pod(runtimeClassName="process"), None, None) == []


def test_an_ended_pod_gives_its_addresses_back():
    pod = a_pod()
    pod["status"]["phase"] = "Succeeded"
    assert plan_pod_port(pod, None, a_port()) == [Delete(PORT, "pod-web", "shop", "port-uid")]


def test_the_port_of_an_earlier_pod_of_the_name_goes_first():
    assert plan_pod_port(a_pod(), None, a_port(deviceId="other")) == [Delete(PORT, "pod-web", "shop", "port-uid")]


def test_a_server_that_names_no_network_joins_the_default_one():
    (step,) = plan_server_ports(a_server(), {}, "lichen-system/cluster")
    assert isinstance(step, Create)
    assert (step.object["metadata"]["name"], step.object["spec"]["network"]) == ("vm-0", "lichen-system/cluster")


def test_a_server_that_wants_no_network_gets_none():
    assert plan_server_ports(a_server(networks=[]), {}, "lichen-system/cluster") == []


def test_a_server_asks_for_the_address_it_was_given():
    (step,) = plan_server_ports(a_server(networks=[{"network": "a", "fixedIp": "10.0.0.9"}]), {}, "")
    assert isinstance(step, Create)
    assert step.object["spec"]["fixedIps"] == [{"ipAddress": "10.0.0.9"}]


def test_a_port_the_user_made_becomes_the_servers():
    given = a_port("mine", deviceId="")
    assert plan_server_ports(a_server(networks=[{"port": "mine"}], node="n1"), {"mine": given}, "") == [
        Patch(PORT, "mine", "shop", {"spec": {"deviceId": "vm-id", "deviceOwner": "compute:nova", "node": "n1"}})
    ]


def test_a_server_shows_the_addresses_of_its_ports_by_network_name():
    port = a_port(
        "vm-0", network="a", networkId="net-id", mac="fa:16:3e:00:00:01", fixedIps=[{"ipAddress": "10.0.0.9"}]
    )
    assert server_addresses(a_server(), [port], {"net-id": "Private"}) == [
        {
            "network": "Private",
            "ip": "10.0.0.9",
            "mac": "fa:16:3e:00:00:01",
            "version": 4,
            "port": "vm-0",
            "type": "fixed",
        }
    ]


def test_a_port_says_what_network_policies_know_a_pod_by():
    ports = [{"containerPort": 8080, "name": "http"}, {"containerPort": 9}]
    sidecar = {"restartPolicy": "Always", "ports": [{"containerPort": 53, "name": "dns", "protocol": "UDP"}]}
    pod = a_pod(containers=[{"ports": ports}], initContainers=[sidecar, {"ports": [{"name": "x", "containerPort": 1}]}])
    pod["metadata"]["labels"] = {"app": "web"}
    (step,) = plan_pod_port(pod, None, None)
    assert isinstance(step, Create)
    assert step.object["spec"]["podLabels"] == {"app": "web"}
    assert step.object["spec"]["podPorts"] == [
        {"name": "http", "protocol": "TCP", "port": 8080},
        {"name": "dns", "protocol": "UDP", "port": 53},
    ]


def test_a_port_follows_its_pods_labels_and_forgets_those_that_are_gone():
    pod = a_pod()
    pod["metadata"]["labels"] = {"app": "web", "new": "1"}
    port = a_port(podLabels={"app": "db", "old": "1"})
    changed = {"podLabels": {"app": "web", "new": "1", "old": None}}
    assert plan_pod_port(pod, None, port) == [Patch(PORT, "pod-web", "shop", {"spec": changed})]
    assert plan_pod_port(a_pod(), None, port) == [Patch(PORT, "pod-web", "shop", {"spec": {"podLabels": None}})]
    assert plan_pod_port(a_pod(), None, a_port()) == []
