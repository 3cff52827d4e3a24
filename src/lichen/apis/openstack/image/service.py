# SPDX-License-Identifier: Apache-2.0
"""The image service's ROUTES."""

from __future__ import annotations

from lichen.apis.openstack import faults
from lichen.apis.openstack.image import data, discovery, images, members
from lichen.apis.openstack.routing import Route, Service

ROUTES = (
    Route("GET", "/v2/images", images.list_images),
    Route("POST", "/v2/images", images.create_image, "project"),
    Route("GET", "/v2/images/{id}", images.show_image),
    Route("PATCH", "/v2/images/{id}", images.update_image),
    Route("DELETE", "/v2/images/{id}", images.delete_image),
    Route("PUT", "/v2/images/{id}/file", data.upload),
    Route("GET", "/v2/images/{id}/file", data.download),
    Route("PUT", "/v2/images/{id}/tags/{tag}", images.add_tag),
    Route("DELETE", "/v2/images/{id}/tags/{tag}", images.remove_tag),
    Route("POST", "/v2/images/{id}/actions/deactivate", images.deactivate, "admin"),
    Route("POST", "/v2/images/{id}/actions/reactivate", images.reactivate, "admin"),
    Route("GET", "/v2/images/{id}/members", members.list_members),
    Route("POST", "/v2/images/{id}/members", members.add_member, "project"),
    Route("GET", "/v2/images/{id}/members/{member_id}", members.show_member),
    Route("PUT", "/v2/images/{id}/members/{member_id}", members.update_member, "project"),
    Route("DELETE", "/v2/images/{id}/members/{member_id}", members.delete_member, "project"),
    Route("GET", "/v2/schemas/member", members.member_schema),
    Route("GET", "/v2/schemas/members", members.members_schema),
    Route("GET", "/v2/info/import", discovery.import_methods),
    Route("GET", "/v2/tasks", discovery.list_tasks, "admin"),
    Route("GET", "/v2/schemas/image", discovery.image_schema),
    Route("GET", "/v2/schemas/images", discovery.images_schema),
)

SERVICE = Service(
    type="image",
    name="glance",
    mount="/image",
    endpoint="/image",
    routes=ROUTES,
    fault=faults.glance,
    style="glance",
    version="v2.7",
    older_versions=("v2.6", "v2.5", "v2.4", "v2.3", "v2.2", "v2.1", "v2.0"),
)
