# SPDX-License-Identifier: Apache-2.0
"""Logs: one JSON object a line on stderr, which the supervisor leads to a file of each process."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime

import msgspec

from lichen.model.tracing import REQUEST_ID

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """time, level, role, logger, message, the request being answered, whatever the record carries beside, and the
    traceback of an error."""

    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "role": self._role,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := REQUEST_ID.get():
            line["request"] = request_id
        for key in vars(record).keys() - _STANDARD:
            line[key] = vars(record)[key]
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()


def set_up_logging(role: str, level: int = logging.INFO) -> None:
    """What no line shows is not looked up for each of them (the switches are `logging`'s own, for this)."""
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = ""  # where in the source a line was logged
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(role))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("aiohttp.access", "uvicorn", "uvicorn.error", "qemu", "pyroute2"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
