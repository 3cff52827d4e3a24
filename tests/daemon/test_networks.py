# SPDX-License-Identifier: Apache-2.0
"""Security groups through both real clients, on a simulated cloud."""

from __future__ import annotations

import json

from tests.conformance.cloud import Here, a_qcow2, until


def test_security_groups_follow_a_server_through_the_cli(cloud: Here):
    tell, ok = cloud.openstack_json, cloud.openstack_ok
    disk = a_qcow2(cloud.folder / "guarded.qcow2")
    tell("image", "create", "guarded", "--file", str(disk), "--disk-format", "qcow2")
    assert "default" in [row["Name"] for row in tell("security group", "list")]
    web = tell("security group", "create", "web")
    rule = tell("security group", "rule", "create", "--proto", "tcp", "--dst-port", "80:81", "web")
    assert (rule["port_range_min"], rule["port_range_max"]) == (80, 81)
    assert rule["id"] in [row["ID"] for row in tell("security group", "rule", "list", "web")]
    assert tell("security group", "rule", "show", rule["id"])["security_group_id"] == web["id"]
    tell("network", "create", "green")
    tell("subnet", "create", "--network", "green", "--subnet-range", "10.17.0.0/24", "green-4")
    server = tell(
        "server", "create", "guarded", "--image", "guarded", "--flavor", "m1.tiny", "--network", "green",
        "--security-group", "web", "--wait",
    )  # fmt: skip
    assert server["security_groups"] == [{"name": "web"}]
    assert "in use" in cloud.openstack_refused("security group", "delete", "web")
    ok("server", "add", "security", "group", "guarded", "default")
    ports = tell("port", "list", "--server", "guarded")
    (port,) = [tell("port", "show", row["ID"]) for row in ports]
    assert web["id"] in port["security_group_ids"] and len(port["security_group_ids"]) == 2
    until("shown", lambda: len(tell("server", "show", "guarded")["security_groups"]) == 2)
    ok("server", "remove", "security", "group", "guarded", "web")
    assert tell("port", "show", port["id"])["security_group_ids"] != port["security_group_ids"]
    ok("security", "group", "rule", "delete", rule["id"])
    ok("security", "group", "delete", "web")
    ok("server", "delete", "--wait", "guarded")
    ok("network", "delete", "green")
    ok("image", "delete", "guarded")


def test_a_group_is_applied_with_kubectl_and_seen_by_openstack(cloud: Here):
    group = {
        "apiVersion": "network.lichen.dev/v1",
        "kind": "SecurityGroup",
        "metadata": {"name": "pages", "namespace": "demo"},
        "spec": {"rules": [{"direction": "ingress", "protocol": "tcp", "portMin": 443, "portMax": 443}]},
    }
    cloud.kubectl_ok("apply", "-f", "-", input=json.dumps(group))
    (first,) = cloud.openstack_json("security group", "rule", "list", "pages")
    group["spec"]["rules"].append({"direction": "egress"})  # type: ignore[index]
    cloud.kubectl_ok("apply", "-f", "-", input=json.dumps(group))
    ids = [row["ID"] for row in cloud.openstack_json("security group", "rule", "list", "pages")]
    assert ids[0] == first["ID"] and len(ids) == 2
    cloud.kubectl_ok("-n", "demo", "delete", "sg", "pages")


def test_a_router_and_a_floating_ip_lead_to_a_server(cloud: Here):
    tell, ok = cloud.openstack_json, cloud.openstack_ok
    disk = a_qcow2(cloud.folder / "led.qcow2")
    tell("image", "create", "led", "--file", str(disk), "--disk-format", "qcow2")
    public = tell("network", "create", "--external", "outside", cloud="lichen")
    assert public["router:external"] is True
    ok(
        "subnet",
        "create",
        "--network",
        "outside",
        "--subnet-range",
        "203.0.113.0/24",
        "--no-dhcp",
        "out",
        cloud="lichen",
    )
    tell("network", "create", "inner")
    tell("subnet", "create", "--network", "inner", "--subnet-range", "10.18.0.0/24", "inner-4")
    tell("router", "create", "edge", "--external-gateway", "outside")
    ok("router", "add", "subnet", "edge", "inner-4")
    shown = tell("router", "show", "edge")
    assert [i["ip_address"] for i in shown["interfaces_info"]] == ["10.18.0.1"]
    tell("server", "create", "led", "--image", "led", "--flavor", "m1.tiny", "--network", "inner", "--wait")
    floating = tell("floating", "ip", "create", "outside")
    ok("server", "add", "floating", "ip", "led", floating["floating_ip_address"])
    address = floating["floating_ip_address"]
    until("it is shown", lambda: address in tell("server", "show", "led")["addresses"]["inner"])
    (row,) = tell("floating", "ip", "list")
    assert (row["Floating IP Address"], row["Fixed IP Address"]) == (address, "10.18.0.2")
    assert address in cloud.kubectl_ok("-n", "demo", "get", "fip")
    ok("server", "remove", "floating", "ip", "led", address)
    ok("server", "delete", "--wait", "led")
    ok("floating", "ip", "delete", address)
    ok("router", "remove", "subnet", "edge", "inner-4")
    ok("router", "delete", "edge")
    ok("network", "delete", "inner")
    ok("network", "delete", "outside", cloud="lichen")
    ok("image", "delete", "led")


def test_an_admins_server_is_on_the_network_of_another_project(cloud: Here):
    tell, ok = cloud.openstack_json, cloud.openstack_ok
    disk = a_qcow2(cloud.folder / "guest.qcow2")
    tell("image", "create", "guest", "--file", str(disk), "--disk-format", "qcow2", cloud="lichen")
    network = tell("network", "create", "walled")
    tell("subnet", "create", "--network", "walled", "--subnet-range", "10.19.0.0/24", "walled-4")
    wanted = ("--image", "guest", "--flavor", "m1.tiny", "--network", network["id"], "--wait")
    server = tell("server", "create", "guest", *wanted, cloud="lichen")
    assert server["addresses"] == {"walled": ["10.19.0.2"]}
    ok("server", "delete", "--wait", "guest", cloud="lichen")
    ok("network", "delete", "walled")
    ok("image", "delete", "guest", cloud="lichen")


def test_the_sdk_gives_each_server_on_the_shared_network_a_floating_ip(cloud: Here):
    disk = a_qcow2(cloud.folder / "floats.qcow2")
    sdk = cloud.sdk()
    sdk.create_image("floats", filename=str(disk), disk_format="qcow2", container_format="bare", wait=True)
    server = sdk.create_server("floats", image="floats", flavor="m1.tiny", network="cluster", wait=True)
    kinds = [address["OS-EXT-IPS:type"] for address in server.addresses["cluster"]]
    assert sorted(kinds) == ["fixed", "floating"]
    sdk.delete_server("floats", wait=True, delete_ips=True)
    sdk.delete_image("floats")
