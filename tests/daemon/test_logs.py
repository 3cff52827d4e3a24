# SPDX-License-Identifier: Apache-2.0
"""kubectl logs, of a simulated cloud: of an attempt that ended, of the last moments, and on and on."""

from __future__ import annotations

import pytest

from tests.conformance.cloud import Here, until


@pytest.fixture(scope="module")
def pod(cloud: Here) -> str:
    """Ends once, and says each time when it started."""
    script = "echo begun; sleep 2; echo late; exit 1"
    cloud.kubectl_ok("-n", "demo", "run", "twice", "--image=busybox", "--", "sh", "-c", script)

    def restarted() -> bool:
        statuses = cloud.object("-n", "demo", "pod", "twice")["status"].get("containerStatuses") or [{}]
        return bool(statuses[0].get("restartCount"))

    until("it was started again", restarted)
    return "twice"


def test_the_log_of_the_attempt_before_can_be_read(cloud: Here, pod: str):
    assert cloud.kubectl_ok("-n", "demo", "logs", pod, "--previous") == "begun\nlate\n"


def test_a_log_is_followed_to_its_end(cloud: Here):
    script = "echo one; sleep 1; echo two"
    cloud.kubectl_ok("-n", "demo", "run", "ends", "--image=busybox", "--restart=Never", "--", "sh", "-c", script)
    cloud.kubectl_ok("-n", "demo", "wait", "pod/ends", "--for=condition=Ready", "--timeout=30s")
    assert cloud.kubectl_ok("-n", "demo", "logs", "-f", "ends") == "one\ntwo\n"


def test_a_log_is_cut_to_its_last_moments(cloud: Here):
    script = "echo old; sleep 3; echo new; sleep 1000"
    cloud.kubectl_ok("-n", "demo", "run", "speaks", "--image=busybox", "--", "sh", "-c", script)
    until("it said all", lambda: "new" in cloud.kubectl("-n", "demo", "logs", "speaks").out)
    assert cloud.kubectl_ok("-n", "demo", "logs", "speaks", "--since=2s") == "new\n"
