# SPDX-License-Identifier: Apache-2.0
"""Availability zones, as every service is asked for them. Anyone who is logged in may know them."""

from __future__ import annotations

from lichen.apis.openstack.nodes import DEFAULT_ZONE
from lichen.apis.openstack.request import Request
from lichen.kinds.compute.zone import Zone


async def usable_zones(req: Request) -> dict[str, bool]:
    """Zone → whether something new can be made there; only the default one while no node has come yet."""
    found = (await req.state.list(Zone.KIND)).items
    zones = {z["spec"]["displayName"]: bool((z.get("status") or {}).get("available")) for z in found}
    return dict(sorted(zones.items())) or {DEFAULT_ZONE: True}
