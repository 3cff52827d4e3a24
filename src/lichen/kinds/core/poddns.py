# SPDX-License-Identifier: Apache-2.0
"""What a pod's resolv.conf and hosts file are made of: addresses and names, so that no value is a line of its own."""

from __future__ import annotations

from lichen.kinds.faults import Faults
from lichen.kinds.network.ranges import address_of
from lichen.model.data import Object
from lichen.model.names import is_dns_subdomain

MAX_NAMESERVERS, MAX_SEARCHES = 3, 32
_NAME = "must be a DNS subdomain name"


def check_names(spec: Object, path: str, faults: Faults) -> None:
    """dnsConfig and hostAliases of a pod's spec."""
    config = spec.get("dnsConfig") or {}
    here = f"{path}.dnsConfig"
    servers, searches = config.get("nameservers") or (), config.get("searches") or ()
    if len(servers) > MAX_NAMESERVERS:
        faults.invalid(f"{here}.nameservers", len(servers), f"must not have more than {MAX_NAMESERVERS} nameservers")
    if len(searches) > MAX_SEARCHES:
        faults.invalid(f"{here}.searches", len(searches), f"must not have more than {MAX_SEARCHES} search paths")
    for index, server in enumerate(servers):
        _address(server, f"{here}.nameservers[{index}]", faults)
    for index, search in enumerate(searches):
        if search != "." and not is_dns_subdomain(search.removesuffix(".").replace("_", "-")):
            faults.invalid(f"{here}.searches[{index}]", search, _NAME)
    for index, option in enumerate(config.get("options") or ()):
        words = (option.get("name") or "", option.get("value") or "")
        if not words[0]:
            faults.required(f"{here}.options[{index}].name")
        elif any(not word.isprintable() or " " in word for word in words):
            faults.invalid(f"{here}.options[{index}]", words[0], "must be one word")
    for index, alias in enumerate(spec.get("hostAliases") or ()):
        _address(alias.get("ip") or "", f"{path}.hostAliases[{index}].ip", faults)
        for number, name in enumerate(alias.get("hostnames") or ()):
            if not is_dns_subdomain(name):
                faults.invalid(f"{path}.hostAliases[{index}].hostnames[{number}]", name, _NAME)


def _address(text: str, path: str, faults: Faults) -> None:
    if address_of(text) is None:
        faults.invalid(path, text, "must be a valid IP address")
