# SPDX-License-Identifier: Apache-2.0
"""A write's way in: schema, defaults, admission, validation, store. Callers are authorised already."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, NamedTuple

import msgspec

from lichen.kernel import metadata
from lichen.kernel.access import Clock, Store
from lichen.kernel.admission import Request
from lichen.kernel.admission.chain import Chain
from lichen.kernel.deletion import check_preconditions, is_over, plan_deletion
from lichen.kernel.managed.managers import UPDATE, Tracking, Who, is_reset
from lichen.kernel.managed.managers import read as read_managers
from lichen.kernel.schema import Schemas
from lichen.kinds.builtin import CRD, NAMESPACE, NODE, POD
from lichen.kinds.faults import Faults
from lichen.kinds.ruleset import rules_of
from lichen.model.data import MAX_DEPTH, Object, is_too_deep
from lichen.model.errors import AlreadyExists, Cause, Conflict, Forbidden, Invalid, NotFound, TooLarge
from lichen.model.kind import Kind
from lichen.model.state import Caller, Preconditions, WriteOptions
from lichen.model.times import rfc3339

_ATTEMPTS = 500
MAX_OBJECT = 3 * 512 * 1024
"""Bytes of JSON that an object may have."""
encode = msgspec.json.Encoder().encode


class Writes:
    """create, update and delete, shared by all sessions of a kernel."""

    def __init__(self, store: Store, schemas: Schemas, admission: Chain, clock: Clock, tracking: Tracking) -> None:
        self._store = store
        self._tracking = tracking
        self._schemas = schemas
        self._admission = admission
        self._clock = clock

    async def create(
        self, caller: Caller, kind: Kind, obj: Object, options: WriteOptions, *, managed: list[Object] | None = None
    ) -> Object:
        """Store a new object. managed: its managedFields, if it is applied. AlreadyExists, BadRequest, Forbidden,
        Invalid."""
        new = self._schemas.of(kind).decode(obj, options)
        _named_as(kind, new)
        rules = rules_of(kind)
        rules.default(new)
        metadata.begin(new["metadata"], self._clock.now(), counted=kind.installed or "spec" in new)
        if not new["metadata"].get("name"):
            self._validate(kind, new, None)
        if "status" in kind.subresources:
            new.pop("status", None)
            if kind.model is None and not kind.installed:
                new["status"] = {}
        rules.begin(new)
        request = self._request("create", caller, kind, new, None, "", options)
        if kind.namespaced:
            await self._check_namespace(kind, request)
        async with self._admission.admitted(request):
            new = request.object
            if managed is None and options.field_manager:
                managed = self._tracking.begun(kind, new, options.field_manager, self._now())
            if managed:
                new["metadata"]["managedFields"] = managed
            self._validate(kind, new, None)
            if options.dry_run:
                return await self._would_create(kind, new)
            return await settled(self._store.create(kind, new), request)

    async def update(
        self,
        caller: Caller,
        kind: Kind,
        obj: Object,
        subresource: str,
        options: WriteOptions,
        *,
        read: Object | None = None,
        managed: list[Object] | None = None,
        agent: str = "",
        part: str = "",
        checked: bool = False,
    ) -> Object:
        """Replace an object or one part of it. `read`: what is stored, if the caller has just read it; then the
        write is refused (Conflict) if that has changed since. managed: its managedFields, if it is applied; else who
        writes is `agent`, in its words on subresource `part`, unless it names itself. checked: it is what was read,
        changed by the kernel itself, which keeps to the schema and to the kind's rules.
        BadRequest, Conflict, Forbidden, Invalid, NotFound."""
        given = obj["metadata"].get("managedFields")
        who = Who(options.field_manager or agent or caller.name, UPDATE, kind.api_version, subresource or part)
        written = Written(who, given, managed, checked)
        unused = "spec" if subresource in ("status", "approval") else ""
        held = read if read is not None else await self._held(kind, obj["metadata"])
        decoded = obj if checked else self._schemas.of(kind).decode(obj, options, unused=unused, stored=held)
        _named_as(kind, decoded)
        wanted = decoded["metadata"].get("resourceVersion")
        for _ in range(_ATTEMPTS):
            meta = decoded["metadata"]
            old = held if held is not None else await self._store.get(kind, meta["name"], meta.get("namespace", ""))
            if wanted and wanted != old["metadata"]["resourceVersion"]:
                raise modified(kind, meta["name"])
            try:
                new = {**decoded, "metadata": {**meta}}
                return await self._replace(caller, kind, new, old, subresource, options, written)
            except Moved:
                if wanted or read is not None:
                    raise
                held = await self._held(kind, meta)
                decoded = self._schemas.of(kind).decode(obj, unused=unused, stored=held)
        raise modified(kind, decoded["metadata"]["name"])

    async def _held(self, kind: Kind, meta: Object) -> Object | None:
        """What is stored under a name that nobody has looked at yet."""
        name, namespace = meta.get("name"), meta.get("namespace") or ""
        if not isinstance(name, str) or not isinstance(namespace, str):
            return None
        try:
            return await self._store.get(kind, name, namespace)
        except NotFound:
            return None

    async def _replace(
        self,
        caller: Caller,
        kind: Kind,
        new: Object,
        old: Object,
        subresource: str,
        options: WriteOptions,
        written: Written,
    ) -> Object:
        _same_object(kind, new["metadata"], old["metadata"])
        new = _merged(kind, new, old, subresource)
        metadata.carry(new["metadata"], old["metadata"])
        new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
        rules = rules_of(kind)
        if not written.checked:
            rules.default(new)
            rules.carry(new, old)
        request = self._request("update", caller, kind, new, old, subresource, options)
        async with self._admission.admitted(request):
            new = request.object
            if (kind.installed or "spec" in new) and _desired(kind, new) != _desired(kind, old):
                new["metadata"]["generation"] = old["metadata"].get("generation", 1) + 1
            if written.managed is not None or written.given or "managedFields" in old["metadata"]:
                self._note_managers(kind, new, old, written)
            self._validate(kind, new, old, checked=written.checked)
            if options.dry_run or new == old:
                return new
            return await settled(self._stored(kind, new), request)

    def _note_managers(self, kind: Kind, new: Object, old: Object, written: Written) -> None:
        held = old["metadata"].get("managedFields")
        managed = written.managed
        if managed is None and not is_reset(written.given):
            base = written.given if read_managers(written.given) else held
            managed = self._tracking.changed(kind, old, new, base, written.who, self._now()) if base else None
        if managed:
            new["metadata"]["managedFields"] = managed
        else:
            new["metadata"].pop("managedFields", None)

    def _now(self) -> str:
        return rfc3339(self._clock.now())

    async def _stored(self, kind: Kind, new: Object) -> Object:
        if is_over(kind, new):
            return {**new, "metadata": (await self._remove(kind, new))["metadata"]}
        return await self._swap(kind, new)

    async def _swap(self, kind: Kind, new: Object) -> Object:
        try:
            return await self._store.update(kind, new)
        except Conflict:
            raise modified(kind, new["metadata"]["name"]) from None

    async def delete(
        self,
        caller: Caller,
        kind: Kind,
        name: str,
        namespace: str,
        preconditions: Preconditions,
        propagation: str,
        grace_seconds: int | None,
        options: WriteOptions,
    ) -> Object:
        """Remove an object, or mark it; returns its last state. Conflict, Forbidden, NotFound."""
        for _ in range(_ATTEMPTS):
            old = await self._store.get(kind, name, namespace)
            check_preconditions(kind, old, preconditions)
            going = plan_deletion(kind, old, propagation, grace_seconds, self._clock.now())
            request = self._request("delete", caller, kind, going.mark or old, old, "", options)
            try:
                async with self._admission.admitted(request):
                    if options.dry_run:
                        return going.mark or old
                    if going.remove:
                        return await self._remove(kind, old)
                    return old if going.mark is None else await self._swap(kind, going.mark)
            except Moved:
                if preconditions.resource_version:
                    raise
        raise modified(kind, name)

    async def _remove(self, kind: Kind, obj: Object) -> Object:
        meta = obj["metadata"]
        exactly = Preconditions(uid=meta["uid"], resource_version=meta["resourceVersion"])
        try:
            last = await self._store.delete(kind, meta["name"], meta.get("namespace", ""), preconditions=exactly)
        except Conflict:
            raise modified(kind, meta["name"]) from None
        await self._admission.removed(kind, last, self._store)
        return last

    def _validate(self, kind: Kind, new: Object, old: Object | None, *, checked: bool = False) -> None:
        faults = Faults()
        rules = rules_of(kind)
        metadata.validate(kind, new["metadata"], faults)
        if not checked and (old is None or _but_metadata(new) != _but_metadata(old)):
            rules.validate(new, faults)
        if old is not None:
            rules.validate_update(new, old, faults)
        faults.raise_any(kind, new["metadata"].get("name", ""))
        raw = encode(new)
        if len(raw) > MAX_OBJECT:
            raise TooLarge(f"{kind.kind} is larger than {MAX_OBJECT} bytes", kind=kind.plural, group=kind.group)
        if is_too_deep(new, raw):
            raise Invalid(f"{kind.kind} is nested deeper than {MAX_DEPTH}", kind=kind.plural, group=kind.group)

    def _request(
        self,
        verb: str,
        caller: Caller,
        kind: Kind,
        new: Object,
        old: Object | None,
        subresource: str,
        options: WriteOptions,
    ) -> Request:
        meta = new["metadata"]
        return Request(
            verb=verb,
            kind=kind,
            name=meta.get("name", ""),
            namespace=meta.get("namespace", ""),
            object=new,
            old=old,
            caller=caller,
            state=self._store,
            subresource=subresource,
            dry_run=options.dry_run,
            warnings=options.warnings,
        )

    async def _check_namespace(self, kind: Kind, request: Request) -> None:
        namespace = await self._store.get(NAMESPACE, request.namespace)
        if namespace["metadata"].get("deletionTimestamp"):
            said = f"unable to create new content in namespace {request.namespace} because it is being terminated"
            raise Forbidden(
                f'{kind.resource} "{request.name}" is forbidden: {said}',
                causes=(Cause("metadata.namespace", said, "NamespaceTerminating"),),
                kind=kind.plural,
                group=kind.group,
                name=request.name,
            )

    async def _would_create(self, kind: Kind, new: Object) -> Object:
        meta = new["metadata"]
        try:
            await self._store.get(kind, meta["name"], meta.get("namespace", ""))
        except NotFound:
            return new
        raise AlreadyExists(
            f'{kind.resource} "{meta["name"]}" already exists', kind=kind.plural, group=kind.group, name=meta["name"]
        )


class Written(NamedTuple):
    """Who writes, the managedFields it sent, and those that an apply came to. checked: it keeps to all rules."""

    who: Who
    given: Any
    managed: list[Object] | None
    checked: bool


async def settled(write: Coroutine[Any, Any, Object], request: Request) -> Object:
    """The outcome of a write that has begun, waited for even if the caller goes away meanwhile: what admission claimed
    is kept or undone as the write itself succeeds or fails."""
    if not request.undo:
        return await write
    task = asyncio.ensure_future(write)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        return task.result()


class Moved(Conflict):
    """The stored object is another than was read: worth another try, as a refusal by admission is not."""


def modified(kind: Kind, name: str) -> Moved:
    return Moved(
        f'Operation cannot be fulfilled on {kind.resource} "{name}": the object has been modified; please apply your '
        "changes to the latest version and try again",
        kind=kind.plural,
        group=kind.group,
        name=name,
    )


def _named_as(kind: Kind, obj: Object) -> None:
    obj["apiVersion"], obj["kind"] = kind.api_version, kind.kind
    if not kind.namespaced:
        obj["metadata"].pop("namespace", None)


def _same_object(kind: Kind, new: Object, old: Object) -> None:
    if new.get("uid") and new["uid"] != old["uid"]:
        raise Conflict(
            f'Operation cannot be fulfilled on {kind.resource} "{old["name"]}": Precondition failed: UID in '
            f"precondition: {new['uid']}, UID in object meta: {old['uid']}",
            kind=kind.plural,
            group=kind.group,
            name=old["name"],
        )


def _merged(kind: Kind, new: Object, old: Object, subresource: str) -> Object:
    """Only that part of `new` which the subresource is about."""
    if subresource == "":
        if "status" not in kind.subresources:
            return new
        kept = {key: value for key, value in new.items() if key != "status"}
        if kind == POD:
            kept["spec"] = _with_ephemeral(kept.get("spec") or {}, old["spec"])
        return {**kept, "status": old["status"]} if "status" in old else kept
    part = {**old, "metadata": {**old["metadata"]}}
    if subresource == "finalize":
        part["spec"] = {**(old.get("spec") or {}), "finalizers": (new.get("spec") or {}).get("finalizers", [])}
    elif subresource in ("status", "approval"):
        part["status"] = new.get("status", {})
        if _tells_more(kind) and new["metadata"].get("annotations"):
            part["metadata"]["annotations"] = new["metadata"]["annotations"]
    elif subresource == "ephemeralcontainers":
        part["spec"] = _with_ephemeral(old["spec"], new.get("spec") or {})
    else:
        part["spec"] = new.get("spec", {})
    if subresource == "binding":
        part["status"] = new.get("status", {})
    return part


def _with_ephemeral(spec: Object, source: Object) -> Object:
    """A pod's spec with the ephemeral containers of another: they are changed by their own subresource alone."""
    kept = {key: value for key, value in spec.items() if key != "ephemeralContainers"}
    return kept | ({"ephemeralContainers": source["ephemeralContainers"]} if source.get("ephemeralContainers") else {})


def _tells_more(kind: Kind) -> bool:
    """Who writes the status may annotate the object, as upstream has it; not what only looks at a pod or a node."""
    return not kind.installed and kind.model is None and kind not in (POD, NODE, CRD)


def _but_metadata(obj: Object) -> Object:
    """What a kind's own rules are about: what is stored has passed them, or those of the release that stored it."""
    return {key: value for key, value in obj.items() if key != "metadata"}


def _desired(kind: Kind, obj: Object) -> Object:
    observed = ("metadata",) if kind.installed and "status" not in kind.subresources else ("metadata", "status")
    return {key: value for key, value in obj.items() if key not in observed}
