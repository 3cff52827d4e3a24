# SPDX-License-Identifier: Apache-2.0
"""What is wanted names the request that last asked for it, and nobody but the kernel says so."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from lichen.kernel.kernel import SYSTEM
from lichen.kernel.session import Session
from lichen.kinds.builtin import CONFIG_MAP, DEPLOYMENT
from lichen.model.data import Object
from lichen.model.kind import new_object
from lichen.model.names import ASKED_BY
from lichen.model.state import WriteOptions
from lichen.model.tracing import REQUEST_ID, on_behalf_of
from tests.kernel.helpers import a_kernel


@pytest.fixture
async def session() -> Session:
    return (await a_kernel()).acting(SYSTEM)


@contextlib.contextmanager
def in_request(id: str) -> Iterator[None]:
    before = REQUEST_ID.set(id)
    try:
        yield
    finally:
        REQUEST_ID.reset(before)


async def a_deployment(session: Session, **annotations: str) -> Object:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    obj = new_object(DEPLOYMENT, "web", "default", spec, annotations=annotations)
    return await session.create(DEPLOYMENT, obj)


async def patched(session: Session, patch: Any, subresource: str = "") -> Object:
    return await session.patch(DEPLOYMENT, "web", "default", patch, subresource=subresource)


def asked_by(obj: Object) -> str:
    return str((obj["metadata"].get("annotations") or {}).get(ASKED_BY, ""))


async def test_it_moves_with_spec_and_with_nothing_else(session: Session):
    with in_request("one"):
        assert asked_by(await a_deployment(session)) == "one"
    with in_request("two"):
        assert asked_by(await patched(session, {"metadata": {"labels": {"x": "y"}}})) == "one"
        assert asked_by(await patched(session, {"status": {"replicas": 1}}, "status")) == "one"
        assert asked_by(await patched(session, {"spec": {"replicas": 2}})) == "two"


async def test_deletion_is_asked_for_once(session: Session):
    with in_request("one"):
        await a_deployment(session)
        await patched(session, {"metadata": {"finalizers": ["example.com/stays"]}})
    for request in ("two", "three"):
        with in_request(request):
            await session.delete(DEPLOYMENT, "web", "default")
    assert asked_by(await session.get(DEPLOYMENT, "web", "default")) == "two"


async def test_nobody_else_writes_or_removes_it(session: Session):
    assert asked_by(await a_deployment(session, **{ASKED_BY: "forged"})) == ""
    with in_request("one"):
        assert asked_by(await patched(session, {"metadata": {"annotations": {ASKED_BY: "forged"}}})) == ""
        await patched(session, {"spec": {"replicas": 2}})
        assert asked_by(await patched(session, {"metadata": {"annotations": {ASKED_BY: None}}})) == "one"
        held = await session.get(DEPLOYMENT, "web", "default")
        del held["metadata"]["annotations"]
        assert asked_by(await session.update(DEPLOYMENT, held)) == "one"


async def test_a_rehearsal_shows_no_other_request(session: Session):
    with in_request("one"):
        await a_deployment(session)
    with in_request("two"):
        patch = {"spec": {"replicas": 2}}
        rehearsed = await session.patch(DEPLOYMENT, "web", "default", patch, options=WriteOptions(dry_run=True))
    assert asked_by(rehearsed) == "one"
    assert rehearsed["spec"]["replicas"] == 2


async def test_what_nobody_makes_true_names_no_request(session: Session):
    with in_request("one"):
        made = await session.create(CONFIG_MAP, new_object(CONFIG_MAP, "web", "default"))
    assert "annotations" not in made["metadata"]


async def test_what_is_done_on_behalf_of_an_object_bears_its_request(session: Session):
    with in_request("one"):
        deployment = await a_deployment(session)
    with on_behalf_of(deployment):
        assert REQUEST_ID.get() == "one"
    with on_behalf_of({"metadata": {"annotations": {ASKED_BY: "no header\r\nat: all"}}}):
        assert REQUEST_ID.get() == ""
    assert REQUEST_ID.get() == ""
