# SPDX-License-Identifier: Apache-2.0
import asyncio
import json
from typing import Any

import aiohttp

from lichen.kernel.kernel import SYSTEM
from lichen.kinds.builtin import CRD
from tests.apis.kubernetes.conftest import Cloud
from tests.conformance.kubectl import Kubectl
from tests.kernel.custom.crontab import GROUP, a_crontab, a_definition, a_version, define


async def document(cloud: Cloud, path: str) -> Any:
    headers = {"authorization": "Bearer admin-token"}
    async with (
        aiohttp.ClientSession(headers=headers) as client,
        client.get(cloud.url + path, ssl=False) as answer,
    ):
        assert answer.status == 200
        return await answer.json(content_type=None)


async def test_a_kind_is_installed_used_and_removed(cloud: Cloud, kubectl: Kubectl) -> None:
    assert "customresourcedefinition.apiextensions.k8s.io/crontabs.stable.example.com created" in await kubectl.ok(
        "apply", "-f", "-", input=a_definition()
    )
    await kubectl.ok("wait", "--for=condition=Established", f"crd/crontabs.{GROUP}", "--timeout=10s")
    assert await kubectl.ok("apply", "-f", "-", input=a_crontab()) == "crontab.stable.example.com/one created\n"
    rows = [line.split() for line in (await kubectl.ok("get", "ct")).splitlines()]
    assert rows[0] == ["NAME", "SCHEDULE", "REPLICAS", "AGE"]
    assert rows[1][:-1] == ["one", "*", "*", "*", "*", "*/5", "1"]
    assert "crontab.stable.example.com/one" in await kubectl.ok("get", "all", "-o", "name")
    assert "crontabs" in await kubectl.ok("api-resources", "--api-group", GROUP, "-o", "name")
    assert await kubectl.ok("scale", "ct/one", "--replicas=3") == "crontab.stable.example.com/one scaled\n"
    assert await kubectl.ok("get", "ct", "one", "-o", "jsonpath={.spec.replicas}") == "3"
    changed = a_crontab(image="other")
    assert await kubectl.ok("apply", "-f", "-", input=changed) == "crontab.stable.example.com/one configured\n"
    assert "cronSpec" in await kubectl.ok("explain", "crontab.spec")
    assert "APIVersion defines the versioned schema" in await kubectl.ok("explain", "crontab")
    assert "Standard object's metadata" in await kubectl.ok("explain", "crontab.metadata")
    assert "Cron Spec:" in await kubectl.ok("describe", "ct", "one")
    await kubectl.ok("delete", "crd", f"crontabs.{GROUP}", "--timeout=10s")
    assert "NotFound" in await kubectl.fails("get", "ct")


async def test_what_breaks_the_schema_is_told_to_kubectl(cloud: Cloud, kubectl: Kubectl) -> None:
    await define(cloud.kernel.acting(SYSTEM))
    said = await kubectl.fails("apply", "-f", "-", input=a_crontab(replicas=99))
    assert 'The CronTab "one" is invalid: spec.replicas: Invalid value: 99' in said
    said = await kubectl.fails("apply", "-f", "-", input=a_crontab(speling=1))
    assert 'strict decoding error: unknown field "spec.speling"' in said
    assert "created" in await kubectl.ok("apply", "--validate=ignore", "-f", "-", input=a_crontab(speling=1))


async def test_discovery_and_openapi_follow_the_definitions(cloud: Cloud) -> None:
    session = cloud.kernel.acting(SYSTEM)
    before = await document(cloud, "/openapi/v3")
    await define(session)
    groups = await document(cloud, "/apis")
    assert {"groupVersion": f"{GROUP}/v1", "version": "v1"} in [g["preferredVersion"] for g in groups["groups"]]
    listed = await document(cloud, f"/apis/{GROUP}/v1")
    assert [r["name"] for r in listed["resources"]] == ["crontabs", "crontabs/status", "crontabs/scale"]
    after = await document(cloud, "/openapi/v3")
    assert set(after["paths"]) - set(before["paths"]) == {f"apis/{GROUP}/v1"}
    assert after["paths"]["api/v1"] == before["paths"]["api/v1"]
    schema = await document(cloud, f"/openapi/v3/apis/{GROUP}/v1")
    published = schema["components"]["schemas"]["com.example.stable.v1.CronTab"]
    assert published["properties"]["spec"]["properties"]["replicas"]["maximum"] == 10
    assert "com.example.stable.v1.CronTab" in (await document(cloud, "/openapi/v2"))["definitions"]
    definition = a_definition(a_version(), a_version("v2", storage=False))
    await session.patch(CRD, f"crontabs.{GROUP}", "", {"spec": {"versions": definition["spec"]["versions"]}})
    assert f"apis/{GROUP}/v2" in (await document(cloud, "/openapi/v3"))["paths"]
    definition["spec"]["versions"][1]["served"] = False
    await session.patch(CRD, f"crontabs.{GROUP}", "", {"spec": {"versions": definition["spec"]["versions"]}})
    assert f"apis/{GROUP}/v2" not in (await document(cloud, "/openapi/v3"))["paths"]
    assert "com.example.stable.v2.CronTab" not in (await document(cloud, "/openapi/v2"))["definitions"]


async def test_a_watch_shows_every_version(cloud: Cloud, kubectl: Kubectl) -> None:
    session = cloud.kernel.acting(SYSTEM)
    await define(session, a_version(), a_version("v2", storage=False))
    watching = await kubectl.start("get", "crontabs.v2." + GROUP, "-w", "-o", "json")
    await kubectl.ok("create", "-f", "-", input=a_crontab())
    assert watching.stdout is not None
    seen = b""
    async with asyncio.timeout(20):
        while not seen.rstrip().endswith(b"\n}"):
            seen += await watching.stdout.read(65536)
    watching.kill()
    await watching.communicate()
    assert json.loads(seen)["apiVersion"] == f"{GROUP}/v2"
