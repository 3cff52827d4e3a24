# SPDX-License-Identifier: Apache-2.0
"""What a text says twice, or says that nobody knows, as the caller wants to hear of it."""

from __future__ import annotations

import base64
import json
from typing import Any

import aiohttp

from lichen.kernel.kernel import SYSTEM
from tests.apis.kubernetes.conftest import Cloud
from tests.kernel.custom.crontab import GROUP, a_crontab, define

MAPS = "/api/v1/namespaces/default/configmaps"
CRONTABS = f"/apis/{GROUP}/v1/namespaces/default/crontabs"
TWICE = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"m"},"data":{"a":"1","a":"2"},"other":1}'


async def send(
    cloud: Cloud, method: str, path: str, body: str, media: str = "application/json"
) -> tuple[int, Any, list[str]]:
    headers = {"authorization": "Bearer admin-token", "content-type": media}
    async with (
        aiohttp.ClientSession(headers=headers) as client,
        client.request(method, cloud.url + path, data=body, ssl=False) as answer,
    ):
        return answer.status, await answer.json(), answer.headers.getall("warning", [])


async def test_strictly_nothing_may_be_unknown_or_doubled(cloud: Cloud) -> None:
    code, status, _ = await send(cloud, "POST", f"{MAPS}?fieldValidation=Strict", TWICE)
    assert code == 400
    assert 'strict decoding error: unknown field "other", duplicate field "data.a"' in status["message"]
    code, made, warnings = await send(cloud, "POST", f"{MAPS}?fieldValidation=Warn", TWICE)
    assert (code, made["data"]) == (201, {"a": "2"})
    assert warnings == ['299 - "unknown field \\"other\\""', '299 - "duplicate field \\"data.a\\""']
    code, made, warnings = await send(cloud, "PUT", f"{MAPS}/m?fieldValidation=Ignore", TWICE)
    assert (code, warnings) == (200, [])


async def test_an_apply_names_what_the_schema_does_not_declare(cloud: Cloud) -> None:
    await define(cloud.kernel.acting(SYSTEM))
    text = json.dumps({**a_crontab(), "metadata": {"name": "c", "odd": 1}, "other": 2})
    path = f"{CRONTABS}/c?fieldManager=m&fieldValidation=Strict"
    code, status, _ = await send(cloud, "PATCH", path, text, "application/apply-patch+yaml")
    assert code == 400
    assert "failed to create typed patch object" in status["message"]
    assert ".metadata.odd: field not declared in schema" in status["message"]
    assert ".other: field not declared in schema" in status["message"]


async def test_yaml_that_is_applied_is_looked_through_too(cloud: Cloud) -> None:
    await define(cloud.kernel.acting(SYSTEM))
    text = f"""
apiVersion: {GROUP}/v1
kind: CronTab
metadata: {{name: one, unknownMeta: x}}
spec:
  cronSpec: "* * * * */5"
  image: a
  image: b
"""
    path = f"{CRONTABS}/one?fieldManager=me&fieldValidation="
    code, status, _ = await send(cloud, "PATCH", path + "Strict", text, "application/apply-patch+yaml")
    assert code == 400
    assert 'line 8: key "image" already set in map' in status["message"]
    assert 'unknown field "metadata.unknownMeta"' in status["message"]
    code, made, _ = await send(cloud, "PATCH", path + "Ignore", text, "application/apply-patch+yaml")
    assert (code, made["spec"]["image"]) == (201, "b")


async def test_unknown_metadata_of_an_installed_kind_and_of_what_it_embeds(cloud: Cloud) -> None:
    await define(cloud.kernel.acting(SYSTEM))
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "strange": 1}, "spec": {"free": 1}}
    body = json.dumps(a_crontab(pod=pod))
    code, status, _ = await send(cloud, "POST", f"{CRONTABS}?fieldValidation=Strict", body)
    assert code == 400
    assert 'unknown field "spec.pod.metadata.strange"' in status["message"]


async def test_helm_keeps_its_releases_and_installs_what_a_chart_says(cloud: Cloud) -> None:
    """The calls that Helm 3 makes, in its order."""
    code, version, _ = await send(cloud, "GET", "/version", "")
    assert (code, version["major"]) == (200, "1")
    labels = {"owner": "helm", "name": "web", "status": "deployed", "version": "1", "modifiedAt": "1"}
    secrets = "/api/v1/namespaces/default/secrets"
    code, found, _ = await send(cloud, "GET", f"{secrets}?labelSelector=name%3Dweb%2Cowner%3Dhelm", "")
    assert (code, found["items"]) == (200, [])
    release = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "sh.helm.release.v1.web.v1", "labels": {**labels, "status": "pending-install"}},
        "type": "helm.sh/release.v1",
        "data": {"release": base64.b64encode(bytes(10_000)).decode()},
    }
    code, made, _ = await send(cloud, "POST", secrets, json.dumps(release))
    assert (code, made["type"]) == (201, "helm.sh/release.v1")
    chart = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "web", "labels": {"app.kubernetes.io/managed-by": "Helm"}},
        "data": {"a": "1"},
    }
    code, made, _ = await send(cloud, "POST", f"{MAPS}?fieldManager=helm", json.dumps(chart))
    assert (code, made["metadata"]["managedFields"][0]["manager"]) == (201, "helm")
    patch = json.dumps({"data": {"a": "2"}})
    code, made, _ = await send(
        cloud, "PATCH", f"{MAPS}/web?fieldManager=helm", patch, "application/strategic-merge-patch+json"
    )
    assert (code, made["data"]) == (200, {"a": "2"})
    release["metadata"]["labels"] = labels  # type: ignore[index]
    code, made, _ = await send(cloud, "PUT", f"{secrets}/sh.helm.release.v1.web.v1", json.dumps(release))
    assert (code, made["metadata"]["labels"]["status"]) == (200, "deployed")
    code, found, _ = await send(cloud, "GET", f"{secrets}?labelSelector=owner%3Dhelm%2Cstatus%3Ddeployed", "")
    assert len(found["items"]) == 1
    await send(cloud, "DELETE", f"{MAPS}/web", '{"propagationPolicy":"Background"}')
    code, _, _ = await send(cloud, "DELETE", f"{secrets}/sh.helm.release.v1.web.v1", "")
    assert code == 200
