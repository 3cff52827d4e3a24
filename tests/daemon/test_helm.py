# SPDX-License-Identifier: Apache-2.0
"""The real helm installs, upgrades, tests, rolls back and removes a chart that has one of each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.cloud import Ended, Here
from tests.conformance.tools import helm

CHART = Path(__file__).parent / "charts" / "shop"


class Helm:
    """helm in a project of its own."""

    def __init__(self, cloud: Here, namespace: str) -> None:
        self.cloud = cloud
        self.namespace = namespace

    def run(self, *arguments: str) -> Ended:
        return self.cloud.run(str(helm()), "-n", self.namespace, *arguments)

    def ok(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.code == 0, f"helm {' '.join(arguments)}: {done.err}{done.out}"
        return done.out

    def object(self, *arguments: str) -> Any:
        return self.cloud.object("-n", self.namespace, *arguments)


@pytest.fixture
def charts(cloud: Here, request: pytest.FixtureRequest) -> Helm:
    namespace = request.node.name.replace("_", "-")[:40].strip("-")
    cloud.kubectl_ok("create", "namespace", namespace)
    return Helm(cloud, namespace)


def test_a_chart_lives_its_whole_life(cloud: Here, charts: Helm):
    charts.ok("install", "shop", str(CHART), "--wait", "--timeout", "60s")
    assert charts.object("deployment", "shop")["status"]["readyReplicas"] == 2
    assert charts.object("job", "shop-migrate")["status"]["succeeded"] == 1
    assert charts.object("widget", "shop")["spec"] == {"size": 3}
    charts.ok("upgrade", "shop", str(CHART), "--set", "greeting=hi,replicas=3", "--wait", "--timeout", "60s")
    assert charts.object("configmap", "shop")["data"] == {"greeting": "hi"}
    assert charts.object("deployment", "shop")["status"]["readyReplicas"] == 3
    assert "fine" in charts.ok("test", "shop", "--logs")
    charts.ok("rollback", "shop", "1", "--wait", "--timeout", "60s")
    assert charts.object("configmap", "shop")["data"] == {"greeting": "hello"}
    history = json.loads(charts.ok("history", "shop", "-o", "json"))
    assert [(entry["revision"], entry["status"]) for entry in history] == [
        (1, "superseded"), (2, "superseded"), (3, "deployed"),
    ]  # fmt: skip
    assert [found["name"] for found in json.loads(charts.ok("list", "-o", "json"))] == ["shop"]
    assert 'greeting: "hello"' in charts.ok("get", "manifest", "shop")
    charts.ok("uninstall", "shop", "--wait", "--timeout", "60s")
    kinds = "deployment,service,secret,serviceaccount,role,rolebinding,widget"
    assert [item for item in charts.object(kinds)["items"] if item["metadata"]["name"] != "default"] == []


def test_what_a_chart_renders_badly_is_refused_and_leaves_nothing(cloud: Here, charts: Helm):
    refused = charts.run("install", "shop", str(CHART), "--set", "size=0", "--rollback-on-failure", "--timeout", "30s")
    assert refused.code == 1
    assert "should be greater than or equal to 1" in refused.err
    assert charts.object("deployment,configmap", "-l", "app=shop")["items"] == []
    assert json.loads(charts.ok("list", "-o", "json")) == []


def test_a_chart_is_applied_by_the_server_without_conflicts_with_its_own_earlier_self(cloud: Here, charts: Helm):
    for greeting in ("one", "two"):
        charts.ok("upgrade", "--install", "shop", str(CHART), "--set", f"greeting={greeting}", "--server-side", "true")
    assert charts.object("configmap", "shop")["data"] == {"greeting": "two"}
    shown = charts.object("configmap", "shop", "--show-managed-fields")
    managers = [entry["manager"] for entry in shown["metadata"]["managedFields"]]
    assert managers == ["helm"]
