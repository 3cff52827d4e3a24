# SPDX-License-Identifier: Apache-2.0
"""A release opens the store of the one before it: all is there, in both languages, and goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.cloud import Here, a_cloud, until

KEPT = Path(__file__).parent / "kept"
FLOATING = "203.0.113.3"
DEMO = ("-n", "demo")


@pytest.fixture(scope="module", params=sorted(KEPT.glob("*.tar.xz")), ids=lambda path: path.name.partition(".")[0])
def cloud(request: pytest.FixtureRequest) -> Iterator[Here]:
    with a_cloud(nodes=1, kept=request.param) as here:
        yield here


def test_servers_go_on_as_they_were(cloud: Here):
    until("web runs", lambda: cloud.openstack_json("server", "show", "web")["status"] == "ACTIVE")
    web = cloud.openstack_json("server", "show", "web")
    assert web["addresses"]["blue"][1:] == [FLOATING]
    assert (web["key_name"], web["properties"], len(web["volumes_attached"])) == ("kept", {"role": "web"}, 1)
    assert cloud.openstack_json("server", "show", "idle")["status"] == "SHUTOFF"
    cloud.openstack_ok("server", "start", "idle")
    cloud.kubectl_ok(*DEMO, "wait", "server/idle", "--for=condition=Ready", "--timeout=60s")


def test_pods_run_again_behind_their_service(cloud: Here):
    cloud.kubectl_ok(*DEMO, "rollout", "status", "deployment/hello", "--timeout=60s")
    pods = {pod["status"]["podIP"] for pod in cloud.object(*DEMO, "pods", "-l", "app=hello")["items"]}

    def served() -> set[str]:
        slices = cloud.object(*DEMO, "endpointslices", "-l", "kubernetes.io/service-name=hello")["items"]
        return {address for found in slices for end in found.get("endpoints") or () for address in end["addresses"]}

    until("the service leads to both pods, and nowhere else", lambda: served() == pods and len(pods) == 2)
    assert len(cloud.object(*DEMO, "endpointslices", "-l", "kubernetes.io/service-name=hello")["items"]) == 1


def test_networks_are_as_they_were_and_are_changed(cloud: Here):
    router = cloud.openstack_json("router", "show", "edge")
    assert router["external_gateway_info"]["network_id"] == cloud.openstack_json("network", "show", "outside")["id"]
    rules = cloud.openstack_json("security", "group", "rule", "list", "web")
    assert [rule["Port Range"] for rule in rules if rule["Direction"] == "ingress"] == ["80:80"]
    cloud.openstack_ok("security", "group", "rule", "create", "--protocol", "tcp", "--dst-port", "443", "web")
    cloud.openstack_ok("server", "remove", "floating", "ip", "web", FLOATING)
    cloud.openstack_ok("server", "add", "floating", "ip", "web", FLOATING)


def test_what_every_cloud_is_given_since_is_there(cloud: Here):
    assert cloud.openstack_json("network", "show", "public")["router:external"] is True
    cloud.openstack_ok("router", "create", "--external-gateway", "public", "way-out")
    cloud.openstack_ok("router", "delete", "way-out")


def test_volumes_and_snapshots_are_there_and_lead_to_new_ones(cloud: Here):
    volumes = {row["Name"]: row["Status"] for row in cloud.openstack_json("volume", "list")}
    assert (volumes["data"], volumes["spare"]) == ("in-use", "available")
    cloud.openstack_ok("volume", "create", "--snapshot", "spare-snap", "--size", "1", "copy")
    until("it is made", lambda: cloud.openstack_json("volume", "show", "copy")["status"] == "available")


def test_what_people_log_in_with_holds(cloud: Here):
    assert cloud.sdk("kept", "kept", "kept-pass").current_project.name == "kept"
    robot = {"name": "robot", "secret": "kept-secret", "user": {"name": "demo", "domain": {"id": "default"}}}
    body = {"auth": {"identity": {"methods": ["application_credential"], "application_credential": robot}}}
    answer = cloud.request("POST", f"{cloud.facts.openstack_url}/identity/v3/auth/tokens", body)
    assert answer.status == 201
    cloud.kubectl_ok("auth", "can-i", "delete", "nodes")


def test_secrets_and_settings_are_read_and_written(cloud: Here):
    assert cloud.object(*DEMO, "secret", "hidden")["data"] == {"word": "bXVt"}
    assert cloud.object(*DEMO, "configmap", "settings")["data"] == {"colour": "green"}
    cloud.kubectl_ok(*DEMO, "patch", "secret", "hidden", "--type=merge", "-p", '{"stringData": {"word": "aloud"}}')
    assert cloud.object(*DEMO, "secret", "hidden")["data"] == {"word": "YWxvdWQ="}


def test_installed_kinds_and_quotas_hold(cloud: Here):
    assert cloud.object(*DEMO, "crontab", "nightly")["spec"] == {"cronSpec": "0 3 * * *"}
    quota = cloud.object(*DEMO, "resourcequota", "objects")
    until("it is counted", lambda: cloud.object(*DEMO, "resourcequota", "objects")["status"].get("used"))
    assert quota["spec"] == {"hard": {"configmaps": "10"}}


def test_a_project_of_then_goes_whole(cloud: Here):
    """Last: all that an earlier release made can be deleted by this one."""
    cloud.openstack_ok("project", "delete", "kept", cloud="lichen")
    cloud.kubectl_ok("delete", "namespace", "shop", "demo", "--timeout=90s")
    assert cloud.kubectl("get", "servers,pods,volumes,ports,routers", "-n", "demo", "-o", "name").out == ""
