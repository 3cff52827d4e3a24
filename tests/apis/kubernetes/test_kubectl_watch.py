# SPDX-License-Identifier: Apache-2.0
import asyncio

from tests.apis.kubernetes.conftest import Cloud
from tests.apis.kubernetes.objects import a_config_map, a_flavor, a_server
from tests.conformance.kubectl import Kubectl


async def line_of(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), 20)).decode().rstrip()


async def test_get_watch_follows_changes_in_columns(cloud: Cloud, kubectl: Kubectl) -> None:
    await cloud.apply(a_flavor(), a_server("s"))
    watching = await kubectl.start("get", "servers", "-w")
    try:
        assert (await line_of(watching)).startswith("NAME")
        assert (await line_of(watching)).split()[:2] == ["s", "small"]
        await cloud.apply(a_server("t"))
        assert (await line_of(watching)).split()[:2] == ["t", "small"]
        await kubectl.ok("patch", "server", "s", "--type=merge", "-p", '{"spec":{"power":"Off"}}')
        assert (await line_of(watching)).split()[:3] == ["s", "small", "Off"]
    finally:
        watching.kill()
        await watching.wait()


async def test_wait_ends_when_the_condition_holds(cloud: Cloud, kubectl: Kubectl) -> None:
    await cloud.apply(a_config_map("c", a="1"))
    waiting = await kubectl.start("wait", "--for=jsonpath={.data.a}=2", "configmap/c", "--timeout=20s")
    await asyncio.sleep(0.3)
    await kubectl.ok("patch", "cm", "c", "-p", '{"data":{"a":"2"}}')
    assert "condition met" in await line_of(waiting)
    assert await waiting.wait() == 0


async def test_wait_for_deletion(cloud: Cloud, kubectl: Kubectl) -> None:
    await cloud.apply(a_config_map("c"))
    waiting = await kubectl.start("wait", "--for=delete", "configmap/c", "--timeout=20s")
    await asyncio.sleep(0.3)
    await kubectl.ok("delete", "cm", "c")
    assert await waiting.wait() == 0
