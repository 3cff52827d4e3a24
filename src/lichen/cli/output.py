# SPDX-License-Identifier: Apache-2.0
"""How the command speaks: one line a step, with its time; errors on stderr, with what to do."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_TICK, _CROSS, _DOTS = "✔", "✘", "…"


class CommandError(Exception):
    """The command cannot do what it was asked: a sentence, and what mends it."""


def complain(message: str) -> None:
    print(f"lichen: {message}", file=sys.stderr)


class Steps:
    """Progress on a terminal or in a log: the step appears when it begins and its time when it ends."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, float]] = []

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        begun = time.monotonic()
        on_terminal = sys.stdout.isatty()
        if on_terminal:
            print(f"  {_DOTS} {what}", end="", flush=True)
        try:
            yield
        except BaseException:
            print(f"{_line_start(on_terminal)}  {_CROSS} {what}", flush=True)
            raise
        spent = time.monotonic() - begun
        self.taken.append((what, spent))
        print(f"{_line_start(on_terminal)}  {_TICK} {what:<58} {spent:6.1f} s", flush=True)


def _line_start(on_terminal: bool) -> str:
    return "\r\033[K" if on_terminal else ""
