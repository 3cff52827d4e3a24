# SPDX-License-Identifier: Apache-2.0
"""What an explanation is made of: lines, causes, and the objects among which causes are looked for. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from lichen.model.data import Object
from lichen.model.meta import controller_of, find_condition, name_of, namespace_of, owners_of, uid_of

SHARED_NAMESPACE = "lichen-system"
WORDS = {
    "ReplicaSet": "replica set",
    "StatefulSet": "stateful set",
    "DaemonSet": "daemon set",
    "CronJob": "cron job",
    "PersistentVolumeClaim": "volume claim",
    "VolumeSnapshot": "snapshot",
    "VolumeAttachment": "volume attachment",
    "FloatingIP": "floating IP",
}


@dataclass(frozen=True)
class Line:
    """One link of the chain. mend: the command that would mend it, "" before the last link. known: it says why."""

    depth: int
    text: str
    mend: str = ""
    known: bool = True


@dataclass(frozen=True)
class Cause:
    """Why a thing is not as wanted: in words, and the thing on which that depends, if one is known.

    known: the words say why; where nothing in the cloud does, they can only say that.
    """

    text: str
    next: Object | None = None
    mend: str = ""
    known: bool = True


@dataclass(frozen=True)
class World:
    """What is known of the cloud: objects of all kinds that matter, and Events (core/v1)."""

    objects: Sequence[Object] = ()
    events: Sequence[Object] = field(default=())

    def of(self, kind: str, namespace: str | None = None) -> Iterator[Object]:
        """All of a kind; in one namespace, if it is given."""
        return (o for o in self.objects if o["kind"] == kind and namespace in (None, namespace_of(o)))

    def find(self, kind: str, name: str, namespace: str = "") -> Object | None:
        return next((o for o in self.of(kind, namespace) if name_of(o) == name), None)

    def referred(self, kind: str, reference: str, namespace: str) -> Object | None:
        """What `name` or `namespace/name` means in a namespace; a shared one comes after its own."""
        there, _, name = reference.rpartition("/")
        if there:
            return self.find(kind, name, there)
        return self.find(kind, name, namespace) or self.find(kind, name, SHARED_NAMESPACE)

    def owned(self, kind: str, owner: Object) -> list[Object]:
        uid = uid_of(owner)
        return [o for o in self.of(kind, namespace_of(owner)) if any(r["uid"] == uid for r in owners_of(o))]

    def root_of(self, obj: Object) -> Object:
        """The owner of owners that manages an object; itself, if nobody does."""
        reference = controller_of(obj)
        owner = self.find(reference["kind"], reference["name"], namespace_of(obj)) if reference else None
        return obj if owner is None else self.root_of(owner)

    def warning(self, obj: Object, reason: str = "") -> str:
        """The last Warning told of an object, "" if there is none; reason: of these alone."""
        uid = uid_of(obj)
        warnings = (e for e in self.events if e.get("type") == "Warning" and reason in ("", e.get("reason")))
        told = [e for e in warnings if (e.get("involvedObject") or {}).get("uid") == uid]
        last = max(told, key=_when, default=None)
        return f"{last.get('reason')}: {one_line(last.get('message', ''))}" if last else ""


def _when(event: Object) -> str:
    return event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp") or ""


def called(obj: Object) -> str:
    """`server demo/vm1`; with the name as the user wrote it, where that is another."""
    path = "/".join(part for part in (namespace_of(obj), name_of(obj)) if part)
    written = (obj.get("spec") or {}).get("displayName", "")
    shown = f' ("{written}")' if written and written != name_of(obj) else ""
    return f"{WORDS.get(obj['kind'], obj['kind'].lower())} {path}{shown}"


def phase_of(obj: Object) -> str:
    return (obj.get("status") or {}).get("phase") or "Pending"


def openstack_name(obj: Object) -> str:
    """How the OpenStack client is told of a thing without doubt: by id, as names may repeat."""
    return (obj.get("spec") or {}).get("id") or name_of(obj)


def kubectl(verb: str, obj: Object, rest: str = "") -> str:
    """`kubectl -n demo describe server vm1`"""
    where = f"-n {namespace_of(obj)} " if namespace_of(obj) else ""
    return f"kubectl {where}{verb} {resource(obj)} {name_of(obj)} {rest}".rstrip()


def resource(obj: Object) -> str:
    """The kind as kubectl finds it without doubt: with its group, where Kubernetes does not have it."""
    group = obj.get("apiVersion", "").rpartition("/")[0]
    return f"{obj['kind'].lower()}.{group}" if group.endswith("lichen.dev") else obj["kind"].lower()


def refused(obj: Object, type_: str) -> Object | None:
    """The condition, if it is there and is not True."""
    found = find_condition(obj, type_)
    return found if found is not None and found["status"] != "True" else None


def said(condition: Object | None) -> str:
    """What a condition says, in one line without its full stop; its reason, if it has no sentence."""
    return one_line((condition or {}).get("message") or (condition or {}).get("reason") or "")


def one_line(text: str, most: int = 400) -> str:
    text = " ".join(text.split()).rstrip(".")
    return text if len(text) <= most else f"{text[: most - 1]}…"


def unseen(who: str) -> Cause:
    """Of a thing that was just made, or whose keeper does not work."""
    return Cause(f"waits for {who} to look at it", mend="sudo lichen status (tells whether all of the cloud works)")


def placing(obj: Object, sentence: str) -> str:
    """The command against a scheduler's refusal."""
    if "taint" in sentence:
        return "kubectl describe nodes | grep -A3 Taints, then kubectl taint nodes NODE KEY-"
    if "unschedulable" in sentence:
        return "kubectl uncordon NODE"
    if "affinity" in sentence or "selector" in sentence:
        return "kubectl label node NODE KEY=VALUE, as it asks for"
    if obj["kind"] == "Server":
        return f"openstack flavor list, then openstack server delete {openstack_name(obj)} and create it smaller"
    return f"kubectl describe nodes, then ask for less: {kubectl('edit', obj)}"
