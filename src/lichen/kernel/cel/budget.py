# SPDX-License-Identifier: Apache-2.0
"""What an evaluation may cost, in Kubernetes' units: one for a step of a loop, for a call and for an item that is
looked at, a tenth for a character. The library counts nothing but the steps of loops; `metering` makes it ask here."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

MOST = 1_000_000
"""Of one evaluation; upstream's limit of one call."""
MOST_ALTOGETHER = 10_000_000
"""Of all evaluations that one write is judged by; upstream's runtime budget."""
SECONDS = 5.0
"""Of the processor's time that one evaluation's loops may take, whatever was counted: a last resort."""
EXCEEDED = "operation cancelled: actual cost limit exceeded"
OUT = "validation failed due to running out of cost budget, no further validation rules will be run"
_clock = time.thread_time


class _State(threading.local):
    left = 0
    altogether: int | None = None
    ends = 0.0


_state = _State()


@contextmanager
def altogether() -> Iterator[None]:
    """The evaluations in this block, in this thread, share one budget."""
    _state.altogether = MOST_ALTOGETHER
    try:
        yield
    finally:
        _state.altogether = None


def begin() -> bool:
    """A new evaluation in this thread. False: those before have spent all."""
    _state.left, _state.ends = MOST, 0.0
    return _state.altogether is None or _state.altogether > 0


def is_exceeded() -> bool:
    """The evaluation was broken off: its value, whatever it is, is none."""
    return _state.left < 0


def end() -> None:
    """Of an evaluation: what it has spent is gone for those after it."""
    if _state.altogether is not None:
        _state.altogether -= MOST - _state.left


def step() -> bool:
    """One step of a loop, or a call. False: no more of them."""
    _state.left -= 1
    if _state.ends == 0.0:
        _state.ends = _clock() + SECONDS
    elif not _state.left & 63 and _clock() > _state.ends:
        _state.left = -1
    return _state.left >= 0


def pay(value: Any) -> bool:
    """For a value that is looked at. False: it costs too much."""
    _state.left -= size(value)
    return _state.left >= 0


def gather(items: int) -> bool:
    """For a list that is made anew with one item more. False: it costs too much."""
    _state.left -= items // 10
    return _state.left >= 0


def over() -> bool:
    """Instead of a value that costs too much. ValueError."""
    _state.left = min(_state.left, -1)
    raise ValueError(EXCEEDED)


def counted(function: Callable[..., Any], price: Callable[..., int] | None = None) -> Callable[..., Any]:
    """The same function, which looks at each of its arguments once, and makes its result; price: of its arguments, what
    it costs beside. ValueError: the evaluation costs too much."""

    def spending(*arguments: Any) -> Any:
        _state.left -= 1 + sum(map(size, arguments)) + (price(*arguments) if price is not None else 0)
        if _state.left < 0:
            raise ValueError(EXCEEDED)
        result = function(*arguments)
        _state.left -= size(result)
        return result

    return spending


def size(value: Any) -> int:
    """Of all that a value holds."""
    if isinstance(value, str | bytes | bytearray):
        return len(value) // 10
    if isinstance(value, list):
        return len(value) + sum(map(size, value))
    if isinstance(value, dict):
        return len(value) + sum(map(size, value)) + sum(map(size, value.values()))
    return 0
