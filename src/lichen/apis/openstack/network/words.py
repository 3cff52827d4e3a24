# SPDX-License-Identifier: Apache-2.0
"""The kernel's refusals in Neutron's words: the names of its exceptions, and attributes as its clients know them."""

from __future__ import annotations

import re
from functools import wraps
from typing import Any

from lichen.apis.openstack.network.attributes import typed
from lichen.apis.openstack.reply import Reply
from lichen.apis.openstack.routing import Handler
from lichen.kinds.network.floatingip import FloatingIP
from lichen.kinds.network.network import Network
from lichen.kinds.network.port import FixedIP, Port
from lichen.kinds.network.router import Router
from lichen.kinds.network.securitygroup import SecurityGroup, SecurityGroupRule
from lichen.kinds.network.subnet import Subnet
from lichen.kinds.network.subnetpool import SubnetPool
from lichen.model.data import camel
from lichen.model.errors import ApiError, BadRequest, Cause, Conflict, Invalid, NotFound

_CONFLICTS = (
    ("already allocated", "IpAddressAlreadyAllocated"),
    ("No more IP addresses", "IpAddressGenerationFailure"),
    ("mac address", "MacAddressInUse"),
    ("ports still in use on the network", "NetworkInUse"),
    ("have an IP allocation from", "SubnetInUse"),
    ("Security Group", "SecurityGroupInUse"),
    ("still has ports", "RouterInUse"),
    ("Gateway cannot be updated", "RouterExternalGatewayInUseByFloatingIp"),
    ("Cannot associate floating IP", "FloatingIPPortAlreadyAssociated"),
    ("Unable to delete subnet pool", "SubnetPoolInUse"),
    ("Insufficient prefix space", "SubnetAllocationError"),
    ("subnet pool prefix quota", "SubnetPoolQuotaExceeded"),
    ("removing default security group", "SecurityGroupCannotRemoveDefault"),
)
_FAULTS = (
    ("Router already has a port on subnet", "BadRequest", 400),
    ("overlaps with cidr", "BadRequest", 400),
    ("is not reachable from subnet", "ExternalGatewayForFloatingIPNotFound", 404),
    ("does not have fixed ip", "InvalidInput", 400),
    ("is no IP protocol", "SecurityGroupRuleInvalidProtocol", 400),
    ("a range of ports has", "SecurityGroupInvalidPortRange", 400),
    ("an ICMP type and code", "SecurityGroupInvalidIcmpValue", 400),
    ("an ICMP code needs a type", "SecurityGroupMissingIcmpType", 400),
    ("only one of remoteCidr", "SecurityGroupMultipleRemoteEntites", 400),
    ("prefixes can only be added", "IllegalSubnetPoolPrefixUpdate", 400),
    ("pools must not overlap", "OverlappingAllocationPools", 409),
    ("must not hold the gateway", "GatewayConflictWithAllocationPools", 409),
    ("start must not be behind end", "InvalidAllocationPool", 400),
    ("is not a valid IP address for the network's subnets", "InvalidIpForNetwork", 400),
)
_NAMES = {
    (info.wire or camel(name)): info.openstack
    for shape in (
        Network.Spec,
        Subnet.Spec,
        Port.Spec,
        FixedIP,
        SecurityGroup.Spec,
        SecurityGroupRule,
        Router.Spec,
        FloatingIP.Spec,
        SubnetPool.Spec,
    )
    for name, info in shape.declared_fields.items()
    if info.openstack
}
_ERRORS: dict[int, type[ApiError]] = {400: BadRequest, 404: NotFound, 409: Conflict}
_FIELD = re.compile(r"spec\.|[A-Za-z]+")


def spoken(handler: Handler) -> Handler:
    """The handler, its refusals in Neutron's words."""

    @wraps(handler)
    async def speaking(*arguments: Any, **named: Any) -> Reply:
        try:
            return await handler(*arguments, **named)
        except (Invalid, Conflict) as error:
            raise in_neutrons_words(error) from error

    return speaking


def in_neutrons_words(error: ApiError) -> ApiError:
    if getattr(error, "openstack_type", ""):
        return error
    if isinstance(error, Invalid) and error.causes:
        return _invalid(error.causes)
    if isinstance(error, Conflict):
        fault = next((name for words, name in _CONFLICTS if words in error.message), "Conflict")
        return typed(error, fault)
    return error


def _invalid(causes: tuple[Cause, ...]) -> ApiError:
    twice = next((cause for cause in causes if "rule already exists" in cause.message), None)
    if twice is not None:  # where it is among the group's rules is nothing to who adds one
        return typed(Conflict(twice.message), "SecurityGroupRuleExists")
    said = "; ".join(f"{_attribute(cause.field)}: {cause.message.removesuffix('.')}" for cause in causes)
    fault, code = next(
        ((name, code) for words, name, code in _FAULTS if any(words in c.message for c in causes)),
        ("InvalidInput", 400),
    )
    message = f"Invalid input for operation: {said}."
    return typed(_ERRORS[code](message), fault)


def _attribute(field: str) -> str:
    """`spec.allocationPools[0].start` → `allocation_pools[0].start`."""
    return _FIELD.sub(lambda m: "" if m[0] == "spec." else _NAMES.get(m[0], m[0]), field)
