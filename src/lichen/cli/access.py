# SPDX-License-Identifier: Apache-2.0
"""`lichen kubeconfig` and `lichen clouds`: print the files that clients log in with."""

from __future__ import annotations

import argparse
import sys

from lichen.cli.handover import entries_of, kubeconfig_of
from lichen.cli.output import CommandError
from lichen.client.local import LocalCloud, find_local


def kubeconfig(arguments: argparse.Namespace) -> int:
    sys.stdout.write(_readable(kubeconfig_of, arguments))
    return 0


def clouds(arguments: argparse.Namespace) -> int:
    sys.stdout.write(_readable(_clouds_text, arguments))
    return 0


def _clouds_text(cloud: LocalCloud) -> str:
    import yaml

    text: str = yaml.safe_dump({"clouds": entries_of(cloud)}, sort_keys=False)
    return text


def require_local(arguments: argparse.Namespace) -> LocalCloud:
    """The running cloud, or a sentence on how to get one."""
    cloud = find_local(arguments.data_dir.absolute() if arguments.data_dir else None)
    if cloud is None:
        raise CommandError("no cloud runs here: start one with `lichen up` (or `lichen up --simulate`).")
    return cloud


def _readable(text_of: object, arguments: argparse.Namespace) -> str:
    assert callable(text_of)
    try:
        return str(text_of(require_local(arguments)))
    except PermissionError:
        raise CommandError("only the user who started the cloud may read its credentials: use sudo.") from None
