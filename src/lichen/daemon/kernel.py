# SPDX-License-Identifier: Apache-2.0
"""The kernel's process: the store, and the Kubernetes API over it. Unprivileged."""

from __future__ import annotations

import asyncio
import ssl
from functools import cache
from typing import Any

from lichen.apis.kubernetes.app import create_app
from lichen.apis.kubernetes.processes import Processes
from lichen.daemon.core import start_core
from lichen.daemon.layout import listener_files
from lichen.daemon.life import end_with_parent, run_until_stopped, until_first
from lichen.daemon.serving import serving
from lichen.daemon.settings import Settings
from lichen.daemon.sockets import inherited
from lichen.dashboard.app import with_dashboard
from lichen.model.errors import NotFound


def run(settings: Settings) -> int:
    end_with_parent()

    async def main(stopped: asyncio.Event) -> None:
        core = await start_core(settings)

        async def node_app(name: str) -> Any:
            if name != settings.node_name:
                raise NotFound(f'node "{name}" is not known')
            return await asyncio.to_thread(_agent, settings)

        app = with_dashboard(create_app(core.kernel, node_app, Processes(settings.metrics_dir)))
        try:
            async with serving(app, inherited("kubernetes"), listener_files(settings, "kernel")):
                await until_first(stopped.wait(), core.run())
        finally:
            await core.close()

    return run_until_stopped(main)


@cache
def _agent(settings: Settings) -> Any:
    """The way to the node's agent. Its HTTP client is heavy, and loaded when a log or a console is first asked for."""
    from lichen.apis.kubernetes.proxy import remote_node

    context = ssl.create_default_context(cafile=str(settings.tls_dir / "ca.crt"))
    return remote_node(settings.node_url, context, (settings.tokens_dir / "kernel-to-node").read_text())
