# SPDX-License-Identifier: Apache-2.0
"""What a process says, as lines of a CRI log: `2026-01-02T03:04:05.000000006Z stdout F text`."""

from __future__ import annotations

import contextlib
import os
import time

LONGEST = 16384
"""Bytes of a log line before it is cut into partial ones."""
ROTATE = 16 << 20
"""Bytes of a log before it is set aside as `.1`."""


class Log:
    """CRI's log: one line per line, stamped; a line too long, or the last one without an end, is partial."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.open()
        self.rest = {"stdout": b"", "stderr": b""}

    def open(self) -> None:
        self.file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        self.size = os.fstat(self.file).st_size

    def add(self, stream: str, data: bytes) -> None:
        *lines, rest = (self.rest[stream] + data).split(b"\n")
        stamp = f"{now()} {stream} ".encode()
        out = []
        for line in lines:
            while len(line) > LONGEST:
                out.append(stamp + b"P " + line[:LONGEST])
                line = line[LONGEST:]
            out.append(stamp + b"F " + line)
        while len(rest) > LONGEST:
            out.append(stamp + b"P " + rest[:LONGEST])
            rest = rest[LONGEST:]
        self.rest[stream] = rest
        self.write(out)

    def close(self) -> None:
        for stream, rest in self.rest.items():
            if rest:
                self.write([f"{now()} {stream} P ".encode() + rest])
        os.close(self.file)

    def write(self, lines: list[bytes]) -> None:
        if not lines:
            return
        data = b"\n".join(lines) + b"\n"
        try:
            while data:
                written = os.write(self.file, data)
                self.size += written
                data = data[written:]
        except OSError:
            return  # a full disk costs log lines, not the process
        if self.size > ROTATE:
            self.set_aside()

    def set_aside(self) -> None:
        """Where that cannot be done, the log goes on as it is, and it is tried again with what is said next."""
        full = self.file
        try:
            with contextlib.suppress(FileNotFoundError):
                os.rename(self.path, self.path + ".1")
            self.open()
        except OSError:
            return
        os.close(full)


def now() -> str:
    """RFC 3339 with nanoseconds."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{nanoseconds:09d}Z"
