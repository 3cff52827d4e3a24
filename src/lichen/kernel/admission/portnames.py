# SPDX-License-Identifier: Apache-2.0
"""Ports that want more than their own addresses, or no guard at all; and names of ports and domains of networks, which
end up in a name server's files and so are checked to the letter."""

from __future__ import annotations

import re

from lichen.kernel.admission import Request, refused
from lichen.kernel.admission.ports import is_foreign
from lichen.kinds.faults import Faults
from lichen.kinds.network.network import Network
from lichen.kinds.network.port import Port
from lichen.kinds.network.ranges import range_of
from lichen.model.data import Object
from lichen.model.kind import Kind
from lichen.model.names import is_dns_label, is_dns_subdomain

MOST_PAIRS = 10
POD = "pod"
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


class PortWishes:
    """Whose network it is may let its ports send from other addresses, or unguarded; on a network that others share
    only the cloud's admin may."""

    kinds: tuple[Kind, ...] | None = (Port.KIND,)
    verbs: tuple[str, ...] = ("create", "update")

    async def admit(self, request: Request) -> None:
        if request.subresource:
            return
        spec, faults = request.object["spec"], Faults()
        old: Object = (request.old or {}).get("spec") or {}
        _check_pairs(spec, faults)
        if spec.get("dnsName") and not is_dns_label(spec["dnsName"]):
            faults.invalid("spec.dnsName", spec["dnsName"], "is not a DNS label: a-z, 0-9 and - inside")
        if spec.get("portSecurity") is False and spec.get("securityGroups"):
            why = "port security must be enabled, and the port have addresses, to use security groups"
            faults.invalid("spec.portSecurity", False, why)
        faults.raise_any(request.kind, request.name)
        wants = [key for key in ("portSecurity", "allowedAddressPairs") if spec.get(key) != old.get(key)]
        loosened = [key for key in wants if spec.get(key) is False or (key == "allowedAddressPairs" and spec.get(key))]
        if request.caller.is_cloud:
            return
        _check_device(request, spec, old)
        if loosened and is_foreign(spec):
            raise refused(request, f"only the network's owner may set {' and '.join(loosened)} of its ports")


class NetworkNames:
    """A network's domain is one."""

    kinds: tuple[Kind, ...] | None = (Network.KIND,)
    verbs: tuple[str, ...] = ("create", "update")

    async def admit(self, request: Request) -> None:
        domain, faults = str(request.object["spec"].get("dnsDomain") or ""), Faults()
        if domain and not is_dns_subdomain(domain.removesuffix(".")):
            faults.invalid("spec.dnsDomain", domain, "is not a DNS domain: labels of a-z, 0-9 and -, joined by dots")
        faults.raise_any(request.kind, request.name)


def _check_device(request: Request, spec: Object, old: Object) -> None:
    """What a port belongs to decides who trusts it: a network's servers are its owner's, a pod's port is the cloud's
    to make."""
    owner, before = spec.get("deviceOwner") or "", old.get("deviceOwner") or ""
    if owner != before and owner.startswith("network:") and is_foreign(spec):
        raise refused(request, f"only the network's owner may set deviceOwner to {owner}")
    if POD in (owner, before) and any(spec.get(key) != old.get(key) for key in ("deviceOwner", "deviceId")):
        raise refused(request, "the port of a pod is made by the cloud")


def _check_pairs(spec: Object, faults: Faults) -> None:
    pairs = spec.get("allowedAddressPairs") or []
    if len(pairs) > MOST_PAIRS:
        faults.invalid("spec.allowedAddressPairs", len(pairs), f"at most {MOST_PAIRS} pairs")
    for number, pair in enumerate(pairs):
        path = f"spec.allowedAddressPairs[{number}]"
        if range_of(str(pair.get("ipAddress", ""))) is None:
            faults.invalid(f"{path}.ipAddress", pair.get("ipAddress"), "is neither an address nor a range")
        if pair.get("macAddress"):
            pair["macAddress"] = str(pair["macAddress"]).lower().replace("-", ":")
            if not _MAC.fullmatch(pair["macAddress"]):
                faults.invalid(f"{path}.macAddress", pair["macAddress"], "is not a MAC address")
    if pairs and spec.get("portSecurity") is False:
        faults.invalid("spec.allowedAddressPairs", pairs, "port security must be enabled to have them")
