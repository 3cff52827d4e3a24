# SPDX-License-Identifier: Apache-2.0
"""What a later release stored, and this one does not know, outlives whatever this one writes: a release is rolled back,
or works beside the next."""

from __future__ import annotations

from typing import Any

import pytest

from lichen.kernel.kernel import SYSTEM, Kernel
from lichen.kernel.session import Session
from lichen.kinds.builtin import DEPLOYMENT
from lichen.kinds.network.network import Network
from lichen.model.data import Object
from lichen.model.errors import BadRequest
from lichen.model.kind import Kind, new_object
from lichen.model.state import PatchType, WriteOptions
from lichen.store.memory import MemoryStore
from tests.kernel.helpers import AllowAll

NETWORK = (Network.KIND, "later")
LATER = {"ways": [{"to": "everywhere"}]}
STRICT = WriteOptions(field_validation="Strict")


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
async def session(store: MemoryStore) -> Session:
    """With a network and a deployment to which a later release has added its own."""
    kernel = Kernel(store, AllowAll())
    await kernel.start()
    session = kernel.acting(SYSTEM)
    await session.create(Network.KIND, new_object(Network.KIND, "later", "default", {}))
    container = {"name": "c", "image": "i:1"}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    await session.create(DEPLOYMENT, new_object(DEPLOYMENT, "later", "default", spec))
    for kind in (Network.KIND, DEPLOYMENT):
        obj = await store.get(kind, "later", "default")
        obj["spec"]["later"] = LATER
        obj["status"] = {**(obj.get("status") or {}), "latest": "so"}
        await store.update(kind, obj)
    return session


async def check(session: Session, kind: Kind) -> Object:
    obj = await session.get(kind, "later", "default")
    assert obj["spec"]["later"] == LATER
    assert obj["status"]["latest"] == "so"
    return obj


@pytest.mark.parametrize("kind", [Network.KIND, DEPLOYMENT], ids=str)
@pytest.mark.parametrize(
    "patch", [{"metadata": {"labels": {"x": "y"}}}, {"spec": {"description": "new", "paused": True}}]
)
async def test_a_patch_leaves_it(session: Session, kind: Kind, patch: Any):
    await session.patch(kind, "later", "default", patch)
    await check(session, kind)


@pytest.mark.parametrize("kind", [Network.KIND, DEPLOYMENT], ids=str)
async def test_a_status_leaves_it(session: Session, kind: Kind):
    status = {"phase": "ACTIVE"} if kind is Network.KIND else {"replicas": 1}
    await session.patch(kind, "later", "default", {"status": status}, subresource="status")
    await check(session, kind)


@pytest.mark.parametrize("kind", [Network.KIND, DEPLOYMENT], ids=str)
async def test_who_reads_and_replaces_is_not_told_that_it_is_unknown(session: Session, kind: Kind):
    obj = await check(session, kind)
    obj["metadata"]["labels"] = {"x": "y"}
    await session.update(kind, obj, options=STRICT)
    assert (await check(session, kind))["metadata"]["labels"] == {"x": "y"}


@pytest.mark.parametrize("kind", [Network.KIND, DEPLOYMENT], ids=str)
async def test_who_applies_leaves_it(session: Session, kind: Kind):
    obj = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": "later", "labels": {"x": "y"}}}
    options = WriteOptions(field_manager="me", field_validation="Strict")
    await session.patch(kind, "later", "default", obj, type=PatchType.APPLY, options=options)
    assert (await check(session, kind))["metadata"]["labels"] == {"x": "y"}


async def test_within_a_list_it_stays_with_its_item(session: Session, store: MemoryStore):
    obj = await store.get(DEPLOYMENT, "later", "default")
    obj["spec"]["template"]["spec"]["containers"][0]["later"] = LATER
    await store.update(DEPLOYMENT, obj)
    await session.patch(DEPLOYMENT, "later", "default", {"spec": {"replicas": 3}})
    held = await check(session, DEPLOYMENT)
    assert held["spec"]["template"]["spec"]["containers"][0]["later"] == LATER


async def test_nobody_here_can_write_what_is_unknown(session: Session):
    with pytest.raises(BadRequest, match=r'unknown field "spec\.later"'):
        await session.patch(*NETWORK, "default", {"spec": {"later": "mine"}}, options=STRICT)
    await session.patch(*NETWORK, "default", {"spec": {"later": "mine", "description": "x"}})
    await check(session, Network.KIND)
    await session.patch(*NETWORK, "default", {"spec": {"other": "mine", "description": "y"}})
    assert "other" not in (await session.get(*NETWORK, "default"))["spec"]
