# SPDX-License-Identifier: Apache-2.0
"""A process's metrics, told on its socket and read by the kernel's part."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lichen.apis.kubernetes.exposition import exposition
from lichen.apis.kubernetes.processes import Processes
from lichen.model.errors import NotFound, Unavailable
from lichen.model.metrics import RECONCILES
from lichen.runtime.scrape import showing_metrics
from tests.conformance.cloud import folder_of_its_own


@pytest.fixture
def root() -> Iterator[Path]:
    with folder_of_its_own() as folder:
        for role in ("controllers", "openstack-api"):
            (folder / role).mkdir()
        yield folder


async def test_a_process_tells_what_it_counted_and_what_it_takes(root: Path) -> None:
    RECONCILES.add("tested", "success")
    with showing_metrics(root, "controllers"):
        text = exposition(await Processes(root).metrics("controllers")).decode()
    assert 'lichen_reconciles_total{controller="tested",result="success"} 1.0' in text
    assert "process_open_fds " in text
    assert "process_cpu_seconds_total " in text


async def test_processes_are_listed_while_they_run(root: Path) -> None:
    others = Processes(root)
    with showing_metrics(root, "controllers"), showing_metrics(root, "openstack-api", "openstack-api-7c"):
        assert others.names() == ["controllers", "openstack-api-7c"]
    assert others.names() == []
    with pytest.raises(NotFound):
        await others.metrics("controllers")


async def test_what_a_killed_process_left_is_unavailable_until_the_next_takes_its_place(root: Path) -> None:
    dead = root / "openstack-api" / "openstack-api-dead.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(dead))
    with pytest.raises(Unavailable):
        await Processes(root).metrics("openstack-api-dead")
    with showing_metrics(root, "openstack-api", "openstack-api-next"):
        assert Processes(root).names() == ["openstack-api-next"]


async def test_a_process_cannot_pass_for_one_of_another_role(root: Path) -> None:
    with socket.socket(socket.AF_UNIX) as posing:
        posing.bind(str(root / "openstack-api" / "controllers.sock"))
        (root / "openstack-api" / "openstack-api-link.sock").symlink_to("controllers.sock")
        assert Processes(root).names() == []


async def test_nonsense_is_unavailable(root: Path) -> None:
    with socket.socket(socket.AF_UNIX) as liar:
        liar.bind(str(root / "controllers" / "controllers.sock"))
        liar.listen()

        def answer() -> None:
            connection, _ = liar.accept()
            with connection:
                connection.sendall(b'[{"type": "gauge", "name": 3}]')

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(Unavailable):
            await Processes(root).metrics("controllers")


def test_a_process_without_a_place_for_its_socket_starts_all_the_same(tmp_path: Path) -> None:
    with showing_metrics(tmp_path / "nowhere", "controllers"):
        pass
