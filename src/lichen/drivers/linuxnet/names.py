# SPDX-License-Identifier: Apache-2.0
"""Names on the machine. Interface names hold 15 characters, so they are digests; the ids they stand for are in the
interfaces' aliases, which is what discovery reads."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

GATEWAY = "gw0"
"""The network's own interface, inside its namespace."""
OUTSIDE = "ext0"
"""A router's interface on its external network, inside the router's namespace."""
LINK_LOCAL = "169.254.169.254"
"""Its address on every network: DHCP answers from it on subnets that have no gateway."""


def short(thing_id: str) -> str:
    """Eight hex digits of an id."""
    return hashlib.sha256(thing_id.encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class Names:
    """prefix: at most 6 characters, before `b` (bridge), `t` (tap), `v` (veth) or `x` (the host's end
    of an external network).
    namespace: what the network namespaces' names and aliases begin with, and the nft table's name."""

    prefix: str = "l"
    namespace: str = "lichen"

    def bridge(self, network_id: str) -> str:
        return f"{self.prefix}b{short(network_id)}"

    @property
    def bridges(self) -> str:
        """How the names of all bridges begin."""
        return f"{self.prefix}b"

    @property
    def hosts(self) -> str:
        """How the names of the host's ends of external networks begin."""
        return f"{self.prefix}x"

    def tap(self, port_id: str) -> str:
        return f"{self.prefix}t{short(port_id)}"

    def veth(self, thing_id: str) -> str:
        return f"{self.prefix}v{short(thing_id)}"

    def host(self, network_id: str) -> str:
        """The host's own interface on an external network."""
        return f"{self.prefix}x{short(network_id)}"

    def netns(self, network_id: str) -> str:
        return f"{self.namespace}-{short(network_id)}"

    def owns(self, interface: str) -> bool:
        """Whether an interface's name is of this driver's making."""
        return re.fullmatch(re.escape(self.prefix) + "[btvx][0-9a-f]{8}", interface) is not None

    def alias(self, kind: str, thing_id: str) -> str:
        """What an interface says it is: kind is `network`, `gateway`, `router` or `port`."""
        return f"{self.namespace}:{kind}:{thing_id}"

    def parse(self, alias: str, kind: str) -> str:
        """The id in an alias of that kind, "" for any other alias."""
        mark = f"{self.namespace}:{kind}:"
        return alias[len(mark) :] if alias.startswith(mark) else ""
