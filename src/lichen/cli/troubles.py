# SPDX-License-Identifier: Apache-2.0
"""What is not as it should be, one sentence each: read from the objects, and from the last lines of the logs. Pure but
for reading the logs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from lichen.model.data import Object
from lichen.model.meta import find_condition, is_deleting, name_of, namespace_of
from lichen.model.names import STALLED

TAIL_BYTES = 64 << 10
_LOUD = ("warning", "error", "critical")
_WAITING = ("ContainerCreating", "PodInitializing")


class LogLine(msgspec.Struct, frozen=True):
    """What of a log's line is of interest here."""

    time: str
    level: str
    role: str
    logger: str
    message: str


class Trouble(NamedTuple):
    """What is not well, why in a sentence, and the command that tells more."""

    what: str
    why: str
    more: str


def troubles_of(obj: Object) -> Iterator[Trouble]:
    """Why an object of one of the kinds below is not well; nothing if it is, or is only on its way."""
    kind, namespace = obj["kind"].lower(), namespace_of(obj)
    what = f"{kind} {'/'.join(part for part in (namespace, name_of(obj)) if part)}"
    more = f"lichen explain {kind}/{name_of(obj)}{f' -n {namespace}' if namespace else ''}"
    yield from (Trouble(what, _line(reason), more) for reason in _reasons(obj))


def _reasons(obj: Object) -> Iterator[str]:
    stalled = find_condition(obj, STALLED)
    if stalled is not None and stalled["status"] == "True":
        yield stalled["message"]
    elif is_deleting(obj) == (obj["kind"] == "Namespace"):
        yield from _REASONS[obj["kind"]](obj)


def _of_namespace(namespace: Object) -> Iterator[str]:
    left = find_condition(namespace, "NamespaceFinalizersRemaining")
    if left is not None and left["status"] == "True":
        yield left["message"]


def _of_stored(stored: Object) -> Iterator[str]:
    """Of a volume, a snapshot or an image."""
    status = stored.get("status") or {}
    if status.get("phase") in ("Error", "killed"):
        yield status.get("fault") or f"it is {status['phase']}"


def _of_attachment(attachment: Object) -> Iterator[str]:
    fault = (attachment.get("status") or {}).get("fault")
    if fault:
        yield fault


def _of_node(node: Object) -> Iterator[str]:
    ready = find_condition(node, "Ready")
    if ready is None or ready["status"] != "True":
        yield (ready or {}).get("message") or "it has not said yet that it is ready"
    if (node.get("spec") or {}).get("unschedulable"):
        yield "it is cordoned: nothing new is placed on it"


def _of_server(server: Object) -> Iterator[str]:
    status = server.get("status") or {}
    if status.get("phase") == "Error":
        yield status.get("fault") or "it is in Error"
        return
    placed, ready = find_condition(server, "Scheduled"), find_condition(server, "Ready")
    if placed is not None and placed["status"] == "False" and not server["spec"].get("node"):
        yield placed["message"]
    elif ready is not None and ready.get("reason") == "Retrying":
        yield ready["message"]


def _of_pod(pod: Object) -> Iterator[str]:
    status = pod.get("status") or {}
    placed = find_condition(pod, "PodScheduled")
    if placed is not None and placed["status"] == "False":
        yield placed.get("message") or "it has no node"
    if status.get("phase") == "Failed":
        yield status.get("message") or status.get("reason") or "it failed"
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") and waiting["reason"] not in _WAITING:
            yield waiting.get("message") or waiting["reason"]


_REASONS: dict[str, Callable[[Object], Iterator[str]]] = {
    "Node": _of_node, "Server": _of_server, "Pod": _of_pod, "Namespace": _of_namespace, "Volume": _of_stored,
    "VolumeSnapshot": _of_stored, "Image": _of_stored, "VolumeAttachment": _of_attachment,
}  # fmt: skip


def loud_lines(log_dir: Path, most: int) -> list[LogLine]:
    """The last warnings and errors of all processes, the newest last."""
    found = [line for path in log_dir.glob("*.log") for line in _tail(path) if line.level in _LOUD]
    return sorted(found, key=lambda line: line.time)[-most:]


def _tail(path: Path) -> Iterator[LogLine]:
    try:
        with path.open("rb") as file:
            file.seek(max(file.seek(0, 2) - TAIL_BYTES, 0))
            lines = file.read().splitlines()
    except OSError:
        return
    for line in lines:
        try:
            yield msgspec.json.decode(line, type=LogLine)
        except msgspec.DecodeError:
            continue


def _line(text: str, most: int = 160) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 1]}…"
