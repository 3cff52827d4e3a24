# SPDX-License-Identifier: Apache-2.0
"""One page of a list by `limit` and `marker`, and the links to the next, as each service writes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from lichen.apis.openstack.request import Request
from lichen.model.data import Object
from lichen.model.errors import BadRequest

T = TypeVar("T")


def page(
    req: Request, items: Sequence[T], id_of: Callable[[T], str], *, most: int = 1000, default: int = 0
) -> tuple[list[T], str]:
    """The items after `marker`, at most `limit` of them (never over `most`), and the marker of the next page or "".
    default: how many if no limit is given, 0: `most`. BadRequest: nothing has the marker."""
    rest = list(items)
    marker = req.arg("marker")
    if marker:
        at = next((i for i, item in enumerate(rest) if id_of(item) == marker), None)
        if at is None:
            raise BadRequest(f"marker [{marker}] not found")
        rest = rest[at + 1 :]
    size = min(req.number("limit") or default or most, most)
    shown = rest[:size]
    return shown, id_of(shown[-1]) if len(rest) > size else ""


def nova_links(req: Request, key: str, marker: str) -> Object:
    """`{"servers_links": [{"rel": "next", …}]}`, or nothing on the last page."""
    if not marker:
        return {}
    return {f"{key}_links": [{"rel": "next", "href": req.this_url(marker=[marker])}]}


def neutron_links(req: Request, key: str, marker: str) -> Object:
    """As nova's; neutron gives links only if a limit was asked for."""
    return nova_links(req, key, marker) if "limit" in req.query else {}


def glance_links(req: Request, marker: str) -> Object:
    """`first` and `next`, as paths without a host."""
    links: dict[str, Any] = {"first": _path(req.this_url(marker=None), req)}
    if marker:
        links["next"] = _path(req.this_url(marker=[marker]), req)
    return links


def keystone_links(req: Request, marker: str = "") -> Object:
    """`{"links": {"next": …, "self": …, "previous": null}}`."""
    following = req.this_url(marker=[marker]) if marker else None
    return {"links": {"next": following, "self": req.this_url(), "previous": None}}


def _path(url: str, req: Request) -> str:
    return url.removeprefix(req.absolute(req.service.mount))
