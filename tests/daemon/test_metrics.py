# SPDX-License-Identifier: Apache-2.0
"""Both languages and the controllers, in the metrics of a simulated cloud."""

from __future__ import annotations

import json
import re

from tests.conformance.cloud import Here, until


def test_one_process_shows_both_languages_and_the_controllers(cloud: Here) -> None:
    cloud.openstack_ok("server", "list")
    text = cloud.kubectl_ok("get", "--raw", "/metrics")
    assert 'lichen_openstack_requests_total{code="200",method="GET",service="compute"}' in text
    assert 'apiserver_request_total{code="200",group="",resource="",subresource="",verb="GET"}' in text
    assert re.search(r'lichen_reconciles_total\{controller="[a-z-]+",result="success"\} [1-9]', text)
    assert "lichen_store_revision" in text


def _value(text: str, series: str) -> float:
    return next((float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(series + " ")), 0.0)


def test_what_the_cloud_does_is_counted_where_it_is_done(cloud: Here) -> None:
    kubectl = cloud.kubectl_ok
    kubectl("-n", "demo", "create", "deployment", "counted", "--image=nginx", "--replicas=2")
    kubectl("-n", "demo", "rollout", "status", "deployment/counted", "--timeout=60s")
    kubectl("-n", "demo", "run", "huge", "--image=nginx", "--overrides", _asking_for("9000"))
    until("it is refused", lambda: "Unschedulable" in kubectl("-n", "demo", "get", "pod", "huge", "-o", "json"))
    text = kubectl("get", "--raw", "/metrics")
    assert _value(text, 'lichen_scheduler_placements_total{kind="Pod"}') >= 2
    assert _value(text, 'lichen_scheduler_rejections_total{kind="Pod",reason="Insufficient cpu"}') >= 1
    assert _value(text, 'lichen_agent_steps_total{about="pod",step="StartContainer"}') >= 2
    assert sum(_value(text, f'lichen_node_pods{{node="node-{n}"}}') for n in (1, 2, 3)) == 2
    assert 'lichen_node_guests{node="node-1"} 0.0' in text
    assert _value(text, 'lichen_watchers{group="",resource="pods"}') >= 1
    assert _value(text, 'lichen_tokens_issued_total{type="user"}') >= 1
    assert 'lichen_queue_depth{controller="deployment"}' in text
    assert 'lichen_queue_delayed{controller="deployment"}' in text
    kubectl("-n", "demo", "delete", "deployment/counted", "pod/huge", "--wait=false")


def _asking_for(cpu: str) -> str:
    container = {"name": "huge", "image": "nginx", "resources": {"requests": {"cpu": cpu}}}
    return json.dumps({"spec": {"containers": [container]}})
