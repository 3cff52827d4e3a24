# SPDX-License-Identifier: Apache-2.0
"""Rules of security groups: what they may say, and those that groups begin with. Pure."""

from __future__ import annotations

import uuid

from lichen.kinds.faults import Faults
from lichen.kinds.network.ranges import parse_cidr
from lichen.model.data import Object
from lichen.model.errors import Cause

PROTOCOLS = {
    "ah": 51, "dccp": 33, "egp": 8, "esp": 50, "gre": 47, "icmp": 1, "icmpv6": 58, "igmp": 2, "ipip": 4,
    "ipv6-encap": 41, "ipv6-frag": 44, "ipv6-icmp": 58, "ipv6-nonxt": 59, "ipv6-opts": 60, "ipv6-route": 43,
    "ospf": 89, "pgm": 113, "rsvp": 46, "sctp": 132, "tcp": 6, "udp": 17, "udplite": 136, "vrrp": 112,
}  # fmt: skip
"""Neutron's names of IP protocols."""
WITH_PORTS = frozenset({6, 17, 33, 132, 136})
ICMP = frozenset({1, 58})
MOST_RULES = 1000
DEFAULT_GROUP = "default"


def protocol_number(protocol: str) -> int | None:
    """None: it is no protocol."""
    if protocol in PROTOCOLS:
        return PROTOCOLS[protocol]
    return int(protocol) if protocol.isascii() and protocol.isdigit() and int(protocol) <= 255 else None


def beginning(*, default: str = "") -> list[Object]:
    """The rules of a new group: all may leave. default: the id that a `default` group has; what is in it may come."""
    rules: list[Object] = [{"direction": "egress", "etherType": version} for version in ("IPv4", "IPv6")]
    if default:
        own = {"remoteGroup": DEFAULT_GROUP, "remoteGroupId": default}
        rules += [{"direction": "ingress", "etherType": version, **own} for version in ("IPv4", "IPv6")]
    return rules


def give_ids(rules: list[Object], old: list[Object]) -> None:
    """Each rule its id: the one it has, the one that an equal rule had before, or a fresh one."""
    used = {rule["id"] for rule in rules if rule.get("id")}
    held = {_content(rule): rule["id"] for rule in old if rule["id"] not in used}
    for rule in rules:
        if not rule.get("id"):
            rule["id"] = held.pop(_content(rule), "") or str(uuid.uuid4())


def _content(rule: Object) -> tuple[object, ...]:
    """What a rule lets through."""
    return (
        rule.get("direction"), rule.get("etherType") or "IPv4", rule.get("protocol") or "", rule.get("portMin"),
        rule.get("portMax"), rule.get("remoteCidr") or "", rule.get("remoteGroup") or "",
    )  # fmt: skip


def check_rules(rules: list[Object], faults: Faults) -> None:
    """Each makes sense by itself, and none is there twice."""
    if len(rules) > MOST_RULES:
        faults.invalid("spec.rules", len(rules), f"a group has at most {MOST_RULES} rules")
        return
    seen: dict[tuple[object, ...], str] = {}
    ids: set[str] = set()
    for index, rule in enumerate(rules):
        path = f"spec.rules[{index}]"
        _check(rule, path, faults)
        content = _content(rule)
        if content in seen:
            said = f"Security group rule already exists. Rule id is {seen[content]}."
            faults.append(Cause(path, said, "FieldValueDuplicate"))
        seen[content] = rule["id"]
        if rule["id"] in ids:
            faults.duplicate(f"{path}.id", rule["id"])
        ids.add(rule["id"])


def _check(rule: Object, path: str, faults: Faults) -> None:
    if rule.get("remoteCidr") and rule.get("remoteGroup"):
        faults.invalid(f"{path}.remoteCidr", rule["remoteCidr"], "only one of remoteCidr and remoteGroup may be given")
    family = 6 if rule.get("etherType") == "IPv6" else 4
    if rule.get("remoteCidr"):
        network = parse_cidr(rule["remoteCidr"], faults, f"{path}.remoteCidr")
        if network is not None and network.version != family:
            faults.invalid(f"{path}.remoteCidr", rule["remoteCidr"], f"is not of {rule.get('etherType') or 'IPv4'}")
    number = protocol_number(rule.get("protocol") or "") if rule.get("protocol") else 0
    if number is None:
        faults.invalid(f"{path}.protocol", rule["protocol"], "is no IP protocol")
        return
    low, high = rule.get("portMin"), rule.get("portMax")
    if number in ICMP:
        if low is None and high is not None:
            faults.invalid(f"{path}.portMin", low, "an ICMP code needs a type")
        for field, value in (("portMin", low), ("portMax", high)):
            if value is not None and value > 255:
                faults.invalid(f"{path}.{field}", value, "an ICMP type and code is from 0 to 255")
    elif low is not None or high is not None:
        if number not in WITH_PORTS:
            faults.invalid(f"{path}.portMin", low, "only tcp, udp, dccp, sctp and udplite have ports")
        elif low is None or high is None or low > high:
            faults.invalid(f"{path}.portMin", low, "a range of ports has a first and a last, in this order")
        elif low == 0:
            faults.invalid(f"{path}.portMin", low, "a port is from 1 to 65535")
