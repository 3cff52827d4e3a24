# SPDX-License-Identifier: Apache-2.0
"""Managers of an object's fields: what each gains and loses by an update or an apply, and who is in whose way."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from lichen.kernel.managed.fieldset import Set, difference, from_wire, intersection, let_go, paths, to_wire, union
from lichen.kernel.managed.merging import compare, fields_of, merge, without
from lichen.kernel.managed.shapes import Shape, Shapes
from lichen.kernel.schema import Schemas
from lichen.kinds.catalog import Catalog
from lichen.model.data import Object
from lichen.model.errors import ApiError, Cause, Conflict
from lichen.model.kind import Kind
from lichen.model.state import WriteOptions

APPLY, UPDATE = "Apply", "Update"
BEFORE = "before-first-apply"
ANCIENT = "ancient-changes"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
KUBECTL = "kubectl"
MOST_UPDATERS = 10
_SERVER_OWNED = (
    "f:name", "f:namespace", "f:creationTimestamp", "f:selfLink", "f:uid", "f:generation", "f:managedFields",
    "f:resourceVersion", "f:deletionTimestamp", "f:deletionGracePeriodSeconds",
)  # fmt: skip


class Who(NamedTuple):
    """One manager: what distinguishes it from others."""

    manager: str
    operation: str
    api_version: str
    subresource: str = ""

    def __str__(self) -> str:
        named = msgspec.json.encode(self.manager).decode()
        if self.subresource:
            named += f' with subresource "{self.subresource}"'
        return f"{named} using {self.api_version}" if self.operation == UPDATE else named


class Entry(NamedTuple):
    """What a manager owns since when. wire: how `fields` were written when they were read; None: they are new."""

    fields: Set
    time: str
    wire: Set | None = None


Managers = dict[Who, Entry]


def read(entries: Any) -> Managers:
    """metadata.managedFields; what cannot be read is none."""
    found: Managers = {}
    try:
        for entry in entries or ():
            words = [entry.get(key, "") for key in ("manager", "operation", "apiVersion", "subresource", "time")]
            if not all(isinstance(word, str) for word in words) or words[1] not in (APPLY, UPDATE):
                return {}
            wire = entry.get("fieldsV1") or {}
            found[Who(*words[:4])] = Entry(_fields(msgspec.json.encode(wire)), words[4], wire)
    except (ValueError, AttributeError, TypeError, RecursionError):
        return {}
    return found


@lru_cache(maxsize=512)
def _fields(wire: bytes) -> Set:
    """Many objects have the same fields: those of one template have all. Nobody changes a set. ValueError."""
    return from_wire(msgspec.json.decode(wire))


def written(managers: Managers) -> list[Object]:
    """As they are stored: appliers first, then in the order of time."""
    ordered = sorted(managers.items(), key=lambda item: (item[0].operation, item[1].time, item[0].manager))
    return [_entry(who, entry) for who, entry in ordered if entry.fields]


def _entry(who: Who, entry: Entry) -> Object:
    shown: Object = {"manager": who.manager, "operation": who.operation, "apiVersion": who.api_version}
    if entry.time:
        shown["time"] = entry.time
    shown["fieldsType"] = "FieldsV1"
    shown["fieldsV1"] = to_wire(entry.fields) if entry.wire is None else entry.wire
    if who.subresource:
        shown["subresource"] = who.subresource
    return shown


def is_reset(given: Any) -> bool:
    """A writer asks to forget all managers: `[{}]`."""
    return isinstance(given, list) and given == [{}]


class Tracking:
    """Field managers of one catalog's kinds."""

    def __init__(self, catalog: Catalog) -> None:
        self._shapes = Shapes(catalog)
        self._bare = Schemas(catalog, bare=True)

    def begun(self, kind: Kind, new: Object, manager: str, now: str) -> list[Object]:
        """managedFields of an object that is created by a manager that named itself."""
        who = Who(manager, UPDATE, kind.api_version)
        return written(self._updated(kind, {}, new, {}, who, now))

    def changed(self, kind: Kind, old: Object, new: Object, managed: Any, who: Who, now: str) -> list[Object]:
        """managedFields after an update of an object that is tracked."""
        managers = self._updated(kind, old, new, read(managed), who, now)
        return written(_capped(managers, now))

    def _updated(self, kind: Kind, old: Object, new: Object, managers: Managers, who: Who, now: str) -> Managers:
        more, less = compare(self._shapes.of(kind), old, new)
        more, less = _owned(more), _owned(less)
        if not more and not less:
            return managers
        lost = union(more, less)
        after = {other: _less(entry, lost, now) for other, entry in managers.items() if other != who}
        mine = managers.get(who, Entry({}, now))
        fields = union(difference(mine.fields, less), more)
        after[who] = mine if fields == mine.fields else Entry(fields, now)
        return after

    def config(self, kind: Kind, config: Object, subresource: str, options: WriteOptions) -> Object:
        """What is applied, checked and pruned: only that part of which the subresource is. BadRequest, Invalid."""
        part = self._bare.of(kind).decode(config, options, applied=True)
        if subresource == "status":
            names = {key: part["metadata"][key] for key in ("name", "namespace") if key in part["metadata"]}
            part = {"metadata": names, **{key: part[key] for key in ("status",) if key in part}}
        elif "status" in kind.subresources:
            part.pop("status", None)
        return part

    def first(self, kind: Kind, config: Object, who: Who, now: str) -> list[Object]:
        """managedFields of an object that is created by an apply of `config`."""
        return written({who: Entry(_owned(fields_of(self._shapes.of(kind), config)), now)})

    def applied(
        self, kind: Kind, live: Object, config: Object, who: Who, now: str, *, force: bool
    ) -> tuple[Object, list[Object]]:
        """(the object with what is applied and without what is applied no more, its managedFields).
        Conflict: others have fields that would change."""
        shape = self._shapes.of(kind)
        managers = read(live["metadata"].get("managedFields"))
        if not managers:
            managers = self._updated(kind, {}, live, {}, Who(BEFORE, UPDATE, kind.api_version), now)
        last = managers.get(who)
        wanted = _owned(fields_of(shape, config))
        others = {other: entry for other, entry in managers.items() if other != who}
        merged = self._merged(shape, live, config, wanted, last, others)
        more, less = compare(shape, live, merged)
        more, less = _owned(more), _owned(less)
        found = {other: fields for other, entry in others.items() if (fields := intersection(entry.fields, more))}
        if found and not force:
            self._refuse(kind, live, who, found)
        lost = union(more, less)
        after = {other: _less(entry, lost, now) for other, entry in others.items()}
        after[who] = last if last is not None and last.fields == wanted and not (more or less) else Entry(wanted, now)
        if who.manager == KUBECTL:
            _follow_last_applied(merged, config)  # and whoever owned the annotation still does
        return merged, written(after)

    def _merged(
        self, shape: Shape, live: Object, config: Object, wanted: Set, last: Entry | None, others: Managers
    ) -> Object:
        merged: Object = merge(shape, live, {k: v for k, v in config.items() if k not in ("apiVersion", "kind")})
        if last is None:
            return merged
        kept = wanted
        for entry in others.values():
            kept = union(kept, entry.fields)
        gone = let_go(last.fields, kept)
        pruned: Object = without(shape, merged, gone) if gone else merged
        return pruned

    def _refuse(self, kind: Kind, live: Object, who: Who, found: dict[Who, Set]) -> None:
        """Conflict, unless all of it was kubectl's own: applied on the client's side before."""
        if who.manager == KUBECTL:
            mine = self._last_applied(kind, live)
            found = {other: rest for other, fields in found.items() if (rest := difference(fields, mine))}
        if found:
            raise conflict(kind, live["metadata"]["name"], found)

    def _last_applied(self, kind: Kind, live: Object) -> Set:
        text = (live["metadata"].get("annotations") or {}).get(LAST_APPLIED)
        if not text:
            return {}
        try:
            before = self._bare.of(kind).decode(msgspec.json.decode(text))
        except (msgspec.DecodeError, ApiError):
            return {}
        return union(fields_of(self._shapes.of(kind), before), _ANNOTATION)


_ANNOTATION: Set = {"f:metadata": {"f:annotations": {f"f:{LAST_APPLIED}": {".": True}}}}


def _follow_last_applied(merged: Object, config: Object) -> None:
    """kubectl's annotation, where there is one, says what kubectl applied last."""
    annotations = merged["metadata"].get("annotations") or {}
    if LAST_APPLIED in annotations:
        text = msgspec.json.encode(config).decode() + "\n"
        merged["metadata"] = {**merged["metadata"], "annotations": {**annotations, LAST_APPLIED: text}}


def _owned(fields: Set) -> Set:
    """Without what belongs to nobody: the object's names, and what only the server says."""
    metadata = fields.get("f:metadata")
    out = {key: inner for key, inner in fields.items() if key not in ("f:apiVersion", "f:kind", "f:metadata", ".")}
    if metadata is not None:
        kept = {key: inner for key, inner in metadata.items() if key not in _SERVER_OWNED and key != "."}
        if kept:
            out["f:metadata"] = kept
    return out


def _less(entry: Entry, lost: Set, now: str) -> Entry:
    fields = difference(entry.fields, lost)
    return entry if fields == entry.fields else Entry(fields, entry.time)


def _capped(managers: Managers, now: str) -> Managers:
    """At most so many updaters: the oldest are counted as one."""
    updaters = sorted((w for w in managers if w.operation == UPDATE), key=lambda w: managers[w].time)
    for who in updaters[: max(0, len(updaters) - MOST_UPDATERS)]:
        entry = managers.pop(who)
        ancient = who._replace(manager=ANCIENT, subresource="")
        known = managers.get(ancient, Entry({}, entry.time))
        managers[ancient] = Entry(union(known.fields, entry.fields), known.time)
    return managers


def conflict(kind: Kind, name: str, found: dict[Who, Set]) -> Conflict:
    """What kubectl prints of fields that others own."""
    listed = [(str(who), path) for who, fields in sorted(found.items()) for path in paths(fields)]
    causes = tuple(Cause(path, f"conflict with {who}", "FieldManagerConflict") for who, path in listed)
    if len(listed) == 1:
        said = f"Apply failed with 1 conflict: conflict with {listed[0][0]}: {listed[0][1]}"
    else:
        lines = []
        for who in dict.fromkeys(who for who, _ in listed):
            lines += [f"conflicts with {who}:", *(f"- {path}" for by, path in listed if by == who)]
        said = f"Apply failed with {len(listed)} conflicts: " + "\n".join(lines)
    return Conflict(said, causes=causes, kind=kind.plural, group=kind.group, name=name)
