# SPDX-License-Identifier: Apache-2.0
"""GET /metrics, as Prometheus reads it."""

from __future__ import annotations

import json

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from tests.apis.kubernetes.conftest import Cloud
from tests.conformance.kubectl import Kubectl, trusting

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def _scrape(kubectl: Kubectl) -> Samples:
    text = await kubectl.ok("get", "--raw", "/metrics")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _of(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((name, frozenset(labels.items())), 0.0)


async def test_a_request_is_counted_by_what_it_is_about_and_how_it_ended(kubectl: Kubectl) -> None:
    labels = {"verb": "GET", "group": "apps", "resource": "deployments"}
    before = await _scrape(kubectl)
    await kubectl.fails("get", "--raw", "/apis/apps/v1/namespaces/default/deployments/none")
    after = await _scrape(kubectl)

    def more(name: str, **labels: str) -> float:
        return _of(after, name, **labels) - _of(before, name, **labels)

    assert more("apiserver_request_total", **labels, subresource="", code="404") == 1
    assert more("apiserver_request_duration_seconds_count", **labels) == 1
    assert more("apiserver_request_duration_seconds_bucket", **labels, le="+Inf") == 1


async def test_names_that_clients_invent_make_no_labels(kubectl: Kubectl) -> None:
    await kubectl.fails("get", "--raw", "/api/v1/namespaces/default/inventions/x")
    await kubectl.fails("get", "--raw", "/api/v1/namespaces/default/pods/x/invention")
    assert "invention" not in await kubectl.ok("get", "--raw", "/metrics")


async def test_the_store_and_the_process_show_their_size(kubectl: Kubectl, cloud: Cloud) -> None:
    before = _of(await _scrape(kubectl), "lichen_store_objects", group="", resource="configmaps")
    await cloud.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"}})
    after = await _scrape(kubectl)
    assert _of(after, "lichen_store_objects", group="", resource="configmaps") == before + 1
    assert _of(after, "lichen_store_revision") == cloud.kernel.store.revision
    assert _of(after, "process_resident_memory_bytes") > 0


async def test_who_may_not_get_the_path_sees_none_of_it(cloud: Cloud) -> None:
    assert "Forbidden" in await cloud.kubectl("member-token").fails("get", "--raw", "/metrics")
    connector = aiohttp.TCPConnector(ssl=trusting(cloud.certificate))
    async with aiohttp.ClientSession(connector=connector) as nobody, nobody.get(cloud.url + "/metrics") as answer:
        assert answer.status == 403
        assert "process_" not in await answer.text()


async def test_one_process_lists_its_one_page_and_has_no_other(kubectl: Kubectl, cloud: Cloud) -> None:
    (target,) = json.loads(await kubectl.ok("get", "--raw", "/metrics/"))
    assert target == {
        "targets": [cloud.url.removeprefix("https://")],
        "labels": {"__scheme__": "https", "__metrics_path__": "/metrics", "process": "kernel"},
    }
    assert "one process" in await kubectl.fails("get", "--raw", "/metrics/node")
    assert "Forbidden" in await cloud.kubectl("member-token").fails("get", "--raw", "/metrics/node")
