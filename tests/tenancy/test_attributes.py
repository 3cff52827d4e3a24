# SPDX-License-Identifier: Apache-2.0
"""What a member may do to a thing, and yet not choose of it: the attributes that upstream's policies keep for others,
in both languages."""

from __future__ import annotations

import pytest

from tests.tenancy.test_references import COMPUTE, NETWORK, VOLUME, an
from tests.tenancy.world import Frozen, thawed

MERGE = {"content-type": "application/merge-patch+json"}
IMAGE = "image.lichen.dev/v1"


def path_of(version: str, plural: str, name: str = "") -> str:
    base = f"/apis/{version}/namespaces/kestrel/{plural}"
    return f"{base}/{name}" if name else base


IDS = ("../../etc", "/etc/shadow", ".", "..", "a\nb", "x;y", "é", " x", "x" * 300, "a,b")


@pytest.mark.parametrize("id", IDS, ids=lambda id: ascii(id)[:20])
async def test_a_chosen_id_is_no_path_and_no_text(frozen: Frozen, id: str) -> None:
    """Nodes name files by ids."""
    things = [
        ("networks", an(NETWORK, "Network", id=id)),
        ("images", an(IMAGE, "Image", id=id)),
        ("volumes", an(VOLUME, "Volume", size=1, id=id)),
        ("servers", an(COMPUTE, "Server", flavor="small", image="kestrel-image", networks=[], id=id)),
    ]
    async with thawed(frozen) as world:
        for plural, body in things:
            answer = await world.ask_kubernetes("member", "POST", path_of(body["apiVersion"], plural), body)
            assert (answer.status, answer.json()["details"]["causes"][0]["field"]) == (422, "spec.id"), (plural, answer)
        assert world.contents() == frozen.rows
