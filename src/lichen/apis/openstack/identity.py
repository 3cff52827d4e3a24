# SPDX-License-Identifier: Apache-2.0
"""Identity v3 (keystone): tokens, projects, users, groups, roles, assignments, and the catalog."""

from __future__ import annotations

from lichen.apis.openstack import faults
from lichen.apis.openstack.routing import Service

SERVICE = Service(
    type="identity",
    name="keystone",
    mount="/identity",
    endpoint="/identity",
    routes=(),
    fault=faults.keystone,
    style="keystone",
    version="v3.14",
)
