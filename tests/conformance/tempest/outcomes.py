# SPDX-License-Identifier: Apache-2.0
"""Run by Tempest's own Python: a subunit stream as lines of JSON, one for each test (or class not set up).

.venv-tempest/bin/python outcomes.py FILE
"""

from __future__ import annotations

import json
import sys
from typing import Any

import subunit
import testtools


def tell(test: dict[str, Any]) -> None:
    """One test that ended."""
    details = {name: content.as_text() for name, content in test["details"].items() if "pythonlogging" not in name}
    detail = details.get("reason") or "\n".join(details.values())
    print(json.dumps({"test": test["id"], "status": test["status"], "detail": detail}))


def main(path: str) -> None:
    with open(path, "rb") as stream:
        result = testtools.StreamToDict(tell)
        result.startTestRun()
        subunit.ByteStreamToStreamResult(stream, non_subunit_name="stdout").run(result)
        result.stopTestRun()


if __name__ == "__main__":
    main(sys.argv[1])
