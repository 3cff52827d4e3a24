# SPDX-License-Identifier: Apache-2.0
"""The services that are served, in the catalog's order. A service that is not here is not in the catalog either."""

from __future__ import annotations

from lichen.apis.openstack.compute import service as compute
from lichen.apis.openstack.identity import service as identity
from lichen.apis.openstack.image import service as image
from lichen.apis.openstack.network import service as network
from lichen.apis.openstack.routing import Service
from lichen.apis.openstack.volume import service as volume

SERVICES: tuple[Service, ...] = (
    identity.SERVICE, compute.SERVICE, image.SERVICE, network.SERVICE, volume.SERVICE, volume.OLD_NAME,
)  # fmt: skip
