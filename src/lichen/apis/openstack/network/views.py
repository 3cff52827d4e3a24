# SPDX-License-Identifier: Apache-2.0
"""Objects as Neutron shows them. Pure."""

from __future__ import annotations

from typing import Any

from lichen.model.data import Object
from lichen.planning.ports import port_hostname

Json = dict[str, Any]

BOUND_TYPE = "bridge"
"""`binding:vif_type` of a port that a node carries: every network is a Linux bridge."""


def network_view(obj: Object, project_id: str, subnet_ids: list[str], *, admin: bool) -> Json:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    view = {
        **_common(obj, project_id),
        "status": status.get("phase") or "ACTIVE",
        "admin_state_up": spec.get("adminStateUp", True),
        "shared": spec.get("shared", False),
        "router:external": spec.get("external", False),
        "mtu": spec.get("mtu", 1450),
        "subnets": subnet_ids,
        "port_security_enabled": spec.get("portSecurity", True),
        "availability_zone_hints": [],
        "availability_zones": [],
        "ipv4_address_scope": None,
        "ipv6_address_scope": None,
        "dns_domain": spec.get("dnsDomain", ""),
    }
    if admin:
        segment = spec.get("segment") or None
        view |= {
            "provider:network_type": "flat" if spec.get("external") else "vxlan",
            "provider:physical_network": None,
            "provider:segmentation_id": segment,
        }
    return view


def subnet_view(obj: Object, project_id: str) -> Json:
    spec = obj["spec"]
    return {
        **_common(obj, project_id),
        "network_id": spec.get("networkId", ""),
        "ip_version": ip_version(spec["cidr"]),
        "cidr": spec["cidr"],
        "gateway_ip": spec.get("gatewayIp") or None,
        "enable_dhcp": spec.get("dhcp", True),
        "allocation_pools": [{"start": p["start"], "end": p["end"]} for p in spec.get("allocationPools") or []],
        "dns_nameservers": list(spec.get("dnsNameservers") or []),
        "host_routes": [
            {"destination": r["destination"], "nexthop": r["nexthop"]} for r in spec.get("hostRoutes") or []
        ],
        "ipv6_address_mode": None,
        "ipv6_ra_mode": None,
        "subnetpool_id": spec.get("subnetPoolId") or None,
    }


def subnet_pool_view(obj: Object, project_id: str) -> Json:
    spec = obj["spec"]
    return {
        **_common(obj, project_id),
        "prefixes": list(spec["prefixes"]),
        "ip_version": ip_version(spec["prefixes"][0]),
        "min_prefixlen": spec["minPrefixlen"],
        "max_prefixlen": spec["maxPrefixlen"],
        "default_prefixlen": spec["defaultPrefixlen"],
        "default_quota": spec.get("defaultQuota"),
        "shared": spec.get("shared", False),
        "is_default": spec.get("isDefault", False),
        "address_scope_id": None,
    }


def port_view(obj: Object, project_id: str, network: Object | None, *, admin: bool) -> Json:
    """network: the port's, if the caller may see it."""
    net = (network or {}).get("spec") or {}
    domain = net.get("dnsDomain", "")
    port_security = obj["spec"].get("portSecurity")
    if port_security is None:
        port_security = net.get("portSecurity", True)
    spec, status = obj["spec"], obj.get("status") or {}
    view = {
        **_common(obj, project_id),
        "network_id": spec.get("networkId", ""),
        "mac_address": spec.get("mac", ""),
        "admin_state_up": spec.get("adminStateUp", True),
        "status": status.get("phase") or "DOWN",
        "device_id": spec.get("deviceId", ""),
        "device_owner": spec.get("deviceOwner", ""),
        "fixed_ips": [
            {"subnet_id": ip.get("subnetId", ""), "ip_address": ip.get("ipAddress", "")}
            for ip in spec.get("fixedIps") or []
        ],
        "security_groups": list(spec.get("securityGroupIds") or []),
        "port_security_enabled": port_security,
        "allowed_address_pairs": [
            {"ip_address": pair["ipAddress"], "mac_address": pair.get("macAddress") or spec.get("mac", "")}
            for pair in spec.get("allowedAddressPairs") or []
        ],
        "dns_name": spec.get("dnsName", ""),
        "dns_assignment": _assignment(obj, domain),
        "binding:vnic_type": "normal",
    }
    if admin:
        node = spec.get("node", "")
        view |= {
            "binding:host_id": node,
            "binding:vif_type": BOUND_TYPE if node else "unbound",
            "binding:vif_details": {},
            "binding:profile": {},
        }
    return view


def _assignment(port: Object, domain: str) -> list[Json]:
    """What the network's name server says of a port's addresses."""
    host = port_hostname(port)
    full = f"{host}.{domain.rstrip('.')}." if domain else f"{host}."
    addresses = [ip.get("ipAddress", "") for ip in port["spec"].get("fixedIps") or []]
    return [{"ip_address": address, "hostname": host, "fqdn": full} for address in addresses]


def security_group_view(obj: Object, project_id: str) -> Json:
    spec = obj["spec"]
    return {
        **_common(obj, project_id),
        "stateful": True,
        "shared": False,
        "security_group_rules": [security_group_rule_view(r, obj, project_id) for r in spec.get("rules") or []],
    }


def security_group_rule_view(rule: Object, group: Object, project_id: str) -> Json:
    """A rule and, for its times and its count of changes, its group."""
    common = _common(group, project_id)
    kept = ("tenant_id", "project_id", "created_at", "updated_at", "revision_number")
    return {
        **{name: common[name] for name in kept},
        "id": rule["id"],
        "security_group_id": group["spec"]["id"],
        "direction": rule["direction"],
        "ethertype": rule.get("etherType") or "IPv4",
        "protocol": rule.get("protocol") or None,
        "port_range_min": rule.get("portMin"),
        "port_range_max": rule.get("portMax"),
        "remote_ip_prefix": rule.get("remoteCidr") or None,
        "normalized_cidr": rule.get("remoteCidr") or None,
        "remote_group_id": rule.get("remoteGroupId") or None,
        "remote_address_group_id": None,
        "description": rule.get("description", ""),
        "belongs_to_default_sg": group["metadata"]["name"] == "default",
        "tags": [],
    }


def router_view(obj: Object, project_id: str) -> Json:
    spec, status = obj["spec"], obj.get("status") or {}
    gateway = spec.get("externalGateway")
    info = gateway and {
        "network_id": gateway.get("networkId", ""),
        "enable_snat": gateway.get("enableSnat", True),
        "external_fixed_ips": _fixed(gateway.get("fixedIps")),
    }
    return {
        **_common(obj, project_id),
        "status": status.get("phase") or "ACTIVE",
        "admin_state_up": spec.get("adminStateUp", True),
        "external_gateway_info": info or None,
        "routes": [],
        "distributed": False,
        "ha": False,
        "availability_zone_hints": [],
        "availability_zones": [],
        "flavor_id": None,
    }


def floating_ip_view(obj: Object, project_id: str) -> Json:
    spec, status = obj["spec"], obj.get("status") or {}
    common = _common(obj, project_id)
    del common["name"]
    return {
        **common,
        "status": status.get("phase") or ("ACTIVE" if spec.get("portId") else "DOWN"),
        "floating_network_id": spec.get("networkId", ""),
        "floating_ip_address": spec.get("address", ""),
        "fixed_ip_address": spec.get("fixedIp") or None,
        "port_id": spec.get("portId") or None,
        "router_id": spec.get("routerId") or None,
        "port_details": None,
        "qos_policy_id": None,
        "dns_name": "",
        "dns_domain": "",
    }


def _fixed(fixed_ips: list[Object] | None) -> list[Json]:
    return [{"subnet_id": ip.get("subnetId", ""), "ip_address": ip.get("ipAddress", "")} for ip in fixed_ips or []]


def ip_version(cidr: str) -> int:
    return 6 if ":" in cidr else 4


def updated_at(obj: Object) -> str:
    """When the object was last written: the newest of its managers' times, if they are kept, else its creation."""
    meta = obj["metadata"]
    times = [entry.get("time", "") for entry in meta.get("managedFields") or []]
    newest: str = max([meta.get("creationTimestamp", ""), *times])
    return newest


def _common(obj: Object, project_id: str) -> Json:
    meta, spec = obj["metadata"], obj.get("spec") or {}
    return {
        "id": spec.get("id", ""),
        "name": spec.get("displayName", meta["name"]),
        "tenant_id": project_id,
        "project_id": project_id,
        "description": spec.get("description", ""),
        "tags": list(spec.get("tags") or []),
        "created_at": meta.get("creationTimestamp", ""),
        "updated_at": updated_at(obj),
        "revision_number": int(meta.get("generation") or 1),
    }
