# SPDX-License-Identifier: Apache-2.0
"""`python -m lichen.daemon ROLE --data-dir D`: one process of the cloud. `lichen up` starts the first."""

from __future__ import annotations

import argparse
import gc
import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from lichen.daemon.interpreter import own_python
from lichen.daemon.logs import set_up_logging
from lichen.daemon.settings import Settings, load_settings
from lichen.daemon.sockets import SOCKETS_VARIABLE, allow_connections, open_sockets


def main() -> int:
    arguments = _parse()
    if arguments.role != "supervisor":
        # What these load stays: the collector need not look through it until `life` has set it apart.
        gc.disable()
    set_up_logging(arguments.role)
    allow_connections()
    if arguments.role == "start":
        return _start(arguments)
    settings = load_settings(arguments.data_dir)
    module = __import__(f"lichen.daemon.{arguments.role}", fromlist=["run"])
    status: int = module.run(settings)
    return status


def become_supervisor(settings: Settings, sockets: Mapping[str, socket.socket]) -> None:
    """Go on as a fresh process image of the same number, without what the preparations had to load."""
    for sock in sockets.values():
        sock.set_inheritable(True)
    passed = ",".join(f"{name}={sock.fileno()}" for name, sock in sockets.items())
    command = [own_python(), "-m", "lichen.daemon", "supervisor", "--data-dir", str(settings.data_dir)]
    os.execve(command[0], command, os.environ | {SOCKETS_VARIABLE: passed})  # noqa: S606


def _start(arguments: argparse.Namespace) -> int:
    from lichen.daemon.layout import prepare
    from lichen.daemon.leftovers import stop_leftovers

    try:
        settings = _settings(arguments)
        stop_leftovers(settings)
        sockets = open_sockets(settings)
        settings = replace(settings, **{f"{name}_port": s.getsockname()[1] for name, s in sockets.items()})
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        settings.save()
        prepare(settings)
    except OSError as error:
        print(error, file=sys.stderr)
        return 1
    if settings.simulate:
        from lichen.daemon import simulated

        return simulated.run(settings, sockets)
    become_supervisor(settings, sockets)
    return 0


def _settings(arguments: argparse.Namespace) -> Settings:
    return Settings(
        data_dir=arguments.data_dir,
        simulate=arguments.simulate,
        nodes=arguments.nodes,
        listen=arguments.listen,
        kubernetes_port=arguments.kubernetes_port,
        openstack_port=arguments.openstack_port,
        node_port=arguments.node_port,
        persist=arguments.persist or not arguments.simulate,
    )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="lichen-daemon", description=__doc__)
    parser.add_argument("role", choices=("start", "supervisor", "kernel", "controllers", "node", "openstack", "clean"))
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--simulate", action="store_true")
    parser.add_argument("--persist", action="store_true")
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--listen", default="127.0.0.1")
    parser.add_argument("--kubernetes-port", type=int, default=6443)
    parser.add_argument("--openstack-port", type=int, default=5000)
    parser.add_argument("--node-port", type=int, default=10250)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
