# SPDX-License-Identifier: Apache-2.0
"""A few calls to the OpenStack APIs, as any client would make them."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from lichen.cli.output import CommandError
from lichen.client.local import LocalCloud


class OpenStack:
    """One user in one project. Paths are relative to a service's mount: `/v2.1/servers` of `compute`."""

    def __init__(self, http: aiohttp.ClientSession, url: str, token: str) -> None:
        self._http = http
        self._url = url
        self._headers = {"X-Auth-Token": token}

    async def get(self, service: str, path: str) -> Any:
        return await self._call("GET", service, path)

    async def post(self, service: str, path: str, body: Any) -> Any:
        return await self._call("POST", service, path, body)

    async def upload(self, path: str, file: Path) -> None:
        headers = self._headers | {"Content-Type": "application/octet-stream"}
        with file.open("rb") as data:
            async with self._http.put(f"{self._url}/image{path}", data=data, headers=headers) as answer:
                await _checked(answer)

    async def _call(self, method: str, service: str, path: str, body: Any = None) -> Any:
        url = f"{self._url}/{service}{path}"
        async with self._http.request(method, url, json=body, headers=self._headers) as answer:
            await _checked(answer)
            return await answer.json() if answer.content_type == "application/json" else None


@asynccontextmanager
async def connect(cloud: LocalCloud, user: str, password: str, project: str) -> AsyncIterator[OpenStack]:
    """Log in with a password, scoped to a project of domain `default`."""
    context = ssl.create_default_context(cafile=str(cloud.ca_file))
    domain = {"id": "default"}
    identity = {"methods": ["password"], "password": {"user": {"name": user, "domain": domain, "password": password}}}
    scope = {"project": {"name": project, "domain": domain}}
    connector = aiohttp.TCPConnector(ssl=context)
    async with aiohttp.ClientSession(connector=connector) as http:
        url = f"{cloud.openstack_url}/identity/v3/auth/tokens"
        async with http.post(url, json={"auth": {"identity": identity, "scope": scope}}) as answer:
            await _checked(answer)
            token = answer.headers["X-Subject-Token"]
        yield OpenStack(http, cloud.openstack_url, token)


async def _checked(answer: aiohttp.ClientResponse) -> None:
    if answer.status >= 400:
        raise CommandError(f"{answer.method} {answer.url} was refused ({answer.status}): {(await answer.text())[:500]}")
