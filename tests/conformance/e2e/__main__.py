# SPDX-License-Identifier: Apache-2.0
"""Run the named tests of a given e2e.test, say what came out, write docs/conformance-kubernetes.md."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.conformance.cloud import a_cloud
from tests.conformance.e2e.report import Result, page, results_of, summary

ROOT = Path(__file__).parents[3]
LIST = ROOT / "docs" / "conformance" / "kubernetes.txt"
PAGE = ROOT / "docs" / "conformance-kubernetes.md"
SECONDS = 3 * 3600


def arguments(given: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/conformance kubernetes", description=__doc__)
    parser.add_argument("binary", type=Path, help="e2e.test of the Kubernetes release that is the yardstick")
    parser.add_argument("regex", nargs="*", help="only tests whose names match one; the page is not written then")
    parser.add_argument("--kubeconfig", type=Path, help="test what this leads to, not a simulated cloud of our own")
    parser.add_argument("--list", type=Path, default=LIST, help="names of tests, one a line (default: %(default)s)")
    parser.add_argument("--page", type=Path, default=PAGE, help="where the page goes (default: %(default)s)")
    chosen = parser.parse_args(given)
    if not os.access(chosen.binary, os.X_OK) or chosen.binary.is_dir():
        parser.error(f"{chosen.binary} is not a program: give the path of an e2e.test that Kubernetes publishes")
    return chosen


def names(listed: Path, patterns: list[str]) -> list[str]:
    lines = [line.strip() for line in listed.read_text().splitlines()]
    wanted = [line for line in lines if line and not line.startswith("#")]
    return [name for name in wanted if not patterns or any(re.search(p, name) for p in patterns)]


def focus(wanted: list[str]) -> str:
    """An expression that matches these names and no others, as Go reads it."""
    return "|".join(re.sub(r"([.^$*+?()\[\]{}|\\])", r"\\\1", name) for name in wanted)


def run(binary: Path, kubeconfig: Path, wanted: list[str], folder: Path) -> list[Result]:
    """Each wanted test's outcome."""
    report = folder / "junit.xml"
    command = [
        str(binary.resolve()),
        f"--kubeconfig={kubeconfig}",
        "--provider=skeleton",
        f"--kubectl-path={shutil.which('kubectl') or 'kubectl'}",
        f"--ginkgo.focus={focus(wanted)}",
        f"--ginkgo.junit-report={report}",
        f"--ginkgo.timeout={SECONDS}s",
        "--ginkgo.no-color",
        "--disable-log-dump",
    ]
    env = {**os.environ, "HOME": str(folder), "NO_PROXY": "*"}
    with (folder / "e2e.out").open("wb") as out:
        subprocess.run(command, cwd=folder, env=env, stdout=out, stderr=out, timeout=SECONDS + 60, check=False)
    if not report.exists():
        print((folder / "e2e.out").read_text(errors="replace")[-4000:], file=sys.stderr)
        return []
    return results_of(report, wanted)


@contextlib.contextmanager
def target(chosen: argparse.Namespace) -> Iterator[tuple[Path, str, Path]]:
    """(kubeconfig, what it leads to, a folder that goes afterwards)."""
    with tempfile.TemporaryDirectory(prefix="lichen-e2e-") as folder:
        if chosen.kubeconfig is not None:
            yield chosen.kubeconfig.resolve(), f"what {chosen.kubeconfig.name} leads to", Path(folder)
            return
        with a_cloud(nodes=3) as here:
            yield Path(here.env["KUBECONFIG"]), "`lichen up --simulate` with three simulated hosts", Path(folder)


def main(given: list[str]) -> int:
    chosen = arguments(given)
    wanted = names(chosen.list, chosen.regex)
    began = time.monotonic()
    with target(chosen) as (kubeconfig, against, folder):
        results = run(chosen.binary, kubeconfig, wanted, folder)
    seconds = time.monotonic() - began
    for result in results:
        if result.word == "failed":
            print(f"\n=== failed: {result.name}\n{result.detail[:3000]}")
    print(summary(results, seconds))
    if results and not chosen.regex:
        chosen.page.write_text(page(results, seconds, against))
        print(f"{chosen.page} is written.")
    return 0 if results else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
