# SPDX-License-Identifier: Apache-2.0
"""A lively simulated cloud to look at: networks, a router, servers and pods that run, wait and fail."""

from __future__ import annotations

from typing import Any

from tests.conformance.cloud import Here, a_qcow2, until

Object = dict[str, Any]
IMAGE = "debian-12"
FAULT = "lichen.dev/simulate-fault"
SCRIPT = "echo listening on port 8080; while true; do sleep 1; echo GET /healthz 200; done"


def play(cloud: Here) -> None:
    """Fill project demo, and two others beside it."""
    add_image(cloud)
    for name in ("research", "staging"):
        cloud.kubectl_ok("create", "namespace", name)
    add_networks(cloud)
    cloud.kubectl_ok("apply", "-f", "-", input={"apiVersion": "v1", "kind": "List", "items": [*_servers(), *_pods()]})
    cloud.kubectl_ok("apply", "-f", "-", input=_quota())
    until("the web servers run", lambda: _is_running(cloud, "web-1") and _is_running(cloud, "bastion"))
    add_floating_ip(cloud)


def add_image(cloud: Here) -> None:
    """A public image that servers of every project boot."""
    disk = a_qcow2(cloud.folder / "stage.qcow2")
    flags = ("--file", str(disk), "--disk-format", "qcow2", "--public")
    cloud.openstack_ok("image", "create", IMAGE, *flags, cloud="lichen")


def add_networks(cloud: Here) -> None:
    """`internet` outside; `frontend` and `backend` behind the router `edge`."""
    admin, demo = cloud.sdk("admin", "admin").network, cloud.sdk().network
    outside = admin.create_network(name="internet", is_router_external=True)
    admin.create_subnet(network_id=outside.id, ip_version=4, cidr="203.0.113.0/24", name="internet", enable_dhcp=False)
    router = demo.create_router(name="edge", external_gateway_info={"network_id": outside.id})
    for name, cidr in (("frontend", "10.1.0.0/24"), ("backend", "10.2.0.0/24")):
        network = demo.create_network(name=name)
        subnet = demo.create_subnet(network_id=network.id, ip_version=4, cidr=cidr, name=name)
        demo.add_interface_to_router(router, subnet_id=subnet.id)


def add_floating_ip(cloud: Here) -> None:
    network = cloud.sdk().network
    outside = network.find_network("internet", ignore_missing=False)
    port = next(iter(network.ports(device_id=cloud.object("-n", "demo", "server", "web-1")["spec"]["id"])))
    network.create_ip(floating_network_id=outside.id, port_id=port.id)


def a_server(name: str, *networks: str, namespace: str = "demo", **spec: Any) -> Object:
    spec = {"flavor": "m1.small", "image": f"admin/{IMAGE}", "networks": [{"network": n} for n in networks]} | spec
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "compute.lichen.dev/v1", "kind": "Server", "metadata": metadata, "spec": spec}


def a_deployment(name: str, replicas: int, *, network: str = "", namespace: str = "demo", **more: Any) -> Object:
    labels = {"app": name} | more.pop("labels", {})
    annotations = {"network.lichen.dev/network": network} if network else {}
    container = {"name": name, "image": f"example.org/{name}:2.4", "command": ["sh", "-c", SCRIPT]} | more
    template = {"metadata": {"labels": labels, "annotations": annotations}, "spec": {"containers": [container]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def _servers() -> list[Object]:
    return [
        a_server("web-1", "frontend"),
        a_server("web-2", "frontend"),
        a_server("bastion", "frontend", "backend", flavor="m1.tiny"),
        a_server("postgres", "backend", flavor="m1.medium"),
        a_server("archive", "backend", flavor="m1.tiny", power="Off"),
        a_server("legacy", "backend", metadata={FAULT: "start"}),
        a_server("simulation", "cluster", namespace="research", flavor="m1.large"),
        a_server("candidate", "cluster", namespace="staging"),
    ]


def _pods() -> list[Object]:
    return [
        a_deployment("shop", 6),
        a_deployment("cart", 4),
        a_deployment("worker", 3, network="backend"),
        a_deployment("mailer", 1, labels={FAULT: "crash-4"}),
        a_deployment("forecast", 1, resources={"requests": {"cpu": "17"}}),
        a_deployment("notebook", 5, namespace="research"),
        a_deployment("shop", 3, namespace="staging"),
    ]


def _quota() -> Object:
    hard = {"pods": "20", "requests.cpu": "32", "requests.memory": "48Gi", "count/servers.compute.lichen.dev": "8"}
    metadata = {"name": "project", "namespace": "demo"}
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": {"hard": hard}}


def _is_running(cloud: Here, name: str) -> bool:
    phase: str = cloud.object("-n", "demo", "server", name).get("status", {}).get("phase", "")
    return phase == "Running"
