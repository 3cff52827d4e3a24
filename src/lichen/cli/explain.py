# SPDX-License-Identifier: Apache-2.0
"""`lichen explain KIND/NAME`: the chain from a thing to the root cause of what is wrong with it."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterable, Iterator
from typing import Any

from lichen.cli.output import CommandError
from lichen.cli.owner import as_owner
from lichen.client.local import LocalCloud, find_local
from lichen.kinds.builtin import NAMESPACE
from lichen.kinds.catalog import all_kinds
from lichen.model.data import Object
from lichen.model.errors import ApiError
from lichen.model.kind import Kind
from lichen.model.meta import annotations_of, is_deleting, name_of, namespace_of, uid_of
from lichen.model.state import State
from lichen.planning.causes import Line, World
from lichen.planning.explain import explain as chain_of

OPENSTACK = {"instance": "server", "vm": "server", "project": "namespace", "host": "node", "hypervisor": "node",
             "snapshot": "volumesnapshot"}  # fmt: skip
"""OpenStack's and everyday words that are no kind's own name."""
EVERYWHERE = ("nodes", "storageclasses.storage.k8s.io", "images.image.lichen.dev", "networks.network.lichen.dev",
              "subnets.network.lichen.dev")  # fmt: skip
BESIDE = (
    "servers.compute.lichen.dev", "ports.network.lichen.dev", "volumes.volume.lichen.dev",
    "volumesnapshots.volume.lichen.dev", "volumeattachments.volume.lichen.dev",
    "pods", "persistentvolumeclaims", "deployments.apps", "replicasets.apps",
    "statefulsets.apps", "daemonsets.apps", "jobs.batch", "cronjobs.batch",
)  # fmt: skip
"""What is read of the thing's own namespace."""


def explain(arguments: argparse.Namespace) -> int:
    word, slash, name = arguments.thing.partition("/")
    kind = find_kind(word)
    if not slash or not name:
        raise CommandError(f"{arguments.thing!r} names no thing: say KIND/NAME, as in server/vm1 or pod/web")
    if kind is None:
        raise CommandError(f"there is no kind {word!r}: try server, pod, deployment, volume, port or network")
    cloud = find_local(arguments.data_dir.absolute() if arguments.data_dir else None)
    if cloud is None:
        raise CommandError("no cloud runs here: lichen up starts one")
    try:
        lines = asyncio.run(_explain(cloud, kind, name, arguments.namespace))
    except PermissionError:
        raise CommandError("only the cloud's owner may ask: run it with sudo") from None
    except (ApiError, OSError) as error:
        raise CommandError(f"the cloud does not answer: {error}") from None
    print("\n".join(printed(lines)))
    return 0


def find_kind(word: str) -> Kind | None:
    """By any of its names, in both languages; Kubernetes' own come first."""
    word = OPENSTACK.get(word.lower().removesuffix("s"), word.lower())
    known = [kind for kind in all_kinds() if {"get", "list"} <= set(kind.verbs)]
    return next((kind for kind in known if word in _names(kind)), None)


def _names(kind: Kind) -> tuple[str, ...]:
    return (kind.plural, kind.resource, kind.kind.lower(), kind.singular, *kind.short)


def choose(found: Iterable[Object], name: str) -> list[Object]:
    """Those that `name` means: by name, else by id, else by the name that the user wrote."""
    objects = list(found)
    for names in (_handles, _ids, _written):
        if chosen := [obj for obj in objects if name in names(obj)]:
            return chosen
    return []


def the_one(found: Iterable[Object], kind: Kind, name: str, namespace: str) -> Object:
    """CommandError: there is none, or it may be any of several."""
    chosen = choose(found, name)
    if not chosen:
        raise CommandError(f"there is no {kind.kind.lower()} {name!r}{f' in {namespace}' if namespace else ''}")
    if len(chosen) > 1:
        every = ", ".join(f"{namespace_of(o)}/{name_of(o)}".lstrip("/") for o in chosen)
        raise CommandError(f"{name!r} may be any of {every}: say which, with -n NAMESPACE or by id")
    return chosen[0]


def _handles(obj: Object) -> tuple[Any, ...]:
    """Its name, alone or as an explanation writes it."""
    return (name_of(obj), f"{namespace_of(obj)}/{name_of(obj)}")


def _ids(obj: Object) -> tuple[Any, ...]:
    return ((obj.get("spec") or {}).get("id"), uid_of(obj))


def _written(obj: Object) -> tuple[Any, ...]:
    return ((obj.get("spec") or {}).get("displayName"), annotations_of(obj).get("lichen.dev/name"))


def printed(lines: Iterable[Line]) -> Iterator[str]:
    for line in lines:
        yield f"{'  ' * (line.depth - 1)}→ {line.text}" if line.depth else line.text
        if line.mend:
            yield f"mend: {line.mend}"


async def _explain(cloud: LocalCloud, kind: Kind, name: str, namespace: str) -> list[Line]:
    async with as_owner(cloud) as remote:
        where = (namespace or None) if kind.namespaced else None
        found = the_one(await list_all(remote.state, kind, where), kind, name, namespace)
        return chain_of(*await _around(remote.state, kind, found))


async def _around(state: State, kind: Kind, obj: Object) -> tuple[Object, World]:
    """The object as the world has it, and what may be the cause of its state."""
    space = namespace_of(obj)
    wanted: list[tuple[str, str | None]] = [(resource, None) for resource in EVERYWHERE]
    if space:
        wanted += [(resource, space) for resource in (*BESIDE, "events")]
    if kind == NAMESPACE and is_deleting(obj):
        wanted += [(held.resource, name_of(obj)) for held in all_kinds() if held.namespaced and "watch" in held.verbs]
    kinds = {known.resource: known for known in all_kinds()}
    pages = await asyncio.gather(*(list_all(state, kinds[resource], where) for resource, where in wanted))
    rest, events = (pages[:-1], pages[-1]) if space else (pages, [])
    others = [other for page in rest for other in page if uid_of(other) != uid_of(obj)]
    return obj, World([obj, *others], events)


async def list_all(state: State, kind: Kind, namespace: str | None) -> list[Object]:
    """All objects of a kind, each with its kind's name."""
    page = await state.list(kind, namespace)
    return [{"apiVersion": kind.api_version, "kind": kind.kind, **obj} for obj in page.items]
