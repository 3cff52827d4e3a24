# SPDX-License-Identifier: Apache-2.0
"""Run the named list, say what came out, write its section of docs/conformance.md."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from tests.conformance.cloud import Here, a_cloud
from tests.conformance.tempest.config import configuration
from tests.conformance.tempest.report import Result, page, summary

ROOT = Path(__file__).parents[3]
TOOLS = ROOT / ".venv-tempest" / "bin"
LIST = ROOT / "docs" / "conformance" / "openstack.txt"
PAGE = ROOT / "docs" / "conformance.md"
SECONDS = 7200


def names(listing: Path, patterns: list[str]) -> list[str]:
    """The list's tests, or those of them that match one of the patterns."""
    listed = [line for line in listing.read_text().splitlines() if line and not line.startswith("#")]
    return [name for name in listed if not patterns or any(re.search(p, name) for p in patterns)]


def run(here: Here, wanted: list[str]) -> list[Result]:
    """Each test's outcome; a test that Tempest does not know is `missing`."""
    workspace = here.folder / "tempest"
    env = {**os.environ, "HOME": str(here.folder), "PATH": f"{TOOLS}:{os.environ['PATH']}", "NO_PROXY": "*"}
    done = subprocess.run([TOOLS / "tempest", "init", str(workspace)], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    (workspace / "etc" / "tempest.conf").write_text(configuration(here, workspace))
    (here.folder / "list").write_text("\n".join(wanted) + "\n")
    command = [TOOLS / "tempest", "run", "--load-list", str(here.folder / "list"), "--concurrency", "2"]
    with (here.folder / "tempest.out").open("wb") as out:
        subprocess.run(command, cwd=workspace, env=env, stdout=out, stderr=out, timeout=SECONDS, check=False)
    with (here.folder / "subunit").open("wb") as stream:
        subprocess.run([TOOLS / "stestr", "last", "--subunit"], cwd=workspace, env=env, stdout=stream, check=False)
    reader = Path(__file__).with_name("outcomes.py")
    read = subprocess.run(
        [TOOLS / "python", str(reader), str(here.folder / "subunit")], capture_output=True, text=True, check=True
    )
    results = [Result(**json.loads(line)) for line in read.stdout.splitlines()]
    if not results:
        print((here.folder / "tempest.out").read_text()[-4000:], file=sys.stderr)
    return results


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/conformance openstack")
    parser.add_argument("patterns", metavar="REGEX", nargs="*", help="only the tests that match one of these")
    parser.add_argument("--real", action="store_true", help="on the real mode, as root, instead of a simulated cloud")
    parser.add_argument("--list", type=Path, default=LIST, help="another list of tests' names; nothing is written then")
    options = parser.parse_args(arguments)
    patterns: list[str] = options.patterns
    began = time.monotonic()
    with a_cloud(nodes=3, simulate=not options.real) as here:
        results = run(here, names(options.list, patterns))
        kept = os.environ.get("KEEP")
        if kept:
            Path(kept).mkdir(parents=True, exist_ok=True)
            for log in (*here.folder.glob("tempest/**/tempest.log"), *here.data_dir.glob("log/*")):
                (Path(kept) / log.name).write_bytes(log.read_bytes())
    seconds = time.monotonic() - began
    for result in results:
        if result.status not in ("success", "skip"):
            print(f"\n=== {result.status}: {result.test}\n{result.detail[-3000:]}")
    print(summary(results, seconds))
    if not patterns and options.list == LIST:
        PAGE.write_text(page(PAGE.read_text(), results, seconds, real=options.real))
        print(f"{PAGE.relative_to(ROOT)} is written.")
    return 0 if results else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
