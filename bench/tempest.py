# SPDX-License-Identifier: Apache-2.0
"""How long Tempest takes for the tests of identity, with two workers, against a simulated cloud."""

from __future__ import annotations

import time

from bench.lib import Report
from tests.conformance.cloud import a_cloud
from tests.conformance.tempest.__main__ import LIST, TOOLS, names
from tests.conformance.tempest.__main__ import run as run_tempest

IDENTITY = r"^tempest\.api\.identity\.(?!.*test_oauth_consumers)"
"""Without the four of OAuth 1.0a they are 134, as the peer's were."""


def run(report: Report) -> None:
    if not (TOOLS / "tempest").exists():
        report.say("LEFT OUT, Tempest is not installed: `scripts/conformance openstack REGEX` installs it")
        return
    wanted = names(LIST, [IDENTITY])
    with a_cloud(nodes=1) as here:
        began = time.monotonic()
        results = run_tempest(here, wanted)
        took = time.monotonic() - began
    passed = sum(result.status == "success" for result in results)
    if passed + sum(result.status == "skip" for result in results) != len(results):
        raise RuntimeError(f"failed: {[r.test for r in results if r.status not in ('success', 'skip')]}")
    report.row(
        f"Tempest identity, {len(wanted)} tests, 2 workers", took, "s", note=f"{passed} passed",
        beside="Tempest's own start included", peer="OpenStack 78.7 s (134 tests)", budget=("≤", 40),
    )  # fmt: skip
