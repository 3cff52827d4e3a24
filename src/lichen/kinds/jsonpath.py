# SPDX-License-Identifier: Apache-2.0
"""The part of JSONPath that printer columns and scale paths use: fields, indexes, `[*]`, and filters by equality.

`.spec.replicas`, `.metadata.labels['app']`, `.status.conditions[?(@.type=="Ready")].status`, `.a\\.b`
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

Step = Callable[[Any], Iterable[Any]]

_TOKEN = re.compile(
    r"""\.?\[\s*(?P<quote>['"])(?P<quoted>.*?)(?P=quote)\s*\]
      | \.?\[\s*(?P<index>-?\d+)\s*\]
      | \.?\[\s*\*\s*\] (?P<all>)
      | \.?\[\?\(\s*@(?P<left>[^=!<>\s]+)\s*(?P<op>==|!=)\s*(?P<right>.+?)\s*\)\]
      | \.(?P<star>\*)
      | \.(?P<field>(?:\\.|[^.\[\]\\])+)
    """,
    re.VERBOSE,
)


def jsonpath(path: str) -> Callable[[Any], list[Any]]:
    """A function from an object to all values at `path`. ValueError: the path cannot be read."""
    return _compiled(path.strip().removeprefix("{").removesuffix("}").removeprefix("$"))


@lru_cache(maxsize=512)
def _compiled(path: str) -> Callable[[Any], list[Any]]:
    steps, at = [], 0
    while at < len(path):
        match = _TOKEN.match(path, at)
        if match is None:
            raise ValueError(f"unreadable at {path[at : at + 32]!r}")
        steps.append(_step(match))
        at = match.end()
    if not steps:
        raise ValueError("empty path")

    def find(obj: Any) -> list[Any]:
        found = [obj]
        for step in steps:
            found = [value for item in found for value in step(item)]
        return found

    return find


def _step(match: re.Match[str]) -> Step:
    groups = match.groupdict()
    if groups["quoted"] is not None:
        return _field(groups["quoted"])
    if groups["index"] is not None:
        return _index(int(groups["index"]))
    if groups["all"] is not None or groups["star"] is not None:
        return _every
    if groups["left"] is not None:
        return _filter(groups["left"], groups["op"] == "==", _literal(groups["right"]))
    return _field(re.sub(r"\\(.)", r"\1", groups["field"]))


def _field(name: str) -> Step:
    return lambda value: [value[name]] if isinstance(value, dict) and name in value else ()


def _index(index: int) -> Step:
    return lambda value: value[index : index + 1 or None] if isinstance(value, list) else ()


def _every(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _filter(left: str, equal: bool, right: Any) -> Step:
    inner = _compiled(left)
    return lambda value: [item for item in _every(value) if (right in inner(item)) is equal]


def _literal(text: str) -> Any:
    if text[:1] in "'\"" and text[-1:] == text[:1] and len(text) > 1:
        return text[1:-1]
    if text in ("true", "false"):
        return text == "true"
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"unreadable value {text[:32]!r} in a filter") from None


def split_path(path: str) -> tuple[str, ...]:
    """The plain fields of a path without filters or indexes: `.spec.replicas` → (spec, replicas). ValueError."""
    fields = tuple(path.removeprefix(".").split("."))
    if not path.startswith(".") or not all(re.fullmatch(r"[A-Za-z_][-\w]*", field) for field in fields):
        raise ValueError(f"{path!r} is not a path of plain fields such as .spec.replicas")
    return fields
