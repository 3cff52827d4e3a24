# SPDX-License-Identifier: Apache-2.0
"""The services that are served, in the catalog's order. A service that is not here is not in the catalog either."""

from __future__ import annotations

from lichen.apis.openstack import identity
from lichen.apis.openstack.routing import Service

SERVICES: tuple[Service, ...] = (identity.SERVICE,)
