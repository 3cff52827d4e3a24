# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from lichen.model.data import Data, field
from lichen.model.kind import Resource, kind


@kind("subnetpools", group="network", short=("snetpool",), subresources=())
class SubnetPool(Resource):
    """Ranges that subnets are cut from, so that whoever makes a subnet need not know which are free. A subnet names
    it by `subnetPool`; no two subnets of a pool overlap."""

    class Spec(Data):
        id: str = field(
            "OpenStack id; a fresh UUID by default.", default="", immutable=True, openstack="id", selectable=True
        )
        display_name: str = field(
            "Name as the user wrote it; may repeat.", default="", openstack="name", selectable=True
        )
        description: str = field("Free text.", default="", openstack="description", max_length=255)
        prefixes: list[str] = field("Ranges, all IPv4 or all IPv6; they can only grow.", openstack="prefixes")
        min_prefixlen: int = field(
            "The largest subnet that it gives. 0: /8, or /64 of IPv6.",
            default=0,
            minimum=0,
            maximum=128,
            openstack="min_prefixlen",
        )
        max_prefixlen: int = field(
            "The smallest subnet that it gives. 0: /32, or /128.",
            default=0,
            minimum=0,
            maximum=128,
            openstack="max_prefixlen",
        )
        default_prefixlen: int = field(
            "What it gives to those who name no size. 0: minPrefixlen.",
            default=0,
            minimum=0,
            maximum=128,
            column="Default",
            openstack="default_prefixlen",
        )
        default_quota: int | None = field(
            "Most addresses of IPv4 (/64s of IPv6) that one project may take.",
            default=None,
            minimum=0,
            openstack="default_quota",
        )
        shared: bool = field(
            "Every project may take from it.", default=False, column="Shared", openstack="shared", selectable=True
        )
        is_default: bool = field(
            "Meant by those who want any pool of its IP version.",
            default=False,
            openstack="is_default",
            selectable=True,
        )
        tags: list[str] = field("OpenStack tags.", default_factory=list, openstack="tags")

    spec: Spec = field("The ranges.")
