# SPDX-License-Identifier: Apache-2.0
"""Probes of containers that answer as they like."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from lichen.agent.probes import Prober
from lichen.drivers.base import PodDriver
from lichen.model.data import Object
from lichen.planning.pod_steps import ContainerActual
from lichen.runtime.clock import SystemClock


async def readiness(answers: list[bytes], port: Any = 80) -> bool | None:
    """What a probe says when all but the last answer have been heard, and that one for a while."""
    probe = {"httpGet": {"port": port}, "periodSeconds": 0.01, "failureThreshold": 1}
    container = {"name": "c", "readinessProbe": probe}
    pod: Object = {"metadata": {"uid": "u", "name": "p", "namespace": "n"}, "spec": {"containers": [container]}}

    async def reach(pod: Object, port: int, data: bytes) -> bytes:
        return answers.pop(0) if len(answers) > 1 else answers[0]

    prober = Prober(SystemClock(), lambda uid: None, reach, lambda *told: None)
    running = [ContainerActual("c", "Running", 0)]
    driver = cast(PodDriver, object())
    prober.results(pod, driver, running)
    for _ in range(50):
        await asyncio.sleep(0.01)
        found = prober.results(pod, driver, running)["c"].ready
        if found:
            break
    await prober.close()
    return found


@pytest.mark.parametrize("odd", [b"HTTP/", b"HTTP/1.1", b"HTTP/1.1 abc", b"HTTP/1.1 2000 x", b"\xff\xfe", b""])
async def test_a_container_that_answers_nonsense_is_asked_again(odd: bytes) -> None:
    assert await readiness([odd, odd, b"HTTP/1.1 200 OK\r\n"]) is True


@pytest.mark.parametrize(("port", "ready"), [("80", True), ("none", False)])
async def test_a_port_is_a_number_or_has_a_name(port: str, ready: bool) -> None:
    assert await readiness([b"HTTP/1.1 204 No Content\r\n"], port) is ready
