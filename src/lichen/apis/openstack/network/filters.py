# SPDX-License-Identifier: Apache-2.0
"""Lists as Neutron's clients ask for them: filters, tags, `fields=`, sorting, paging. Works on views."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lichen.apis.openstack.paging import neutron_links, page
from lichen.apis.openstack.reply import Reply
from lichen.apis.openstack.request import Request
from lichen.model.data import Object
from lichen.model.errors import BadRequest

Json = dict[str, Any]
_CONTROLS = frozenset({"fields", "limit", "marker", "page_reverse", "sort_key", "sort_dir"})
_TAG_FILTERS: dict[str, Callable[[set[str], set[str]], bool]] = {
    "tags": lambda has, wanted: wanted <= has,
    "tags-any": lambda has, wanted: bool(wanted & has),
    "not-tags": lambda has, wanted: not wanted <= has,
    "not-tags-any": lambda has, wanted: not wanted & has,
}
_TRUE, _FALSE = frozenset({"true", "1", "t", "yes", "on"}), frozenset({"false", "0", "f", "no", "off"})
NO_LIMIT = 1 << 60


def listing(req: Request, plural: str, views: Sequence[Json], attributes: frozenset[str]) -> Reply:
    """The answer to a list call, from all that the caller may see. BadRequest: a filter or sort key that is none."""
    _check_names(req, attributes)
    kept = [view for view in views if matches(req, view)]
    _sort(req, kept, attributes)
    reverse = req.flag("page_reverse", False)
    ordered = kept[::-1] if reverse else kept
    shown, marker = page(req, ordered, lambda v: str(v.get("id", v.get("name"))), most=NO_LIMIT)
    shown = shown[::-1] if reverse else shown
    links = neutron_links(req, plural, marker)
    return Reply({plural: [only_fields(req, view) for view in shown], **links})


def only_fields(req: Request, view: Json) -> Json:
    """The attributes named by `fields=`, or all."""
    wanted = {name for value in req.query.get("fields", []) for name in value.split(",") if name}
    return {key: value for key, value in view.items() if key in wanted} if wanted else view


def _check_names(req: Request, attributes: frozenset[str]) -> None:
    unknown = sorted(set(req.query) - _CONTROLS - set(_TAG_FILTERS) - attributes)
    if unknown:
        raise BadRequest(f"{unknown} is invalid attribute for filtering")


def matches(req: Request, view: Json) -> bool:
    """Whether a view passes every filter of the query; the values of one filter are alternatives."""
    for name, values in req.query.items():
        if name in _CONTROLS:
            continue
        if name in _TAG_FILTERS:
            wanted = {tag for value in values for tag in value.split(",")}
            if not _TAG_FILTERS[name](set(view["tags"]), wanted):
                return False
        elif not _passes(name, view.get(name), values):
            return False
    return True


def _passes(name: str, actual: Any, wanted: list[str]) -> bool:
    if name == "fixed_ips":
        return _passes_fixed_ips(actual, wanted)
    if isinstance(actual, bool):
        return any(_truth(name, value) == actual for value in wanted)
    if isinstance(actual, list):
        return any(value in actual for value in wanted)
    if isinstance(actual, str) and name == "mac_address":
        return actual.lower() in {value.lower() for value in wanted}
    return ("" if actual is None else str(actual)) in wanted


def _truth(name: str, value: str) -> bool:
    if value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    raise BadRequest(f"Invalid input for operation: '{value}' is not a boolean for filter {name}.")


def _passes_fixed_ips(actual: list[Object] | None, wanted: list[str]) -> bool:
    """`ip_address=…`, `subnet_id=…`, `ip_address_substr=…`: alternatives of one key, all keys together."""
    by_key: dict[str, set[str]] = {}
    for value in wanted:
        key, equals, text = value.partition("=")
        if not equals or key not in ("ip_address", "subnet_id", "ip_address_substr"):
            raise BadRequest(f"Invalid input for operation: '{value}' is not a filter of fixed_ips.")
        by_key.setdefault(key, set()).add(text)
    ips = actual or []
    return all(any(_fits(ip, key, texts) for ip in ips) for key, texts in by_key.items())


def _fits(ip: Object, key: str, texts: set[str]) -> bool:
    if key == "ip_address_substr":
        return any(text in ip["ip_address"] for text in texts)
    return ip[key] in texts


def _sort(req: Request, views: list[Json], attributes: frozenset[str]) -> None:
    keys, directions = req.query.get("sort_key", []), req.query.get("sort_dir", [])
    if directions and len(directions) != len(keys):
        raise BadRequest("The number of sort_keys and sort_dirs must be same")
    pairs = list(zip(keys, directions or ["asc"] * len(keys), strict=True))
    for key, direction in reversed(pairs):
        if key not in attributes:
            raise BadRequest(f"[{key!r}] is invalid attribute for sort_keys")
        if direction not in ("asc", "desc"):
            raise BadRequest("[asc, desc] are the directions to sort in")
        views.sort(key=lambda view, key=key: _sortable(view.get(key)), reverse=direction == "desc")  # type: ignore[misc]


def _sortable(value: Any) -> tuple[int, Any]:
    if isinstance(value, bool | int | float):
        return (0, value)
    return (1, "" if value is None else str(value))
