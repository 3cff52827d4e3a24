# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from lichen.apis.openstack.access_rules import allowed

RULES = ("GET compute /v2.1/servers/*/ips", "POST compute /v2.1/servers", "GET image /v2/images/**")


@pytest.mark.parametrize(
    ("method", "service", "path", "may"),
    [
        ("GET", "compute", "/v2.1/servers/1/ips", True),
        ("GET", "compute", "/v2.1/servers/1/2/ips", False),
        ("GET", "compute", "/v2.1/servers", False),
        ("POST", "compute", "/v2.1/servers", True),
        ("POST", "image", "/v2.1/servers", False),
        ("GET", "image", "/v2/images/1/file", True),
        ("GET", "image", "/v2/imagesX", False),
    ],
)
def test_a_call_is_allowed_by_method_service_and_path(method: str, service: str, path: str, may: bool):
    assert allowed(RULES, method, service, path) is may
