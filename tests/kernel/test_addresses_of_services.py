# SPDX-License-Identifier: Apache-2.0
"""ServiceCIDRs and IPAddresses: the ranges that services have their addresses from, and each address."""

from __future__ import annotations

import pytest

from lichen.kernel.admission.services import IP_ADDRESS
from lichen.kinds.builtin import SERVICE_CIDR
from lichen.model.errors import Invalid
from lichen.model.kind import new_object
from lichen.model.meta import find_condition
from tests.kernel.helpers import a_kernel

PARENT = {"parentRef": {"group": "", "resource": "services", "namespace": "default", "name": "x"}}


async def test_the_range_of_services_is_there_and_ready_and_others_say_that_they_are_not_used():
    kernel = await a_kernel()
    session = kernel.acting(await kernel.authenticate(""))
    own = await session.get(SERVICE_CIDR, "kubernetes")
    assert own["spec"]["cidrs"] == ["10.96.0.0/16"]
    assert (find_condition(own, "Ready") or {})["status"] == "True"
    more = await session.create(SERVICE_CIDR, new_object(SERVICE_CIDR, "more", spec={"cidrs": ["10.1.0.0/24"]}))
    assert (find_condition(more, "Ready") or {})["reason"] == "NotUsed"
    with pytest.raises(Invalid):
        await session.patch(SERVICE_CIDR, "more", "", {"spec": {"cidrs": ["10.2.0.0/24"]}})


async def test_an_address_is_named_by_itself_in_its_shortest_form():
    kernel = await a_kernel()
    session = kernel.acting(await kernel.authenticate(""))
    for name in ("255.255.255.255", "fe80::42:1dff:fe84:f9e2"):
        await session.create(IP_ADDRESS, new_object(IP_ADDRESS, name, spec=PARENT))
    for name in ("10.0.0.256", "fe80:0::1", "name"):
        with pytest.raises(Invalid):
            await session.create(IP_ADDRESS, new_object(IP_ADDRESS, name, spec=PARENT))
