# SPDX-License-Identifier: Apache-2.0
"""The variables by which containers find services."""

from __future__ import annotations

from typing import Any

from lichen.agent.service_links import service_links
from lichen.model.data import Object


def a_pod(**spec: Any) -> Object:
    return {"metadata": {"name": "p", "namespace": "demo"}, "spec": spec}


def a_service(name: str, ip: str | None, *ports: Object, namespace: str = "demo") -> Object:
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"clusterIP": ip, "ports": list(ports)}}


API = a_service("kubernetes", "10.96.0.1", {"name": "https", "port": 443, "protocol": "TCP"}, namespace="default")
API_LINKS = {
    "KUBERNETES_SERVICE_HOST": "10.96.0.1",
    "KUBERNETES_SERVICE_PORT": "443",
    "KUBERNETES_SERVICE_PORT_HTTPS": "443",
    "KUBERNETES_PORT": "tcp://10.96.0.1:443",
    "KUBERNETES_PORT_443_TCP": "tcp://10.96.0.1:443",
    "KUBERNETES_PORT_443_TCP_PROTO": "tcp",
    "KUBERNETES_PORT_443_TCP_PORT": "443",
    "KUBERNETES_PORT_443_TCP_ADDR": "10.96.0.1",
}


def test_every_pod_is_told_where_the_api_is():
    assert service_links(a_pod(), [API]) == API_LINKS


def test_a_service_of_the_namespace_is_told_by_name_port_and_protocol():
    web = a_service("web-app", "10.96.0.7", {"port": 80}, {"name": "dns", "port": 53, "protocol": "UDP"})
    assert service_links(a_pod(), [web]) == {
        "WEB_APP_SERVICE_HOST": "10.96.0.7",
        "WEB_APP_SERVICE_PORT": "80",
        "WEB_APP_SERVICE_PORT_DNS": "53",
        "WEB_APP_PORT": "tcp://10.96.0.7:80",
        "WEB_APP_PORT_80_TCP": "tcp://10.96.0.7:80",
        "WEB_APP_PORT_80_TCP_PROTO": "tcp",
        "WEB_APP_PORT_80_TCP_PORT": "80",
        "WEB_APP_PORT_80_TCP_ADDR": "10.96.0.7",
        "WEB_APP_PORT_53_UDP": "udp://10.96.0.7:53",
        "WEB_APP_PORT_53_UDP_PROTO": "udp",
        "WEB_APP_PORT_53_UDP_PORT": "53",
        "WEB_APP_PORT_53_UDP_ADDR": "10.96.0.7",
    }


def test_a_pod_that_wants_no_links_is_told_of_the_api_alone():
    web = a_service("web", "10.96.0.7", {"port": 80})
    assert service_links(a_pod(enableServiceLinks=False), [web, API]) == API_LINKS


def test_services_of_other_namespaces_and_those_without_an_address_are_not_told():
    services = [
        a_service("web", "10.96.0.7", {"port": 80}, namespace="other"),
        a_service("headless", "None", {"port": 80}),
        a_service("outside", None),
    ]
    assert service_links(a_pod(), services) == {}


def test_a_pod_on_the_host_asks_where_the_host_does():
    links = service_links(a_pod(hostNetwork=True), [API], ("127.0.0.1", 6443))
    assert (links["KUBERNETES_SERVICE_HOST"], links["KUBERNETES_SERVICE_PORT"]) == ("127.0.0.1", "6443")
