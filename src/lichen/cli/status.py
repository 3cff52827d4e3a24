# SPDX-License-Identifier: Apache-2.0
"""`lichen status`: what runs, and where it answers. Ends with 0 only if all of the cloud answers."""

from __future__ import annotations

import argparse
import asyncio
from collections import Counter

from lichen.cli.output import CommandError
from lichen.cli.reach import is_answering
from lichen.client.local import LocalCloud, find_local, read_credentials
from lichen.client.remote import RemoteCloud
from lichen.kinds.builtin import NODE, POD
from lichen.kinds.compute.server import Server
from lichen.model.data import Object
from lichen.model.errors import ApiError
from lichen.model.kind import Kind
from lichen.model.meta import find_condition, is_deleting
from lichen.model.state import Caller, State


def status(arguments: argparse.Namespace) -> int:
    cloud = find_local(arguments.data_dir.absolute() if arguments.data_dir else None)
    if cloud is None:
        print("No cloud runs here.")
        return 1
    kubernetes, openstack = is_answering(cloud)
    mode = f"simulating {cloud.nodes} node(s)" if cloud.simulate else "real"
    print(f"  Lichen {cloud.version}   {mode}, pid {cloud.pid}, data in {cloud.data_dir}")
    _say("OpenStack", f"{cloud.openstack_url}   {_word(openstack)}")
    _say("Kubernetes", f"{cloud.kubernetes_url}   {_word(kubernetes)}")
    if kubernetes:
        for what, counts in _counted(cloud).items():
            _say(what, counts)
    return 0 if kubernetes and openstack else 1


def _say(what: str, how: str) -> None:
    print(f"  {what:<12} {how}")


def _word(answers: bool) -> str:
    return "answers" if answers else "does not answer"


def _counted(cloud: LocalCloud) -> dict[str, str]:
    """What the cloud has, in a few words each; nothing if only its owner may know."""
    try:
        token = read_credentials(cloud).admin_token
    except PermissionError:
        return {}
    try:
        return asyncio.run(_count(cloud, token))
    except (ApiError, OSError) as error:
        raise CommandError(f"the cloud does not say what it runs: {error}") from None


async def _count(cloud: LocalCloud, token: str) -> dict[str, str]:
    async with RemoteCloud(cloud.kubernetes_url, token=token, ca_file=cloud.ca_file) as remote:
        state = remote.acting(Caller(name="admin", token=token))
        return {
            "Nodes": await _phases(state, NODE),
            "Servers": await _phases(state, Server.KIND),
            "Pods": await _phases(state, POD),
        }


async def _phases(state: State, kind: Kind) -> str:
    found = Counter(_phase(obj) for obj in (await state.list(kind)).items)
    return ", ".join(f"{count} {phase}" for phase, count in sorted(found.items())) or "none"


def _phase(obj: Object) -> str:
    if is_deleting(obj):
        return "Terminating"
    if obj["kind"] == "Node":
        ready = find_condition(obj, "Ready")
        return "Ready" if ready and ready["status"] == "True" else "NotReady"
    return (obj.get("status") or {}).get("phase") or "Pending"
