# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

from lichen.planning.endpoints import plan_endpoints
from lichen.planning.steps import Create


def an_endpoint(ip: str) -> dict[str, Any]:
    return {"addresses": [ip], "conditions": {"ready": True}, "targetRef": {"kind": "Pod", "name": ip}}


def test_addresses_are_in_order():
    service = {
        "metadata": {"name": "web", "namespace": "demo"},
        "spec": {"selector": {"app": "web"}, "clusterIP": "10.96.0.9"},
    }
    piece = {"endpoints": [an_endpoint(ip) for ip in ("10.0.0.10", "10.0.0.9", "10.0.0.2")], "ports": [{"port": 80}]}
    (step,) = plan_endpoints(service, [piece], None)
    assert isinstance(step, Create)
    addresses = step.object["subsets"][0]["addresses"]
    assert [address["ip"] for address in addresses] == ["10.0.0.2", "10.0.0.9", "10.0.0.10"]
