# SPDX-License-Identifier: Apache-2.0
"""`python -m lichen.daemon ROLE --data-dir D`: one process of the cloud. `lichen up` starts the first."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from lichen.daemon.logs import set_up_logging
from lichen.daemon.settings import Settings, load_settings


def main() -> int:
    arguments = _parse()
    set_up_logging(arguments.role)
    if arguments.role == "start":
        return _start(arguments)
    settings = load_settings(arguments.data_dir)
    module = __import__(f"lichen.daemon.{arguments.role}", fromlist=["run"])
    status: int = module.run(settings)
    return status


def _start(arguments: argparse.Namespace) -> int:
    from lichen.daemon import supervisor
    from lichen.daemon.layout import prepare

    try:
        settings = _settings(arguments)
        sockets = supervisor.open_sockets(settings)
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
    return supervisor.run(settings, sockets)


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
    parser.add_argument("role", choices=("start", "kernel", "controllers", "node", "openstack", "clean"))
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
