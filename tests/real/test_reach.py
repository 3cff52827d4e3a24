# SPDX-License-Identifier: Apache-2.0
"""The node speaks to a pod's port through the network's namespace, as probes do."""

from __future__ import annotations

import asyncio

import pytest

from lichen.drivers.base import Reachable
from lichen.drivers.linuxnet import LinuxNetworks
from tests.conformance.networks import a_network, a_port
from tests.real.test_networks import Site, networks, site

pytestmark = pytest.mark.real
__all__ = ["networks", "site"]


async def test_a_node_reaches_what_listens_on_a_port_and_nothing_else(site: Site, networks: LinuxNetworks):
    assert isinstance(networks, Reachable)
    port = a_port("net-" + site.mark, 12)
    await networks.ensure_network(a_network(port))
    pod = site.netns()
    await networks.plug_namespace(port, pod)
    site.serve(pod, "page\n")
    async with asyncio.timeout(10):
        while True:
            try:
                answer = await networks.reach(
                    port.network_id, "10.9.0.12", 8080, b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"
                )
                break
            except ConnectionRefusedError:
                await asyncio.sleep(0.05)
    assert answer.startswith(b"HTTP/1.")
    assert await networks.reach(port.network_id, "10.9.0.12", 8080, b"") == b""
    with pytest.raises(ConnectionRefusedError):
        await networks.reach(port.network_id, "10.9.0.12", 8081, b"")
