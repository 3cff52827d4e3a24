# SPDX-License-Identifier: Apache-2.0
"""The tables of who may, and the routes that they must name: read from text, filled in with a world's ids.

A row of `tables/<service>.txt` is a route, what each of `world.CALLERS` is answered, and the body that is sent:

    PUT /v2.1/servers/{id}       404 403 200 200 200 401   {"server": {"name": "new"}}

`$word` in a body is the id of a thing in the project that is tried (`filling`); a path's variables are of it, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from lichen.apis.openstack import versions
from lichen.apis.openstack.routing import Route, Service
from lichen.apis.openstack.services import SERVICES
from tests.tenancy.world import CALLERS

TABLES = Path(__file__).with_name("tables")
ABSENT = "0f0f0f0f-1111-4222-8333-0f0f0f0f0f0f"
"""An id that nothing has."""

SUBJECTS = {
    "servers": "server", "os-keypairs": "keypair", "os-server-groups": "server_group", "flavors": "flavor",
    "os-volume_attachments": "disk", "os-interface": "server_port", "os-instance-actions": "request",
    "os-aggregates": "aggregate", "os-quota-sets": "project", "os-simple-tenant-usage": "project",
    "images": "image", "subnetpools": "subnetpool", "members": "admin_project", "os-hosts": "host",
    "os-floating-ips": "floatingip", "os-networks": "network", "os-security-groups": "security_group",
    "os-security-group-rules": "security_group_rule",
    "networks": "network", "subnets": "subnet", "ports": "port", "routers": "router",
    "floatingips": "floatingip", "security-groups": "security_group", "security-group-rules": "security_group_rule",
    "quotas": "project", "network-ip-availabilities": "network",
    "volumes": "volume", "snapshots": "snapshot", "types": "type", "attachments": "attachment",
    "projects": "project", "users": "user", "groups": "group", "domains": "domain", "roles": "role",
    "implies": "other_role", "services": "service", "endpoints": "endpoint", "regions": "region",
    "application_credentials": "application_credential", "access_rules": "access_rule", "credentials": "credential",
    "OS-EC2": "access", "trusts": "trust", "policies": "policy",
    "consumers": "consumer", "authorize": "request_token", "access_tokens": "access_token",
    "endpoint_groups": "endpoint_group", "limits": "limit", "registered_limits": "registered_limit",
    "os-hypervisors": "node", "os-services": "node", "agents": "node",
}  # fmt: skip
"""By a path's segment: what the variable behind it is filled with."""
WORDS = {
    "os-extra_specs": "colour", "extra_specs": "colour", "metadata": "colour", "tags": "colour", "ips": "kestrel-net",
    "config": "ldap", "ldap": "url",
}  # fmt: skip
"""The same where it is no id of a project's thing."""
OLD = re.compile(r"/v2.1/(images|os-floating-ip|os-networks|os-security-group)")
"""What Nova gave up with microversion 2.36 and 2.39."""


@dataclass(frozen=True)
class Row:
    """One line of a table. expected: the status by caller."""

    service: str
    method: str
    path: str
    expected: dict[str, str]
    body: str

    @property
    def route(self) -> tuple[str, str]:
        return self.method, self.path

    def __str__(self) -> str:
        return f"{self.service}: {self.method} {self.path} {self.body[:40]}".strip()


def services() -> dict[str, Service]:
    """Those that are served, one for each mount."""
    return {service.mount.strip("/"): service for service in reversed(SERVICES)}


def routes_of(service: Service) -> Iterator[Route]:
    """All that is served, discovery too. Cinder's are served with and without the project: they are named without."""
    for route in (*versions.discovery_routes(service), *service.routes):
        if not route.path.startswith("/v3/{project_id}/") or service.style != "cinder":
            yield route


@cache
def table(name: str) -> tuple[Row, ...]:
    """The rows of a service."""
    text = (TABLES / f"{name}.txt").read_text()
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    return tuple(_row(name, line) for line in lines)


def _row(name: str, line: str) -> Row:
    method, path, *rest = line.split(maxsplit=2 + len(CALLERS))
    cells, body = rest[: len(CALLERS)], rest[len(CALLERS) :]
    assert len(cells) == len(CALLERS), line
    return Row(name, method, path, dict(zip(CALLERS, cells, strict=True)), body[0] if body else "")


def path_of(row: Row, ids: dict[str, str]) -> str:
    """The row's path with a world's ids in it."""
    segments: list[str] = []
    for part in row.path.split("/"):
        before = segments[-1] if segments else ""
        segments.append(quote(_value(row, part, before, ids), safe="") if part.startswith("{") else part)
    return f"/{row.service}" + "/".join(segments)


def _value(row: Row, part: str, before: str, ids: dict[str, str]) -> str:
    if part in ("{project_id}", "{quota_project_id}"):
        return ids["project"]
    if before == "tags" and row.method == "PUT":
        return "shape"  # a tag that is there already would be no change
    if before == "extensions":
        return {"compute": "os-keypairs"}.get(row.service, "router")
    return WORDS[before] if before in WORDS else ids[SUBJECTS[before]]


def body_of(row: Row, ids: dict[str, str]) -> Any:
    """The row's body with a world's ids in it: bytes if it is no JSON."""
    if not row.body:
        return None
    text = re.sub(r"\$(\w+)", lambda m: ids[m[1]], row.body)
    return msgspec.json.decode(text) if text[0] in "[{" else text.encode()


def headers_of(row: Row, tokens: dict[str, str]) -> dict[str, str]:
    if row.path.endswith("/file") and row.method == "PUT":
        return {"content-type": "application/octet-stream"}
    if row.service == "image" and row.method == "PATCH":
        return {"content-type": "application/openstack-images-v2.1-json-patch"}
    if row.path == "/v3/auth/tokens" and row.method != "POST":
        return {"x-subject-token": tokens["member"]}
    if row.path.endswith("/statistics"):
        return {"openstack-api-version": "compute 2.87"}  # the last that has it
    if row.service == "compute" and OLD.match(row.path):
        return {"openstack-api-version": "compute 2.1"}
    if row.service == "volume":
        return {"openstack-api-version": "volume 3.70"}
    return {}
