# SPDX-License-Identifier: Apache-2.0
"""A cloud whose disk is full says so in both languages, still reads, and goes on by itself when there is room."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.cloud import Answer, Ended, Here, folder_of_its_own

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]


class OnASmallDisk(Here):
    """Its store lies on a disk of 16 MiB that only it sees, a quarter of that taken by a file."""

    def lichen(self, *arguments: str, **env: str) -> Ended:
        if arguments[0] != "up":
            return super().lichen(*arguments, **env)
        store = self.data_dir / "store"
        store.mkdir(parents=True)
        script = 'mount -t tmpfs -o size=16m tmpfs "$0" && head -c 4194304 /dev/zero > "$0/ballast" && exec "$@"'
        private = ("unshare", "--mount", "--propagation", "private", "sh", "-c", script, str(store))
        return self.run(*private, "lichen", *arguments, **env)

    @property
    def ballast(self) -> Path:
        return Path(f"/proc/{self.facts.pid}/root{self.data_dir}/store/ballast")


def test_a_cloud_on_a_full_disk_refuses_with_507_in_both_languages_and_goes_on_when_there_is_room() -> None:
    with folder_of_its_own() as folder:
        cloud = OnASmallDisk(folder)
        started = cloud.up("--nodes", "1")
        try:
            assert started.code == 0, f"{started.out}{started.err}"
            check(cloud)
        finally:
            cloud.down()


def check(cloud: OnASmallDisk) -> None:
    url, bearer = cloud.facts.kubernetes_url, f"Bearer {cloud.credentials.admin_token}"
    maps = f"{url}/api/v1/namespaces/demo/configmaps"
    assert cloud.ballast.stat().st_size == 4 << 20

    def write(name: str, size: int) -> Answer:
        return cloud.request(
            "POST", maps, {"metadata": {"name": name}, "data": {"t": "x" * size}}, Authorization=bearer
        )

    token = openstack_token(cloud)

    def make_key(name: str) -> Answer:
        body = {"keypair": {"name": name}}
        return cloud.request("POST", f"{cloud.facts.openstack_url}/compute/v2.1/os-keypairs", body, X_Auth_Token=token)

    written: list[str] = []
    refused = None
    for size in (400_000, 20_000, 1_000, 10):  # until there is no room for anything at all
        for _ in range(60):
            answer = write(f"filling-{len(written)}", size)
            if answer.status != 201:
                refused = answer
                break
            written.append(f"filling-{len(written)}")
    assert refused is not None and refused.status == 507, refused
    status = refused.json
    assert (status["kind"], status["code"], status["reason"]) == ("Status", 507, "InsufficientStorage")
    assert "disk is full" in status["message"]
    keys = [make_key(f"key-{number}") for number in range(5)]
    full = next(answer for answer in keys if answer.status != 200 and answer.status != 201)
    assert full.status == 507 and "disk is full" in json.dumps(full.json), full
    names = {item["metadata"]["name"] for item in cloud.request("GET", maps, Authorization=bearer).json["items"]}
    assert set(written) <= names and len({name for name in names if name.startswith("filling-")}) == len(written)
    cloud.ballast.unlink()
    assert write("afterwards", 10).status == 201
    assert make_key("afterwards").status in (200, 201)


def openstack_token(cloud: Here) -> str:
    user: dict[str, Any] = {"name": "demo", "domain": {"id": "default"}, "password": cloud.credentials.demo_password}
    scope = {"project": {"name": "demo", "domain": {"id": "default"}}}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
    answer = cloud.request("POST", f"{cloud.facts.openstack_url}/identity/v3/auth/tokens", body)
    return next(value for name, value in answer.headers.items() if name.lower() == "x-subject-token")
