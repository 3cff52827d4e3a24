# SPDX-License-Identifier: Apache-2.0
"""The kernel's process: the store, and the Kubernetes API over it. Unprivileged."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from lichen.apis.kubernetes.app import create_app
from lichen.apis.kubernetes.proxy import remote_node
from lichen.daemon.core import start_core
from lichen.daemon.layout import listener_files
from lichen.daemon.life import end_with_parent, run_until_stopped, until_first
from lichen.daemon.serving import serving
from lichen.daemon.settings import Settings
from lichen.daemon.sockets import inherited
from lichen.model.errors import NotFound


def run(settings: Settings) -> int:
    end_with_parent()

    async def main(stopped: asyncio.Event) -> None:
        core = await start_core(settings)
        context = ssl.create_default_context(cafile=str(settings.tls_dir / "ca.crt"))
        secret = (settings.tokens_dir / "kernel-to-node").read_text()
        node = remote_node(settings.node_url, context, secret)

        async def node_app(name: str) -> Any:
            if name != settings.node_name:
                raise NotFound(f'node "{name}" is not known')
            return node

        app = create_app(core.kernel, node_app)
        try:
            async with serving(app, inherited("kubernetes"), listener_files(settings, "kernel")):
                await until_first(stopped.wait(), core.run())
        finally:
            await core.close()

    return run_until_stopped(main)
