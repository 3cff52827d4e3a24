# SPDX-License-Identifier: Apache-2.0
"""The variables by which containers find services, as Docker's links named them. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from lichen.model.data import Object
from lichen.model.meta import name_of, namespace_of
from lichen.planning.api_service import is_api_service


def service_links(pod: Object, services: Iterable[Object], api: tuple[str, int] | None = None) -> dict[str, str]:
    """`WEB_SERVICE_HOST`, `WEB_SERVICE_PORT`, `WEB_PORT_80_TCP`, … of each service with an address in the pod's
    namespace, unless the pod's `enableServiceLinks` is false; those of the API always.

    api: where a pod on the host's own network finds the API, which has no ClusterIP there."""
    spec = pod["spec"]
    env: dict[str, str] = {}
    linked = spec.get("enableServiceLinks") is not False
    for service in sorted(services, key=lambda s: (is_api_service(s), name_of(s))):
        if _has_address(service) and (is_api_service(service) or (linked and _is_near(service, pod))):
            env |= _variables(service)
    if api is not None and _on_host(pod):
        env |= {"KUBERNETES_SERVICE_HOST": api[0], "KUBERNETES_SERVICE_PORT": str(api[1])}
    return env


def _is_near(service: Object, pod: Object) -> bool:
    return namespace_of(service) == namespace_of(pod)


def _on_host(pod: Object) -> bool:
    return bool(pod["spec"].get("hostNetwork")) or pod["spec"].get("runtimeClassName") == "process"


def _has_address(service: Object) -> bool:
    return service["spec"].get("clusterIP") not in (None, "", "None") and bool(service["spec"].get("ports"))


def _variables(service: Object) -> dict[str, str]:
    name = name_of(service).upper().replace("-", "_")
    ip, ports = service["spec"]["clusterIP"], service["spec"]["ports"]
    host = f"[{ip}]" if ":" in ip else ip
    env = {f"{name}_SERVICE_HOST": ip, f"{name}_SERVICE_PORT": str(ports[0]["port"])}
    for port in ports:
        if port.get("name"):
            env[f"{name}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = str(port["port"])
    for index, port in enumerate(ports):
        protocol, number = (port.get("protocol") or "TCP"), port["port"]
        url = f"{protocol.lower()}://{host}:{number}"
        prefix = f"{name}_PORT_{number}_{protocol}"
        if index == 0:
            env[f"{name}_PORT"] = url
        env |= {
            prefix: url, f"{prefix}_PROTO": protocol.lower(), f"{prefix}_PORT": str(number), f"{prefix}_ADDR": ip,
        }  # fmt: skip
    return env
