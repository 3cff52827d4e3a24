# SPDX-License-Identifier: Apache-2.0
"""Server verbs, groups, quotas and application credentials through the openstack command, on a simulated cloud."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.cloud import Here, a_qcow2, until


@pytest.fixture(scope="module")
def web(cloud: Here) -> str:
    """A running server, on network blue; there is a network red beside it."""
    disk = a_qcow2(cloud.folder / "verbs.qcow2")
    for name in ("first", "second"):
        cloud.openstack_ok("image", "create", name, "--file", str(disk), "--disk-format", "qcow2")
    for name, cidr in (("blue", "10.7.0.0/24"), ("red", "10.8.0.0/24")):
        cloud.openstack_ok("network", "create", name)
        cloud.openstack_ok("subnet", "create", "--network", name, "--subnet-range", cidr, name)
    made = a_server(cloud, "web")
    assert made["status"] == "ACTIVE"
    return "web"


def a_server(cloud: Here, name: str, *more: str) -> Any:
    boot = ("--image", "first", "--flavor", "m1.tiny", "--network", "blue")
    return cloud.openstack_json("server", "create", name, *boot, "--wait", *more)


def becomes(cloud: Here, name: str, status: str) -> None:
    def is_so() -> bool:
        shown = cloud.sdk().compute.find_server(name, ignore_missing=False)
        shown = cloud.sdk().compute.get_server(shown.id)
        return shown.status == status and shown.task_state is None

    until(f"{name} is {status}", is_so)


@pytest.mark.parametrize(
    ("there", "status", "back"), [("pause", "PAUSED", "unpause"), ("suspend", "SUSPENDED", "resume")]
)
def test_a_server_stands_still_and_goes_on(cloud: Here, web: str, there: str, status: str, back: str):
    cloud.openstack_ok("server", there, web)
    becomes(cloud, web, status)
    cloud.openstack_ok("server", back, web)
    becomes(cloud, web, "ACTIVE")


def test_a_locked_server_is_left_alone_in_both_languages(cloud: Here, web: str):
    cloud.openstack_ok("server", "lock", "--reason", "mine", web)
    assert "is locked" in cloud.openstack_refused("server", "stop", web)
    cloud.openstack_refused("server", "delete", web)
    token = cloud.openstack_ok("token", "issue", "-f", "value", "-c", "id").strip()
    alone = ("--kubeconfig", "/dev/null", "--server", cloud.facts.kubernetes_url, "--token", token)
    where = (*alone, "--certificate-authority", str(cloud.facts.ca_file), "-n", "demo")
    assert "locked" in cloud.kubectl_refused(*where, "delete", "server", web)
    cloud.openstack_ok("server", "unlock", web)


def test_a_server_is_rebuilt_and_resized_back_and_forth(cloud: Here, web: str):
    cloud.openstack_ok("server", "rebuild", "--image", "second", "--wait", web)
    becomes(cloud, web, "ACTIVE")
    for end in ("revert", "confirm"):
        cloud.openstack_ok("server", "resize", "--flavor", "m1.small", "--wait", web)
        becomes(cloud, web, "VERIFY_RESIZE")
        cloud.openstack_ok("server", "resize", end, web)
        becomes(cloud, web, "ACTIVE")
        memory = cloud.object("-n", "demo", "server", web)["status"]["resources"]["memory"]
        assert memory == {"revert": 128, "confirm": 512}[end]
    events = [row["Action"] for row in cloud.openstack_json("server", "event", "list", web)]
    assert events[:5] == ["confirmResize", "resize", "revertResize", "resize", "rebuild"]


def test_interfaces_come_and_go_while_it_runs(cloud: Here, web: str):
    def networks() -> list[str]:
        return sorted(cloud.openstack_json("server", "show", web)["addresses"])

    cloud.openstack_ok("server", "add", "network", web, "red")
    until("it is on red", lambda: networks() == ["blue", "red"])
    cloud.openstack_ok("server", "remove", "network", web, "red")
    until("it is off red", lambda: networks() == ["blue"])


def test_a_group_spreads_its_servers_over_hosts(cloud: Here, web: str):
    group = cloud.openstack_json("server", "group", "create", "--policy", "anti-affinity", "far")["id"]
    for number in range(3):
        a_server(cloud, f"far-{number}", "--hint", f"group={group}")
    nodes = {cloud.object("-n", "demo", "server", f"far-{number}")["spec"]["node"] for number in range(3)}
    assert len(nodes) == 3


def test_a_quota_refuses_and_counts_servers_and_pods_together(cloud: Here, web: str):
    held = len(cloud.openstack_json("server", "list"))
    cloud.openstack_ok("quota", "set", "--cores", str(held + 1), "demo", cloud="lichen")
    pod = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "eater", "namespace": "demo"},
        "spec": {"containers": [{"name": "a", "image": "busybox", "resources": {"requests": {"cpu": "1"}}}]},
    }  # fmt: skip
    cloud.kubectl_ok("apply", "-f", "-", input=pod)
    boot = ("--image", "first", "--flavor", "m1.tiny", "--network", "blue")
    assert "exceeded quota" in cloud.openstack_refused("server", "create", "more", *boot)
    cloud.kubectl_ok("-n", "demo", "delete", "pod", "eater")
    cloud.openstack_ok("quota", "set", "--cores", "-1", "demo", cloud="lichen")


def test_an_aggregate_is_a_zone_and_what_a_flavor_asks_for(cloud: Here, web: str):
    admin = ("lichen",)
    cloud.openstack_ok("aggregate", "create", "--zone", "far-away", "ssd", cloud=admin[0])
    cloud.openstack_ok("aggregate", "add", "host", "ssd", "node-1", cloud=admin[0])
    cloud.openstack_ok("aggregate", "set", "--property", "ssd=true", "ssd", cloud=admin[0])
    wanted = "aggregate_instance_extra_specs:ssd=true"
    size = ("--ram", "64", "--vcpus", "1", "--disk", "0", "--property", wanted)
    cloud.openstack_ok("flavor", "create", *size, "fast", cloud=admin[0])
    zone = ("get", "node", "node-1", "-o", "jsonpath={.metadata.labels.topology\\.kubernetes\\.io/zone}")
    until("node-1 is in the zone", lambda: cloud.kubectl_ok(*zone) == "far-away")
    cloud.openstack_ok(
        "server", "create", "quick", "--image", "first", "--flavor", "fast", "--network", "blue", "--wait"
    )
    assert cloud.object("-n", "demo", "server", "quick")["spec"]["node"] == "node-1"
    cloud.openstack_ok("aggregate", "remove", "host", "ssd", "node-1", cloud=admin[0])
    until("node-1 is where it was", lambda: cloud.kubectl_ok(*zone) != "far-away")


def test_an_application_credential_logs_in_with_its_role_only(cloud: Here, web: str):
    made = cloud.openstack_json("application", "credential", "create", "bot", "--role", "reader")
    env = {
        "OS_CLOUD": "", "OS_AUTH_TYPE": "v3applicationcredential", "OS_CACERT": str(cloud.facts.ca_file),
        "OS_AUTH_URL": f"{cloud.facts.openstack_url}/identity/v3", "OS_APPLICATION_CREDENTIAL_ID": made["ID"],
        "OS_APPLICATION_CREDENTIAL_SECRET": made["Secret"], "OS_REGION_NAME": "RegionOne",
    }  # fmt: skip
    assert cloud.run("openstack", "server", "list", **env).code == 0
    assert cloud.run("openstack", "server", "delete", web, **env).code != 0
    cloud.openstack_ok("application", "credential", "delete", "bot")
    assert cloud.run("openstack", "server", "list", **env).code != 0


def test_moving_a_server_is_refused_in_words(cloud: Here, web: str):
    id = cloud.openstack_json("server", "show", web)["id"]
    assert "do not move between hosts" in cloud.openstack_refused("server", "migrate", id, cloud="lichen")


def test_a_guest_that_powered_itself_off_starts_when_it_is_told_to(cloud: Here, web: str):
    boot = ("--image", "first", "--flavor", "m1.tiny", "--network", "blue")
    cloud.openstack_ok("server", "create", "sleepy", *boot, "--property", "lichen.dev/simulate-fault=off-1")
    becomes(cloud, "sleepy", "SHUTOFF")
    before = cloud.object("-n", "demo", "server", "sleepy")["status"]["startedAt"]
    healed = '{"spec": {"metadata": {"lichen.dev/simulate-fault": null}}}'
    cloud.kubectl_ok("-n", "demo", "patch", "server", "sleepy", "--type", "merge", "-p", healed)
    cloud.openstack_ok("server", "start", "sleepy")
    becomes(cloud, "sleepy", "ACTIVE")
    assert cloud.object("-n", "demo", "server", "sleepy")["status"]["startedAt"] > before


def test_a_servers_image_boots_another_and_a_shelved_server_comes_back(cloud: Here):
    tell, ok = cloud.openstack_json, cloud.openstack_ok
    disk = a_qcow2(cloud.folder / "kept.qcow2")
    tell("image", "create", "kept", "--file", str(disk), "--disk-format", "qcow2")
    tell("server", "create", "kept", "--image", "kept", "--flavor", "m1.tiny", "--network", "cluster", "--wait")
    snap = tell("server", "image", "create", "--name", "kept-snap", "--wait", "kept")
    assert (snap["status"], snap["visibility"]) == ("active", "private")
    tell("server", "create", "copy", "--image", "kept-snap", "--flavor", "m1.tiny", "--network", "cluster", "--wait")
    ok("server", "shelve", "--wait", "kept")
    assert tell("server", "show", "kept")["status"] == "SHELVED_OFFLOADED"
    ok("server", "unshelve", "--wait", "kept")
    until("it runs", lambda: tell("server", "show", "kept")["status"] == "ACTIVE")
    history = [row["Action"] for row in tell("server", "event", "list", "kept")]
    assert history[:2] == ["unshelve", "shelve"]
    tell("volume", "create", "--size", "1", "kept")
    until("it is made", lambda: tell("volume", "show", "kept")["status"] == "available")
    made = tell("image", "create", "--volume", "kept", "of-kept")
    until("it is an image", lambda: tell("image", "show", made["image_id"])["status"] == "active")
    ok("server", "delete", "--wait", "kept", "copy")
    ok("volume", "delete", "kept")
    ok("image", "delete", "kept", "kept-snap", made["image_id"])


def test_ten_servers_are_made_at_once_and_a_zone_that_is_asked_for_is_kept(cloud: Here):
    tell, ok = cloud.openstack_json, cloud.openstack_ok
    disk = a_qcow2(cloud.folder / "many.qcow2")
    tell("image", "create", "many", "--file", str(disk), "--disk-format", "qcow2")
    zones = {row["Zone Name"] for row in tell("availability", "zone", "list", "--compute")}
    assert zones == {row["Zone Name"] for row in tell("availability", "zone", "list", "--volume")}
    zone = max(zones)
    ok(
        "server", "create", "--image", "many", "--flavor", "m1.tiny", "--network", "cluster",
        "--availability-zone", zone, "--min", "10", "--max", "10", "--wait", "many",
    )  # fmt: skip
    made = [row for row in tell("server", "list", "--long") if row["Name"].startswith("many-")]
    assert [(row["Status"], row["Availability Zone"]) for row in made] == [("ACTIVE", zone)] * 10
    ok("server", "delete", "--wait", *(row["ID"] for row in made))
    ok("image", "delete", "many")
