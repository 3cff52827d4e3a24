# SPDX-License-Identifier: Apache-2.0
"""A process's log: one JSON object a line."""

from __future__ import annotations

import json
import logging

from lichen.daemon.logs import JsonLines
from lichen.model.tracing import REQUEST_ID

RECORD = logging.LogRecord("lichen.x", logging.INFO, "", 0, "%s is gone", ("web",), None)


def test_a_line_says_which_request_it_is_of() -> None:
    before = REQUEST_ID.set("req-1")
    try:
        line = json.loads(JsonLines("kernel").format(RECORD))
    finally:
        REQUEST_ID.reset(before)
    assert (line["message"], line["role"], line["request"]) == ("web is gone", "kernel", "req-1")


def test_a_line_outside_of_a_request_names_none() -> None:
    assert "request" not in json.loads(JsonLines("kernel").format(RECORD))
