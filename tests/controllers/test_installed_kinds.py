# SPDX-License-Identifier: Apache-2.0
"""Objects of installed kinds go with their namespace."""

from lichen.kinds.builtin import NAMESPACE
from tests.controllers.world import Cloud
from tests.kernel.custom.crontab import CRONTAB, a_crontab, define


async def test_a_namespace_goes_with_objects_of_installed_kinds(cloud: Cloud) -> None:
    await define(cloud.state)
    crontab = a_crontab()
    crontab["metadata"]["namespace"] = "demo"
    await cloud.state.create(CRONTAB, crontab)
    await cloud.state.delete(NAMESPACE, "demo")
    await cloud.until_gone(NAMESPACE, "demo")
    assert (await cloud.state.list(CRONTAB)).items == []
