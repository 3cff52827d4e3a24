# SPDX-License-Identifier: Apache-2.0
"""Nova's calls on flavors and keypairs."""

from __future__ import annotations

from typing import Any

import pytest

from .cloud import TestCloud

V = "/compute/v2.1"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGAzc0Z7tKX1Pkv/C8JNJH9+ESTOUTaNq6Jht7jwcSnJ someone"
OLD = {"openstack-api-version": "compute 2.10"}


async def a_flavor(cloud: TestCloud, name: str = "m1.tiny", **more: Any) -> Any:
    flavor = {"name": name, "ram": 256, "vcpus": 1, "disk": 1, **more}
    return (await cloud.ok("POST", f"{V}/flavors", {"flavor": flavor}, who="admin"))["flavor"]


async def test_a_flavor_comes_and_goes(cloud: TestCloud) -> None:
    flavor = await a_flavor(cloud, id="7", swap=64, description="small")
    assert (flavor["id"], flavor["name"], flavor["ram"], flavor["swap"]) == ("7", "m1.tiny", 256, 64)
    assert (flavor["description"], flavor["extra_specs"]) == ("small", {})
    assert (await cloud.ok("GET", f"{V}/flavors/7"))["flavor"]["vcpus"] == 1
    assert (await cloud.call("DELETE", f"{V}/flavors/7")).status == 403
    assert (await cloud.call("DELETE", f"{V}/flavors/7", who="admin")).status == 202
    assert (await cloud.call("GET", f"{V}/flavors/7")).status == 404


async def test_names_and_ids_of_flavors_are_unique(cloud: TestCloud) -> None:
    await a_flavor(cloud, id="7")
    for clash in ({"name": "m1.tiny", "id": "8"}, {"name": "other", "id": "7"}):
        answer = await cloud.call(
            "POST", f"{V}/flavors", {"flavor": {"ram": 1, "vcpus": 1, "disk": 0, **clash}}, who="admin"
        )
        assert (answer.status, list(answer.json())) == (409, ["conflictingRequest"])


@pytest.mark.parametrize(
    "change",
    [{"name": ""}, {"name": " x"}, {"name": "x" * 256}, {"ram": 0}, {"ram": "lots"}, {"vcpus": -1}, {"disk": 2**31},
     {"id": "a/b"}, {"colour": "red"}, {"ram": None}],
)  # fmt: skip
async def test_bad_flavors_are_refused(cloud: TestCloud, change: Any) -> None:
    flavor = {"name": "x", "ram": 1, "vcpus": 1, "disk": 0, **change}
    answer = await cloud.call("POST", f"{V}/flavors", {"flavor": flavor}, who="admin")
    assert (answer.status, list(answer.json())) == (400, ["badRequest"])
    assert (await cloud.ok("GET", f"{V}/flavors"))["flavors"] == []


async def test_only_the_admin_makes_flavors(cloud: TestCloud) -> None:
    body = {"flavor": {"name": "x", "ram": 1, "vcpus": 1, "disk": 0}}
    assert (await cloud.call("POST", f"{V}/flavors", body)).status == 403


async def test_the_shape_of_a_flavor_follows_the_microversion(cloud: TestCloud) -> None:
    await a_flavor(cloud, id="7")
    for version, has, lacks in (
        ("2.1", (), ("description", "extra_specs")),
        ("2.55", ("description",), ("extra_specs",)),
    ):
        headers = {"openstack-api-version": f"compute {version}"}
        flavor = (await cloud.ok("GET", f"{V}/flavors/7", headers=headers))["flavor"]
        assert all(name in flavor for name in has)
        assert not any(name in flavor for name in lacks)
        assert flavor["swap"] == ""


async def test_flavors_are_filtered_sorted_and_paged(cloud: TestCloud) -> None:
    for number, name in enumerate(("a", "b", "c")):
        await a_flavor(cloud, name, id=str(number), ram=100 * (number + 1), disk=number)

    async def names(query: str) -> list[str]:
        return [f["name"] for f in (await cloud.ok("GET", f"{V}/flavors/detail?{query}"))["flavors"]]

    assert await names("") == ["a", "b", "c"]
    assert await names("minRam=200") == ["b", "c"]
    assert await names("minDisk=2") == ["c"]
    assert await names("sort_key=memory_mb&sort_dir=desc") == ["c", "b", "a"]
    assert await names("limit=1&marker=0") == ["b"]
    assert (await cloud.call("GET", f"{V}/flavors?minRam=x")).status == 400
    assert (await cloud.call("GET", f"{V}/flavors?sort_key=colour")).status == 400


async def test_a_private_flavor_is_for_those_it_was_given_to(cloud: TestCloud) -> None:
    await a_flavor(cloud, "secret", id="s", **{"os-flavor-access:is_public": False})
    assert (await cloud.call("GET", f"{V}/flavors/s")).status == 404
    give = {"addTenantAccess": {"tenant": cloud.projects["demo"]}}
    access = await cloud.ok("POST", f"{V}/flavors/s/action", give, who="admin")
    assert access["flavor_access"] == [{"flavor_id": "s", "tenant_id": cloud.projects["demo"]}]
    assert (await cloud.call("GET", f"{V}/flavors/s")).status == 200
    assert (await cloud.call("POST", f"{V}/flavors/s/action", give, who="admin")).status == 409
    take = {"removeTenantAccess": {"tenant": cloud.projects["demo"]}}
    await cloud.ok("POST", f"{V}/flavors/s/action", take, who="admin")
    assert (await cloud.ok("GET", f"{V}/flavors"))["flavors"] == []
    assert [f["id"] for f in (await cloud.ok("GET", f"{V}/flavors?is_public=None", who="admin"))["flavors"]] == ["s"]
    assert (await cloud.ok("GET", f"{V}/flavors", who="admin"))["flavors"] == []


async def test_extra_specs_are_set_and_removed(cloud: TestCloud) -> None:
    await a_flavor(cloud, id="7")
    base = f"{V}/flavors/7/os-extra_specs"
    wanted = {"extra_specs": {"hw:cpu_policy": "shared", "quota:x": "1"}}
    assert await cloud.ok("POST", base, wanted, who="admin") == wanted
    assert (await cloud.ok("GET", base)) == wanted
    assert (await cloud.ok("GET", base + "/quota:x")) == {"quota:x": "1"}
    assert await cloud.ok("PUT", base + "/quota:x", {"quota:x": "2"}, who="admin") == {"quota:x": "2"}
    assert (await cloud.call("PUT", base + "/quota:x", {"other": "2"}, who="admin")).status == 400
    assert (await cloud.call("DELETE", base + "/quota:x", who="admin")).status == 200
    assert (await cloud.call("GET", base + "/quota:x")).status == 404
    assert (await cloud.call("POST", base, wanted)).status == 403


async def test_a_keypair_is_imported_and_listed(cloud: TestCloud) -> None:
    made = await cloud.call("POST", f"{V}/os-keypairs", {"keypair": {"name": "k", "public_key": KEY}})
    keypair = made.json()["keypair"]
    assert (made.status, keypair["name"], keypair["public_key"], keypair["type"]) == (201, "k", KEY, "ssh")
    assert len(keypair["fingerprint"]) == 47
    assert "private_key" not in keypair
    assert [k["keypair"]["name"] for k in (await cloud.ok("GET", f"{V}/os-keypairs"))["keypairs"]] == ["k"]
    assert (await cloud.ok("GET", f"{V}/os-keypairs/k"))["keypair"]["fingerprint"] == keypair["fingerprint"]
    assert (await cloud.call("POST", f"{V}/os-keypairs", {"keypair": {"name": "k", "public_key": KEY}})).status == 409
    assert (await cloud.call("DELETE", f"{V}/os-keypairs/k")).status == 204
    assert (await cloud.call("GET", f"{V}/os-keypairs/k")).status == 404


async def test_a_generated_private_key_is_shown_once(cloud: TestCloud) -> None:
    made = await cloud.ok("POST", f"{V}/os-keypairs", {"keypair": {"name": "k"}}, headers=OLD)
    assert made["keypair"]["private_key"].startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
    assert "private_key" not in (await cloud.ok("GET", f"{V}/os-keypairs/k"))["keypair"]
    assert (await cloud.call("POST", f"{V}/os-keypairs", {"keypair": {"name": "new"}})).status == 400


async def test_keypairs_belong_to_their_user(cloud: TestCloud) -> None:
    await cloud.ok("POST", f"{V}/os-keypairs", {"keypair": {"name": "k", "public_key": KEY}})
    await cloud.project("other")
    assert (await cloud.ok("GET", f"{V}/os-keypairs", who="other"))["keypairs"] == []
    assert (await cloud.call("GET", f"{V}/os-keypairs/k", who="other")).status == 404
    assert (await cloud.call("GET", f"{V}/os-keypairs?user_id=someone")).status == 403


@pytest.mark.parametrize(
    "change",
    [{"name": ""}, {"name": "a/b"}, {"name": "x" * 256}, {"public_key": "nonsense"}, {"public_key": "ssh-rsa AAAA"},
     {"public_key": "ssh-rsa !!!!"}, {"type": "x509"}, {"colour": "red"}, {"public_key": ""}],
)  # fmt: skip
async def test_bad_keypairs_are_refused(cloud: TestCloud, change: Any) -> None:
    answer = await cloud.call("POST", f"{V}/os-keypairs", {"keypair": {"name": "k", "public_key": KEY, **change}})
    assert (answer.status, list(answer.json())) == (400, ["badRequest"])
    assert (await cloud.ok("GET", f"{V}/os-keypairs"))["keypairs"] == []
