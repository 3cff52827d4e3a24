# SPDX-License-Identifier: Apache-2.0
"""The network service's ROUTES. What is not listed is not found, as in a Neutron without the extension."""

from __future__ import annotations

from lichen.apis.openstack import faults
from lichen.apis.openstack.network import (
    agents,
    extensions,
    floatingips,
    networks,
    ports,
    quotas,
    routers,
    securitygrouprules,
    securitygroups,
    subnetpools,
    subnets,
    tags,
)
from lichen.apis.openstack.network.words import spoken
from lichen.apis.openstack.routing import Route, Service


def _tag_routes(collection: str) -> tuple[Route, ...]:
    base = f"/v2.0/{collection}/{{id}}/tags"
    return (
        Route("GET", base, tags.list_tags),
        Route("PUT", base, spoken(tags.replace_tags)),
        Route("DELETE", base, spoken(tags.clear_tags)),
        Route("GET", base + "/{tag}", tags.show_tag),
        Route("PUT", base + "/{tag}", spoken(tags.add_tag)),
        Route("DELETE", base + "/{tag}", spoken(tags.remove_tag)),
    )


ROUTES = (
    Route("GET", "/v2.0", extensions.list_resources, "anyone"),
    Route("GET", "/v2.0/networks", networks.list_networks),
    Route("POST", "/v2.0/networks", spoken(networks.create_network), "project"),
    Route("GET", "/v2.0/networks/{id}", networks.show_network),
    Route("PUT", "/v2.0/networks/{id}", spoken(networks.update_network)),
    Route("DELETE", "/v2.0/networks/{id}", spoken(networks.delete_network)),
    Route("GET", "/v2.0/subnets", subnets.list_subnets),
    Route("POST", "/v2.0/subnets", spoken(subnets.create_subnet), "project"),
    Route("GET", "/v2.0/subnets/{id}", subnets.show_subnet),
    Route("PUT", "/v2.0/subnets/{id}", spoken(subnets.update_subnet)),
    Route("DELETE", "/v2.0/subnets/{id}", spoken(subnets.delete_subnet)),
    Route("GET", "/v2.0/subnetpools", subnetpools.list_pools),
    Route("POST", "/v2.0/subnetpools", spoken(subnetpools.create_pool), "project"),
    Route("GET", "/v2.0/subnetpools/{id}", subnetpools.show_pool),
    Route("PUT", "/v2.0/subnetpools/{id}", spoken(subnetpools.update_pool)),
    Route("DELETE", "/v2.0/subnetpools/{id}", spoken(subnetpools.delete_pool)),
    *_tag_routes("subnetpools"),
    Route("GET", "/v2.0/ports", ports.list_ports),
    Route("POST", "/v2.0/ports", spoken(ports.create_port), "project"),
    Route("GET", "/v2.0/ports/{id}", ports.show_port),
    Route("PUT", "/v2.0/ports/{id}", spoken(ports.update_port)),
    Route("DELETE", "/v2.0/ports/{id}", spoken(ports.delete_port)),
    Route("GET", "/v2.0/security-groups", securitygroups.list_groups),
    Route("POST", "/v2.0/security-groups", spoken(securitygroups.create_group), "project"),
    Route("GET", "/v2.0/security-groups/{id}", securitygroups.show_group),
    Route("PUT", "/v2.0/security-groups/{id}", spoken(securitygroups.update_group)),
    Route("DELETE", "/v2.0/security-groups/{id}", spoken(securitygroups.delete_group)),
    Route("GET", "/v2.0/security-group-rules", securitygrouprules.list_rules),
    Route("POST", "/v2.0/security-group-rules", spoken(securitygrouprules.create_rule), "project"),
    Route("GET", "/v2.0/security-group-rules/{id}", securitygrouprules.show_rule),
    Route("DELETE", "/v2.0/security-group-rules/{id}", spoken(securitygrouprules.delete_rule)),
    *_tag_routes("security-groups"),
    Route("GET", "/v2.0/routers", routers.list_routers),
    Route("POST", "/v2.0/routers", spoken(routers.create_router), "project"),
    Route("GET", "/v2.0/routers/{id}", routers.show_router),
    Route("PUT", "/v2.0/routers/{id}", spoken(routers.update_router)),
    Route("DELETE", "/v2.0/routers/{id}", spoken(routers.delete_router)),
    Route("PUT", "/v2.0/routers/{id}/add_router_interface", spoken(routers.add_interface)),
    Route("PUT", "/v2.0/routers/{id}/remove_router_interface", spoken(routers.remove_interface)),
    *_tag_routes("routers"),
    Route("GET", "/v2.0/floatingips", floatingips.list_ips),
    Route("POST", "/v2.0/floatingips", spoken(floatingips.create_ip), "project"),
    Route("GET", "/v2.0/floatingips/{id}", floatingips.show_ip),
    Route("PUT", "/v2.0/floatingips/{id}", spoken(floatingips.update_ip)),
    Route("DELETE", "/v2.0/floatingips/{id}", spoken(floatingips.delete_ip)),
    *_tag_routes("floatingips"),
    *_tag_routes("networks"),
    *_tag_routes("subnets"),
    *_tag_routes("ports"),
    Route("GET", "/v2.0/extensions", extensions.list_extensions),
    Route("GET", "/v2.0/extensions/{alias}", extensions.show_extension),
    Route("GET", "/v2.0/quotas", quotas.list_quotas, "admin"),
    Route("GET", "/v2.0/quotas/{project_id}", quotas.show_quota),
    Route("PUT", "/v2.0/quotas/{project_id}", quotas.update_quota, "admin"),
    Route("DELETE", "/v2.0/quotas/{project_id}", quotas.delete_quota, "admin"),
    Route("GET", "/v2.0/quotas/{project_id}/default", quotas.show_defaults),
    Route("GET", "/v2.0/quotas/{project_id}/details", quotas.show_details),
    Route("GET", "/v2.0/agents", agents.list_agents, "admin"),
    Route("GET", "/v2.0/agents/{id}", agents.show_agent, "admin"),
    Route("GET", "/v2.0/availability_zones", agents.list_zones),
    Route("GET", "/v2.0/network-ip-availabilities", agents.list_ip_availabilities, "admin"),
    Route("GET", "/v2.0/network-ip-availabilities/{id}", agents.show_ip_availability, "admin"),
)

SERVICE = Service(
    type="network",
    name="neutron",
    mount="/network",
    endpoint="/network",
    routes=ROUTES,
    fault=faults.neutron,
    style="neutron",
    version="v2.0",
)
