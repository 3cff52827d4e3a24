# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lichen.client.clouds import CloudsError, cloud_entries, clouds_text, merge_clouds, merged

OURS = cloud_entries("https://127.0.0.1:5000/v3", "/ca.crt", admin_password="a", demo_password="d")
FOREIGN = """\
# my clouds
clouds:
    work:   # the important one
        auth:
            auth_url: https://work.example/v3
            password: "p: #1"
    lichen:
        auth: {auth_url: old}
        note: |
            several
            lines

    # at home
    home:
        region_name: here
# the end
cache:
  expiration_time: 10
"""


def test_other_entries_and_comments_stay_and_ours_are_replaced() -> None:
    after = merged(FOREIGN, OURS)
    before = yaml.safe_load(FOREIGN)
    assert yaml.safe_load(after) == {**before, "clouds": {**before["clouds"], **OURS}}
    for kept in ("# my clouds\n", "    work:   # the important one\n", "    # at home\n", "# the end\n"):
        assert kept in after
    assert merged(after, OURS) == after


@pytest.mark.parametrize(
    "text",
    ["", "# nothing yet\n", "clouds:\n", "clouds: {}\n", "clouds: {a: {b: 1}}\n", "{clouds: {a: {b: 1}}}",
     "cache: {x: 1}\n", "clouds:\n  a:\n    b: 1", "clouds:\n  lichen:\n    auth: 1\n",
     "clouds:\n  a: &x\n    b: 1\n  c: *x\n",
     "---\nclouds:\n  a: {b: 1}\n...\n"],
)  # fmt: skip
def test_any_shape_of_file_gains_our_entries(text: str) -> None:
    before = yaml.safe_load(text) or {}
    assert yaml.safe_load(merged(text, OURS)) == {**before, "clouds": {**(before.get("clouds") or {}), **OURS}}


def test_a_new_file_is_private(tmp_path: Path) -> None:
    path = tmp_path / "openstack" / "clouds.yaml"
    merge_clouds(path, OURS)
    assert path.read_text() == clouds_text(OURS)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["clouds: [", "- a\n- b\n", "clouds: [1]\n", "\tclouds:\n", "just text"])
def test_a_file_that_is_no_clouds_yaml_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "clouds.yaml"
    path.write_text(text)
    with pytest.raises(CloudsError, match=r"clouds\.yaml"):
        merge_clouds(path, OURS)
    assert path.read_text() == text


def test_a_link_to_the_file_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.yaml", tmp_path / "clouds.yaml"
    real.write_text("clouds: {}\n")
    link.symlink_to(real)
    merge_clouds(link, OURS)
    assert link.is_symlink()
    assert yaml.safe_load(real.read_text()) == {"clouds": OURS}
    assert real.stat().st_mode & 0o777 == 0o600
