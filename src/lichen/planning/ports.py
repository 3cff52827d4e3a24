# SPDX-License-Identifier: Apache-2.0
"""The ports that pods and servers need: made before the workload runs, bound to its node, gone with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lichen.kinds.compute.server import Server
from lichen.kinds.network.port import Port
from lichen.model.data import Object
from lichen.model.meta import (
    annotations_of,
    controller_of,
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
    owner_reference,
    uid_of,
)
from lichen.model.names import CLUSTER_NETWORK, NETWORK, SECURITY_GROUPS, SYSTEM_NAMESPACE
from lichen.planning.steps import Create, Delete, Note, Patch, Step

POD_OWNER, SERVER_OWNER = "pod", "compute:nova"
PORT = Port.KIND


def port_hostname(port: Object) -> str:
    """What a port is called in its network: as it says itself, else as what it belongs to."""
    owners = port["metadata"].get("ownerReferences")
    named = port["spec"].get("dnsName") or (owners and owners[0]["name"]) or name_of(port)
    return str(named).split(".")[0][:63]


def plan_pod_port(pod: Object, namespace: Object | None, port: Object | None) -> list[Step]:
    """The one port of a pod that is not on its host's network."""
    if pod["spec"].get("hostNetwork") or pod["spec"].get("runtimeClassName") == "process":
        return []
    ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    if port is None:
        return [] if ended or is_deleting(pod) else [Create(PORT, _pod_port(pod, namespace))]
    if (controller_of(port) or {}).get("kind") != "Pod":
        return [Note(pod, "PortNameTaken", _taken(port), warning=True)]
    if ended or is_stale(port, uid_of(pod)):
        return [Delete(PORT, name_of(port), namespace_of(port), uid_of(port))]
    return _patched(port, _moved(port, pod["spec"].get("nodeName", "")) | _relabelled(port, _of_pod(pod)))


def _of_pod(pod: Object) -> Object:
    """What network policies know a pod by."""
    return {"podLabels": labels_of(pod) or None, "podPorts": _named_ports(pod["spec"]) or None}


def _named_ports(spec: Object) -> list[Object]:
    containers = list(spec.get("containers") or ())
    containers += [each for each in spec.get("initContainers") or () if each.get("restartPolicy") == "Always"]
    return [
        {"name": port["name"], "protocol": port.get("protocol") or "TCP", "port": port["containerPort"]}
        for container in containers
        for port in container.get("ports") or []
        if port.get("name")
    ]


def _relabelled(port: Object, wanted: Object) -> Object:
    """The fields to patch so that a port says of its pod what is so."""
    changed = {field: value for field, value in wanted.items() if (port["spec"].get(field) or None) != value}
    if changed.get("podLabels"):
        changed["podLabels"] = dict.fromkeys(port["spec"].get("podLabels") or ()) | changed["podLabels"]
    return changed


def _taken(port: Object) -> str:
    return f"port {name_of(port)} exists and is not the workload's own: rename or delete it"


def pod_port_name(pod_name: str) -> str:
    return f"pod-{pod_name}"[:253]


def pod_network(pod: Object, namespace: Object | None) -> str:
    """The network a pod joins: its own annotation, else its namespace's, else the cluster's."""
    inherited = annotations_of(namespace).get(NETWORK) if namespace else None
    return annotations_of(pod).get(NETWORK) or inherited or f"{SYSTEM_NAMESPACE}/{CLUSTER_NETWORK}"


def is_stale(port: Object, device_id: str) -> bool:
    """A port of an earlier pod (server) of the same name."""
    owner: str = port["spec"].get("deviceId", "")
    return bool(owner) and owner != device_id


def _pod_port(pod: Object, namespace: Object | None) -> Object:
    port = _port(pod, pod_port_name(name_of(pod)), pod_network(pod, namespace), POD_OWNER, uid_of(pod))
    port["spec"] |= {field: value for field, value in _of_pod(pod).items() if value}
    groups = pod_groups(pod, namespace)
    if groups is not None:
        port["spec"]["securityGroups"] = groups
    return port


def pod_groups(pod: Object, namespace: Object | None) -> list[str] | None:
    """The security groups that a pod's annotation, else its namespace's, names; None: all traffic passes."""
    inherited = annotations_of(namespace).get(SECURITY_GROUPS) if namespace else None
    said = annotations_of(pod).get(SECURITY_GROUPS, inherited)
    return None if said is None else [name.strip() for name in said.split(",") if name.strip()]


def plan_server_ports(server: Object, ports: Mapping[str, Object], default_network: str) -> list[Step]:
    """The ports of a server: one made for each network it names, and those it was given, bound to its node.

    ports: those that it owns or names, by name. default_network: what it joins if it names nothing ("" for none).
    """
    if is_deleting(server):
        return []
    typed = Server.of(server)
    steps: list[Step] = []
    for number, wanted in enumerate(server_networks(server, default_network)):
        name = wanted.get("port") or server_port_name(name_of(server), number)
        port = ports.get(name)
        if port is not None:
            steps += _claim(server, port, typed.spec.id, typed.spec.node)
        elif not wanted.get("port"):
            fixed = [{"ipAddress": wanted["fixedIp"]}] if wanted.get("fixedIp") else []
            made = _port(server, name, wanted["network"], SERVER_OWNER, typed.spec.id)
            made["spec"] |= {"node": typed.spec.node} | ({"fixedIps": fixed} if fixed else {})
            if typed.spec.security_groups is not None:
                made["spec"]["securityGroups"] = typed.spec.security_groups
            steps.append(Create(PORT, made))
    return steps


def server_networks(server: Object, default_network: str) -> list[Object]:
    wanted: list[Object] | None = server["spec"].get("networks")
    if wanted is None:
        return [{"network": default_network}] if default_network else []
    return wanted


def server_port_name(server_name: str, number: int) -> str:
    return f"{server_name}-{number}"


def server_port_names(server: Object, default_network: str) -> list[str]:
    """The names of a server's ports, in the order of its interfaces."""
    return [
        wanted.get("port") or server_port_name(name_of(server), number)
        for number, wanted in enumerate(server_networks(server, default_network))
    ]


def server_addresses(server: Object, ports: Sequence[Object], names: Mapping[str, str]) -> list[Object]:
    """`status.addresses` of a server from its ports; names: networks' display names by network id."""
    return [
        {
            "network": names.get(port["spec"].get("networkId", ""), port["spec"]["network"]),
            "ip": fixed["ipAddress"],
            "mac": port["spec"].get("mac", ""),
            "version": 6 if ":" in fixed["ipAddress"] else 4,
            "port": name_of(port),
            "type": "fixed",
        }
        for port in ports
        for fixed in port["spec"].get("fixedIps") or []
        if fixed.get("ipAddress")
    ]


def _port(owner: Object, name: str, network: str, device_owner: str, device_id: str) -> Object:
    return {
        "apiVersion": PORT.api_version,
        "kind": PORT.kind,
        "metadata": {
            "name": name,
            "namespace": namespace_of(owner),
            "ownerReferences": [owner_reference(owner)],
        },
        "spec": {
            "network": network,
            "deviceOwner": device_owner,
            "deviceId": device_id,
            "node": owner["spec"].get("nodeName") or owner["spec"].get("node") or "",
        },
    }


def _claim(server: Object, port: Object, device_id: str, node: str) -> list[Step]:
    """Make a port that the user gave the server's own, and bind it. One that another device has is left to it."""
    if port["spec"].get("deviceId", "") == device_id:
        return _bind(port, node)
    if port["spec"].get("deviceId"):
        former = (controller_of(port) or {}).get("name") == name_of(server)
        return [] if former else [Note(server, "PortNameTaken", _taken(port), warning=True)]
    patch = {"spec": {"deviceId": device_id, "deviceOwner": SERVER_OWNER, "node": node}}
    return [Patch(PORT, name_of(port), namespace_of(port), patch)]


def _bind(port: Object, node: str) -> list[Step]:
    return _patched(port, _moved(port, node))


def _moved(port: Object, node: str) -> Object:
    return {} if not node or port["spec"].get("node") == node else {"node": node}


def _patched(port: Object, spec: Object) -> list[Step]:
    return [Patch(PORT, name_of(port), namespace_of(port), {"spec": spec})] if spec else []
