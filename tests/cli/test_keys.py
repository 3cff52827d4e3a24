# SPDX-License-Identifier: Apache-2.0
"""`lichen keys`: rotated without a restart; the kubeconfig that is handed out follows, and lives no year."""

from __future__ import annotations

import time
from collections.abc import Iterator

import jwt
import pytest
import yaml

from tests.conformance.cloud import Here, folder_of_its_own

DAY = 86400.0


@pytest.fixture(scope="module")
def cloud() -> Iterator[Here]:
    """Without a witness: its token is among those that are ended."""
    with folder_of_its_own() as folder:
        here = Here(folder)
        try:
            assert here.up("--nodes", "1").code == 0
            yield here
        finally:
            here.down()


def keys(cloud: Here, *more: str) -> str:
    done = cloud.lichen("keys", *more, "--data-dir", str(cloud.data_dir))
    assert done.code == 0, done.err
    return done.out


def kubeconfig(cloud: Here) -> str:
    done = cloud.lichen("kubeconfig", "--data-dir", str(cloud.data_dir))
    assert done.code == 0, done.err
    return done.out


def token_of(config: str) -> str:
    return str(yaml.safe_load(config)["users"][0]["user"]["token"])


def test_the_kubeconfigs_token_lives_a_month(cloud: Here):
    claims = jwt.decode(token_of(kubeconfig(cloud)), options={"verify_signature": False})
    assert 29 * DAY < claims["exp"] - time.time() <= 30 * DAY


def test_keys_are_rotated_and_what_was_handed_out_goes_on(cloud: Here):
    assert "first key of this cloud signs" in keys(cloud)
    held = cloud.openstack_ok("token", "issue", "-f", "value", "-c", "id").strip()
    said = keys(cloud, "rotate")
    assert "signs from now on" in said
    new = said.split()[1]
    assert new in keys(cloud)
    cloud.kubectl_ok("get", "nodes")
    cloud.kubectl_ok("get", "pods", "-n", "demo", f"--token={held}")
    assert jwt.get_unverified_header(token_of(kubeconfig(cloud)))["kid"] == new


def test_ending_older_keys_ends_the_old_kubeconfig_and_up_writes_another(cloud: Here):
    assert "All tokens of older keys have ended" in keys(cloud, "rotate", "--end-older")
    assert cloud.kubectl_refused("get", "nodes")
    assert "runs already" in cloud.up().out
    cloud.kubectl_ok("get", "nodes")
    cloud.openstack_ok("token", "issue")
