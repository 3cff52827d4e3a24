# SPDX-License-Identifier: Apache-2.0
"""What a NetworkPolicy may say."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from lichen.kinds.core.common import check_port, one_of
from lichen.kinds.faults import Faults
from lichen.model.data import Object
from lichen.model.errors import BadRequest
from lichen.model.selectors import selector_of

PORT_NAME = 15
"""The longest name of a port."""


def default_network_policy(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("podSelector", {})
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]
    for port in _ports(spec):
        port.setdefault("protocol", "TCP")


def validate_network_policy(obj: Object, faults: Faults) -> None:
    spec = obj.get("spec") or {}
    _check_selector(spec.get("podSelector"), "spec.podSelector", faults)
    for index, kind in enumerate(spec.get("policyTypes") or ()):
        if kind not in ("Ingress", "Egress"):
            faults.unsupported(f"spec.policyTypes[{index}]", kind, ("Ingress", "Egress"))
    for way, side in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(way) or ()):
            for number, port in enumerate(rule.get("ports") or ()):
                _check_port(port, f"spec.{way}[{index}].ports[{number}]", faults)
            for number, peer in enumerate(rule.get(side) or ()):
                _check_peer(peer, f"spec.{way}[{index}].{side}[{number}]", faults)


def _ports(spec: Object) -> list[Object]:
    rules = [*(spec.get("ingress") or ()), *(spec.get("egress") or ())]
    return [port for rule in rules for port in rule.get("ports") or ()]


def _check_port(port: Object, path: str, faults: Faults) -> None:
    one_of(port, "protocol", ("TCP", "UDP", "SCTP"), path, faults)
    said, end = port.get("port"), port.get("endPort")
    if isinstance(said, str):
        if not _is_port_name(said):
            faults.invalid(
                f"{path}.port", said, "must be at most 15 lower case letters, digits and single '-', with a letter"
            )
    elif said is not None:
        check_port(said, f"{path}.port", faults)
    if end is None:
        return
    if not isinstance(said, int):
        faults.invalid(f"{path}.endPort", end, "may not be specified when `port` is not a number")
    elif not said <= end <= 65535:
        faults.invalid(f"{path}.endPort", end, "must be between `port` and 65535")


def _is_port_name(name: str) -> bool:
    parts = name.split("-")
    known = all(part.isascii() and part.isalnum() and part == part.lower() for part in parts)
    return known and len(name) <= PORT_NAME and any(c.isalpha() for c in name)


def _check_peer(peer: Object, path: str, faults: Faults) -> None:
    block = peer.get("ipBlock")
    selectors = [field for field in ("podSelector", "namespaceSelector") if peer.get(field) is not None]
    if block is None and not selectors:
        faults.required(path, "must specify a peer")
    if block is not None and selectors:
        faults.forbidden(path, "may not specify both ipBlock and another peer")
    for field in selectors:
        _check_selector(peer[field], f"{path}.{field}", faults)
    if block is not None:
        _check_block(block, f"{path}.ipBlock", faults)


def _check_block(block: Object, path: str, faults: Faults) -> None:
    whole = _network(block.get("cidr") or "", f"{path}.cidr", faults)
    for index, cidr in enumerate(block.get("except") or ()):
        part = _network(cidr, f"{path}.except[{index}]", faults)
        if whole is None or part is None:
            continue
        if part.version != whole.version or part == whole or not part.subnet_of(whole):
            faults.invalid(f"{path}.except[{index}]", cidr, f"must be a strict subset of `cidr` {block['cidr']}")


def _network(text: str, path: str, faults: Faults) -> Any:
    """A range; None and a fault if it is none. Bits beyond the prefix mean nothing."""
    try:
        if "/" not in text or "%" in text:
            raise ValueError(text)
        return ip_network(text, strict=False)
    except ValueError:
        faults.invalid(path, text, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)")
        return None


def _check_selector(selector: Object | None, path: str, faults: Faults) -> None:
    try:
        selector_of(selector or {})
    except BadRequest as error:
        faults.invalid(path, selector, error.message)
