# SPDX-License-Identifier: Apache-2.0
"""Both languages and the controllers, in the metrics of a simulated cloud."""

from __future__ import annotations

import re

from tests.conformance.cloud import Here


def test_one_process_shows_both_languages_and_the_controllers(cloud: Here) -> None:
    cloud.openstack_ok("server", "list")
    text = cloud.kubectl_ok("get", "--raw", "/metrics")
    assert 'lichen_openstack_requests_total{code="200",method="GET",service="compute"}' in text
    assert 'apiserver_request_total{code="200",group="",resource="",subresource="",verb="GET"}' in text
    assert re.search(r'lichen_reconciles_total\{controller="[a-z-]+",result="success"\} [1-9]', text)
    assert "lichen_store_revision" in text
