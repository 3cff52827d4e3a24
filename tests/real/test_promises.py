# SPDX-License-Identifier: Apache-2.0
"""What is promised of a real cloud while it changes: the OpenStack API rolls, the kernel dies, and nobody notices."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import ssl
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.conformance.cloud import Here, a_cloud, until
from tests.real.machine import tiny_image

pytestmark = [pytest.mark.real, pytest.mark.timeout(300), pytest.mark.xdist_group("promises")]

PAUSE = 0.02
SLOWEST = 15.0
"""Seconds that a request may wait for a process to start, on a machine that is busy with other tests."""
SYSTEM = ("-n", "lichen-system")
API = "deployment/openstack-api"


class Client(threading.Thread):
    """Asks one question again and again, never twice for one answer, and keeps count. pause: seconds between two."""

    def __init__(
        self, cloud: Here, url: str, *, body: Any = None, token: str = "", keep: bool, pause: float = PAUSE
    ) -> None:
        super().__init__(daemon=True)
        self._url = urlsplit(url)
        self._body = None if body is None else json.dumps(body)
        self._headers = {"Content-Type": "application/json"} | ({"X-Auth-Token": token} if token else {})
        self._tls = ssl.create_default_context(cafile=str(cloud.facts.ca_file))
        self._keep, self._pause = keep, pause
        self._over = threading.Event()
        self.answered = 0
        self.slowest = 0.0
        self.failures: list[str] = []

    def run(self) -> None:
        connection = self._connect()
        while not self._over.wait(self._pause):
            began = time.monotonic()
            try:
                connection.request("GET" if self._body is None else "POST", self._url.path, self._body, self._headers)
                answer = connection.getresponse()
                text = answer.read()
                if answer.status >= 300:
                    self.failures.append(f"{answer.status} {text[:200]!r}")
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(f"{self.answered} answers, {time.monotonic() - began:.3f} s: {error!r}")
                connection.close()
            self.answered += 1
            self.slowest = max(self.slowest, time.monotonic() - began)
            if not self._keep:
                connection.close()
                connection = self._connect()
        connection.close()

    def _connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(str(self._url.hostname), self._url.port, timeout=60, context=self._tls)

    def end(self) -> None:
        self._over.set()
        self.join(60)


class Watch(threading.Thread):
    """A watch, taken up at the last revision seen whenever its connection breaks, as every informer does."""

    def __init__(self, cloud: Here, url: str, bearer: str) -> None:
        super().__init__(daemon=True)
        self._url, self._headers = url, {"Authorization": bearer}
        self._tls = ssl.create_default_context(cafile=str(cloud.facts.ca_file))
        now = cloud.request("GET", url, Authorization=bearer).json
        self._since = now["metadata"]["resourceVersion"]
        self._over = False
        self.told: list[str] = []

    def run(self) -> None:
        while not self._over:
            request = urllib.request.Request(
                f"{self._url}?watch=true&timeoutSeconds=5&resourceVersion={self._since}", headers=self._headers
            )
            with (
                contextlib.suppress(OSError, http.client.HTTPException),
                urllib.request.urlopen(request, context=self._tls, timeout=30) as answer,
            ):
                for line in answer:
                    metadata = json.loads(line)["object"]["metadata"]
                    self._since = metadata["resourceVersion"]
                    self.told.append(metadata["name"])

    def end(self) -> None:
        self._over = True
        self.join(30)


def login(cloud: Here) -> dict[str, Any]:
    user = {"name": "demo", "domain": {"id": "default"}, "password": cloud.credentials.demo_password}
    scope = {"project": {"name": "demo", "domain": {"id": "default"}}}
    return {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}


def token_of(cloud: Here) -> str:
    answer = cloud.request("POST", f"{cloud.facts.openstack_url}/identity/v3/auth/tokens", login(cloud))
    return next(value for name, value in answer.headers.items() if name.lower() == "x-subject-token")


@contextlib.contextmanager
def hammering(cloud: Here) -> Iterator[list[Client]]:
    """Clients of every sort while the block runs; at its end all of them must have got every answer."""
    url = cloud.facts.openstack_url
    token = token_of(cloud)
    clients = []
    for keep in (True, False):
        clients += [
            Client(cloud, f"{url}/identity/v3", keep=keep),
            Client(cloud, f"{url}/identity/v3/auth/tokens", body=login(cloud), keep=keep, pause=0.2),
            Client(cloud, f"{url}/compute/v2.1/flavors", token=token, keep=keep),
        ]
    clients.append(Client(cloud, f"{url}/compute/v2.1/flavors", token=token, keep=True, pause=1.0))
    for client in clients:
        client.start()
    try:
        yield clients
        time.sleep(1)
    finally:
        for client in clients:
            client.end()
    assert [failure for client in clients for failure in client.failures] == []
    told = [(client.answered, round(client.slowest, 2)) for client in clients]
    assert all(answered > 2 and slowest < SLOWEST for answered, slowest in told), f"answers, slowest of them: {told}"


def replicas(cloud: Here) -> set[int]:
    """Process ids of the OpenStack API's."""
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
                if "lichen.daemon" in words and "openstack" in words and str(cloud.data_dir) in words:
                    found.add(int(folder.name))
    return found


def settled(cloud: Here, count: int, *, without: set[int] = frozenset()) -> set[int]:  # type: ignore[assignment]
    """The processes, once the rollout is over and there are so many, none of them of the old ones."""
    cloud.kubectl_ok(*SYSTEM, "rollout", "status", API, "--timeout=90s")

    def found() -> set[int]:
        now = replicas(cloud)
        return now if len(now) == count and not now & without else set()

    now = until(f"{count} replicas run, all new", found, 60)
    time.sleep(1)  # they have begun to answer
    return now


@pytest.fixture(scope="module")
def cloud() -> Iterator[Here]:
    with a_cloud(simulate=False, tiny=tiny_image()) as here:
        until("the OpenStack API runs", lambda: replicas(here), 60)
        yield here


def test_no_request_is_refused_or_broken_while_the_openstack_api_restarts_and_scales_and_changes(cloud: Here) -> None:
    with hammering(cloud):
        first = settled(cloud, 1)
        cloud.kubectl_ok(*SYSTEM, "rollout", "restart", API)
        second = settled(cloud, 1, without=first)
        cloud.kubectl_ok(*SYSTEM, "scale", API, "--replicas=3")
        settled(cloud, 3)
        cloud.kubectl_ok(*SYSTEM, "scale", API, "--replicas=1")
        third = settled(cloud, 1)
        cloud.kubectl_ok(*SYSTEM, "set", "env", API, "LICHEN_TEST=another")
        settled(cloud, 1, without=first | second | third)


def kernel(cloud: Here) -> int:
    """Its process id; 0 between two of them."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
                if words[1:4] == ["-m", "lichen.daemon", "kernel"] and str(cloud.data_dir) in words:
                    return int(folder.name)
    return 0


def test_a_killed_kernel_is_a_pause_for_those_who_ask_and_loses_no_answered_write(cloud: Here) -> None:
    url, bearer = cloud.facts.kubernetes_url, f"Bearer {cloud.credentials.admin_token}"
    maps = f"{url}/api/v1/namespaces/demo/configmaps"
    watch = Watch(cloud, maps, bearer)
    readers = [
        Client(cloud, f"{cloud.facts.openstack_url}/identity/v3", keep=True),
        Client(cloud, f"{cloud.facts.openstack_url}/compute/v2.1/flavors", token=token_of(cloud), keep=True),
        Client(cloud, f"{cloud.facts.openstack_url}/compute/v2.1/flavors", token=token_of(cloud), keep=False),
        Client(cloud, f"{cloud.facts.openstack_url}/identity/v3/auth/tokens", body=login(cloud), keep=True),
    ]
    for thread in (watch, *readers):
        thread.start()
    written = []
    for round_ in range(3):
        old = until("a kernel runs", lambda: kernel(cloud), 30)
        for number in range(5):
            name = f"kept-{round_}-{number}"
            made = {"metadata": {"name": name}}
            assert cloud.request("POST", maps, made, Authorization=bearer).status == 201
            written.append(name)
        os.kill(old, signal.SIGKILL)
        # A connection made while there is no kernel waits for the next one.
        assert cloud.request("GET", maps, Authorization=bearer).status == 200
        until("another kernel runs", lambda old=old: kernel(cloud) not in (0, old), 30)  # type: ignore[misc]
    for reader in readers:
        reader.end()
    assert [failure for reader in readers for failure in reader.failures] == []
    held = {item["metadata"]["name"] for item in cloud.object("-n", "demo", "configmaps")["items"]}
    assert set(written) <= held
    until("the watch has told each write", lambda: set(written) <= set(watch.told), 30)
    assert [name for name in watch.told if name.startswith("kept-")] == written, "each once, in order"
    watch.end()
    # The controllers' and the node's informers go on: a rollout needs them both.
    before = replicas(cloud)
    cloud.kubectl_ok(*SYSTEM, "rollout", "restart", API)
    settled(cloud, 1, without=before)
