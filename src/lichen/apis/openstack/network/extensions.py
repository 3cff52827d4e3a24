# SPDX-License-Identifier: Apache-2.0
"""Which of Neutron's extensions are true here. A client that sees an alias may rely on what it stands for."""

from __future__ import annotations

from lichen.apis.openstack.network.filters import Json
from lichen.apis.openstack.reply import Reply
from lichen.apis.openstack.request import Request
from lichen.model.errors import NotFound

EXTENSIONS = {
    "allowed-address-pairs": "Addresses that a port may use besides its own",
    "agent": "Node agents, as the network service sees them",
    "availability_zone": "Zones that nodes are in",
    "binding": "Which node carries a port (for the cloud's admin)",
    "default-subnetpools": "A pool that is meant by those who name none",
    "dns-integration": "Names of ports in their network",
    "external-net": "Networks that lead out of the cloud",
    "ext-gw-mode": "Whether a router translates addresses on the way out",
    "filter-validation": "A filter that does not exist is refused",
    "ip-substring-filtering": "Ports by a part of an address",
    "net-mtu": "Largest packet of a network",
    "network-ip-availability": "Used and free addresses of networks",
    "pagination": "Lists in pages",
    "port-security": "Ports that are not guarded",
    "project-id": "project_id beside tenant_id",
    "provider": "Segments of networks (for the cloud's admin)",
    "quotas": "Limits of a project",
    "router": "Routers and floating IPs",
    "security-group": "Security groups and their rules",
    "security-groups-normalized-cidr": "The range of a rule as it is understood",
    "sorting": "Lists in order",
    "standard-attr-description": "Descriptions",
    "standard-attr-revisions": "Count of changes of a resource",
    "standard-attr-tag": "Tags",
    "standard-attr-timestamp": "When a resource was made and changed",
    "subnet_allocation": "Subnet pools",
}


def _view(alias: str) -> Json:
    return {
        "alias": alias,
        "name": alias.replace("-", " ").replace("_", " "),
        "description": EXTENSIONS[alias],
        "updated": "2026-01-01T00:00:00-00:00",
        "links": [],
    }


async def list_extensions(req: Request) -> Reply:
    return Reply({"extensions": [_view(alias) for alias in EXTENSIONS]})


async def show_extension(req: Request, alias: str) -> Reply:
    if alias not in EXTENSIONS:
        raise NotFound(f"Extension with alias {alias} does not exist", kind="Extension")
    return Reply({"extension": _view(alias)})


RESOURCES = ("network", "subnet", "port", "security-group", "security-group-rule", "router", "floatingip")


async def list_resources(req: Request) -> Reply:
    """`GET /v2.0`: where the resources are."""
    return Reply(
        {
            "resources": [
                {
                    "name": name.replace("-", "_"),
                    "collection": name.replace("-", "_") + "s",
                    "links": [{"rel": "self", "href": req.url(f"/v2.0/{name}s")}],
                }
                for name in RESOURCES
            ]
        }
    )
