# SPDX-License-Identifier: Apache-2.0
"""What Nova did for other services until microversion 2.35, and what it keeps in other services now."""

from __future__ import annotations

from typing import Any

from lichen.kinds.compute.operation import Operation
from lichen.kinds.compute.server import Server
from lichen.kinds.image.image import Image
from lichen.kinds.volume.volume import Volume

from .cloud import TestCloud
from .test_compute_servers import OLDEST, Parts, V, a_server, act, body, parts, shown, stored

__all__ = ["parts"]
IMAGES = "/image/v2/images"


async def old(cloud: TestCloud, method: str, path: str, body: Any = None, who: str = "demo") -> Any:
    return await cloud.call(method, V + path, body, who=who, headers=OLDEST)


async def test_the_versions_begin_with_v2_which_is_served_whatever_the_headers_say(cloud: TestCloud) -> None:
    versions = (await cloud.call("GET", "/compute", who="")).json()["versions"]
    assert [(v["id"], v["status"]) for v in versions] == [("v2.0", "SUPPORTED"), ("v2.1", "CURRENT")]
    assert (await cloud.call("GET", "/compute/v2/", who="")).json()["version"]["id"] == "v2.0"
    newest = {"openstack-api-version": "compute 2.100"}
    assert (await cloud.call("GET", "/compute/v2/os-networks", headers=newest)).status == 200
    assert (await cloud.call("GET", f"{V}/os-networks", headers=newest)).status == 404


async def test_security_groups_of_old_are_neutrons(cloud: TestCloud) -> None:
    wanted = {"security_group": {"name": "web", "description": "d"}}
    made = (await old(cloud, "POST", "/os-security-groups", wanted)).json()["security_group"]
    assert (made["name"], made["rules"]) == ("web", [])
    rule = {"parent_group_id": made["id"], "ip_protocol": "tcp", "from_port": 80, "to_port": 81, "cidr": "10.0.0.0/8"}
    added = (await old(cloud, "POST", "/os-security-group-rules", {"security_group_rule": rule})).json()
    kept = added["security_group_rule"]
    assert (kept["from_port"], kept["to_port"], kept["ip_range"]) == (80, 81, {"cidr": "10.0.0.0/8"})
    groups = (await old(cloud, "GET", "/os-security-groups")).json()["security_groups"]
    assert sorted(g["name"] for g in groups) == ["default", "web"]
    assert (await old(cloud, "GET", f"/os-security-groups/{made['id']}")).json()["security_group"]["rules"] == [kept]
    network = await cloud.ok("GET", f"/network/v2.0/security-group-rules/{kept['id']}")
    assert network["security_group_rule"]["port_range_max"] == 81
    assert (await old(cloud, "DELETE", f"/os-security-group-rules/{kept['id']}")).status == 202
    assert (await old(cloud, "DELETE", f"/os-security-groups/{made['id']}")).status == 202
    assert (await old(cloud, "GET", f"/os-security-groups/{made['id']}")).status == 404


async def test_bad_groups_of_old_are_refused_in_novas_way(cloud: TestCloud) -> None:
    made = (
        await old(cloud, "POST", "/os-security-groups", {"security_group": {"name": "g", "description": ""}})
    ).json()
    id = made["security_group"]["id"]
    rule = {"parent_group_id": id, "ip_protocol": "tcp", "from_port": 1, "to_port": 2}
    for wrong in ({"ip_protocol": "smoke"}, {"from_port": 70000}, {"from_port": 3}, {"cidr": "x"}, {"to_port": "y"}):
        answer = await old(cloud, "POST", "/os-security-group-rules", {"security_group_rule": {**rule, **wrong}})
        assert (answer.status, "badRequest" in answer.json()) == (400, True), wrong
    gone = {"security_group_rule": {**rule, "parent_group_id": "nope"}}
    assert (await old(cloud, "POST", "/os-security-group-rules", gone)).status == 404
    for name in ("", " ", "x" * 256, "default"):
        body = {"security_group": {"name": name, "description": ""}}
        assert (await old(cloud, "POST", "/os-security-groups", body)).status == 400, name
    groups = (await old(cloud, "GET", "/os-security-groups")).json()["security_groups"]
    default = next(g["id"] for g in groups if g["name"] == "default")
    assert (await old(cloud, "DELETE", f"/os-security-groups/{default}")).status == 400


async def test_images_of_old_are_glances(cloud: TestCloud, parts: Parts) -> None:
    id = parts.image["id"]
    shown = (await old(cloud, "GET", f"/images/{id}")).json()["image"]
    assert (shown["status"], shown["progress"], shown["metadata"]) == ("ACTIVE", 100, {"os_distro": "debian"})
    assert [i["id"] for i in (await old(cloud, "GET", "/images?status=active&name=tiny")).json()["images"]] == [id]
    assert (await old(cloud, "GET", "/images/detail?type=snapshot")).json()["images"] == []
    await old(cloud, "POST", f"/images/{id}/metadata", {"metadata": {"a": "b"}})
    assert (await old(cloud, "PUT", f"/images/{id}/metadata", {"metadata": {"c": "d"}})).json() == {
        "metadata": {"c": "d"}
    }
    assert (await old(cloud, "GET", f"/images/{id}/metadata/a")).status == 404
    assert (await cloud.ok("GET", f"{IMAGES}/{id}"))["c"] == "d"
    assert (await old(cloud, "DELETE", f"/images/{id}")).status == 204
    assert (await old(cloud, "GET", f"/images/{id}")).status == 404


async def test_floating_ips_of_old_are_neutrons(cloud: TestCloud) -> None:
    assert (await old(cloud, "GET", "/os-floating-ip-pools")).json() == {"floating_ip_pools": [{"name": "public"}]}
    made = (await old(cloud, "POST", "/os-floating-ips", {"pool": "public"})).json()["floating_ip"]
    assert (made["pool"], made["instance_id"]) == ("public", None)
    assert [f["ip"] for f in (await old(cloud, "GET", "/os-floating-ips")).json()["floating_ips"]] == [made["ip"]]
    assert (await old(cloud, "DELETE", f"/os-floating-ips/{made['id']}")).status == 202
    assert (await old(cloud, "POST", "/os-floating-ips", {"pool": "nowhere"})).status == 404


async def placed(cloud: TestCloud, parts: Parts) -> str:
    id = await a_server(cloud, parts)
    await cloud.boots(id)
    server = await stored(cloud, id)
    name, namespace = server["metadata"]["name"], server["metadata"]["namespace"]
    await cloud.state.patch(Server.KIND, name, namespace, {"spec": {"node": "node-1"}})
    return id


async def test_an_image_of_a_server_is_taken_by_its_node(cloud: TestCloud, parts: Parts) -> None:
    id = await placed(cloud, parts)
    headers = {"openstack-api-version": "compute 2.45"}
    asked = {"createImage": {"name": "snap", "metadata": {"purpose": "test"}}}
    made = await cloud.call("POST", f"{V}/servers/{id}/action", asked, headers=headers)
    assert made.status == 202
    image = (await cloud.state.list(Image.KIND, fields=f"spec.id={made.json()['image_id']}")).items[0]
    spec = image["spec"]
    assert (spec["serverId"], spec["node"], spec["diskFormat"], spec["minDisk"]) == (id, "node-1", "qcow2", 1)
    view = await cloud.ok("GET", f"{IMAGES}/{spec['id']}")
    assert (view["status"], view["image_type"], view["instance_uuid"]) == ("queued", "snapshot", id)
    assert (view["purpose"], view["os_distro"], view["visibility"]) == ("test", "debian", "private")
    detail = (await old(cloud, "GET", f"/images/detail?server={id}")).json()["images"]
    assert [i["server"]["id"] for i in detail] == [id]
    assert (await act(cloud, id, {"createImage": {"name": ""}}))[0] == 400
    assert (await act(cloud, id, {"createImage": {"name": "x", "metadata": {"k" * 256: "v"}}}))[0] == 400


async def test_of_backups_the_newest_stay(cloud: TestCloud, parts: Parts) -> None:
    id = await placed(cloud, parts)
    for number in range(3):
        body = {"createBackup": {"name": f"b{number}", "backup_type": "daily", "rotation": 2}}
        assert (await act(cloud, id, body))[0] == 202
    images = (await cloud.ok("GET", f"{IMAGES}?sort=name:asc"))["images"]
    assert [i["name"] for i in images if i.get("backup_type")] == ["b1", "b2"]


async def test_a_server_that_is_shelved_is_off_until_it_is_wanted_again(cloud: TestCloud, parts: Parts) -> None:
    id = await placed(cloud, parts)
    assert (await act(cloud, id, {"unshelve": None}))[0] == 409
    assert (await act(cloud, id, {"shelve": None}))[0] == 202
    assert (await shown(cloud, id))["OS-EXT-STS:task_state"] == "shelving"
    await cloud.report(Server.KIND, id, phase="Stopped", power="Shutdown")
    assert (await shown(cloud, id))["status"] == "SHELVED_OFFLOADED"
    assert (await act(cloud, id, {"os-start": None}))[0] == 409
    assert (await act(cloud, id, {"unshelve": None}))[0] == 202
    server = await stored(cloud, id)
    assert (server["spec"]["power"], server["spec"].get("shelved", False)) == ("On", False)
    types = [o["spec"]["type"] for o in (await cloud.state.list(Operation.KIND, fields=f"spec.serverId={id}")).items]
    assert sorted(types) == ["shelve", "unshelve"]


async def test_the_history_names_the_requests(cloud: TestCloud, parts: Parts) -> None:
    made = await cloud.call("POST", f"{V}/servers", body(parts))
    id, created = made.json()["server"]["id"], made.headers["x-openstack-request-id"]
    await cloud.boots(id)
    stopped = (await cloud.call("POST", f"{V}/servers/{id}/action", {"os-stop": None})).headers[
        "x-openstack-request-id"
    ]
    actions = (await cloud.ok("GET", f"{V}/servers/{id}/os-instance-actions"))["instanceActions"]
    assert [(a["action"], a["request_id"]) for a in actions] == [("stop", stopped), ("create", created)]


async def test_a_rebuild_may_change_key_secrets_and_addresses(cloud: TestCloud, parts: Parts) -> None:
    id = await placed(cloud, parts)
    wanted = {"imageRef": parts.image["id"], "adminPass": "secret-word", "accessIPv4": "1.2.3.4"}
    status, answer = await act(cloud, id, {"rebuild": wanted})
    assert (status, answer["server"]["accessIPv4"]) == (202, "1.2.3.4")
    assert "secret-word" not in str(answer)
    assert (await stored(cloud, id))["spec"]["userDataSecret"]


async def test_a_volume_becomes_an_image_if_nobody_uses_it(cloud: TestCloud) -> None:
    made = (await cloud.ok("POST", "/volume/v3/volumes", {"volume": {"size": 2, "name": "v"}}))["volume"]
    path = f"/volume/v3/volumes/{made['id']}/action"
    asked = {"os-volume_upload_image": {"image_name": "of-v", "disk_format": "raw", "container_format": "bare"}}
    assert (await cloud.call("POST", path, asked)).status == 400  # it is being made
    volume = (await cloud.state.list(Volume.KIND, fields=f"spec.id={made['id']}")).items[0]
    name = volume["metadata"]["name"]
    await cloud.state.patch(Volume.KIND, name, "demo", {"spec": {"node": "node-1"}})
    await cloud.state.patch(Volume.KIND, name, "demo", {"status": {"phase": "Available"}}, subresource="status")
    answer = (await cloud.ok("POST", path, asked))["os-volume_upload_image"]
    image = await cloud.ok("GET", f"{IMAGES}/{answer['image_id']}")
    assert (image["disk_format"], image["min_disk"], image["name"]) == ("raw", 2, "of-v")
    wrong = {"os-volume_upload_image": {"image_name": "x", "disk_format": "vmdk"}}
    assert (await cloud.call("POST", path, wrong)).status == 400


async def test_cinders_quota_is_set_and_counts(cloud: TestCloud) -> None:
    path = f"/volume/v3/os-quota-sets/{cloud.projects['demo']}"
    assert (await cloud.call("PUT", path, {"quota_set": {"gigabytes": 3}})).status == 403
    kept = (await cloud.ok("PUT", path, {"quota_set": {"gigabytes": 3, "volumes": 2}}, who="admin"))["quota_set"]
    assert (kept["gigabytes"], kept["volumes"], kept["snapshots"]) == (3, 2, -1)
    await cloud.ok("POST", "/volume/v3/volumes", {"volume": {"size": 2}})
    assert (await cloud.call("POST", "/volume/v3/volumes", {"volume": {"size": 2}})).status == 413
    assert (await cloud.call("PUT", path, {"quota_set": {"colour": 1}}, who="admin")).status == 400
    assert (await cloud.call("DELETE", path, who="admin")).status == 200
    assert (await cloud.ok("GET", path))["quota_set"]["gigabytes"] == -1


async def test_a_certificate_is_made_for_windows(cloud: TestCloud) -> None:
    made = (
        await cloud.ok(
            "POST",
            f"{V}/os-keypairs",
            {"keypair": {"name": "win", "type": "x509"}},
            headers={"openstack-api-version": "compute 2.2"},
        )
    )["keypair"]
    assert made["public_key"].startswith("-----BEGIN CERTIFICATE-----")
    assert made["private_key"].startswith("-----BEGIN PRIVATE KEY-----")
    assert len(made["fingerprint"].split(":")) == 20
    bad = {"keypair": {"name": "bad", "type": "x509", "public_key": "nothing"}}
    assert (await cloud.call("POST", f"{V}/os-keypairs", bad)).status == 400


async def test_a_server_is_rescued_from_an_image_and_comes_back(cloud: TestCloud, parts: Parts) -> None:
    id = await placed(cloud, parts)
    assert (await act(cloud, id, {"unrescue": None}))[0] == 409
    assert (await act(cloud, id, {"rescue": {"rescue_image_ref": "nope"}}))[0] == 400
    assert (await act(cloud, id, {"rescue": {"colour": "red"}}))[0] == 400
    wanted = {"adminPass": "word", "rescue_image_ref": parts.image["id"]}
    assert await act(cloud, id, {"rescue": wanted}) == (200, {"adminPass": "word"})
    assert (await shown(cloud, id))["OS-EXT-STS:task_state"] == "rescuing"
    spec = (await stored(cloud, id))["spec"]
    assert spec["rescue"]["imageId"] == parts.image["id"]
    await cloud.report(Server.KIND, id, rescuedAt=spec["rescue"]["at"])
    rescued = await shown(cloud, id)
    assert (rescued["status"], rescued["OS-EXT-STS:vm_state"], rescued["OS-EXT-STS:task_state"]) == (
        "RESCUE", "rescued", None,
    )  # fmt: skip
    assert (await act(cloud, id, {"pause": None}))[0] == 409
    assert (await act(cloud, id, {"unrescue": None}))[0] == 202
    assert (await shown(cloud, id))["OS-EXT-STS:task_state"] == "unrescuing"
    await cloud.report(Server.KIND, id, rescuedAt="")
    assert (await shown(cloud, id))["status"] == "ACTIVE"


async def test_a_console_that_is_not_offered_is_refused_in_words(cloud: TestCloud, parts: Parts) -> None:
    id = await placed(cloud, parts)
    wanted = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
    refused = await cloud.call("POST", f"{V}/servers/{id}/remote-consoles", wanted)
    assert (refused.status, "console log show" in refused.json()["badRequest"]["message"]) == (400, True)
    odd = {"remote_console": {"protocol": "vnc", "type": "serial"}}
    assert (await cloud.call("POST", f"{V}/servers/{id}/remote-consoles", odd)).status == 400
    assert (await cloud.call("POST", f"{V}/servers/nope/remote-consoles", wanted)).status == 404
    assert await cloud.ok("GET", f"{V}/os-migrations", who="admin") == {"migrations": []}
    assert (await cloud.ok("GET", "/image/v2/tasks", who="admin"))["tasks"] == []
