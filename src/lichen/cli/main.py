# SPDX-License-Identifier: Apache-2.0
"""`lichen`: start a cloud, look at it, stop it."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from lichen import __version__
from lichen.cli.output import CommandError, complain

DESCRIPTION = "One small cloud, two native languages: OpenStack and Kubernetes as one declarative system."


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lichen", description=DESCRIPTION)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    up = commands.add_parser("up", help="start the cloud on this machine and wait until it answers")
    up.add_argument("--simulate", action="store_true", help="fake machines in one process: no root, no KVM, same APIs")
    up.add_argument("--nodes", type=int, default=1, metavar="N", help="how many hosts to simulate (with --simulate)")
    _data_dir(up)
    up.add_argument("--listen", default="127.0.0.1", metavar="ADDR", help="address of the APIs (default: 127.0.0.1)")
    for name, number in (("kubernetes", 6443), ("openstack", 5000), ("node", 10250)):
        what = f"default: {number}; 0: any free one"
        up.add_argument(f"--{name}-port", type=_port, default=number, metavar="PORT", help=what)
    up.add_argument("--foreground", action="store_true", help="stay in the foreground until interrupted")
    up.add_argument("--demo", action="store_true", help="then play the first-light demo (see `lichen demo`)")
    up.set_defaults(run="lichen.cli.up:up")

    down = commands.add_parser("down", help="stop the cloud and all that it runs; keep its data")
    _data_dir(down)
    down.set_defaults(run="lichen.cli.down:down")

    status = commands.add_parser("status", help="what runs, where it answers, what is wrong")
    _data_dir(status)
    status.set_defaults(run="lichen.cli.status:status")

    explain = commands.add_parser("explain", help="why a thing is not as wanted, down to the root cause")
    explain.add_argument("thing", metavar="KIND/NAME", help="in either language: server/vm1, pod/web, volume/ID")
    explain.add_argument("-n", "--namespace", default="", metavar="NS", help="its project (default: any that has it)")
    _data_dir(explain)
    explain.set_defaults(run="lichen.cli.explain:explain")

    console = commands.add_parser("console", help="talk to a server on its serial console, in this terminal")
    console.add_argument("server", metavar="SERVER", help="its name or id")
    console.add_argument("-n", "--namespace", default="", metavar="NS", help="its project (default: any that has it)")
    _data_dir(console)
    console.set_defaults(run="lichen.cli.console:console")

    demo = commands.add_parser("demo", help="first light: a VM and two pods on one network, killed and healed")
    _data_dir(demo)
    demo.set_defaults(run="lichen.cli.demo:demo")

    for name, what in (("kubeconfig", "a kubeconfig for kubectl"), ("clouds", "a clouds.yaml for openstack")):
        printer = commands.add_parser(name, help=f"print {what}")
        _data_dir(printer)
        printer.set_defaults(run=f"lichen.cli.access:{name}")

    keys = commands.add_parser("keys", help="the keys that sign tokens; `rotate` makes another")
    _data_dir(keys)
    keys.set_defaults(run="lichen.cli.keys:keys")
    key_actions = keys.add_subparsers(dest="action", metavar="ACTION")
    rotate = key_actions.add_parser("rotate", help="sign with a new key from now on; older tokens hold until they end")
    rotate.add_argument("--end-older", action="store_true", help="end all tokens of older keys at once")
    _data_dir(rotate)
    rotate.set_defaults(run="lichen.cli.keys:rotate")

    image = commands.add_parser("image", help="build guest and container images from Debian packages")
    actions = image.add_subparsers(dest="action", metavar="ACTION", required=True)
    build = actions.add_parser("build", help="build an image into a file")
    build.add_argument("image", choices=("tiny", "busybox"), help="tiny: a bootable guest; busybox: a container image")
    build.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: lichen-tiny.qcow2 or busybox.tar")
    build.set_defaults(run="lichen.cli.image:build")

    doctor = commands.add_parser("doctor", help="what this machine has and lacks, and how to mend it")
    doctor.set_defaults(run="lichen.cli.doctor:doctor")

    version = commands.add_parser("version", help="print the version")
    version.set_defaults(run="lichen.cli.main:version")
    return parser


def _data_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data-dir", type=Path, metavar="D", help="where the cloud keeps its data (one cloud for each)"
    )


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: a number from 0 to 65535")
    return int(text)


def version(_: argparse.Namespace) -> int:
    print(f"lichen {__version__}")
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run one command; its exit status: 0 done, 1 it could not, 2 it was asked wrongly."""
    chosen = build_parser().parse_args(arguments)
    module_name, _, function = chosen.run.partition(":")
    module = __import__(module_name, fromlist=[function])
    try:
        status: int = getattr(module, function)(chosen)
    except CommandError as error:
        complain(str(error))
        return 1
    except BrokenPipeError:  # whoever read our output has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130
    return status


if __name__ == "__main__":
    sys.exit(main())
