# SPDX-License-Identifier: Apache-2.0
"""`lichen status`: what runs, where it answers, what it takes, what went wrong last. It ends with 0 only if both APIs
answer."""

from __future__ import annotations

import argparse
import asyncio
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from lichen.cli.output import BOLD, DIM, GREEN, RED, YELLOW, CommandError, paint
from lichen.cli.owner import as_owner
from lichen.cli.processes import processes_of
from lichen.cli.reach import is_answering
from lichen.cli.troubles import Trouble, loud_lines, troubles_of
from lichen.client.local import LocalCloud, find_local, is_elsewhere
from lichen.client.remote import RemoteCloud
from lichen.kinds.builtin import NAMESPACE, NODE, POD
from lichen.kinds.compute.server import Server
from lichen.kinds.image.image import Image
from lichen.kinds.network.network import Network
from lichen.kinds.volume.attachment import VolumeAttachment
from lichen.kinds.volume.snapshot import VolumeSnapshot
from lichen.kinds.volume.volume import Volume
from lichen.model.data import Object
from lichen.model.errors import ApiError
from lichen.model.kind import Kind
from lichen.model.meta import annotations_of, find_condition, is_deleting, labels_of, name_of
from lichen.model.quantity import whole

TROUBLED: tuple[Kind, ...] = (
    NODE, Server.KIND, POD, Volume.KIND, VolumeAttachment.KIND, VolumeSnapshot.KIND, Image.KIND, NAMESPACE,
)  # fmt: skip
SHOWN: tuple[Kind, ...] = (*TROUBLED, Network.KIND)
TONES = dict.fromkeys(("Error", "Failed", "NotReady"), RED) | dict.fromkeys(
    ("Pending", "Building", "Creating", "Terminating", "Unknown"), YELLOW
)
"""What is painted of phases; what is well stays as it is."""
MOST_NODES, MOST_TROUBLES, MOST_LINES = 4, 5, 3
ACCELERATOR = "compute.lichen.dev/accelerator"
Objects = dict[Kind, list[Object]]


def status(arguments: argparse.Namespace) -> int:
    cloud = find_local(arguments.data_dir.absolute() if arguments.data_dir else None)
    if cloud is None:
        elsewhere = "" if arguments.data_dir else "; of one with a --data-dir of its own, say which"
        print(f"No cloud runs here: `lichen up` starts one{elsewhere}.")
        return 1
    kubernetes, openstack = is_answering(cloud)
    mode = f"simulating {cloud.nodes} node(s)" if cloud.simulate else "real"
    print(f"  {paint(f'Lichen {cloud.version}', BOLD)}   {mode}   data in {cloud.data_dir}\n")
    _say("OpenStack", f"{cloud.openstack_url}   {_word(openstack)}")
    _say("Kubernetes", f"{cloud.kubernetes_url}   {_word(kubernetes)}")
    _say("Dashboard", cloud.dashboard_url)
    _print_processes(cloud)
    if kubernetes and (objects := _read(cloud)) is not None:
        _print_objects(objects, cloud)
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


def _print_objects(objects: Objects, cloud: LocalCloud) -> None:
    print()
    nodes = objects[NODE]
    _say("Nodes", _phases(nodes))
    _list(_node_lines(nodes[:MOST_NODES]), len(nodes))
    for title, kind in (("Servers", Server.KIND), ("Pods", POD), ("Volumes", Volume.KIND), ("Networks", Network.KIND)):
        _say(title, _phases(objects[kind]))
    _say("Images", f"{len(objects[Image.KIND])}")
    _say("Projects", f"{len(objects[NAMESPACE])}")
    troubles = [trouble for kind in TROUBLED for obj in objects[kind] for trouble in troubles_of(obj)]
    print()
    _say("Troubles", paint(f"{len(troubles)}", RED) if troubles else paint("none", GREEN))
    where = f" --data-dir {cloud.data_dir}" if is_elsewhere(cloud) else ""
    _list([_trouble_lines(trouble, where) for trouble in troubles[:MOST_TROUBLES]], len(troubles))


def _trouble_lines(trouble: Trouble, where: str) -> str:
    return f"{paint(trouble.what, BOLD)}: {trouble.why}\n      {paint(f'{trouble.more}{where}', DIM)}"


def _print_log(cloud: LocalCloud) -> None:
    lines = loud_lines(Path(cloud.data_dir) / "log", MOST_LINES)
    if lines:
        _say("Last said", f"(all of it: {cloud.data_dir}/log)")
        _list([f"{line.time[11:19]} {line.level} {line.logger}: {line.message.splitlines()[0]}" for line in lines])


def _read(cloud: LocalCloud) -> Objects | None:
    """What the cloud has; None if only its owner may know. CommandError: it does not say."""
    try:
        owner = as_owner(cloud)
    except PermissionError:
        return None
    try:
        return asyncio.run(_list_all(owner))
    except (ApiError, OSError) as error:
        raise CommandError(f"the cloud does not say what it runs: {error}") from None


async def _list_all(owner: RemoteCloud) -> Objects:
    async with owner:
        pages = await asyncio.gather(*(owner.state.list(kind) for kind in SHOWN))
    return {kind: list(page.items) for kind, page in zip(SHOWN, pages, strict=True)}


def _node_lines(nodes: list[Object]) -> list[str]:
    width = max((len(name_of(node)) for node in nodes), default=0)
    return [f"{name_of(node):<{width}}   {_node_line(node)}" for node in nodes]


def _node_line(node: Object) -> str:
    allocatable = (node.get("status") or {}).get("allocatable") or {}
    room = f"{allocatable.get('cpu', '?'):>3} CPU   {whole(allocatable.get('memory', '0')) / (1 << 30):6.1f} GiB"
    guests = annotations_of(node).get(ACCELERATOR) or labels_of(node).get(ACCELERATOR, "?")
    return f"{room}   guests {'simulated' if guests == 'fake' else f'under {guests}'}"


def _phases(objects: Iterable[Object]) -> str:
    found = Counter(_phase(obj) for obj in objects)
    return ", ".join(_toned(phase, n) for phase, n in sorted(found.items())) or "none"


def _toned(phase: str, count: int) -> str:
    words = f"{count} {phase}"
    return paint(words, TONES[phase]) if phase in TONES else words


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
    print(f"  {paint(what, BOLD)}{' ' * (14 - len(what))} {how}".rstrip())


def _list(lines: list[str], of: int = 0) -> None:
    """of: how many there are, if these are the first of them."""
    for line in lines:
        print(f"    • {line}")
    if of > len(lines):
        print(f"    … and {of - len(lines)} more")


def _word(answers: bool) -> str:
    return paint("answers", GREEN) if answers else paint("does not answer", RED)
