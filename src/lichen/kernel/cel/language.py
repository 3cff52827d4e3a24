# SPDX-License-Identifier: Apache-2.0
"""Expressions compiled once and evaluated often.

    language = Language(("object", "oldObject"))
    rule = language.compile("object.spec.replicas > 1")          # Mistake
    rule.value(language.bind({"object": obj, "oldObject": None}))  # Failure

What an evaluation may cost is bounded by `budget`, and by the library: 10,000 steps of `all`, `map` and their like. A
pass over a small object takes some ten microseconds; `apart` takes large ones,
and rules that were seen to take their time (`Pace`), off the event loop, which the library's evaluation does not hold
up.
"""

from __future__ import annotations

import asyncio
import contextvars
import re
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import cache
from typing import Any, TypeVar

import msgspec

from lichen.kernel.cel import budget
from lichen.kernel.cel.objects import plain
from lichen.model.errors import LichenError

LARGE = 16 * 1024
"""Bytes of JSON from which an object is looked at off the event loop."""
SLOW = 0.005
"""Seconds for which work may have the event loop."""
MAX_EXPRESSION = 16 * 1024
_encode = msgspec.json.Encoder().encode
T = TypeVar("T")
_CODE = re.compile(r"^(?:(?!ERROR)[A-Z_]+: )+")
_TAIL = re.compile(r" \[[A-Z_]+\]$")
_NO_KEY = re.compile(r'Key not found in map : "?(.*?)"?$', re.DOTALL)


class Mistake(LichenError):
    """An expression that does not compile; the text says where and why."""


class Failure(LichenError):
    """An expression that has no value for what it was given."""


class TooCostly(Failure):
    """It was broken off: it costs more than an expression may."""


class Program:
    """A compiled expression. returns: its type as far as it is known: BOOL, STRING, DYN…"""

    def __init__(self, text: str, compiled: Any) -> None:
        self.text = text
        self.returns: str = compiled.return_type().name()
        self._compiled = compiled

    def value(self, bound: Any) -> Any:
        """As plain Python. Failure; TooCostly: it, or all of `budget.altogether`."""
        if not budget.begin():
            raise TooCostly(budget.OUT)
        try:
            found = self._compiled.eval(bound)
            if budget.is_exceeded():
                raise TooCostly(budget.EXCEEDED)
            plain_value = found.plain_value()
            if found.type().name() == "ERROR":
                raise _failure(str(plain_value))
            return plain_value
        except (RuntimeError, TypeError, ValueError, OverflowError) as error:
            raise _failure(str(error)) from None
        finally:
            budget.end()


class Language:
    """CEL with these variables and Kubernetes' functions. may: answers `authorizer`'s checks."""

    def __init__(self, variables: Iterable[str], may: Callable[[dict[str, Any]], str | None] | None = None) -> None:
        self._variables = tuple(variables)
        self._may = may
        self._made: Any = None
        self._counted: frozenset[str] = frozenset()
        self._programs: dict[str, Program] = {}

    def compile(self, expression: str) -> Program:
        """Mistake."""
        known = self._programs.get(expression)
        if known is not None:
            return known
        if len(expression) > MAX_EXPRESSION:
            raise Mistake(f"an expression may have {MAX_EXPRESSION} characters")
        try:
            compiled = self._metered(self._environment.compile(plain(expression)))
        except (RuntimeError, ValueError, TypeError) as error:
            raise Mistake(_compile_words(str(error))) from None
        if len(self._programs) >= 4096:
            self._programs.clear()
        program = self._programs[expression] = Program(expression, compiled)
        return program

    def _metered(self, compiled: Any) -> Any:
        from lichen.kernel.cel.metering import TOO_DEEP, metered

        try:
            return self._environment.deserialize(metered(compiled.serialize(), self._counted))
        except RuntimeError:
            raise ValueError(TOO_DEEP) from None  # the library's own words are of parsing

    def bind(self, values: dict[str, Any]) -> Any:
        """Values for all variables, for any number of programs. Failure: one of them cannot be represented."""
        try:
            return self._environment.Activation({name: values.get(name) for name in self._variables})
        except (RuntimeError, TypeError, ValueError, OverflowError) as error:
            raise _failure(str(error)) from None

    @property
    def _environment(self) -> Any:
        if self._made is None:
            self._made, self._counted = _environment(self._variables, self._may)
        return self._made


def _environment(variables: tuple[str, ...], may: Any) -> tuple[Any, frozenset[str]]:
    from cel_expr_python import cel
    from cel_expr_python.ext import ext_bindings, ext_encoders, ext_math, ext_optional, ext_strings

    from lichen.kernel.cel.library import functions

    declared, counted = functions(cel, may)
    extensions = [
        ext_optional.ExtOptional(),
        ext_strings.ExtStrings(),
        ext_bindings.ExtBindings(),
        ext_encoders.ExtEncoders(),
        ext_math.ExtMath(),
        cel.CelExtension("kubernetes", declared),
    ]
    return cel.NewEnv(variables=dict.fromkeys(variables, cel.Type.DYN), extensions=extensions), counted


def representable(value: Any) -> Any:
    """What a program gave, as `bind` takes it."""
    match value:
        case dict():
            return {key: representable(item) for key, item in value.items()}
        case list():
            return [representable(item) for item in value]
        case datetime():
            return timestamp(value)
        case timedelta():
            return duration(value)
        case bytearray():
            return bytes(value)
    return value


def timestamp(value: datetime) -> Any:
    from google.protobuf.timestamp_pb2 import Timestamp

    made = Timestamp()
    made.FromDatetime(value)
    return made


def duration(value: timedelta) -> Any:
    from google.protobuf.duration_pb2 import Duration

    made = Duration()
    made.FromTimedelta(value)
    return made


class Pace:
    """How long the rules of one policy, or of one kind, took of late: those that took long leave the event loop, as do
    new ones, which have yet to be compiled."""

    def __init__(self) -> None:
        self.seconds = 2 * SLOW

    @property
    def is_slow(self) -> bool:
        return self.seconds > SLOW

    def took(self, seconds: float) -> None:
        """Slow at once, quick again after a while."""
        self.seconds = max(seconds, self.seconds * 0.9)


async def apart(size: int, work: Callable[[], T], pace: Pace | None = None) -> T:
    """Do `work`, off the event loop if it is about LARGE bytes or more, or if such work was slow of late."""
    pace = pace or Pace()

    def measured() -> T:
        started = time.perf_counter()
        try:
            return work()
        finally:
            pace.took(time.perf_counter() - started)

    if size < LARGE and not pace.is_slow:
        return measured()
    context = contextvars.copy_context()
    return await asyncio.get_running_loop().run_in_executor(_threads(), lambda: context.run(measured))


@cache
def _threads() -> ThreadPoolExecutor:
    """Threads of their own: a rule that takes its time keeps nothing else waiting but rules."""
    return ThreadPoolExecutor(2, thread_name_prefix="rules")


def size_of(*objects: Any) -> int:
    """Bytes of JSON, as a measure of what looking at them costs."""
    return sum(len(_encode(obj)) for obj in objects if obj is not None)


def _compile_words(text: str) -> str:
    return "compilation failed: " + _TAIL.sub("", _CODE.sub("", text))


def _failure(text: str) -> Failure:
    words = _runtime_words(text)
    return TooCostly(words) if words == budget.EXCEEDED else Failure(words)


def _runtime_words(text: str) -> str:
    text = _TAIL.sub("", _CODE.sub("", text))
    missing = _NO_KEY.search(text)
    if missing:
        return f"no such key: {missing[1]}"
    if text.startswith("No matching overloads found"):
        return f"no such overload: {text.partition(' : ')[2].replace('@', '')}"
    if text == "Iteration budget exceeded":
        return budget.EXCEEDED
    return text
