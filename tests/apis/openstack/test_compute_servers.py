# SPDX-License-Identifier: Apache-2.0
"""Nova's calls on servers, over the real kernel; what scheduler and nodes report is written by the test."""

from __future__ import annotations

import base64
import time
from typing import Any

import pytest

from lichen.kinds.builtin import SECRET
from lichen.kinds.compute.server import Server
from lichen.model.data import Object
from lichen.planning.times import rfc3339

from .cloud import TestCloud

V = "/compute/v2.1"
OLDEST = {"openstack-api-version": "compute 2.1"}


class Parts:
    """What a server is made of, in project demo."""

    flavor: Any
    image: Any
    network: Any


@pytest.fixture
async def parts(cloud: TestCloud) -> Parts:
    made = Parts()
    flavor = {"name": "m1.tiny", "ram": 256, "vcpus": 1, "disk": 1}
    made.flavor = (await cloud.ok("POST", f"{V}/flavors", {"flavor": flavor}, who="admin"))["flavor"]
    image = {"name": "tiny", "disk_format": "raw", "container_format": "bare", "os_distro": "debian"}
    made.image = await cloud.ok("POST", "/image/v2/images", image)
    octets = {"content-type": "application/octet-stream"}
    await cloud.ok("PUT", f"/image/v2/images/{made.image['id']}/file", body=b"\0" * 512, headers=octets)
    made.network = (await cloud.ok("POST", "/network/v2.0/networks", {"network": {"name": "private"}}))["network"]
    subnet = {"network_id": made.network["id"], "cidr": "10.1.0.0/24", "ip_version": 4}
    await cloud.ok("POST", "/network/v2.0/subnets", {"subnet": subnet})
    return made


def body(parts: Parts, **more: Any) -> Any:
    server = {"name": "web", "flavorRef": parts.flavor["id"], "imageRef": parts.image["id"], "networks": "auto", **more}
    return {"server": {key: value for key, value in server.items() if value is not ...}}


async def a_server(cloud: TestCloud, parts: Parts, **more: Any) -> str:
    made = await cloud.ok("POST", f"{V}/servers", body(parts, **more))
    return str(made["server"]["id"])


async def shown(cloud: TestCloud, id: str, *, who: str = "demo", version: str = "2.100") -> Any:
    headers = {"openstack-api-version": f"compute {version}"}
    return (await cloud.ok("GET", f"{V}/servers/{id}", who=who, headers=headers))["server"]


async def stored(cloud: TestCloud, id: str) -> Object:
    return (await cloud.state.list(Server.KIND, fields=f"spec.id={id}")).items[0]


async def act(cloud: TestCloud, id: str, action: Any, who: str = "demo") -> tuple[int, Any]:
    answer = await cloud.call("POST", f"{V}/servers/{id}/action", action, who=who)
    return answer.status, answer.json() if answer.body else None


async def test_a_server_is_built_then_active(cloud: TestCloud, parts: Parts) -> None:
    id = await a_server(cloud, parts, metadata={"a": "b"}, tags=["t"], description="first")
    new = await shown(cloud, id)
    assert (new["status"], new["OS-EXT-STS:vm_state"], new["OS-EXT-STS:task_state"]) == (
        "BUILD",
        "building",
        "scheduling",
    )
    await cloud.boots(id)
    up = await shown(cloud, id)
    assert (up["status"], up["OS-EXT-STS:power_state"], up["OS-EXT-STS:task_state"]) == ("ACTIVE", 1, None)
    assert up["addresses"]["private"] == [
        {"addr": "10.1.0.5", "version": 4, "OS-EXT-IPS:type": "fixed", "OS-EXT-IPS-MAC:mac_addr": "fa:16:3e:00:00:01"}
    ]
    assert (up["name"], up["metadata"], up["tags"], up["description"]) == ("web", {"a": "b"}, ["t"], "first")
    assert up["flavor"]["original_name"] == "m1.tiny"
    assert (up["flavor"]["ram"], up["flavor"]["vcpus"], up["flavor"]["disk"]) == (256, 1, 1)
    assert up["image"]["id"] == parts.image["id"]
    assert up["image"]["properties"] == {"os_distro": "debian"}
    assert (up["tenant_id"], up["config_drive"]) == (cloud.projects["demo"], "True")
    assert "OS-EXT-SRV-ATTR:host" not in up
    assert len(up["hostId"]) == 56
    assert (await shown(cloud, id, who="admin"))["OS-EXT-SRV-ATTR:host"] == "node-1"


async def test_the_shape_follows_the_microversion(cloud: TestCloud, parts: Parts) -> None:
    id = await a_server(cloud, parts)
    oldest = await shown(cloud, id, version="2.1")
    assert set(oldest["flavor"]) == {"id", "links"}
    for name, since in (
        ("locked", 9),
        ("description", 19),
        ("tags", 26),
        ("locked_reason", 73),
        ("scheduler_hints", 100),
    ):
        assert name not in oldest
        assert name not in await shown(cloud, id, version=f"2.{since - 1}")
        assert name in await shown(cloud, id, version=f"2.{since}")
    assert "properties" not in (await shown(cloud, id, version="2.97"))["image"]


async def test_what_is_asked_for_reaches_the_servers_spec(cloud: TestCloud, parts: Parts) -> None:
    await cloud.ok(
        "POST", f"{V}/os-keypairs", {"keypair": {"name": "My key"}}, headers={"openstack-api-version": "compute 2.10"}
    )
    id = await a_server(
        cloud, parts, name="Web Server!", key_name="My key", config_drive=False,
        user_data=base64.b64encode(b"#!/bin/sh\n").decode(),
        networks=[{"uuid": parts.network["id"], "fixed_ip": "10.1.0.9"}],
    )  # fmt: skip
    server = await stored(cloud, id)
    spec = server["spec"]
    assert server["metadata"]["name"] == "web-server"
    assert (spec["displayName"], spec["flavor"], spec["image"]) == ("Web Server!", "m1.tiny", "tiny")
    assert (spec["networks"], spec["configDrive"]) == ([{"network": "private", "fixedIp": "10.1.0.9"}], False)
    assert spec["resources"]["memory"] == 256
    secret = await cloud.state.get(SECRET, spec["userDataSecret"], "demo")
    assert base64.b64decode(secret["data"]["userdata"]) == b"#!/bin/sh\n"
    assert secret["metadata"]["ownerReferences"][0]["uid"] == server["metadata"]["uid"]
    view = await shown(cloud, id)
    assert (view["key_name"], view["config_drive"], view["OS-EXT-SRV-ATTR:hostname"]) == ("My key", "", "web-server")


async def test_stop_start_and_reboot_are_intent_and_show_as_tasks(cloud: TestCloud, parts: Parts) -> None:
    id = await a_server(cloud, parts)
    await cloud.boots(id)
    assert await act(cloud, id, {"os-stop": None}) == (202, None)
    assert (await stored(cloud, id))["spec"]["power"] == "Off"
    assert (await shown(cloud, id))["OS-EXT-STS:task_state"] == "powering-off"
    assert (await act(cloud, id, {"os-stop": None}))[0] == 409
    await cloud.report(Server.KIND, id, phase="Stopped", power="Shutdown")
    off = await shown(cloud, id)
    assert (off["status"], off["OS-EXT-STS:power_state"], off["OS-EXT-STS:task_state"]) == ("SHUTOFF", 4, None)
    assert await act(cloud, id, {"os-start": None}) == (202, None)
    assert (await shown(cloud, id))["OS-EXT-STS:task_state"] == "powering-on"
    await cloud.report(Server.KIND, id, phase="Running", power="Running")
    assert await act(cloud, id, {"reboot": {"type": "HARD"}}) == (202, None)
    assert (await shown(cloud, id))["status"] == "HARD_REBOOT"
    assert (await act(cloud, id, {"reboot": {"type": "SOFT"}}))[0] == 409
    await cloud.report(Server.KIND, id, rebootedAt=(await stored(cloud, id))["spec"]["rebootedAt"])
    assert (await shown(cloud, id))["status"] == "ACTIVE"


async def test_what_the_admin_locks_its_owner_does_not_unlock(cloud: TestCloud, parts: Parts) -> None:
    id = await a_server(cloud, parts)
    await cloud.boots(id)
    await cloud.project("boss", "admin")
    action = f"{V}/servers/{id}/action"
    await cloud.ok("POST", action, {"lock": None})
    await cloud.ok("POST", action, {"lock": None}, who="boss")
    assert (await cloud.call("POST", action, {"unlock": None})).status in (403, 409)
    await cloud.ok("POST", action, {"unlock": None}, who="boss")
    assert (await cloud.ok("GET", f"{V}/servers/{id}"))["server"]["locked"] is False


async def test_a_guest_that_powered_itself_off_is_started_again(cloud: TestCloud, parts: Parts) -> None:
    id = await a_server(cloud, parts)
    await cloud.boots(id)
    await cloud.report(Server.KIND, id, phase="Stopped", power="Shutdown", guestOff=True)
    assert (await shown(cloud, id))["OS-EXT-STS:task_state"] is None
    assert (await act(cloud, id, {"os-start": None}))[0] == 202
    assert (await stored(cloud, id))["spec"]["rebootedAt"]
    assert (await shown(cloud, id))["OS-EXT-STS:task_state"] == "powering-on"


async def test_an_error_says_why(cloud: TestCloud, parts: Parts) -> None:
    id = await a_server(cloud, parts)
    await cloud.report(Server.KIND, id, phase="Error", fault="No node has 256 MiB left.")
    view = await shown(cloud, id)
    assert (view["status"], view["OS-EXT-STS:vm_state"]) == ("ERROR", "error")
    assert view["fault"]["message"] == "No node has 256 MiB left."


async def test_a_server_without_a_host_is_in_error_after_a_minute_until_it_has_one(
    cloud: TestCloud, parts: Parts
) -> None:
    id = await a_server(cloud, parts)
    words = "0/1 nodes are available: 1 Insufficient memory."
    refused = {"type": "Scheduled", "status": "False", "reason": "Unschedulable", "message": words}
    for seconds, status in ((5, "BUILD"), (65, "ERROR")):
        since = rfc3339(time.time() - seconds)
        await cloud.report(Server.KIND, id, phase="Pending", conditions=[{**refused, "lastTransitionTime": since}])
        assert (await shown(cloud, id))["status"] == status
    assert (await shown(cloud, id))["fault"]["message"] == f"No valid host was found. {words}"
    listed = (await cloud.ok("GET", f"{V}/servers?status=ERROR"))["servers"]
    assert [server["id"] for server in listed] == [id]
    await cloud.boots(id)
    assert (await shown(cloud, id))["status"] == "ACTIVE"


async def test_the_console_is_read_from_the_node(cloud: TestCloud, parts: Parts) -> None:
    id = await a_server(cloud, parts)
    assert (await act(cloud, id, {"os-getConsoleOutput": {}}))[0] == 409
    await cloud.boots(id)
    assert (await act(cloud, id, {"os-getConsoleOutput": {}}))[0] == 404
    path = "/apis/compute.lichen.dev/v1/namespaces/demo/servers/web/log"
    cloud.consoles |= {path: b"one\ntwo\n", path + "?tail=1": b"two\n"}
    assert await act(cloud, id, {"os-getConsoleOutput": {}}) == (200, {"output": "one\ntwo\n"})
    assert await act(cloud, id, {"os-getConsoleOutput": {"length": "1"}}) == (200, {"output": "two\n"})
    assert (await act(cloud, id, {"os-getConsoleOutput": {"length": "many"}}))[0] == 400


async def test_a_server_is_renamed_and_deleted(cloud: TestCloud, parts: Parts) -> None:
    id = await a_server(cloud, parts)
    changed = await cloud.ok("PUT", f"{V}/servers/{id}", {"server": {"name": "shop", "description": "d"}})
    assert (changed["server"]["name"], changed["server"]["description"]) == ("shop", "d")
    assert (await cloud.call("PUT", f"{V}/servers/{id}", {"server": {"name": ""}})).status == 400
    assert (await cloud.call("PUT", f"{V}/servers/{id}", {"server": {"colour": "red"}})).status == 400
    assert (await cloud.call("DELETE", f"{V}/servers/{id}")).status == 204
    assert (await cloud.call("GET", f"{V}/servers/{id}")).status == 404


async def test_a_server_with_a_finalizer_is_deleting_until_its_node_lets_go(cloud: TestCloud, parts: Parts) -> None:
    id = await a_server(cloud, parts)
    await cloud.boots(id)
    name = (await stored(cloud, id))["metadata"]["name"]
    await cloud.state.patch(Server.KIND, name, "demo", {"metadata": {"finalizers": ["lichen.dev/node"]}})
    assert (await cloud.call("DELETE", f"{V}/servers/{id}")).status == 204
    assert (await shown(cloud, id))["OS-EXT-STS:task_state"] == "deleting"
    assert (await act(cloud, id, {"os-stop": None}))[0] == 409
    await cloud.state.patch(Server.KIND, name, "demo", {"metadata": {"finalizers": None}})
    assert (await cloud.call("GET", f"{V}/servers/{id}")).status == 404


async def test_several_are_made_at_once_with_numbers(cloud: TestCloud, parts: Parts) -> None:
    await a_server(cloud, parts, min_count=2, max_count=3)
    listed = (await cloud.ok("GET", f"{V}/servers?sort_key=display_name&sort_dir=asc"))["servers"]
    assert [s["name"] for s in listed] == ["web-1", "web-2", "web-3"]


async def test_lists_filter_sort_and_page(cloud: TestCloud, parts: Parts) -> None:
    ids = {name: await a_server(cloud, parts, name=name, tags=[name]) for name in ("alpha", "beta", "gamma")}
    await cloud.boots(ids["beta"])

    async def names(query: str, who: str = "demo") -> list[str]:
        found = await cloud.ok("GET", f"{V}/servers/detail?{query}", who=who)
        return [s["name"] for s in found["servers"]]

    assert await names("sort_key=display_name&sort_dir=asc") == ["alpha", "beta", "gamma"]
    assert await names("name=^b") == ["beta"]
    assert await names("status=ACTIVE") == ["beta"]
    assert await names("status=build&sort_key=display_name&sort_dir=asc") == ["alpha", "gamma"]
    assert await names("ip=10.1.0.5") == ["beta"]
    assert await names("tags=gamma") == ["gamma"]
    assert await names("vm_state=building&not-tags=alpha") == ["gamma"]
    assert await names(f"flavor={parts.flavor['id']}&image={parts.image['id']}&name=alpha") == ["alpha"]
    assert await names("flavor=other") == []
    assert await names("deleted=False&name=alpha") == ["alpha"]
    assert await names("changes-since=2030-01-01T00:00:00Z") == []
    assert await names("", who="admin") == []
    assert len(await names("all_tenants=1", who="admin")) == 3
    assert await names("all_tenants=1&host=node-1", who="admin") == ["beta"]
    first = await cloud.ok("GET", f"{V}/servers?limit=2&sort_key=display_name&sort_dir=asc")
    assert [s["name"] for s in first["servers"]] == ["alpha", "beta"]
    assert set(first["servers"][0]) == {"id", "name", "links"}
    following = first["servers_links"][0]["href"].removeprefix("http://cloud.test")
    assert [s["name"] for s in (await cloud.ok("GET", following))["servers"]] == ["gamma"]


@pytest.mark.parametrize(
    ("query", "status"),
    [("colour=red", 400), ("limit=x", 400), ("marker=nope", 400), ("sort_key=colour", 400), ("name=(", 400),
     ("changes-since=then", 400), ("all_tenants=1", 403), ("sort_dir=up&sort_key=uuid", 400)],
)  # fmt: skip
async def test_bad_queries_are_refused(cloud: TestCloud, parts: Parts, query: str, status: int) -> None:
    assert (await cloud.call("GET", f"{V}/servers?{query}")).status == status


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        ({"name": ""}, 400, "name"),
        ({"name": "   "}, 400, "name"),
        ({"name": "x" * 256}, 400, "name"),
        ({"name": 7}, 400, "name"),
        ({"name": "a\x00b"}, 400, "name"),
        ({"flavorRef": "nope"}, 400, "Invalid flavorRef provided."),
        ({"flavorRef": ...}, 400, "flavorRef"),
        ({"imageRef": "nope"}, 400, "Can not find requested image"),
        ({"imageRef": ""}, 400, "Invalid imageRef"),
        ({"key_name": "nope"}, 400, "Invalid key_name provided."),
        ({"networks": [{"uuid": "nope"}]}, 400, "Network nope could not be found."),
        ({"networks": [{"port": "nope"}]}, 400, "Port id nope could not be found."),
        ({"networks": "some"}, 400, "networks"),
        ({"networks": [7]}, 400, "networks"),
        ({"networks": [{}]}, 400, "networks"),
        ({"networks": ...}, 400, "networks"),
        ({"networks": [{"uuid": "NET", "fixed_ip": "x"}]}, 400, "Fixed IP"),
        ({"user_data": "not base64!"}, 400, "base64"),
        ({"user_data": "QUFB" * 20000}, 400, "user_data"),
        ({"metadata": {"a": 7}}, 400, "a"),
        ({"metadata": {"a" * 256: "b"}}, 400, "metadata"),
        ({"metadata": {str(n): "x" for n in range(200)}}, 403, "metadata"),
        ({"tags": ["a/b"]}, 400, "tag"),
        ({"min_count": 0}, 400, "min_count"),
        ({"min_count": 3, "max_count": 2}, 400, "min_count"),
        ({"max_count": 10**6}, 403, "Quota"),
        ({"security_groups": [{"name": "mine"}]}, 400, "security_group"),
        (
            {"block_device_mapping_v2": [{"source_type": "volume", "destination_type": "volume", "boot_index": 0}]},
            400,
            "Block",
        ),
        ({"config_drive": "perhaps"}, 400, "config_drive"),
        ({"personality": [{"path": "/x", "contents": ""}]}, 400, "personality"),
        ({"host": "node-1"}, 403, "forced_host"),
        ({"colour": "red"}, 400, "colour"),
        ({"description": "x" * 256}, 400, "description"),
    ],
)
async def test_a_bad_server_is_refused_in_novas_way_and_nothing_is_made(
    cloud: TestCloud, parts: Parts, change: Any, status: int, says: str
) -> None:
    for item in change.get("networks", ()) if isinstance(change.get("networks"), list) else ():
        if isinstance(item, dict) and item.get("uuid") == "NET":
            item["uuid"] = parts.network["id"]
    answer = await cloud.call("POST", f"{V}/servers", body(parts, **change))
    error = next(iter(answer.json().values()))
    assert (answer.status, error["code"]) == (status, status), error
    assert says in error["message"]
    assert (await cloud.ok("GET", f"{V}/servers"))["servers"] == []
    assert [s for s in (await cloud.state.list(SECRET, "demo")).items if "userdata" in s["metadata"]["name"]] == []


async def test_scheduler_hints_are_refused_not_ignored(cloud: TestCloud, parts: Parts) -> None:
    document = {**body(parts), "os:scheduler_hints": {"group": "x"}}
    assert (await cloud.call("POST", f"{V}/servers", document)).status == 400


async def test_fields_of_later_microversions_are_refused_before_them(cloud: TestCloud, parts: Parts) -> None:
    for field in ({"description": "d"}, {"tags": ["t"]}):
        answer = await cloud.call("POST", f"{V}/servers", body(parts, **field), headers=OLDEST)
        assert answer.status == 400


async def test_an_image_too_big_or_not_ready_is_refused(cloud: TestCloud, parts: Parts) -> None:
    queued = await cloud.ok("POST", "/image/v2/images", {"name": "q", "disk_format": "raw", "container_format": "bare"})
    answer = await cloud.call("POST", f"{V}/servers", body(parts, imageRef=queued["id"]))
    assert (answer.status, "is not active" in answer.json()["badRequest"]["message"]) == (400, True)
    patch = [{"op": "replace", "path": "/min_ram", "value": 512}]
    media = {"content-type": "application/openstack-images-v2.1-json-patch"}
    await cloud.ok("PATCH", f"/image/v2/images/{parts.image['id']}", patch, headers=media)
    answer = await cloud.call("POST", f"{V}/servers", body(parts))
    assert "memory is too small" in answer.json()["badRequest"]["message"]


async def test_with_two_networks_of_its_own_a_project_must_choose(cloud: TestCloud, parts: Parts) -> None:
    await cloud.ok("POST", "/network/v2.0/networks", {"network": {"name": "second"}})
    answer = await cloud.call("POST", f"{V}/servers", body(parts))
    assert (answer.status, list(answer.json())) == (409, ["conflictingRequest"])
    none = await a_server(cloud, parts, networks="none")
    assert (await stored(cloud, none))["spec"]["networks"] == []


async def test_without_a_network_of_its_own_a_project_uses_the_shared_one(cloud: TestCloud, parts: Parts) -> None:
    await cloud.ok("DELETE", f"/network/v2.0/networks/{parts.network['id']}")
    id = await a_server(cloud, parts)
    assert (await stored(cloud, id))["spec"]["networks"] == [{"network": "lichen-system/cluster"}]


async def test_a_port_is_taken_over_once(cloud: TestCloud, parts: Parts) -> None:
    port = (await cloud.ok("POST", "/network/v2.0/ports", {"port": {"network_id": parts.network["id"], "name": "p"}}))[
        "port"
    ]
    id = await a_server(cloud, parts, networks=[{"port": port["id"]}])
    assert (await stored(cloud, id))["spec"]["networks"] == [{"port": "p"}]
    await cloud.ok("PUT", f"/network/v2.0/ports/{port['id']}", {"port": {"device_id": id}})
    listed = (await cloud.ok("GET", f"{V}/servers/{id}/os-interface"))["interfaceAttachments"]
    assert [i["port_id"] for i in listed] == [port["id"]]
    assert (await cloud.call("POST", f"{V}/servers", body(parts, networks=[{"port": port["id"]}]))).status == 409


async def test_metadata_and_tags_have_their_own_calls(cloud: TestCloud, parts: Parts) -> None:
    id = await a_server(cloud, parts, metadata={"a": "1"})
    base = f"{V}/servers/{id}"
    assert (await cloud.ok("POST", base + "/metadata", {"metadata": {"b": "2"}}))["metadata"] == {"a": "1", "b": "2"}
    assert (await cloud.ok("PUT", base + "/metadata/a", {"meta": {"a": "3"}}))["meta"] == {"a": "3"}
    assert (await cloud.ok("PUT", base + "/metadata", {"metadata": {"c": "4"}}))["metadata"] == {"c": "4"}
    assert (await cloud.ok("GET", base + "/metadata/c"))["meta"] == {"c": "4"}
    assert (await cloud.call("DELETE", base + "/metadata/c")).status == 204
    assert (await cloud.call("GET", base + "/metadata/c")).status == 404
    assert (await cloud.call("PUT", base + "/metadata/a", {"meta": {"b": "3"}})).status == 400
    assert (await cloud.ok("PUT", base + "/tags", {"tags": ["x", "y"]}))["tags"] == ["x", "y"]
    assert (await cloud.call("PUT", base + "/tags/z")).status == 201
    assert (await cloud.call("DELETE", base + "/tags/x")).status == 204
    assert (await cloud.ok("GET", base + "/tags"))["tags"] == ["y", "z"]
    assert (await cloud.call("GET", base + "/tags/x")).status == 404
    assert (await cloud.call("GET", base + "/tags", headers=OLDEST)).status == 404


async def test_addresses_have_their_own_calls(cloud: TestCloud, parts: Parts) -> None:
    id = await a_server(cloud, parts)
    await cloud.boots(id)
    short = {"private": [{"version": 4, "addr": "10.1.0.5"}]}
    assert (await cloud.ok("GET", f"{V}/servers/{id}/ips"))["addresses"] == short
    assert await cloud.ok("GET", f"{V}/servers/{id}/ips/private") == short
    assert (await cloud.call("GET", f"{V}/servers/{id}/ips/other")).status == 404


async def test_another_project_sees_nothing_of_ours(cloud: TestCloud, parts: Parts) -> None:
    id = await a_server(cloud, parts)
    await cloud.project("other")
    assert (await cloud.ok("GET", f"{V}/servers", who="other"))["servers"] == []
    for method, path, json in (
        ("GET", "", None), ("DELETE", "", None), ("PUT", "", {"server": {"name": "x"}}), ("GET", "/metadata", None),
        ("POST", "/action", {"os-stop": None}), ("GET", "/os-interface", None), ("GET", "/ips", None),
        ("PUT", "/tags/x", None),
    ):  # fmt: skip
        assert (await cloud.call(method, f"{V}/servers/{id}{path}", json, who="other")).status == 404
    stolen = await cloud.call("POST", f"{V}/servers", body(parts), who="other")
    assert "Can not find requested image" in stolen.json()["badRequest"]["message"]


async def test_unknown_actions_and_servers_are_refused(cloud: TestCloud, parts: Parts) -> None:
    id = await a_server(cloud, parts)
    assert (await act(cloud, id, {"dance": None}))[0] == 400
    assert (await act(cloud, id, {"os-start": None, "os-stop": None}))[0] == 400
    assert (await act(cloud, id, {"reboot": {"type": "GENTLE"}}))[0] == 400
    assert (await act(cloud, "nope", {"os-start": None}))[0] == 404
    assert (await act(cloud, id, {"os-start": None}))[0] == 409


async def test_a_token_without_a_project_makes_no_server(cloud: TestCloud, parts: Parts) -> None:
    assert (await cloud.call("GET", f"{V}/servers", who="")).status == 401
