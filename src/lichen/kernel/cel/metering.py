# SPDX-License-Identifier: Apache-2.0
"""Compiled expressions that count what they cost while they are evaluated, and end when it is too much.

The library has no hook for that, but gives away the tree of what it compiled, and takes it back. In it

* a loop goes on only while `@step()` holds: `all` and `exists` go on after errors, and so would an error of ours;
* what a function looks at is paid for before: `f(x)` becomes `f(@step() && @all(x) ? x : @over())`, where x is bound
  to a name before if it is more than a path;
* functions whose result may be much larger than what they are given, or that take time by more than their arguments'
  sizes, are ours (`@replace`, `@join`, `@matches`).

Names with an @ cannot be written in CEL.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.message import DecodeError

from lichen.kernel.cel import budget
from lichen.kernel.cel.tree import Expr, packed, unpacked

TOO_DEEP = "the expression is nested too deeply"
OURS = {"replace": "@replace", "join": "@join", "matches": "@matches"}
_FREE = frozenset(
    (
        "_&&_", "_||_", "!_", "_?_:_", "@not_strictly_false", "_[_]", "_[?_]", "_?._", "-_", "_-_", "_*_", "_/_", "_%_",
        "optional.of", "optional.none", "hasValue", "value", "or", "orValue", "type", "dyn",
    )
)  # fmt: skip
"""Take as long whatever they are given."""
_BY_TEXT = frozenset(("size", "_<_", "_<=_", "_>_", "_>=_", "indexOf", "lastIndexOf"))
"""Take long only with texts, as far as they are the library's."""
_COMPARING = frozenset(("_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "_+_"))
"""Take no longer than with the smaller of the two; `+` is none of these, but adds only what is alike."""
_MADE = frozenset(
    ("_+_", "string", "bytes", "lowerAscii", "upperAscii", "trim", "substring", "charAt", "reverse", "split")
)
"""Give no more than was paid for when they were called."""
_SMALL_PRIMITIVES = (1, 2, 3, 4)
_SMALL_TYPES = (2, 3)
"""Numbers of CEL's types: truths and numbers; times and durations."""


def add_meters(add: Any, cel: Any) -> None:
    """Declare what the trees call. add: (name, parameters, returns, impl), not counted itself."""
    text, data, values, fields, flag = cel.Type.STRING, cel.Type.BYTES, cel.Type.LIST, cel.Type.MAP, cel.Type.BOOL
    add("@step", [], flag, budget.step)
    add("@gather", [cel.Type.INT], flag, budget.gather)
    add("@over", [], cel.Type.DYN, budget.over)
    for name, types in (("@all", (text, data, values, fields)), ("@text", (text, data)), ("@list", (values,))):
        for type_ in types:
            add(name, [type_], flag, budget.pay)


def metered(serialized: bytes, counted: frozenset[str]) -> bytes:
    """The same expression, which pays for what it does. counted: functions that count by themselves. ValueError: it is
    nested too deeply."""
    try:
        checked = unpacked(serialized)
        small = {entry.key for entry in checked.types if _is_small(entry.value)}
        _Meter(small, counted).visit(checked.expr)
        return packed(checked)
    except DecodeError:
        raise ValueError(TOO_DEEP) from None


def _is_small(type_: Any) -> bool:
    """Nothing that could be large."""
    return type_.primitive in _SMALL_PRIMITIVES or type_.well_known in _SMALL_TYPES


class _Meter:
    """Changes a tree. small: ids of what is small whatever the values are."""

    def __init__(self, small: set[int], counted: frozenset[str]) -> None:
        self._small = small
        self._counted = counted - _BY_TEXT - _FREE
        self._made = _MADE | self._counted | set(OURS)
        self._last = 1 << 32  # beyond the ids that expressions have of themselves

    def visit(self, expr: Any) -> None:
        """Change what is in it."""
        if expr.HasField("call"):
            self._visit_call(expr.call)
        elif expr.HasField("loop"):
            self._visit_loop(expr.loop)
        elif expr.HasField("select"):
            self.visit(expr.select.operand)
        for element in expr.list.elements:
            self._look_at(element, "@all")
        for entry in expr.map.entries:
            self._look_at(entry.key, "@text")
            self._look_at(entry.value, "@all")

    def _visit_loop(self, loop: Any) -> None:
        for part in (loop.range, loop.start, loop.step, loop.result):
            self.visit(part)
        if loop.range.HasField("list") and not loop.range.list.elements:
            return  # cel.bind
        goes_on = self._call("_&&_", self._call("@step"), loop.condition)
        loop.condition.CopyFrom(goes_on)

    def _visit_call(self, call: Any) -> None:
        call.function = OURS.get(call.function, call.function)
        arguments = [call.target, *call.args] if call.HasField("target") else list(call.args)
        if call.function in self._counted:
            for argument in arguments:
                self.visit(argument)
            if arguments:
                self._guard(arguments[0], self._call("@step"))
            return
        is_cheap = call.function in _FREE or (call.function in _COMPARING and any(map(self._is_small, arguments)))
        for place, argument in enumerate(arguments):
            if is_cheap:
                self.visit(argument)
            elif _is_gathered(argument):
                self._guard(argument, self._call("@gather", self._call("size", argument)))
            else:
                self._look_at(argument, _looks(call.function, place))

    def _look_at(self, expr: Any, how: str) -> None:
        """Whoever is given this value looks at it."""
        is_paid = self._is_paid(expr)
        self.visit(expr)
        if is_paid:
            return
        path = expr if _is_path(expr) else self._named(expr)
        paid = self._call("@not_strictly_false", self._call(how, path))
        self._guard(path, self._call("_&&_", self._call("@step"), paid))

    def _is_paid(self, expr: Any) -> bool:
        return self._is_small(expr) or (expr.HasField("call") and expr.call.function in self._made)

    def _is_small(self, expr: Any) -> bool:
        return expr.id in self._small or expr.HasField("const")

    def _guard(self, expr: Any, condition: Any) -> None:
        """The same value if the condition holds."""
        expr.CopyFrom(self._call("_?_:_", condition, expr, self._call("@over")))

    def _named(self, expr: Any) -> Any:
        """Make of it a value with a name (`cel.bind`); returns where the name is said, to be changed."""
        name = f"@{self._next()}"
        bound = Expr(id=self._next())
        loop = bound.loop
        loop.variable, loop.result_name = "#unused", name
        loop.range.id = self._next()
        loop.range.list.SetInParent()
        loop.start.CopyFrom(expr)
        loop.condition.id = self._next()
        loop.condition.const.flag = False
        loop.step.CopyFrom(self._ident(name))
        loop.result.CopyFrom(self._ident(name))
        expr.CopyFrom(bound)
        return expr.loop.result

    def _ident(self, name: str) -> Any:
        made = Expr(id=self._next())
        made.ident.name = name
        return made

    def _call(self, function: str, *arguments: Any) -> Any:
        made = Expr(id=self._next())
        made.call.function = function
        made.call.args.extend(arguments)
        return made

    def _next(self) -> int:
        self._last += 1
        return self._last


def _looks(function: str, place: int) -> str:
    """What a function looks at in one of its arguments, as the function that pays for it."""
    if function == "@in":
        return "@list" if place else "@text"
    return "@text" if function in _BY_TEXT else "@all"


def _is_gathered(expr: Any) -> bool:
    """The list that `map` or `filter` makes. Its parts were paid for; each step makes it anew."""
    return bool(expr.HasField("ident") and expr.ident.name == "@result")


def _is_path(expr: Any) -> bool:
    """It may be said twice: `self.list[0].name`."""
    if expr.HasField("select"):
        return _is_path(expr.select.operand)
    if expr.HasField("call") and expr.call.function == "_[_]":
        return all(map(_is_path, expr.call.args))
    return bool(expr.HasField("ident") or expr.HasField("const"))
