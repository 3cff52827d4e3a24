# SPDX-License-Identifier: Apache-2.0
"""The block storage service's ROUTES: each is there with and without the project's id in its path."""

from __future__ import annotations

from dataclasses import replace
from functools import wraps

from lichen.apis.openstack import faults
from lichen.apis.openstack.reply import Reply
from lichen.apis.openstack.request import Request
from lichen.apis.openstack.routing import Handler, Route, Service
from lichen.apis.openstack.volume import actions, hosts, limits, snapshots, types, volumes
from lichen.model.errors import BadRequest

PLAIN = (
    Route("GET", "/volumes", volumes.list_volumes, "project"),
    Route("POST", "/volumes", volumes.create_volume, "project"),
    Route("GET", "/volumes/detail", volumes.list_volumes_detail, "project"),
    Route("GET", "/volumes/summary", volumes.summary, "project", since=(3, 12)),
    Route("GET", "/volumes/{id}", volumes.show_volume, "project"),
    Route("PUT", "/volumes/{id}", volumes.update_volume, "project"),
    Route("DELETE", "/volumes/{id}", volumes.delete_volume, "project"),
    Route("POST", "/volumes/{id}/action", actions.act, "project"),
    Route("GET", "/volumes/{id}/metadata", volumes.show_metadata, "project"),
    Route("POST", "/volumes/{id}/metadata", volumes.add_metadata, "project"),
    Route("PUT", "/volumes/{id}/metadata", volumes.replace_metadata, "project"),
    Route("GET", "/volumes/{id}/metadata/{key}", volumes.show_item, "project"),
    Route("PUT", "/volumes/{id}/metadata/{key}", volumes.set_item, "project"),
    Route("DELETE", "/volumes/{id}/metadata/{key}", volumes.delete_item, "project"),
    Route("GET", "/snapshots", snapshots.list_snapshots, "project"),
    Route("POST", "/snapshots", snapshots.create_snapshot, "project"),
    Route("GET", "/snapshots/detail", snapshots.list_snapshots_detail, "project"),
    Route("GET", "/snapshots/{id}", snapshots.show_snapshot, "project"),
    Route("PUT", "/snapshots/{id}", snapshots.update_snapshot, "project"),
    Route("DELETE", "/snapshots/{id}", snapshots.delete_snapshot, "project"),
    Route("POST", "/snapshots/{id}/action", snapshots.act, "project"),
    Route("GET", "/snapshots/{id}/metadata", snapshots.show_metadata, "project"),
    Route("POST", "/snapshots/{id}/metadata", snapshots.add_metadata, "project"),
    Route("PUT", "/snapshots/{id}/metadata", snapshots.replace_metadata, "project"),
    Route("GET", "/snapshots/{id}/metadata/{key}", snapshots.show_item, "project"),
    Route("PUT", "/snapshots/{id}/metadata/{key}", snapshots.set_item, "project"),
    Route("DELETE", "/snapshots/{id}/metadata/{key}", snapshots.delete_item, "project"),
    Route("GET", "/types", types.list_types),
    Route("POST", "/types", types.create_type, "admin"),
    Route("GET", "/types/default", types.show_default),
    Route("GET", "/types/{id}", types.show_type),
    Route("PUT", "/types/{id}", types.update_type, "admin"),
    Route("DELETE", "/types/{id}", types.delete_type, "admin"),
    Route("GET", "/types/{id}/extra_specs", types.list_extra_specs),
    Route("POST", "/types/{id}/extra_specs", types.create_extra_specs, "admin"),
    Route("GET", "/types/{id}/extra_specs/{key}", types.show_extra_spec),
    Route("PUT", "/types/{id}/extra_specs/{key}", types.update_extra_spec, "admin"),
    Route("DELETE", "/types/{id}/extra_specs/{key}", types.delete_extra_spec, "admin"),
    Route("GET", "/types/{id}/encryption", types.show_encryption, "admin"),
    Route("GET", "/attachments", hosts.list_attachments, "project", since=(3, 27)),
    Route("GET", "/attachments/detail", hosts.list_attachments_detail, "project", since=(3, 27)),
    Route("GET", "/attachments/{id}", hosts.show_attachment, "project", since=(3, 27)),
    Route("GET", "/limits", limits.show_limits, "project"),
    Route("GET", "/os-quota-sets/{quota_project_id}", limits.show_quota),
    Route("PUT", "/os-quota-sets/{quota_project_id}", limits.update_quota, "admin"),
    Route("DELETE", "/os-quota-sets/{quota_project_id}", limits.delete_quota, "admin"),
    Route("GET", "/os-quota-sets/{quota_project_id}/defaults", limits.show_defaults),
    Route("GET", "/os-services", hosts.list_services, "admin"),
    Route("GET", "/os-hosts", hosts.list_hosts, "admin"),
    Route("GET", "/os-hosts/{id}", hosts.show_host, "admin"),
    Route("GET", "/scheduler-stats/get_pools", hosts.list_pools, "admin"),
    Route("GET", "/os-availability-zone", hosts.list_zones),
    Route("GET", "/resource_filters", hosts.list_filters, since=(3, 33)),
    Route("GET", "/extensions", hosts.list_extensions),
)


def _with_project(handler: Handler) -> Handler:
    """The same call at a path that names the project: it must be the token's own."""

    @wraps(handler)
    async def call(req: Request, project_id: str, **params: str) -> Reply:
        if project_id != req.caller.project_id:
            raise BadRequest("Malformed request url: it names another project than the token.")
        return await handler(req, **params)

    return call


ROUTES = (
    *(replace(route, path=f"/v3{route.path}") for route in PLAIN),
    *(replace(route, path=f"/v3/{{project_id}}{route.path}", handler=_with_project(route.handler)) for route in PLAIN),
)

SERVICE = Service(
    type="block-storage",
    name="cinder",
    mount="/volume",
    endpoint="/volume/v3",
    routes=ROUTES,
    fault=faults.nova,
    style="cinder",
    version="v3.0",
    lowest=(3, 0),
    highest=(3, 70),
    header_type="volume",
    request_id_header="x-compute-request-id",
)
OLD_NAME = replace(SERVICE, type="volumev3", name="cinderv3")
"""The same service under the name that older clients look for."""
