# SPDX-License-Identifier: Apache-2.0
"""The compute service's ROUTES."""

from __future__ import annotations

from lichen.apis.openstack import faults
from lichen.apis.openstack.compute import (
    actions,
    extensions,
    flavors,
    hosts,
    keypairs,
    limits,
    security_groups,
    server_create,
    server_parts,
    servers,
)
from lichen.apis.openstack.routing import Route, Service

SERVERS = (
    Route("GET", "/v2.1/servers", servers.list_servers),
    Route("POST", "/v2.1/servers", server_create.create_server, "project"),
    Route("GET", "/v2.1/servers/detail", servers.list_servers_detail),
    Route("GET", "/v2.1/servers/{id}", servers.show_server),
    Route("PUT", "/v2.1/servers/{id}", servers.update_server),
    Route("DELETE", "/v2.1/servers/{id}", servers.delete_server),
    Route("POST", "/v2.1/servers/{id}/action", actions.act),
    Route("GET", "/v2.1/servers/{id}/metadata", server_parts.show_metadata),
    Route("POST", "/v2.1/servers/{id}/metadata", server_parts.add_metadata),
    Route("PUT", "/v2.1/servers/{id}/metadata", server_parts.replace_metadata),
    Route("GET", "/v2.1/servers/{id}/metadata/{key}", server_parts.show_item),
    Route("PUT", "/v2.1/servers/{id}/metadata/{key}", server_parts.set_item),
    Route("DELETE", "/v2.1/servers/{id}/metadata/{key}", server_parts.delete_item),
    Route("GET", "/v2.1/servers/{id}/tags", server_parts.list_tags, since=(2, 26)),
    Route("PUT", "/v2.1/servers/{id}/tags", server_parts.replace_tags, since=(2, 26)),
    Route("DELETE", "/v2.1/servers/{id}/tags", server_parts.clear_tags, since=(2, 26)),
    Route("GET", "/v2.1/servers/{id}/tags/{tag}", server_parts.show_tag, since=(2, 26)),
    Route("PUT", "/v2.1/servers/{id}/tags/{tag}", server_parts.add_tag, since=(2, 26)),
    Route("DELETE", "/v2.1/servers/{id}/tags/{tag}", server_parts.remove_tag, since=(2, 26)),
    Route("GET", "/v2.1/servers/{id}/ips", server_parts.list_addresses),
    Route("GET", "/v2.1/servers/{id}/ips/{network}", server_parts.show_addresses),
    Route("GET", "/v2.1/servers/{id}/os-security-groups", security_groups.list_groups),
    Route("GET", "/v2.1/servers/{id}/os-interface", server_parts.list_interfaces),
    Route("GET", "/v2.1/servers/{id}/os-interface/{port_id}", server_parts.show_interface),
)

FLAVORS = (
    Route("GET", "/v2.1/flavors", flavors.list_flavors),
    Route("POST", "/v2.1/flavors", flavors.create_flavor, "admin"),
    Route("GET", "/v2.1/flavors/detail", flavors.list_flavors_detail),
    Route("GET", "/v2.1/flavors/{id}", flavors.show_flavor),
    Route("PUT", "/v2.1/flavors/{id}", flavors.update_flavor, "admin", since=(2, 55)),
    Route("DELETE", "/v2.1/flavors/{id}", flavors.delete_flavor, "admin"),
    Route("POST", "/v2.1/flavors/{id}/action", flavors.change_access, "admin"),
    Route("GET", "/v2.1/flavors/{id}/os-flavor-access", flavors.list_access, "admin"),
    Route("GET", "/v2.1/flavors/{id}/os-extra_specs", flavors.list_extra_specs),
    Route("POST", "/v2.1/flavors/{id}/os-extra_specs", flavors.create_extra_specs, "admin"),
    Route("GET", "/v2.1/flavors/{id}/os-extra_specs/{key}", flavors.show_extra_spec),
    Route("PUT", "/v2.1/flavors/{id}/os-extra_specs/{key}", flavors.update_extra_spec, "admin"),
    Route("DELETE", "/v2.1/flavors/{id}/os-extra_specs/{key}", flavors.delete_extra_spec, "admin"),
)

HOSTS = (
    Route("GET", "/v2.1/os-hypervisors", hosts.list_hypervisors, "admin"),
    Route("GET", "/v2.1/os-hypervisors/detail", hosts.list_hypervisors_detail, "admin"),
    Route("GET", "/v2.1/os-hypervisors/statistics", hosts.hypervisor_statistics, "admin", until=(2, 87)),
    Route("GET", "/v2.1/os-hypervisors/{id}", hosts.show_hypervisor, "admin"),
    Route("GET", "/v2.1/os-services", hosts.list_services, "admin"),
    Route("PUT", "/v2.1/os-services/{id}", hosts.update_service, "admin", since=(2, 53)),
    Route("GET", "/v2.1/os-availability-zone", hosts.list_zones),
    Route("GET", "/v2.1/os-availability-zone/detail", hosts.list_zones_detail, "admin"),
    Route("GET", "/v2.1/os-aggregates", hosts.list_aggregates, "admin"),
    Route("POST", "/v2.1/os-aggregates", hosts.refuse_aggregate, "admin"),
    Route("GET", "/v2.1/os-aggregates/{id}", hosts.not_there, "admin"),
    Route("GET", "/v2.1/os-server-groups", hosts.list_server_groups),
    Route("POST", "/v2.1/os-server-groups", hosts.refuse_server_group),
    Route("GET", "/v2.1/os-server-groups/{id}", hosts.not_there),
)

ROUTES = (
    *SERVERS,
    *FLAVORS,
    *HOSTS,
    Route("GET", "/v2.1/os-keypairs", keypairs.list_keypairs, "project"),
    Route("POST", "/v2.1/os-keypairs", keypairs.create_keypair, "project"),
    Route("GET", "/v2.1/os-keypairs/{name}", keypairs.show_keypair, "project"),
    Route("DELETE", "/v2.1/os-keypairs/{name}", keypairs.delete_keypair, "project"),
    Route("GET", "/v2.1/limits", limits.show_limits),
    Route("GET", "/v2.1/os-quota-sets/{project_id}", limits.show_quota),
    Route("GET", "/v2.1/os-quota-sets/{project_id}/defaults", limits.show_defaults),
    Route("GET", "/v2.1/os-quota-sets/{project_id}/detail", limits.show_detail),
    Route("GET", "/v2.1/extensions", extensions.list_extensions),
    Route("GET", "/v2.1/extensions/{alias}", extensions.show_extension),
)

SERVICE = Service(
    type="compute",
    name="nova",
    mount="/compute",
    endpoint="/compute/v2.1",
    routes=ROUTES,
    fault=faults.nova,
    style="nova",
    version="v2.1",
    lowest=(2, 1),
    highest=(2, 100),
    version_header="X-OpenStack-Nova-API-Version",
    request_id_header="x-compute-request-id",
)
