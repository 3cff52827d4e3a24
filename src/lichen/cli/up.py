# SPDX-License-Identifier: Apache-2.0
"""`lichen up`: start the daemon, wait until both APIs answer, hand the user the keys."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from lichen.cli.doctor import find_needs
from lichen.cli.handover import Handed, hand_over
from lichen.cli.image import build_base_images
from lichen.cli.output import CommandError, Steps
from lichen.cli.reach import wait_until_up
from lichen.client.local import REAL_DATA_DIR, LocalCloud, find_local, is_elsewhere, simulated_data_dir

START_SECONDS = 120.0


def up(arguments: argparse.Namespace) -> int:
    data_dir = (arguments.data_dir or (simulated_data_dir() if arguments.simulate else REAL_DATA_DIR)).absolute()
    running = find_local(data_dir)
    if running is not None:
        print(f"The cloud in {data_dir} runs already (pid {running.pid}).")
        print_access(running, hand_over(running))
        return 0
    _check(arguments)
    steps = Steps()
    command = _daemon_command(arguments, data_dir)
    if arguments.foreground:
        os.chdir("/")  # Python looks for its modules where it stands, and root may stand anywhere
        os.execv(command[0], command)  # noqa: S606
    if not arguments.simulate:
        build_base_images(data_dir, steps)
    what = f"simulating {arguments.nodes} node(s)" if arguments.simulate else "starting kernel, controllers and node"
    with steps.step(what):
        process = _spawn(command, data_dir)
        cloud = wait_until_up(data_dir, process, START_SECONDS)
    with steps.step("writing clouds.yaml and kubeconfig"):
        access = hand_over(cloud)
    if arguments.demo:
        from lichen.cli.demo import play

        play(cloud, steps)
    print_access(cloud, access, played=arguments.demo)
    return 0


def print_access(cloud: LocalCloud, access: Handed, *, played: bool = False) -> None:
    where = f" --data-dir {cloud.data_dir}" if is_elsewhere(cloud) else ""
    clouds = f" OS_CLIENT_CONFIG_FILE={access.clouds}" if access.beside else ""
    print(f"""
  OpenStack    {cloud.openstack_url}    clouds.yaml: {access.clouds}  (clouds lichen, lichen-demo)
  Kubernetes   {cloud.kubernetes_url}    kubeconfig:  {access.kubeconfig}  (context lichen)
  Dashboard    {cloud.dashboard_url}    (names and passwords: lichen clouds{where})
{_beside(access)}
  Try:
    export OS_CLOUD=lichen-demo KUBECONFIG={access.kubeconfig}{clouds}
    {_to_try(cloud, played, where)}
    kubectl get servers,pods,networks,ports -A
    kubectl get nodes -o wide
    lichen status{where}""")


def _beside(access: Handed) -> str:
    if not access.beside:
        return ""
    return f"""
  The files of yours that are used by themselves lead to the cloud in {access.beside}, which runs, and are let be.
"""


def _to_try(cloud: LocalCloud, played: bool, where: str) -> str:
    """What makes something to look at, or shows it."""
    if played:
        return "openstack server list\n    openstack console log show web"
    if not cloud.simulate:
        return f"{f'sudo lichen demo{where}':<32} # a VM and two pods on one network, killed and healed"
    return """truncate -s 1M any.img           # simulated machines boot anything
    openstack image create --file any.img --disk-format raw --container-format bare any
    openstack server create --image any --flavor m1.tiny --network cluster --wait web
    kubectl -n demo create deployment hello --image nginx --replicas 3"""


def _check(arguments: argparse.Namespace) -> None:
    if arguments.nodes < 1:
        raise CommandError("--nodes must be 1 or more.")
    if arguments.demo and arguments.simulate:
        raise CommandError("--demo wants real machines: leave out --simulate.")
    if arguments.nodes > 1 and not arguments.simulate:
        raise CommandError("--nodes goes with --simulate: a real cloud grows by `lichen join`, which is to come.")
    if arguments.simulate:
        return
    missing = [f for f in find_needs() if f.needed and not f.ok]
    if missing:
        needs = "\n".join(f"    {f.what:<30} {f.mend}" for f in missing)
        raise CommandError(
            f"this machine lacks what the real mode needs:\n{needs}\n  (`lichen up --simulate` needs none)"
        )


def _daemon_command(arguments: argparse.Namespace, data_dir: Path) -> list[str]:
    flags = ["--simulate", "--nodes", str(arguments.nodes)] if arguments.simulate else []
    if arguments.simulate and arguments.data_dir:
        flags.append("--persist")
    for name in ("listen", "kubernetes_port", "openstack_port", "node_port"):
        flags += [f"--{name.replace('_', '-')}", str(getattr(arguments, name))]
    return [sys.executable, "-m", "lichen.daemon", "start", "--data-dir", str(data_dir), *flags]


def _spawn(command: list[str], data_dir: Path) -> subprocess.Popen[bytes]:
    """The daemon in a session of its own, so that it outlives this terminal."""
    log_dir = data_dir / "log"
    try:
        log_dir.mkdir(parents=True, exist_ok=True)
    except PermissionError as error:
        raise CommandError(f"{error.filename} cannot be written: use sudo, or another --data-dir.") from None
    with (log_dir / "daemon.log").open("ab") as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
        )
