# SPDX-License-Identifier: Apache-2.0
"""Server-side apply: a manager says what it wants of an object, and owns that and nothing else of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lichen.kernel import subresources
from lichen.kernel.managed.managers import APPLY, Who
from lichen.kernel.writes import Moved
from lichen.kinds.installed import Scale
from lichen.model.data import Object
from lichen.model.errors import AlreadyExists, BadRequest, Conflict, NotFound
from lichen.model.kind import Kind
from lichen.model.state import WriteOptions
from lichen.model.times import rfc3339

if TYPE_CHECKING:
    from lichen.kernel.kernel import Kernel
    from lichen.kernel.session import Session

_ATTEMPTS = 500


async def apply(
    kernel: Kernel,
    session: Session,
    kind: Kind,
    name: str,
    namespace: str,
    config: Any,
    subresource: str,
    options: WriteOptions,
) -> Object:
    """Create the object or change it so that it is as `config` says, as far as that goes. BadRequest, Conflict,
    Invalid; NotFound: there is nothing of which to apply a subresource."""
    config = _checked(kind, name, namespace, config, subresource, options)
    if subresource == "scale":
        config, subresource, part = _scaled(kernel, kind, config), "", "scale"
    else:
        part = subresource
    stored_kind = kernel.views.stored(kind)
    wanted = kernel.tracking.config(stored_kind, _named(stored_kind, config), part, options)
    who = Who(options.field_manager, APPLY, stored_kind.api_version, part)
    now = rfc3339(kernel.clock.now())
    for _ in range(_ATTEMPTS):
        try:
            live = await kernel.store.get(stored_kind, name, namespace)
        except NotFound:
            if part:
                raise
            try:
                return await _create(kernel, session, kind, wanted, who, options)
            except AlreadyExists:
                continue
        _check_same(kind, config, live)
        merged, managed = kernel.tracking.applied(stored_kind, live, wanted, who, now, force=options.force)
        if merged == live and managed == live["metadata"].get("managedFields"):
            return _shown(kernel, kind, part, live)
        try:
            changed = await kernel.writes.update(
                session.caller, stored_kind, merged, subresource, unchecked(options), read=live, managed=managed
            )
        except Moved:
            if (config.get("metadata") or {}).get("resourceVersion"):
                raise
            continue
        return _shown(kernel, kind, part, changed)
    raise Conflict(f'{kind.resource} "{name}" is changed too often to be applied; try again', kind=kind.plural)


async def _create(
    kernel: Kernel, session: Session, kind: Kind, wanted: Object, who: Who, options: WriteOptions
) -> Object:
    meta = wanted["metadata"]
    await session.authorize("create", kind, "", meta.get("namespace", ""))
    if meta.get("uid"):
        raise Conflict(
            f'Operation cannot be fulfilled on {kind.resource} "{meta["name"]}": uid mismatch: the provided object '
            f"specified uid {meta['uid']}, and no existing object was found",
            kind=kind.plural,
            group=kind.group,
            name=meta["name"],
        )
    session.begin(kind, options)
    stored_kind = kernel.views.stored(kind)
    now = rfc3339(kernel.clock.now())
    managed = kernel.tracking.first(stored_kind, wanted, who, now)
    made = await kernel.writes.create(session.caller, stored_kind, wanted, unchecked(options), managed=managed)
    session.created = True
    return _shown(kernel, kind, "", made)


def unchecked(options: WriteOptions) -> WriteOptions:
    """The same for an object whose unknown fields have been told already."""
    return WriteOptions(options.dry_run, options.field_manager, "Ignore", options.force, options.warnings)


def _shown(kernel: Kernel, kind: Kind, subresource: str, obj: Object) -> Object:
    view = kernel.views.of(kind)
    return subresources.view(kernel, kind, subresource, obj if view is None else view.shown(obj))


def _checked(kind: Kind, name: str, namespace: str, config: Any, subresource: str, options: WriteOptions) -> Object:
    if not options.field_manager:
        raise BadRequest(
            'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'
        )
    if not isinstance(config, dict) or not isinstance(config.get("metadata") or {}, dict):
        raise BadRequest("what is applied must be an object with apiVersion, kind and metadata")
    metadata = dict(config.get("metadata") or {})
    if metadata.get("managedFields"):
        raise BadRequest("metadata.managedFields must be nil")
    for key, value in (("name", name), ("namespace", namespace)):
        if metadata.get(key) and metadata[key] != value:
            raise BadRequest(f"metadata.{key} ({str(metadata[key])[:64]!r}) is not that of the request ({value!r})")
        if value:
            metadata[key] = value
    told = (subresources.SCALE.api_version, "Scale") if subresource == "scale" else (kind.api_version, kind.kind)
    said = (config.get("apiVersion"), config.get("kind"))
    if said != told:
        raise BadRequest(
            f"what is applied must say apiVersion {told[0]} and kind {told[1]}, as its path does, not "
            f"{str(said[0])[:64]} and {str(said[1])[:64]}"
        )
    return {**config, "metadata": metadata}


def _named(kind: Kind, config: Object) -> Object:
    return {**config, "apiVersion": kind.api_version, "kind": kind.kind}


def _scaled(kernel: Kernel, kind: Kind, scale: Object) -> Object:
    """The part of the scaled object that a Scale stands for."""
    installed = kernel.catalog.installed(kind)
    paths = Scale(("spec", "replicas"), (), ()) if installed is None else installed.scale
    if paths is None:
        raise NotFound(f"{kind.resource} cannot be scaled", kind=kind.plural)
    spec = scale.get("spec") or {}
    if not isinstance(spec, dict):
        raise BadRequest("the spec of a Scale must be an object")
    value: Any = spec.get("replicas")
    for field in reversed(paths.spec):
        value = {field: value}
    return {"metadata": scale["metadata"], **value}


def _check_same(kind: Kind, config: Object, live: Object) -> None:
    for key in ("uid", "resourceVersion"):
        given = config["metadata"].get(key)
        if given and given != live["metadata"][key]:
            raise Conflict(
                f'Operation cannot be fulfilled on {kind.resource} "{live["metadata"]["name"]}": the object has been '
                f"modified: metadata.{key} is {live['metadata'][key]}, not {str(given)[:64]}",
                kind=kind.plural,
                group=kind.group,
                name=live["metadata"]["name"],
            )
