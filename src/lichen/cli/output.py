# SPDX-License-Identifier: Apache-2.0
"""How the command speaks: one line a step, with its time; errors on stderr, with what to do. Colour repeats what words
say, and only on a terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

BOLD, DIM, RED, GREEN, YELLOW = "1", "2", "31", "32", "33"
_TICK, _CROSS, _DOTS = "✔", "✘", "…"


class CommandError(Exception):
    """The command cannot do what it was asked: a sentence, and what mends it."""


def paint(text: str, colour: str) -> str:
    """In a colour, if a person looks who did not forbid it (https://no-color.org)."""
    if not text or not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\033[{colour}m{text}\033[0m"


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
