# SPDX-License-Identifier: Apache-2.0
"""The Kubernetes API as a pod reaches it: with the real kubectl in a real container, and as a client library does."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.cloud import Here, a_cloud, until
from tests.real.machine import tiny_image
from tests.real.test_first_light import role

pytestmark = [pytest.mark.real, pytest.mark.timeout(300), pytest.mark.xdist_group("first-light")]

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
ASK = """
import json, ssl, sys, urllib.request
account = "/var/run/secrets/kubernetes.io/serviceaccount"
context = ssl.create_default_context(cafile=f"{account}/ca.crt")
bearer = {"Authorization": "Bearer " + open(f"{account}/token").read()}
for host in sys.argv[2:]:
    request = urllib.request.Request(f"https://{host}{sys.argv[1]}", headers=bearer)
    with urllib.request.urlopen(request, context=context) as answer:
        for line in answer:
            print(json.dumps(json.loads(line)), flush=True)
"""


def a_client(name: str) -> dict[str, Any]:
    """A pod with this machine's programs in it: its Python, and kubectl."""
    kubectl = Path(shutil.which("kubectl") or "/usr/bin/kubectl").resolve().parent
    mounts = [
        {"name": "usr", "mountPath": "/usr"},
        {"name": "usr", "mountPath": "/lib", "subPath": "lib"},
        {"name": "usr", "mountPath": "/lib64", "subPath": "lib64"},
        {"name": "kubectl", "mountPath": "/kubectl"},
    ]
    volumes = [
        {"name": "usr", "hostPath": {"path": "/usr"}},
        {"name": "kubectl", "hostPath": {"path": str(kubectl)}},
    ]
    container = {"name": "c", "image": "busybox", "command": ["sleep", "3600"], "volumeMounts": mounts}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "lichen-system"},
        "spec": {"serviceAccountName": name, "containers": [container], "volumes": volumes},
    }


@pytest.fixture(scope="module")
def cloud() -> Iterator[Here]:
    with a_cloud(simulate=False, tiny=tiny_image()) as here:
        system(here, "create", "serviceaccount", "reader")
        system(here, "create", "role", "reader", "--verb=get,list,watch", "--resource=pods")
        system(here, "create", "rolebinding", "reader", "--role=reader", "--serviceaccount=lichen-system:reader")
        system(here, "apply", "-f", "-", input=a_client("reader"))
        system(here, "wait", "pod/reader", "--for=condition=Ready", "--timeout=60s")
        yield here


def system(cloud: Here, *arguments: str, **more: Any) -> str:
    return cloud.kubectl_ok("-n", "lichen-system", *arguments, **more)


def inside(cloud: Here, *command: str) -> str:
    return system(cloud, "exec", "reader", "--", *command)


def test_kubectl_in_a_pod_needs_to_be_told_nothing(cloud: Here):
    assert "pod/reader" in inside(cloud, "/kubectl/kubectl", "get", "pods", "-o", "name")


def test_a_pod_may_do_what_its_service_account_may(cloud: Here):
    done = cloud.kubectl("-n", "lichen-system", "exec", "reader", "--", "/kubectl/kubectl", "get", "secrets")
    assert done.code == 1
    assert 'User "system:serviceaccount:lichen-system:reader" cannot list resource "secrets"' in done.err


def test_the_api_is_known_and_trusted_by_each_of_its_names(cloud: Here):
    names = ["kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "10.96.0.1"]
    said = inside(cloud, "/usr/bin/python3", "-c", ASK, "/version", *names).splitlines()
    assert [json.loads(line)["major"] for line in said] == ["1"] * len(names)


def test_a_watch_in_a_pod_sees_what_happens_and_can_be_begun_again_after_the_agent_was_killed(cloud: Here):
    path = "/api/v1/namespaces/lichen-system/pods?watch=1&fieldSelector=metadata.name%3Dreader"
    for mark in ("one", "two"):
        watch = cloud.start(
            "kubectl", "-n", "lichen-system", "exec", "reader", "--", "/usr/bin/python3", "-c", ASK, path, "10.96.0.1"
        )  # fmt: skip
        try:
            assert watch.stdout is not None
            assert json.loads(watch.stdout.readline())["type"] == "ADDED"
            system(cloud, "annotate", "pod/reader", f"mark={mark}", "--overwrite")
            changed = json.loads(watch.stdout.readline())
            assert (changed["type"], changed["object"]["metadata"]["annotations"]["mark"]) == ("MODIFIED", mark)
        finally:
            watch.terminate()
            watch.communicate()
        os.kill(role(cloud, "node"), signal.SIGKILL)
        until(
            "the agent is back", lambda: cloud.kubectl("-n", "lichen-system", "exec", "reader", "--", "true").code == 0
        )


def test_services_of_its_namespace_are_in_a_pods_environment(cloud: Here):
    cloud.kubectl_ok("-n", "demo", "create", "service", "clusterip", "web-app", "--tcp=80:8080")
    cloud.kubectl_ok("-n", "demo", "run", "linked", "--image=busybox", "--", "sleep", "3600")
    cloud.kubectl_ok("-n", "demo", "wait", "pod/linked", "--for=condition=Ready", "--timeout=60s")
    lines = cloud.kubectl_ok("-n", "demo", "exec", "linked", "--", "env").splitlines()
    address = cloud.object("-n", "demo", "service", "web-app")["spec"]["clusterIP"]
    assert f"WEB_APP_SERVICE_HOST={address}" in lines
    assert {"KUBERNETES_SERVICE_HOST=10.96.0.1", "KUBERNETES_SERVICE_PORT=443"} <= set(lines)
