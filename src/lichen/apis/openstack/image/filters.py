# SPDX-License-Identifier: Apache-2.0
"""Which images a list shows, in which order. Works on views."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from lichen.apis.openstack.image.views import Json
from lichen.apis.openstack.request import Request
from lichen.model.errors import BadRequest

_CONTROLS = frozenset({"limit", "marker", "sort_key", "sort_dir", "sort", "member_status"})
_IN = frozenset({"id", "name", "status", "container_format", "disk_format"})
_TIMES = frozenset({"created_at", "updated_at"})
_BOOLEANS = frozenset({"protected", "os_hidden"})
SORT_KEYS = frozenset(
    {"name", "status", "container_format", "disk_format", "size", "id", "created_at", "updated_at", "min_disk",
     "min_ram", "owner", "visibility"}
)  # fmt: skip
_COMPARE = {
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
    "eq": lambda a, b: a == b,
    "neq": lambda a, b: a != b,
}


def selected(req: Request, views: list[Json]) -> list[Json]:
    """The images that pass every filter of the query, sorted. BadRequest."""
    wanted = {name: values for name, values in req.query.items() if name not in _CONTROLS}
    wanted.setdefault("os_hidden", ["false"])
    return _sorted(req, [v for v in views if all(_passes(req, v, n, values) for n, values in wanted.items())])


def _passes(req: Request, view: Json, name: str, values: list[str]) -> bool:
    value = values[-1]
    if name == "tag":
        return set(values) <= set(view["tags"])
    if name in ("size_min", "size_max"):
        return _passes_size(view["size"], name, _number(name, value))
    if name in _BOOLEANS:
        return bool(view[name] == _boolean(name, value))
    if name in _TIMES:
        return _passes_time(name, view[name], value)
    if name == "visibility":
        return _passes_visibility(view, value)
    if name in _IN and value.startswith("in:"):
        return view[name] in _alternatives(value[3:])
    actual = view.get(name)
    return actual is not None and str(actual) == value


def _passes_visibility(view: Json, value: str) -> bool:
    if value not in ("public", "private", "shared", "community", "all"):
        raise BadRequest(f"Invalid visibility value: {value}")
    return value in ("all", view["visibility"])


def _passes_size(size: int | None, name: str, bound: int) -> bool:
    if size is None:
        return False
    return size >= bound if name == "size_min" else size <= bound


def _passes_time(name: str, actual: str, value: str) -> bool:
    operator, colon, text = value.partition(":")
    if not colon or operator not in _COMPARE:
        operator, text = "eq", value
    return bool(_COMPARE[operator](_moment(name, actual), _moment(name, text)))


def _moment(name: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadRequest(f"Invalid time in filter {name}: {text!r} is not ISO 8601.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _alternatives(text: str) -> list[str]:
    """`a,b,"c,d"`."""
    found: list[str] = []
    while text:
        if text.startswith('"'):
            inner, quote, rest = text[1:].partition('"')
            if not quote or (rest and not rest.startswith(",")):
                raise BadRequest("Invalid filter value: the quote is not closed.")
            found.append(inner)
            text = rest[1:]
        else:
            head, _, text = text.partition(",")
            found.append(head)
    return found


def _number(name: str, value: str) -> int:
    if not value.isascii() or not value.isdigit():
        raise BadRequest(f"Invalid value for {name}: {value!r} is not a non-negative integer.")
    return int(value[:20])


def _boolean(name: str, value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise BadRequest(f"Invalid value for {name}: {value!r} is neither true nor false.")
    return value.lower() == "true"


def _sorted(req: Request, views: list[Json]) -> list[Json]:
    """Newest first unless asked otherwise; the id breaks ties so that pages are stable."""
    views = sorted(views, key=lambda v: v["id"], reverse=True)
    for key, direction in reversed(_order(req) or [("created_at", "desc")]):
        if key not in SORT_KEYS:
            raise BadRequest(f"Invalid sort key: {key}. It must be one of {', '.join(sorted(SORT_KEYS))}.")
        if direction not in ("asc", "desc"):
            raise BadRequest(f"Invalid sort direction: {direction}. It must be one of asc, desc.")
        views.sort(key=lambda v, key=key: _sortable(v[key]), reverse=direction == "desc")  # type: ignore[misc]
    return views


def _order(req: Request) -> list[tuple[str, str]]:
    if "sort" in req.query:
        if "sort_key" in req.query or "sort_dir" in req.query:
            raise BadRequest("Old and new sorting syntax cannot be combined.")
        parts = [part.strip().partition(":") for part in req.arg("sort").split(",")]
        return [(key, direction or "desc") for key, _, direction in parts]
    keys = req.query.get("sort_key", ["created_at"] if "sort_dir" in req.query else [])
    directions = req.query.get("sort_dir", [])
    if len(directions) not in (0, 1, len(keys)):
        raise BadRequest("Number of sort dirs does not match the number of sort keys.")
    spread = directions if len(directions) == len(keys) else (directions or ["desc"]) * len(keys)
    return list(zip(keys, spread, strict=True))


def _sortable(value: Any) -> tuple[int, Any]:
    return (0, "") if value is None else (1, value)
