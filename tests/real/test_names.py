# SPDX-License-Identifier: Apache-2.0
"""What a network's name server says of services, asked as a pod asks."""

from __future__ import annotations

import pytest

from lichen.drivers.linuxnet import LinuxNetworks
from tests.conformance.networks import a_network, a_port
from tests.real.machine import inside
from tests.real.test_networks import Site, networks, site

pytestmark = pytest.mark.real
__all__ = ["networks", "site"]


async def test_services_are_known_by_their_names_until_they_are_gone(site: Site, networks: LinuxNetworks) -> None:
    port = a_port("net-" + site.mark, 12)
    web, db = "web.demo.svc.cluster.local", "db.demo.svc.cluster.local"
    await networks.ensure_names({port.network_id: ((web, "10.96.0.10"), (db, "10.9.0.5"), (db, "10.9.0.6"))})
    await networks.ensure_network(a_network(port))
    pod = site.netns()
    await networks.plug_namespace(port, pod)

    async def asked(name: str) -> str:
        return await inside(pod, "busybox", "nslookup", "-type=a", name, "10.9.0.1", check=False)

    assert "10.96.0.10" in await asked(web)
    said = await asked(db)
    assert "10.9.0.5" in said and "10.9.0.6" in said
    assert "NXDOMAIN" in await asked("nothing.demo.svc.cluster.local")
    await networks.ensure_names({port.network_id: ((web, "10.96.0.11"),)})
    for _ in range(50):
        if "10.96.0.11" in await asked(web):
            break
    assert "NXDOMAIN" in await asked(db)
