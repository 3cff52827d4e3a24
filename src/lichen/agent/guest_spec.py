# SPDX-License-Identifier: Apache-2.0
"""The config drive of a server: what a guest reads about itself, as OpenStack's metadata lays it out."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from lichen.drivers.base import PortSpec, SubnetSpec
from lichen.kinds.compute.keypair import Keypair
from lichen.kinds.compute.server import Server
from lichen.model.data import Object
from lichen.model.meta import labels_of
from lichen.model.names import PROJECT_ID, slug

VENDOR_FILES = ("vendor_data.json", "vendor_data2.json")


def config_drive(
    server: Server,
    namespace: Object | None,
    keypair: Object | None,
    user_data: bytes | None,
    ports: Iterable[PortSpec],
    subnets: Mapping[str, tuple[SubnetSpec, ...]],
    password: bytes | None = None,
    vendor: Mapping[str, bytes] | None = None,
) -> dict[str, bytes]:
    """Files by path, without a leading slash. subnets: those of each network, by network id. password: root's, as its
    maker wants it. vendor: the cloud's own files, by name."""
    files = {
        "openstack/latest/meta_data.json": _json(
            meta_data(server, namespace, keypair)
            | ({"admin_pass": password.decode(errors="replace")} if password else {})
        ),
        "openstack/latest/network_data.json": _json(network_data(ports, subnets)),
        **{f"openstack/latest/{name}": (vendor or {}).get(name, b"{}") for name in VENDOR_FILES},
    }
    if user_data is not None:
        files["openstack/latest/user_data"] = user_data
    return files


def vendor_data(config: Object) -> dict[str, bytes]:
    """The files that a ConfigMap holds for all guests; one that is no JSON object is left out."""
    found: dict[str, bytes] = {}
    for name in VENDOR_FILES:
        text = str((config.get("data") or {}).get(name, ""))
        try:
            if isinstance(msgspec.json.decode(text), dict):
                found[name] = text.encode()
        except (msgspec.DecodeError, UnicodeError):
            continue
    return found


def hostname_of(server: Server) -> str:
    return slug(server.spec.display_name or server.metadata.name, 63)


def meta_data(server: Server, namespace: Object | None, keypair: Object | None) -> dict[str, Any]:
    """What meta_data.json says."""
    spec = server.spec
    meta: dict[str, Any] = {
        "uuid": spec.id,
        "name": spec.display_name or server.metadata.name,
        "hostname": hostname_of(server),
        "launch_index": 0,
        "availability_zone": spec.availability_zone or "nova",
        "project_id": (labels_of(namespace).get(PROJECT_ID, "") if namespace else ""),
        "meta": dict(spec.metadata),
        "devices": [],
    }
    if keypair is not None:
        key = Keypair.of(keypair)
        name = key.spec.display_name or key.metadata.name
        meta["public_keys"] = {name: key.spec.public_key}
        meta["keys"] = [{"name": name, "type": key.spec.type, "data": key.spec.public_key}]
    return meta


def network_data(ports: Iterable[PortSpec], subnets: Mapping[str, tuple[SubnetSpec, ...]]) -> dict[str, Any]:
    """What network_data.json says: a link for each port and a network for each of its addresses."""
    links: list[dict[str, Any]] = []
    networks: list[dict[str, Any]] = []
    servers: list[str] = []
    for number, port in enumerate(ports):
        link = f"tap{port.id[:11]}"
        links.append(
            {"id": link, "vif_id": port.id, "type": "bridge", "mtu": port.mtu, "ethernet_mac_address": port.mac}
        )
        known = subnets.get(port.network_id, ())
        for index, (ip, prefix) in enumerate(port.addresses):
            family = "ipv6" if ":" in ip else "ipv4"
            dhcp = any(s.dhcp for s in known if (":" in s.cidr) is (family == "ipv6"))
            network: dict[str, Any] = {
                "id": f"network{number}" + (f"-{index}" if index else ""),
                "link": link,
                "type": f"{family}_dhcp" if dhcp else family,
                "network_id": port.network_id,
            }
            if not dhcp:
                default = [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": port.gateway}]  # noqa: S104
                network |= {"ip_address": f"{ip}/{prefix}", "routes": default if port.gateway else []}
            networks.append(network)
        servers += [server for subnet in known for server in subnet.dns_nameservers]
    services = [{"type": "dns", "address": server} for server in dict.fromkeys(servers)]
    return {"links": links, "networks": networks, "services": services}


def user_data_of(secret: Object) -> bytes | None:
    """The bytes under key `userdata` of a Secret."""
    return secret_value(secret, "userdata")


def secret_value(secret: Object, key: str) -> bytes | None:
    """The bytes under a key of a Secret, None if it has none."""
    encoded = (secret.get("data") or {}).get(key)
    if encoded is None:
        text = (secret.get("stringData") or {}).get(key)
        return text.encode() if text is not None else None
    return base64.b64decode(encoded)


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value)
