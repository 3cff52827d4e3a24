# SPDX-License-Identifier: Apache-2.0
"""A whole simulated cloud through the openstack command: what issue after issue must keep working."""

from __future__ import annotations

import json

from tests.conformance.cloud import Here, a_qcow2, until


def test_a_server_lives_from_image_to_deletion(cloud: Here):
    tell = cloud.openstack_json
    disk = a_qcow2(cloud.folder / "disk.qcow2")
    saved = cloud.folder / "saved.qcow2"
    key = cloud.folder / "key.pub"
    key.write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8f3yF1f7oQqVd0vJr6m0mF1s6hZ7Q6Hn0d9dYx0bq1 ann@example\n")
    user_data = cloud.folder / "user-data"
    user_data.write_text("#!/bin/sh\necho hello\n")

    image = tell("image", "create", "tiny", "--file", str(disk), "--disk-format", "qcow2")
    assert (image["status"], image["visibility"]) == ("active", "shared")
    cloud.openstack_ok("image", "save", "--file", str(saved), "tiny")
    assert saved.read_bytes() == disk.read_bytes()
    assert tell("keypair", "create", "--public-key", str(key), "laptop")["fingerprint"].count(":") == 15
    tell("network", "create", "blue")
    subnet = tell("subnet", "create", "--network", "blue", "--subnet-range", "10.7.0.0/24", "blue-4")
    assert subnet["gateway_ip"] == "10.7.0.1"
    port = tell("port", "create", "--network", "blue", "fixed", "--fixed-ip", "ip-address=10.7.0.77")
    assert port["fixed_ips"][0]["ip_address"] == "10.7.0.77"

    server = tell(
        "server", "create", "web", "--image", "tiny", "--flavor", "m1.tiny", "--key-name", "laptop",
        "--network", "blue", "--user-data", str(user_data), "--config-drive", "True", "--wait",
    )  # fmt: skip
    assert server["status"] == "ACTIVE"
    assert server["addresses"] == {"blue": ["10.7.0.2"]}
    assert [row["Name"] for row in tell("server", "list")] == ["web"]
    shown = tell("server", "show", "web")
    assert (shown["OS-EXT-STS:vm_state"], shown["key_name"], shown["config_drive"]) == ("active", "laptop", "True")
    assert "web login:" in cloud.openstack_ok("console", "log", "show", "web")

    cloud.openstack_ok("server", "stop", "web")
    phase = ("-n", "demo", "wait", "server/web", "--timeout=30s", "--for")
    cloud.kubectl_ok(*phase, "jsonpath={.status.phase}=Stopped")
    cloud.openstack_ok("server", "start", "web")
    cloud.kubectl_ok(*phase, "jsonpath={.status.phase}=Running")
    started = cloud.object("-n", "demo", "server", "web")["status"]["startedAt"]
    cloud.openstack_ok("server", "reboot", "--soft", "--wait", "web")
    cloud.openstack_ok("server", "reboot", "--hard", "--wait", "web")
    assert cloud.object("-n", "demo", "server", "web")["status"]["startedAt"] > started

    cloud.openstack_ok("server", "delete", "--wait", "web")
    assert tell("server", "list") == []
    assert [row["Name"] for row in tell("port", "list") if row["Name"]] == ["fixed"]
    cloud.openstack_ok("port", "delete", "fixed")
    cloud.openstack_ok("network", "delete", "blue")
    cloud.openstack_ok("image", "delete", "tiny")
    cloud.openstack_ok("keypair", "delete", "laptop")
    assert [row["Name"] for row in tell("subnet", "list")] == ["cluster"]
    assert tell("image", "list") == []


def test_an_admin_sees_hosts_and_everyone_their_limits(cloud: Here):
    hypervisors = cloud.openstack_json("hypervisor", "list", cloud="lichen")
    assert [row["Hypervisor Hostname"] for row in hypervisors] == ["node-1", "node-2", "node-3"]
    assert "403" in cloud.openstack_refused("hypervisor", "list")
    limits = {row["Name"]: row["Value"] for row in cloud.openstack_json("limits", "show", "--absolute")}
    assert limits["max_total_instances"] == -1
    quota = {row["Resource"]: row["Limit"] for row in cloud.openstack_json("quota", "show")}
    assert quota["instances"] == -1
    flavor = cloud.openstack_json("flavor", "create", "big", "--ram", "2048", "--vcpus", "4", cloud="lichen")
    assert cloud.openstack_json("flavor", "show", "big")["id"] == flavor["id"]
    cloud.openstack_ok("flavor", "delete", "big", cloud="lichen")
    assert "403" in cloud.openstack_refused("flavor", "create", "big", "--ram", "1", "--vcpus", "1")


def test_the_catalog_names_every_service_at_one_address(cloud: Here):
    token = cloud.openstack_json("token", "issue")
    assert len(token["project_id"]) == 32
    catalog = {row["Type"]: row["Endpoints"] for row in cloud.openstack_json("catalog", "list")}
    assert {"identity", "compute", "network", "image"} <= set(catalog)
    urls = [endpoint["url"] for endpoints in catalog.values() for endpoint in endpoints]
    assert all(url.startswith(cloud.facts.openstack_url) for url in urls)


def test_openstacksdk_waits_for_what_it_made(cloud: Here):
    sdk = cloud.sdk()
    disk = a_qcow2(cloud.folder / "sdk.qcow2")
    image = sdk.create_image("sdk-tiny", filename=str(disk), disk_format="qcow2", wait=True)
    network = sdk.create_network("sdk-net")
    sdk.create_subnet(network.id, "10.8.0.0/24")
    server = sdk.create_server(
        "sdk-web", image=image.id, flavor="m1.tiny", network="sdk-net", wait=True, auto_ip=False, meta={"a": "b"}
    )
    assert (server.status, server.metadata) == ("ACTIVE", {"a": "b"})
    assert sdk.compute.get_server(server.id).addresses["sdk-net"][0]["addr"].startswith("10.8.0.")
    assert sdk.delete_server(server.id, wait=True)
    assert sdk.delete_network(network.id) and sdk.delete_image(image.id)


def test_a_simulated_machine_fails_when_told_to_and_says_why(cloud: Here):
    sdk = cloud.sdk()
    disk = a_qcow2(cloud.folder / "bad.qcow2")
    image = sdk.create_image("bad-tiny", filename=str(disk), disk_format="qcow2", wait=True)
    made = sdk.compute.create_server(
        name="unlucky", image_id=image.id, flavor_id=sdk.compute.find_flavor("m1.tiny").id,
        networks="none", metadata={"lichen.dev/simulate-fault": "start"},
    )  # fmt: skip
    until("it failed", lambda: sdk.compute.get_server(made.id).status == "ERROR")
    assert "refused to start" in json.dumps(sdk.compute.get_server(made.id).fault)
    assert sdk.delete_server(made.id, wait=True)
    sdk.delete_image(image.id)
