# SPDX-License-Identifier: Apache-2.0
"""`lichen status`: what runs, where it answers, what it takes, what went wrong last. It ends with 0 only if both APIs
answer."""

from __future__ import annotations

import argparse
import asyncio
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from lichen.cli.output import CommandError
from lichen.cli.processes import processes_of
from lichen.cli.reach import is_answering
from lichen.cli.troubles import loud_lines, troubles_of
from lichen.client.local import LocalCloud, find_local, read_credentials
from lichen.client.remote import RemoteCloud
from lichen.kinds.builtin import NAMESPACE, NODE, POD
from lichen.kinds.compute.server import Server
from lichen.kinds.image.image import Image
from lichen.kinds.network.network import Network
from lichen.model.data import Object
from lichen.model.errors import ApiError
from lichen.model.kind import Kind
from lichen.model.meta import annotations_of, find_condition, is_deleting, labels_of, name_of
from lichen.model.quantity import whole
from lichen.model.state import Caller

SHOWN: tuple[Kind, ...] = (NODE, NAMESPACE, Server.KIND, POD, Image.KIND, Network.KIND)
MOST_NODES, MOST_TROUBLES, MOST_LINES = 4, 5, 3
ACCELERATOR = "compute.lichen.dev/accelerator"
Objects = dict[Kind, list[Object]]


def status(arguments: argparse.Namespace) -> int:
    cloud = find_local(arguments.data_dir.absolute() if arguments.data_dir else None)
    if cloud is None:
        print("No cloud runs here.")
        return 1
    kubernetes, openstack = is_answering(cloud)
    mode = f"simulating {cloud.nodes} node(s)" if cloud.simulate else "real"
    print(f"  Lichen {cloud.version}   {mode}   data in {cloud.data_dir}\n")
    _say("OpenStack", f"{cloud.openstack_url}   {_word(openstack)}")
    _say("Kubernetes", f"{cloud.kubernetes_url}   {_word(kubernetes)}")
    _say("Dashboard", cloud.dashboard_url)
    _print_processes(cloud)
    if kubernetes and (objects := _read(cloud)) is not None:
        _print_objects(objects)
    _print_log(cloud)
    return 0 if kubernetes and openstack else 1


def _print_processes(cloud: LocalCloud) -> None:
    found = processes_of(cloud.data_dir)
    print()
    for process in found:
        role = "all roles" if cloud.simulate else process.role
        detail = f"{process.memory >> 20:>5} MiB resident   pid {process.pid:<8} up {duration(process.age)}"
        _say(role, detail)
    if len(found) > 1:
        _say("together", f"{sum(p.memory for p in found) >> 20:>5} MiB (what they share is counted in each)")


def _print_objects(objects: Objects) -> None:
    print()
    nodes = objects[NODE]
    _say("Nodes", _phases(nodes))
    _list([_node_line(node) for node in nodes], MOST_NODES)
    _say("Servers", _phases(objects[Server.KIND]))
    _say("Pods", _phases(objects[POD]))
    _say("Projects", f"{len(objects[NAMESPACE])}")
    _say("Networks", _phases(objects[Network.KIND]))
    _say("Images", f"{len(objects[Image.KIND])}")
    troubles = [line for kind in (NODE, Server.KIND, POD) for obj in objects[kind] for line in troubles_of(obj)]
    print()
    _say("Troubles", f"{len(troubles)}" if troubles else "none")
    _list(troubles, MOST_TROUBLES)


def _print_log(cloud: LocalCloud) -> None:
    lines = loud_lines(Path(cloud.data_dir) / "log", MOST_LINES)
    if lines:
        _say("Last said", f"(all of it: {cloud.data_dir}/log)")
        _list([f"{line.time[11:19]} {line.level} {line.logger}: {line.message.splitlines()[0]}" for line in lines])


def _read(cloud: LocalCloud) -> Objects | None:
    """What the cloud has; None if only its owner may know. CommandError: it does not say."""
    try:
        token = read_credentials(cloud).admin_token
    except PermissionError:
        return None
    try:
        return asyncio.run(_list_all(cloud, token))
    except (ApiError, OSError) as error:
        raise CommandError(f"the cloud does not say what it runs: {error}") from None


async def _list_all(cloud: LocalCloud, token: str) -> Objects:
    async with RemoteCloud(cloud.kubernetes_url, token=token, ca_file=cloud.ca_file) as remote:
        state = remote.acting(Caller(name="admin", token=token))
        pages = await asyncio.gather(*(state.list(kind) for kind in SHOWN))
    return {kind: list(page.items) for kind, page in zip(SHOWN, pages, strict=True)}


def _node_line(node: Object) -> str:
    allocatable = (node.get("status") or {}).get("allocatable") or {}
    room = f"{allocatable.get('cpu', '?')} CPU, {whole(allocatable.get('memory', '0')) / (1 << 30):.1f} GiB"
    guests = annotations_of(node).get(ACCELERATOR) or labels_of(node).get(ACCELERATOR, "?")
    return f"{name_of(node)}: {room}, guests under {guests}"


def _phases(objects: Iterable[Object]) -> str:
    found = Counter(_phase(obj) for obj in objects)
    return ", ".join(f"{count} {phase}" for phase, count in sorted(found.items())) or "none"


def _phase(obj: Object) -> str:
    if is_deleting(obj):
        return "Terminating"
    state = obj.get("status") or {}
    if obj["kind"] == "Node":
        ready = find_condition(obj, "Ready")
        return "Ready" if ready and ready["status"] == "True" else "NotReady"
    return state.get("phase") or "Pending"


def duration(seconds: float) -> str:
    """`42 s`, `5 min`, `3 h`, `12 d`: the largest unit of which there are two, or one."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _say(what: str, how: str) -> None:
    print(f"  {what:<14} {how}".rstrip())


def _list(lines: list[str], most: int = 0) -> None:
    for line in lines[:most] if most else lines:
        print(f"    • {line}")
    if most and len(lines) > most:
        print(f"    … and {len(lines) - most} more")


def _word(answers: bool) -> str:
    return "answers" if answers else "does not answer"
