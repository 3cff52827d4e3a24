# SPDX-License-Identifier: Apache-2.0
"""Rules of Services. Addresses and node ports are given by admission."""

from __future__ import annotations

from lichen.kinds.core.common import LABEL_HINT, check_port, check_unique, one_of
from lichen.kinds.faults import Faults
from lichen.kinds.network.ranges import address_of
from lichen.kinds.rules import Rules
from lichen.model.data import Object
from lichen.model.names import is_dns_label, is_dns_subdomain

TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
WITH_NODE_PORTS = ("NodePort", "LoadBalancer")


def default(service: Object) -> None:
    spec = service.setdefault("spec", {})
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    if spec["sessionAffinity"] == "ClientIP":
        client = spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
        client.setdefault("timeoutSeconds", 10800)
    if spec["type"] != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if spec["type"] in WITH_NODE_PORTS:
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
    for port in spec.get("ports") or ():
        port.setdefault("protocol", "TCP")
        if port.get("targetPort") in (None, 0, ""):
            port["targetPort"] = port.get("port", 0)


def begin(service: Object) -> None:
    service["status"] = {"loadBalancer": {}}


def carry(new: Object, old: Object) -> None:
    """What admission gave may be left out of a replacement."""
    spec, stored = new["spec"], old["spec"]
    if spec["type"] == "ExternalName" or stored.get("type") == "ExternalName":
        return
    for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        if not spec.get(field) and stored.get(field):
            spec[field] = stored[field]
    if spec["type"] in WITH_NODE_PORTS:
        given = {
            (p.get("port"), p.get("protocol")): p["nodePort"] for p in stored.get("ports") or () if "nodePort" in p
        }
        for port in spec.get("ports") or ():
            node_port = given.get((port.get("port"), port.get("protocol")))
            if not port.get("nodePort") and node_port:
                port["nodePort"] = node_port


def validate(service: Object, faults: Faults) -> None:
    spec = service.get("spec") or {}
    one_of(spec, "type", TYPES, "spec", faults)
    one_of(spec, "sessionAffinity", ("ClientIP", "None"), "spec", faults)
    if spec.get("type") == "ExternalName":
        if not is_dns_subdomain(spec.get("externalName", "").rstrip(".")):
            faults.invalid("spec.externalName", spec.get("externalName", ""), "must be a DNS name")
        if spec.get("clusterIP"):
            faults.forbidden("spec.clusterIPs", "may not be set for ExternalName services")
    elif not spec.get("ports") and spec.get("clusterIP") != "None":
        faults.required("spec.ports")
    _check_cluster_ip(spec, faults)
    _check_ports(spec.get("ports") or [], faults)


def _check_cluster_ip(spec: Object, faults: Faults) -> None:
    address = spec.get("clusterIP")
    if not address:
        return
    if address == "None":
        if spec.get("type") in WITH_NODE_PORTS:
            faults.invalid("spec.clusterIPs[0]", address, f"may not be set to 'None' for {spec['type']} services")
        return
    if address_of(address) is None:
        faults.invalid("spec.clusterIPs[0]", address, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")


def _check_ports(ports: list[Object], faults: Faults) -> None:
    names: set[str] = set()
    numbers: set[object] = set()
    for index, port in enumerate(ports):
        path = f"spec.ports[{index}]"
        check_port(port.get("port"), f"{path}.port", faults)
        one_of(port, "protocol", ("SCTP", "TCP", "UDP"), path, faults)
        target = port.get("targetPort")
        if isinstance(target, int):
            check_port(target, f"{path}.targetPort", faults)
        name = port.get("name", "")
        if name and not is_dns_label(name):
            faults.invalid(f"{path}.name", name, LABEL_HINT)
        if not name and len(ports) > 1:
            faults.required(f"{path}.name")
        elif name:
            check_unique(name, names, f"{path}.name", faults)
        check_unique((port.get("port"), port.get("protocol")), numbers, path, faults)


def validate_update(new: Object, old: Object, faults: Faults) -> None:
    before, after = old["spec"].get("clusterIP"), new["spec"].get("clusterIP")
    stays = "ExternalName" not in (new["spec"].get("type"), old["spec"].get("type"))
    if stays and before and before != after:
        faults.invalid("spec.clusterIPs[0]", after or "", "may not change once set")


RULES = Rules(default=default, begin=begin, validate=validate, validate_update=validate_update, carry=carry)
