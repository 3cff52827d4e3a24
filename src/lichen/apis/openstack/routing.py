# SPDX-License-Identifier: Apache-2.0
"""The ROUTES tables: method, path, handler and who may call it, beside each other; and how a path finds its route."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from lichen.apis.openstack.faults import Fault
from lichen.apis.openstack.reply import Reply

Handler = Callable[..., Awaitable[Reply]]
"""`async def show_server(req: Request, server_id: str) -> Reply`: the path's variables come as arguments."""
Access = Literal["anyone", "user", "project", "admin"]
Version = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Route:
    """One call. `path` is relative to the service's mount: `/v2.1/servers/{server_id}`.

    access: anyone; user: a valid token; project: one scoped to a project; admin: one that carries the role admin.
    (The kernel checks every read and write again by the caller's own rights.)
    since, until: the microversions that have it; outside of them the path is not found.
    """

    method: str
    path: str
    handler: Handler
    access: Access = "user"
    since: Version | None = None
    until: Version | None = None

    def serves(self, version: Version) -> bool:
        return (self.since is None or version >= self.since) and (self.until is None or version <= self.until)


@dataclass(frozen=True, slots=True)
class Service:
    """One OpenStack service: what the catalog says of it, where it is mounted, its routes, its way to refuse.

    endpoint: the path that the catalog gives out. version, style: its discovery document (`versions`).
    lowest, highest: microversions, if it has any; headers that name them use `header_type` (by default `type`) and
    `version_header`. legacy: where its lowest microversion is served to those who know none, as `/v2`.
    unserved: a segment of paths that upstream has and this service does not → why, and what does it instead.
    """

    type: str
    name: str
    mount: str
    endpoint: str
    routes: tuple[Route, ...]
    fault: Fault
    style: Literal["keystone", "nova", "glance", "neutron", "cinder"]
    version: str
    lowest: Version = (0, 0)
    highest: Version = (0, 0)
    version_header: str = ""
    header_type: str = ""
    request_id_header: str = ""
    body_limit: int = 1 << 20
    older_versions: tuple[str, ...] = ()
    legacy: str = ""
    unserved: Mapping[str, str] = field(default_factory=dict)

    def why_not(self, path: str) -> str:
        """What is said of a path that leads to nothing."""
        told = (self.unserved[part] for part in _segments(path) if part in self.unserved)
        return next(told, f"The resource could not be found: this {self.type} service has no such path.")

    @property
    def has_microversions(self) -> bool:
        return self.highest != (0, 0)


@dataclass(slots=True)
class _Node:
    children: dict[str, _Node] = field(default_factory=dict)
    variable: _Node | None = None
    names: tuple[str, ...] = ()
    routes: dict[str, list[Route]] = field(default_factory=dict)


class Router:
    """Paths to routes: a tree of segments, a literal before a variable."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._root = _Node()
        for route in routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        node = self._root
        names = []
        for part in _segments(route.path):
            if part.startswith("{"):
                names.append(part[1:-1])
                node.variable = node.variable or _Node()
                node = node.variable
            else:
                node = node.children.setdefault(part, _Node())
        if node.routes and node.names != tuple(names):
            raise ValueError(f"{route.path}: its variables have other names elsewhere")
        node.names = tuple(names)
        node.routes.setdefault(route.method, []).append(route)

    def find(self, path: str) -> tuple[dict[str, list[Route]], dict[str, str]] | None:
        """The routes at `path` by method, and the path's variables; None if nothing is there."""
        found = _walk(self._root, _segments(path), 0, ())
        return None if found is None else (found[0].routes, dict(zip(found[0].names, found[1], strict=True)))


def _segments(path: str) -> list[str]:
    return [part for part in path.split("/") if part]


def _walk(node: _Node, parts: list[str], at: int, values: tuple[str, ...]) -> tuple[_Node, tuple[str, ...]] | None:
    if at == len(parts):
        return (node, values) if node.routes else None
    child = node.children.get(parts[at])
    if child is not None:
        found = _walk(child, parts, at + 1, values)
        if found is not None:
            return found
    if node.variable is None:
        return None
    return _walk(node.variable, parts, at + 1, (*values, parts[at]))
