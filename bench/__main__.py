# SPDX-License-Identifier: Apache-2.0
"""`python -m bench [name…]`: run the named benchmarks, or all of them; those that need root are named when left out."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from importlib import import_module

from bench.lib import Report

NAMES = (
    "startup", "kernel", "memory", "identity", "network", "image", "compute", "tempest", "machines", "pods",
    "containers",
)  # fmt: skip
NEED_ROOT = {"machines", "pods", "containers"}


def main(chosen: list[str]) -> int:
    unknown = sorted(set(chosen) - set(NAMES))
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are: {' '.join(NAMES)}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended: what was started is put away"))
    failed = []
    for name in chosen or NAMES:
        if name in NEED_ROOT and os.geteuid() != 0:
            print(f"\n{name}: LEFT OUT, it starts real machines and needs root: sudo scripts/bench {name}")
            continue
        report, began = Report(name), time.monotonic()
        try:
            import_module(f"bench.{name}").run(report)
        except Exception:
            traceback.print_exc()
            failed.append(name)
        report.close(time.monotonic() - began)
    if failed:
        print(f"\nFAILED: {' '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
