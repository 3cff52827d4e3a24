# SPDX-License-Identifier: Apache-2.0
"""Files of ConfigMaps, Secrets and labels in running containers, changed by kubectl and read by kubectl."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conformance.cloud import Here, a_cloud, until
from tests.real.machine import tiny_image
from tests.real.test_first_light import role

pytestmark = [pytest.mark.real, pytest.mark.timeout(300), pytest.mark.xdist_group("first-light")]

SOON = 10.0
READER: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "reader", "namespace": "demo", "labels": {"tier": "back"}},
    "spec": {
        "securityContext": {"fsGroup": 4321},
        "containers": [
            {
                "name": "c",
                "image": "busybox",
                "command": ["sleep", "3600"],
                "securityContext": {"runAsUser": 1234},
                "env": [{"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "conf", "key": "colour"}}}],
                "volumeMounts": [
                    {"name": "conf", "mountPath": "/etc/conf"},
                    {"name": "conf", "mountPath": "/etc/colour", "subPath": "colour"},
                    {"name": "all", "mountPath": "/etc/all"},
                ],
            }
        ],
        "volumes": [
            {"name": "conf", "configMap": {"name": "conf", "defaultMode": 0o440}},
            {
                "name": "all",
                "projected": {
                    "sources": [
                        {"secret": {"name": "hidden", "optional": True}},
                        {
                            "downwardAPI": {
                                "items": [{"path": "tier", "fieldRef": {"fieldPath": "metadata.labels['tier']"}}]
                            }
                        },
                    ]
                },
            },
        ],
    },
}


@pytest.fixture(scope="module")
def cloud() -> Iterator[Here]:
    with a_cloud(simulate=False, tiny=tiny_image()) as here:
        demo(here, "create", "configmap", "conf", "--from-literal=colour=green")
        demo(here, "apply", "-f", "-", input=READER)
        demo(here, "wait", "pod/reader", "--for=condition=Ready", "--timeout=60s")
        yield here


def demo(cloud: Here, *arguments: str, **more: Any) -> str:
    return cloud.kubectl_ok("-n", "demo", *arguments, **more)


def read(cloud: Here, path: str) -> str:
    return cloud.kubectl("-n", "demo", "exec", "reader", "--", "cat", path).out


def paint(cloud: Here, colour: str) -> None:
    demo(cloud, "patch", "configmap", "conf", "-p", json.dumps({"data": {"colour": colour}}))


def test_a_patched_configuration_is_read_in_the_container_but_where_its_place_is_mounted(cloud: Here):
    assert (read(cloud, "/etc/conf/colour"), read(cloud, "/etc/colour")) == ("green", "green")
    paint(cloud, "blue")
    until("the new colour is read", lambda: read(cloud, "/etc/conf/colour") == "blue", SOON)
    assert read(cloud, "/etc/colour") == "green"
    assert "COLOUR=green" in demo(cloud, "exec", "reader", "--", "env")


def test_a_secret_that_was_not_there_and_labels_are_read_too(cloud: Here):
    assert read(cloud, "/etc/all/tier") == "back"
    demo(cloud, "create", "secret", "generic", "hidden", "--from-literal=word=hush")
    demo(cloud, "label", "pod", "reader", "tier=front", "--overwrite")
    until("the secret is read", lambda: read(cloud, "/etc/all/word") == "hush", SOON)
    until("the label is read", lambda: read(cloud, "/etc/all/tier") == "front", SOON)
    demo(cloud, "delete", "secret", "hidden")
    until("the secret is gone", lambda: "word" not in demo(cloud, "exec", "reader", "--", "ls", "/etc/all"), SOON)


def test_an_agent_that_was_killed_catches_up(cloud: Here):
    os.kill(role(cloud, "node"), signal.SIGKILL)
    paint(cloud, "red")
    until("the new colour is read", lambda: read(cloud, "/etc/conf/colour") == "red", 60)
    paint(cloud, "white")
    until("the next one, too", lambda: read(cloud, "/etc/conf/colour") == "white", SOON)
