# SPDX-License-Identifier: Apache-2.0
"""Who makes what nothing acts on is told so."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio

from lichen.kernel.session import Session
from lichen.kinds.builtin import INGRESS, SERVICE
from lichen.kinds.resources import builtin
from lichen.model.kind import Kind
from lichen.model.state import WriteOptions
from tests.kernel.helpers import a_kernel

HPA = builtin("autoscaling", "horizontalpodautoscalers")
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}


@pytest_asyncio.fixture
async def session() -> Session:
    kernel = await a_kernel()
    return kernel.acting(await kernel.authenticate(""))


async def told(session: Session, kind: Kind, spec: dict[str, Any]) -> list[str]:
    """The warnings of a creation."""
    options = WriteOptions()
    meta = {"name": "web", "namespace": "default"}
    await session.create(
        kind, {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta, "spec": spec}, options
    )
    return options.warnings


async def test_an_ingress_opens_no_way_in_and_its_maker_is_told(session: Session) -> None:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    said = "nothing acts on an Ingress yet: it opens no way in"
    assert await told(session, INGRESS, {"defaultBackend": backend}) == [said]


async def test_an_autoscaler_scales_nothing_and_its_maker_is_told(session: Session) -> None:
    (said,) = await told(session, HPA, {"scaleTargetRef": TARGET, "maxReplicas": 3})
    assert said == "nothing acts on a HorizontalPodAutoscaler yet: replicas stay as they are set"


@pytest.mark.parametrize(("type_", "words"), [("LoadBalancer", "a load balancer"), ("NodePort", "node ports")])
async def test_a_service_that_is_reached_less_than_it_asks_for_says_so_once(
    session: Session, type_: str, words: str
) -> None:
    (said,) = await told(session, SERVICE, {"type": type_, "ports": [{"port": 80}]})
    assert words in said
    options = WriteOptions()
    await session.patch(SERVICE, "web", "default", {"metadata": {"labels": {"a": "b"}}}, options=options)
    assert options.warnings == []


async def test_a_service_with_an_address_in_the_cluster_is_what_it_says(session: Session) -> None:
    assert await told(session, SERVICE, {"ports": [{"port": 80}]}) == []
