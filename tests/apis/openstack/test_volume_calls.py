# SPDX-License-Identifier: Apache-2.0
"""Cinder's calls over the real kernel; what the nodes report is written by the test."""

from __future__ import annotations

from typing import Any

import pytest

from lichen.kinds.builtin import RESOURCE_QUOTA
from lichen.kinds.volume.attachment import VolumeAttachment
from lichen.kinds.volume.snapshot import VolumeSnapshot
from lichen.kinds.volume.volume import Volume
from lichen.model.kind import new_object

from .cloud import TestCloud

V = "/volume/v3"


async def a_volume(cloud: TestCloud, *, who: str = "demo", **body: Any) -> Any:
    """A volume that its node has made."""
    made = (await cloud.ok("POST", f"{V}/volumes", {"volume": {"size": 1, "name": "data", **body}}, who=who))["volume"]
    await cloud.report(Volume.KIND, made["id"], phase="Available", size=made["size"])
    return await shown(cloud, made["id"], who=who)


async def shown(cloud: TestCloud, id: str, *, who: str = "demo") -> Any:
    return (await cloud.ok("GET", f"{V}/volumes/{id}", who=who))["volume"]


async def a_snapshot(cloud: TestCloud, volume: Any) -> Any:
    body = {"snapshot": {"volume_id": volume["id"], "name": "snap"}}
    made = (await cloud.ok("POST", f"{V}/snapshots", body))["snapshot"]
    await cloud.report(VolumeSnapshot.KIND, made["id"], phase="Available")
    return made


async def test_a_volume_is_created_listed_changed_and_deleted(cloud: TestCloud):
    answer = await cloud.call("POST", f"{V}/volumes", {"volume": {"size": "2", "name": "data", "metadata": {"a": "b"}}})
    made = answer.json()["volume"]
    assert (answer.status, made["status"], made["size"], made["metadata"]) == (202, "creating", 2, {"a": "b"})
    assert made["volume_type"] == "standard"
    await cloud.report(Volume.KIND, made["id"], phase="Available", size=2)
    assert [v["status"] for v in (await cloud.ok("GET", f"{V}/volumes/detail"))["volumes"]] == ["available"]
    body = {"volume": {"name": "new", "description": "d", "metadata": {"c": "d"}}}
    changed = (await cloud.ok("PUT", f"{V}/volumes/{made['id']}", body))["volume"]
    assert (changed["name"], changed["description"], changed["metadata"]) == ("new", "d", {"c": "d"})
    assert (await cloud.call("DELETE", f"{V}/volumes/{made['id']}")).status == 202
    assert (await cloud.call("GET", f"{V}/volumes/{made['id']}")).status == 404


async def test_paths_may_name_the_callers_project_and_no_other(cloud: TestCloud):
    volume = await a_volume(cloud)
    path = f"{V}/{cloud.projects['demo']}/volumes/{volume['id']}"
    assert (await cloud.ok("GET", path))["volume"]["id"] == volume["id"]
    other = await cloud.call("GET", f"{V}/{cloud.projects['admin']}/volumes")
    assert (other.status, list(other.json())) == (400, ["badRequest"])


async def test_a_stranger_sees_no_volume_and_no_snapshot(cloud: TestCloud):
    volume = await a_volume(cloud)
    snapshot = await a_snapshot(cloud, volume)
    await cloud.project("stranger")
    for path in (f"volumes/{volume['id']}", f"snapshots/{snapshot['id']}"):
        for method in ("GET", "DELETE"):
            assert (await cloud.call(method, f"{V}/{path}", who="stranger")).status == 404
    assert (await cloud.ok("GET", f"{V}/volumes/detail?all_tenants=1", who="stranger"))["volumes"] == []
    for source in ({"source_volid": volume["id"]}, {"snapshot_id": snapshot["id"]}):
        answer = await cloud.call("POST", f"{V}/volumes", {"volume": {"size": 1, **source}}, who="stranger")
        assert answer.status == 404
    everyones = await cloud.ok("GET", f"{V}/volumes/detail?all_tenants=1", who="admin")
    assert [v["id"] for v in everyones["volumes"]] == [volume["id"]]


async def test_snapshots_and_clones_know_their_source(cloud: TestCloud):
    volume = await a_volume(cloud, size=3)
    snapshot = await a_snapshot(cloud, volume)
    assert (snapshot["size"], snapshot["volume_id"]) == (3, volume["id"])
    from_snapshot = (await cloud.ok("POST", f"{V}/volumes", {"volume": {"snapshot_id": snapshot["id"]}}))["volume"]
    clone = (await cloud.ok("POST", f"{V}/volumes", {"volume": {"source_volid": volume["id"], "size": 5}}))["volume"]
    assert (from_snapshot["size"], from_snapshot["snapshot_id"]) == (3, snapshot["id"])
    assert (clone["size"], clone["source_volid"]) == (5, volume["id"])
    small = await cloud.call("POST", f"{V}/volumes", {"volume": {"source_volid": volume["id"], "size": 2}})
    assert small.status == 400


async def test_a_volume_with_snapshots_goes_only_with_them(cloud: TestCloud):
    volume = await a_volume(cloud)
    await a_snapshot(cloud, volume)
    refusal = await cloud.call("DELETE", f"{V}/volumes/{volume['id']}")
    assert (refusal.status, "snapshots" in refusal.json()["badRequest"]["message"]) == (400, True)
    assert (await cloud.call("DELETE", f"{V}/volumes/{volume['id']}?cascade=true")).status == 202


async def test_a_volume_grows_and_never_shrinks(cloud: TestCloud):
    volume = await a_volume(cloud, size=2)
    action = f"{V}/volumes/{volume['id']}/action"
    for size in (1, 2, 0, "x", None):
        assert (await cloud.call("POST", action, {"os-extend": {"new_size": size}})).status == 400
    assert (await cloud.call("POST", action, {"os-extend": {"new_size": 4}})).status == 202
    assert (await shown(cloud, volume["id"]))["size"] == 4


async def test_a_volume_is_made_from_an_image_and_says_so(cloud: TestCloud):
    image = await cloud.ok("POST", "/image/v2/images", {"name": "i", "disk_format": "raw", "container_format": "bare"})
    early = await cloud.call("POST", f"{V}/volumes", {"volume": {"size": 1, "imageRef": image["id"]}})
    assert early.status == 400
    octets = {"content-type": "application/octet-stream"}
    await cloud.ok("PUT", f"/image/v2/images/{image['id']}/file", body=b"\0" * 512, headers=octets)
    volume = await a_volume(cloud, imageRef=image["id"])
    assert (volume["bootable"], volume["volume_image_metadata"]["image_id"]) == ("true", image["id"])


async def test_who_has_a_volume_keeps_it(cloud: TestCloud):
    volume = await a_volume(cloud)
    spec = {"volume": "data", "pods": True, "node": "node-1"}
    await cloud.state.create(VolumeAttachment.KIND, new_object(VolumeAttachment.KIND, "data", "demo", spec))
    assert (await shown(cloud, volume["id"]))["status"] == "attaching"
    attachment = (await cloud.state.list(VolumeAttachment.KIND)).items[0]
    await cloud.report(VolumeAttachment.KIND, attachment["spec"]["id"], phase="Attached")
    view = await shown(cloud, volume["id"])
    assert (view["status"], view["attachments"][0]["host_name"]) == ("in-use", "node-1")
    assert (await cloud.call("DELETE", f"{V}/volumes/{volume['id']}")).status == 400
    version = {"openstack-api-version": "volume 3.65"}
    body: dict[str, Any] = {"snapshot": {"volume_id": volume["id"], "force": False}}
    assert (await cloud.call("POST", f"{V}/snapshots", body, headers=version)).status == 400
    del body["snapshot"]["force"]  # as the openstack command sends it, with --force and without
    assert (await cloud.call("POST", f"{V}/snapshots", body, headers=version)).status == 202


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"volume": []},
        {"volume": {}},
        {"volume": {"size": 0}},
        {"volume": {"size": -1}},
        {"volume": {"size": 1.5}},
        {"volume": {"size": True}},
        {"volume": {"size": 10**9}},
        {"volume": {"size": 1, "name": "x" * 256}},
        {"volume": {"size": 1, "name": 7}},
        {"volume": {"size": 1, "metadata": []}},
        {"volume": {"size": 1, "metadata": {"a": 1}}},
        {"volume": {"size": 1, "multiattach": True}},
        {"volume": {"size": 1, "snapshot_id": "a", "source_volid": "b"}},
        {"volume": {"size": 1, "imageRef": "nothing"}},
    ],
)
async def test_what_is_no_volume_is_refused_in_words(cloud: TestCloud, body: Any):
    answer = await cloud.call("POST", f"{V}/volumes", body)
    assert (answer.status, list(answer.json())) == (400, ["badRequest"])
    assert (await cloud.ok("GET", f"{V}/volumes"))["volumes"] == []


async def test_lists_are_filtered_sorted_and_paged(cloud: TestCloud):
    for number in range(3):
        await a_volume(cloud, name=f"v{number}", size=number + 1, metadata={"n": str(number)})
    named = await cloud.ok("GET", f"{V}/volumes/detail?name=v1")
    assert [v["size"] for v in named["volumes"]] == [2]
    by_metadata = await cloud.ok("GET", V + "/volumes/detail?metadata=%7B%27n%27%3A+%272%27%7D")
    assert [v["name"] for v in by_metadata["volumes"]] == ["v2"]
    first = await cloud.ok("GET", f"{V}/volumes?sort=size:desc&limit=2")
    assert [v["name"] for v in first["volumes"]] == ["v2", "v1"]
    rest = await cloud.ok("GET", first["volumes_links"][0]["href"].removeprefix("http://cloud.test"))
    assert [v["name"] for v in rest["volumes"]] == ["v0"]
    assert (await cloud.call("GET", f"{V}/volumes?sort=password")).status == 400


async def test_microversions_are_negotiated_under_the_name_volume(cloud: TestCloud):
    answer = await cloud.call("GET", f"{V}/volumes", headers={"openstack-api-version": "volume 3.48"})
    assert answer.headers["openstack-api-version"] == "volume 3.48"
    assert (await cloud.call("GET", f"{V}/volumes", headers={"openstack-api-version": "volume 3.99"})).status == 406
    document = (await cloud.ok("GET", f"{V}/", who=""))["versions"][0]
    assert (document["id"], document["min_version"], document["version"]) == ("v3.0", "3.0", "3.70")


async def test_types_are_read_by_all_and_written_by_the_admin(cloud: TestCloud):
    listed = (await cloud.ok("GET", f"{V}/types"))["volume_types"]
    assert [t["name"] for t in listed] == ["standard"]
    assert (await cloud.ok("GET", f"{V}/types/default"))["volume_type"]["name"] == "standard"
    body = {"volume_type": {"name": "gold", "extra_specs": {"a": "b"}}}
    assert (await cloud.call("POST", f"{V}/types", body)).status == 403
    gold = (await cloud.ok("POST", f"{V}/types", body, who="admin"))["volume_type"]
    volume = await a_volume(cloud, volume_type="gold")
    assert volume["volume_type"] == "gold"
    assert (await cloud.call("DELETE", f"{V}/types/{gold['id']}", who="admin")).status == 400


async def test_a_quota_bounds_volumes_and_gigabytes_and_is_shown(cloud: TestCloud):
    hard = {"count/volumes.volume.lichen.dev": "2", "requests.storage": "5Gi"}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q", "namespace": "demo"}}
    await cloud.state.create(RESOURCE_QUOTA, {**quota, "spec": {"hard": hard}})
    volume = await a_volume(cloud, size=4)
    over = await cloud.call("POST", f"{V}/volumes", {"volume": {"size": 2}})
    assert (over.status, list(over.json())) == (413, ["overLimit"])
    action = await cloud.call("POST", f"{V}/volumes/{volume['id']}/action", {"os-extend": {"new_size": 6}})
    assert action.status == 413
    absolute = (await cloud.ok("GET", f"{V}/limits"))["limits"]["absolute"]
    assert (absolute["maxTotalVolumeGigabytes"], absolute["totalGigabytesUsed"]) == (5, 4)
    sets = await cloud.ok("GET", f"{V}/os-quota-sets/{cloud.projects['demo']}?usage=True")
    assert sets["quota_set"]["volumes"] == {"limit": 2, "in_use": 1, "reserved": 0}
