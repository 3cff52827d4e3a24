# SPDX-License-Identifier: Apache-2.0
"""Glance's calls, over the real kernel and the real image store."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lichen.kinds.image.image import Image

from .asgi import Answer
from .cloud import TestCloud

IMAGES = "/image/v2/images"
BYTES = {"content-type": "application/octet-stream"}
PATCH = {"content-type": "application/openstack-images-v2.1-json-patch"}
RAW = {"disk_format": "raw", "container_format": "bare"}


async def an_image(cloud: TestCloud, name: str = "tiny", *, who: str = "demo", **more: Any) -> Any:
    return await cloud.ok("POST", IMAGES, {"name": name, **RAW, **more}, who=who)


async def upload(cloud: TestCloud, image: Any, data: bytes | list[bytes] = b"bytes", who: str = "demo") -> Answer:
    return await cloud.call("PUT", f"{IMAGES}/{image['id']}/file", body=data, headers=BYTES, who=who)


async def patched(cloud: TestCloud, image: Any, *changes: Any, who: str = "demo") -> Answer:
    body = msgspec.json.encode(list(changes))
    return await cloud.call("PATCH", f"{IMAGES}/{image['id']}", body=body, headers=PATCH, who=who)


async def names(cloud: TestCloud, query: str = "", who: str = "demo") -> list[str]:
    return [i["name"] for i in (await cloud.ok("GET", f"{IMAGES}?{query}", who=who))["images"]]


async def test_an_image_is_registered_uploaded_and_downloaded(cloud: TestCloud, tmp_path: Path) -> None:
    made = await cloud.call(
        "POST", IMAGES, {"name": "tiny", **RAW, "min_ram": 64, "tags": ["t"], "os_distro": "debian"}
    )
    image = made.json()
    assert made.status == 201
    assert made.headers["location"].endswith(f"{IMAGES}/{image['id']}")
    assert (image["status"], image["size"], image["visibility"]) == ("queued", None, "shared")
    assert (image["owner"], image["min_ram"], image["tags"]) == (cloud.projects["demo"], 64, ["t"])
    assert image["os_distro"] == "debian"
    assert (await cloud.call("GET", f"{IMAGES}/{image['id']}/file")).status == 204
    data = bytes(range(256)) * 5000
    assert (await upload(cloud, image, [data[:1000], data[1000:]])).status == 204
    shown = await cloud.ok("GET", f"{IMAGES}/{image['id']}")
    assert (shown["status"], shown["size"], shown["virtual_size"]) == ("active", len(data), len(data))
    assert shown["checksum"] == hashlib.md5(data).hexdigest()
    assert (shown["os_hash_algo"], shown["os_hash_value"]) == ("sha512", hashlib.sha512(data).hexdigest())
    got = await cloud.call("GET", f"{IMAGES}/{image['id']}/file")
    assert (got.body, got.headers["content-md5"], got.headers["content-length"]) == (data, shown["checksum"], "1280000")
    part = await cloud.call("GET", f"{IMAGES}/{image['id']}/file", headers={"range": "bytes=10-19"})
    assert (part.status, part.body, part.headers["content-range"]) == (206, data[10:20], "bytes 10-19/1280000")
    assert (await cloud.call("DELETE", f"{IMAGES}/{image['id']}")).status == 204
    assert list((tmp_path / "images").iterdir()) == []
    assert (await cloud.call("GET", f"{IMAGES}/{image['id']}")).status == 404


async def test_a_second_upload_is_refused(cloud: TestCloud) -> None:
    image = await an_image(cloud)
    assert (await upload(cloud, image, b"first")).status == 204
    assert (await upload(cloud, image, b"second")).status == 409
    assert (await cloud.call("GET", f"{IMAGES}/{image['id']}/file")).body == b"first"


async def test_an_image_that_is_not_what_it_says_is_refused_and_stays_queued(cloud: TestCloud) -> None:
    image = await an_image(cloud, disk_format="qcow2")
    answer = await upload(cloud, image, b"this is no qcow2")
    assert answer.status == 400
    assert b"declared qcow2, found raw" in answer.body
    shown = await cloud.ok("GET", f"{IMAGES}/{image['id']}")
    assert (shown["status"], shown["size"]) == ("queued", None)


async def test_an_upload_needs_formats_and_the_right_media_type(cloud: TestCloud) -> None:
    bare = await cloud.ok("POST", IMAGES, {"name": "bare"})
    assert (await upload(cloud, bare)).status == 400
    image = await an_image(cloud)
    path = f"{IMAGES}/{image['id']}/file"
    assert (await cloud.call("PUT", path, body=b"x", headers={"content-type": "text/plain"})).status == 415
    assert (await cloud.call("GET", path, headers={"range": "bytes=9-1"})).status in (204, 400)


async def test_properties_are_added_replaced_and_removed_by_patch(cloud: TestCloud) -> None:
    image = await an_image(cloud, colour="red", size_hint="big")
    answer = await patched(
        cloud,
        image,
        {"op": "replace", "path": "/name", "value": "renamed"},
        {"op": "add", "path": "/hw_disk_bus", "value": "virtio"},
        {"op": "replace", "path": "/colour", "value": "blue"},
        {"op": "remove", "path": "/size_hint"},
        {"op": "add", "path": "/tags/-", "value": "new"},
        {"op": "replace", "path": "/min_disk", "value": 3},
    )
    assert answer.status == 200
    shown = answer.json()
    assert (shown["name"], shown["hw_disk_bus"], shown["colour"]) == ("renamed", "virtio", "blue")
    assert "size_hint" not in shown
    assert (shown["tags"], shown["min_disk"]) == (["new"], 3)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"op": "replace", "path": "/status", "value": "active"}, 403),
        ({"op": "replace", "path": "/id", "value": "x"}, 403),
        ({"op": "remove", "path": "/name"}, 403),
        ({"op": "replace", "path": "/nothing", "value": "x"}, 409),
        ({"op": "remove", "path": "/nothing"}, 409),
        ({"op": "add", "path": "/number", "value": 7}, 400),
        ({"op": "replace", "path": "/min_ram", "value": "7"}, 400),
        ({"op": "replace", "path": "/visibility", "value": "public"}, 403),
        ({"op": "replace", "path": "/visibility", "value": "everyone"}, 400),
        ({"op": "replace", "path": "/disk_format", "value": "floppy"}, 400),
        ({"op": "add", "path": "/locations/-", "value": {}}, 403),
        ({"op": "add", "path": "/a/b", "value": "x"}, 400),
        ({"op": "add", "path": "name", "value": "x"}, 400),
        ({"op": "add", "path": "/name"}, 400),
        ({"op": "test", "path": "/name", "value": "x"}, 400),
        ({"op": "add", "path": "/tags/9", "value": "x"}, 400),
        ({"op": "add", "path": "/os_glance_x", "value": "x"}, 403),
        ("nonsense", 400),
    ],
)
async def test_a_bad_patch_is_refused_and_changes_nothing(cloud: TestCloud, change: Any, status: int) -> None:
    image = await an_image(cloud)
    good = {"op": "replace", "path": "/name", "value": "changed"}
    assert (await patched(cloud, image, good, change)).status == status
    assert (await cloud.ok("GET", f"{IMAGES}/{image['id']}"))["name"] == "tiny"


async def test_a_patch_of_another_media_type_is_refused(cloud: TestCloud) -> None:
    image = await an_image(cloud)
    assert (await cloud.call("PATCH", f"{IMAGES}/{image['id']}", [])).status == 415


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "x" * 256}, 400),
        ({"name": 7}, 400),
        ({"disk_format": "floppy"}, 400),
        ({"container_format": "crate"}, 400),
        ({"min_ram": -1}, 400),
        ({"min_disk": 2**40}, 400),
        ({"protected": "yes"}, 400),
        ({"tags": "t"}, 400),
        ({"tags": ["x" * 256]}, 400),
        ({"id": "not-a-uuid"}, 400),
        ({"status": "active"}, 403),
        ({"size": 3}, 403),
        ({"owner": "0" * 32}, 403),
        ({"visibility": "public"}, 403),
        ({"visibility": "mine"}, 400),
        ({"extra": {"deep": 1}}, 400),
    ],
)
async def test_bad_records_are_refused_in_glances_way_and_nothing_is_made(
    cloud: TestCloud, body: Any, status: int
) -> None:
    answer = await cloud.call("POST", IMAGES, body)
    assert (answer.status, answer.headers["content-type"]) == (status, "text/html; charset=UTF-8")
    assert await names(cloud) == []


async def test_malformed_json_is_refused(cloud: TestCloud) -> None:
    assert (await cloud.call("POST", IMAGES, body=b"{")).status == 400
    assert (await cloud.call("POST", IMAGES, [1])).status == 400


async def test_a_chosen_id_is_kept_and_cannot_be_taken_twice_even_by_another_project(cloud: TestCloud) -> None:
    chosen = "6f0fd1f1-7f0c-4c57-9a9b-0b3c8f8f6a11"
    assert (await an_image(cloud, id=chosen))["id"] == chosen
    assert (await cloud.call("POST", IMAGES, {"name": "again", "id": chosen})).status == 409
    await cloud.project("other")
    assert (await cloud.call("POST", IMAGES, {"name": "thief", "id": chosen}, who="other")).status == 409


async def test_a_protected_image_stays(cloud: TestCloud) -> None:
    image = await an_image(cloud, protected=True)
    assert (await cloud.call("DELETE", f"{IMAGES}/{image['id']}")).status == 403
    assert (await patched(cloud, image, {"op": "replace", "path": "/protected", "value": False})).status == 200
    assert (await cloud.call("DELETE", f"{IMAGES}/{image['id']}")).status == 204


async def test_lists_filter_sort_and_page(cloud: TestCloud) -> None:
    for number, name in enumerate(("a", "b", "c")):
        image = await an_image(cloud, name, tags=[f"t{number}", "all"], flavour=name)
        await upload(cloud, image, bytes(10 * (number + 1)))
    await an_image(cloud, "hidden", os_hidden=True)
    assert await names(cloud, "sort=name:asc") == ["a", "b", "c"]
    assert await names(cloud, "sort_key=size&sort_dir=desc") == ["c", "b", "a"]
    assert await names(cloud, "name=b") == ["b"]
    assert sorted(await names(cloud, "name=in:a,c")) == ["a", "c"]
    assert await names(cloud, "tag=all&tag=t1") == ["b"]
    assert await names(cloud, "size_min=15&size_max=25") == ["b"]
    assert await names(cloud, "flavour=c") == ["c"]
    assert await names(cloud, "status=queued") == []
    assert await names(cloud, "os_hidden=true") == ["hidden"]
    assert await names(cloud, "visibility=public") == []
    assert len(await names(cloud, f"owner={cloud.projects['demo']}&created_at=gt:2020-01-01T00:00:00Z")) == 3
    first = await cloud.ok("GET", f"{IMAGES}?limit=2&sort=name:asc")
    assert first["first"] == "/v2/images?limit=2&sort=name%3Aasc"
    following = await cloud.ok("GET", "/image" + first["next"])
    assert [i["name"] for i in following["images"]] == ["c"]
    assert "next" not in following


@pytest.mark.parametrize(
    "query",
    ["limit=-1", "limit=x", "marker=nope", "sort_key=colour", "sort_dir=up", "size_min=x", "visibility=x",
     "protected=maybe", "created_at=gt:yesterday", "name=in:%22open"],
)  # fmt: skip
async def test_bad_queries_are_refused(cloud: TestCloud, query: str) -> None:
    await an_image(cloud)
    assert (await cloud.call("GET", f"{IMAGES}?{query}")).status == 400


async def test_public_images_are_seen_by_all_and_private_ones_by_their_project(cloud: TestCloud) -> None:
    public = await an_image(cloud, "public", who="admin", visibility="public")
    await upload(cloud, public, b"open", who="admin")
    private = await an_image(cloud, "private", visibility="private")
    await upload(cloud, private, b"secret")
    await cloud.project("other")
    assert await names(cloud, who="other") == ["public"]
    assert (await cloud.call("GET", f"{IMAGES}/{public['id']}/file", who="other")).body == b"open"
    for method, path in (("GET", ""), ("GET", "/file"), ("DELETE", ""), ("PUT", "/tags/x")):
        assert (await cloud.call(method, f"{IMAGES}/{private['id']}{path}", who="other")).status == 404
    assert (await upload(cloud, private, b"mine", who="other")).status == 404
    assert (await cloud.call("DELETE", f"{IMAGES}/{public['id']}", who="other")).status == 403
    assert (await patched(cloud, public, {"op": "add", "path": "/x", "value": "y"}, who="other")).status == 403
    assert (await cloud.call("GET", f"{IMAGES}/{private['id']}/file")).body == b"secret"


async def test_a_community_image_is_seen_by_who_knows_or_asks_and_is_not_listed(cloud: TestCloud) -> None:
    image = await an_image(cloud, "common", visibility="community")
    await upload(cloud, image, b"common")
    await cloud.project("other")
    assert await names(cloud, who="other") == []
    assert await names(cloud, "visibility=community", who="other") == ["common"]
    assert (await cloud.call("GET", f"{IMAGES}/{image['id']}/file", who="other")).body == b"common"
    assert (await cloud.call("DELETE", f"{IMAGES}/{image['id']}", who="other")).status == 403


async def test_tags_come_and_go(cloud: TestCloud) -> None:
    image = await an_image(cloud)
    path = f"{IMAGES}/{image['id']}/tags/new"
    assert (await cloud.call("PUT", path)).status == 204
    assert (await cloud.ok("GET", f"{IMAGES}/{image['id']}"))["tags"] == ["new"]
    assert (await cloud.call("DELETE", path)).status == 204
    assert (await cloud.call("DELETE", path)).status == 404


async def test_a_deactivated_image_is_not_given_out_but_to_the_admin(cloud: TestCloud) -> None:
    image = await an_image(cloud)
    await upload(cloud, image, b"data")
    path = f"{IMAGES}/{image['id']}"
    assert (await cloud.call("POST", path + "/actions/deactivate")).status == 403
    assert (await cloud.call("POST", path + "/actions/deactivate", who="admin")).status == 204
    assert (await cloud.call("GET", path + "/file")).status == 403
    assert (await cloud.call("GET", path + "/file", who="admin")).body == b"data"
    assert (await cloud.call("POST", path + "/actions/reactivate", who="admin")).status == 204
    assert (await cloud.call("GET", path + "/file")).body == b"data"


async def test_an_image_deleted_under_its_upload_is_gone(cloud: TestCloud, tmp_path: Path) -> None:
    image = await an_image(cloud)
    app = cloud.app

    async def deleting(scope: Any, receive: Any, send: Any) -> None:
        async def slow() -> Any:
            message = await receive()
            found = (await cloud.state.list(Image.KIND, fields=f"spec.id={image['id']}")).items
            if found:
                await cloud.state.delete(Image.KIND, found[0]["metadata"]["name"], "demo")
            return message

        await app(scope, slow, send)

    cloud.app = deleting
    assert (await upload(cloud, image, b"late")).status == 410
    assert list((tmp_path / "images").iterdir()) == []


async def test_the_service_says_what_it_can(cloud: TestCloud) -> None:
    assert (await cloud.ok("GET", "/image/v2/info/import"))["import-methods"]["value"] == []
    assert (await cloud.call("GET", "/image/v2/info/stores")).status == 404
    schema = await cloud.ok("GET", "/image/v2/schemas/image")
    assert schema["properties"]["size"]["readOnly"] is True
    assert (await cloud.call("GET", "/image")).status == 300


async def test_a_shared_image_is_used_by_its_members_and_listed_once_they_accept_it(cloud: TestCloud) -> None:
    image = await an_image(cloud, "lent")
    await upload(cloud, image, b"lent")
    await cloud.project("other")
    member, path = cloud.projects["other"], f"{IMAGES}/{image['id']}/members"
    assert (await cloud.call("GET", f"{IMAGES}/{image['id']}", who="other")).status == 404
    added = await cloud.ok("POST", path, {"member": member})
    assert (added["member_id"], added["image_id"], added["status"]) == (member, image["id"], "pending")
    assert (await cloud.call("GET", f"{IMAGES}/{image['id']}/file", who="other")).body == b"lent"
    assert await names(cloud, who="other") == []
    assert await names(cloud, "visibility=shared&member_status=pending", who="other") == ["lent"]
    accepted = await cloud.ok("PUT", f"{path}/{member}", {"status": "accepted"}, who="other")
    assert accepted["status"] == "accepted"
    assert await names(cloud, who="other") == ["lent"]
    assert [m["status"] for m in (await cloud.ok("GET", path))["members"]] == ["accepted"]
    assert (await cloud.ok("GET", f"{path}/{member}", who="other"))["status"] == "accepted"
    await cloud.ok("PUT", f"{path}/{member}", {"status": "rejected"}, who="other")
    assert await names(cloud, "member_status=rejected", who="other") == ["lent"]
    assert (await cloud.call("DELETE", f"{path}/{member}")).status == 204
    assert (await cloud.call("GET", f"{IMAGES}/{image['id']}", who="other")).status == 404
    assert await names(cloud, "member_status=all", who="other") == []


async def test_a_member_only_uses_an_image_and_only_the_owner_says_who_is_one(cloud: TestCloud) -> None:
    image, private = await an_image(cloud, "lent"), await an_image(cloud, "kept", visibility="private")
    await cloud.project("other")
    await cloud.project("third")
    member, path = cloud.projects["other"], f"{IMAGES}/{image['id']}/members"
    await cloud.ok("POST", path, {"member": member})
    refused = [
        ("POST", path, {"member": cloud.projects["third"]}, "other", 403),
        ("POST", path, {"member": "nobody"}, "demo", 400),
        ("POST", path, {"member": cloud.projects["demo"]}, "demo", 400),
        ("POST", path, {"member": member}, "demo", 409),
        ("POST", path, {}, "demo", 400),
        ("POST", f"{IMAGES}/{private['id']}/members", {"member": member}, "demo", 403),
        ("PUT", f"{path}/{member}", {"status": "accepted"}, "demo", 403),
        ("PUT", f"{path}/{member}", {"status": "maybe"}, "other", 400),
        ("DELETE", f"{path}/{member}", None, "other", 403),
        ("DELETE", f"{IMAGES}/{image['id']}", None, "other", 403),
        ("PUT", f"{IMAGES}/{image['id']}/tags/x", None, "other", 403),
        ("GET", path, None, "third", 404),
    ]
    for method, where, body, who, status in refused:
        assert (await cloud.call(method, where, body, who=who)).status == status, (method, where, who)
    assert [m["member_id"] for m in (await cloud.ok("GET", path))["members"]] == [member]
    await cloud.ok("PATCH", f"{IMAGES}/{image['id']}", [{"op": "replace", "path": "/visibility", "value": "private"}],
                   headers={"content-type": "application/openstack-images-v2.1-json-patch"})  # fmt: skip
    assert (await cloud.call("GET", f"{IMAGES}/{image['id']}", who="other")).status == 404


async def test_data_that_is_not_what_was_announced_is_refused_and_can_be_sent_again(cloud: TestCloud) -> None:
    right = hashlib.md5(b"right").hexdigest()
    image = await an_image(cloud, "torn", **{"owner_specified.openstack.md5": right})
    refused = await upload(cloud, image, b"wrong")
    assert (refused.status, b"checksum does not match" in refused.body) == (400, True)
    assert (await cloud.ok("GET", f"{IMAGES}/{image['id']}"))["status"] == "queued"
    assert (await upload(cloud, image, b"right")).status == 204
    other = await an_image(cloud, "header")
    path = f"{IMAGES}/{other['id']}/file"
    headers = {"content-type": "application/octet-stream", "content-md5": right}
    assert (await cloud.call("PUT", path, body=b"wrong", headers=headers)).status == 400
    assert (await cloud.call("PUT", path, body=b"right", headers=headers)).status == 204
