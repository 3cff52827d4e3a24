# SPDX-License-Identifier: Apache-2.0
"""One replica of the OpenStack APIs: a pod of class `process`, reaching the kernel with its callers' tokens."""

from __future__ import annotations

import asyncio
import os
import socket

from lichen.apis.openstack.app import create_app
from lichen.client.remote import RemoteCloud, TokenFile
from lichen.daemon.layout import listener_files
from lichen.daemon.life import run_until_stopped
from lichen.daemon.serving import serving
from lichen.daemon.settings import Settings
from lichen.runtime.scrape import showing_metrics

NAME = "openstack-api"
FIRST_DESCRIPTOR = 3
PATIENCE = 3.0
"""Seconds for which a replica that is to end still answers on the connections it has."""


def run(settings: Settings) -> int:
    async def main(stopped: asyncio.Event) -> None:
        own = TokenFile(settings.service_tokens_dir / "openstack")
        async with RemoteCloud(settings.kubernetes_url, ca_file=settings.tls_dir / "ca.crt", proof=own) as cloud:
            app = create_app(cloud, images=settings.images_dir)
            files = listener_files(settings, "openstack")
            async with serving(app, passed_socket("openstack"), files, patience=PATIENCE):
                await stopped.wait()

    with showing_metrics(settings.metrics_dir, NAME, os.environ.get("HOSTNAME", "")):
        return run_until_stopped(main)


def passed_socket(name: str) -> socket.socket:
    """The listening socket that the node agent passed under a name (the convention of systemd's LISTEN_FDS)."""
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    if name not in names:
        raise RuntimeError(f"no socket {name!r} was passed: this process is started by the node agent")
    return socket.socket(fileno=FIRST_DESCRIPTOR + names.index(name))
