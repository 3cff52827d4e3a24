# SPDX-License-Identifier: Apache-2.0
import json
import logging

import pytest

from lichen.apis.kubernetes import access_log
from tests.apis.kubernetes.conftest import Cloud
from tests.conformance.kubectl import Kubectl


async def test_each_request_leaves_one_structured_line(
    cloud: Cloud, kubectl: Kubectl, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_log, "_EVERY", 0.0)
    caplog.set_level(logging.INFO, "lichen.access")
    await kubectl.fails("get", "--raw", "/api/v1/namespaces/default/pods/none")
    lines = [json.loads(record.message) for record in caplog.records if record.name == "lichen.access"]
    line = next(line for line in lines if line["path"].endswith("/none"))
    assert (line["verb"], line["user"], line["code"]) == ("GET", "admin", 404)
    assert line["id"]
    assert line["ms"] >= 0
    assert "admin-token" not in caplog.text
