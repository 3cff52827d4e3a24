# SPDX-License-Identifier: Apache-2.0
"""What the files in a pod's volumes are made of, and whether they are of what there is now."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lichen.model.data import Object
from lichen.model.meta import annotations_of, labels_of, revision_of

Reference = tuple[str, str]
"""("ConfigMap" or "Secret", name) in the pod's namespace."""
WITH_FILES = ("configMap", "secret", "downwardAPI", "projected")
Known = Callable[[Reference], int | None]
"""The revision of what is referred to: 0 if it is not there, None if that is not known yet."""


@dataclass(frozen=True, slots=True)
class Made:
    """What the files in a container's volumes were made of. own: of the pod itself. revisions: of what it refers to."""

    own: tuple[Any, ...]
    revisions: Mapping[Reference, int]


def volumes_with_files(pod: Object, container: Object) -> list[Object]:
    """Volumes with content that the container mounts."""
    mounted = {mount["name"] for mount in container.get("volumeMounts") or ()}
    volumes = pod["spec"].get("volumes") or ()
    return [v for v in volumes if v["name"] in mounted and any(source in v for source in WITH_FILES)]


def sources(pod: Object, container: Object) -> Iterator[Object]:
    """What those volumes are made of, the sources of projected volumes one by one."""
    for volume in volumes_with_files(pod, container):
        yield from (volume["projected"].get("sources") or ()) if "projected" in volume else (volume,)


def mounted_references(pod: Object, container: Object) -> set[Reference]:
    """The ConfigMaps and Secrets among them."""
    found: set[Reference] = set()
    for source in sources(pod, container):
        if "configMap" in source:
            found.add(("ConfigMap", source["configMap"].get("name") or ""))
        if "secret" in source:
            found.add(("Secret", source["secret"].get("secretName") or source["secret"].get("name") or ""))
    return {(kind, name) for kind, name in found if name}


def made_of(pod: Object, container: Object, find: Callable[[str, str], Object | None]) -> Made:
    """What the files are of once they are written. find: by kind and name, what was read for them."""
    read = {(kind, name): find(kind, name) for kind, name in mounted_references(pod, container)}
    return Made(_own(pod), {each: revision_of(obj) if obj is not None else 0 for each, obj in read.items()})


def is_outdated(pod: Object, made: Made | None, known: Known) -> bool:
    """made: None if nobody remembers."""
    if made is None or made.own != _own(pod):
        return True
    return any(known(each) not in (None, revision) for each, revision in made.revisions.items())


def _own(pod: Object) -> tuple[Any, ...]:
    """What of a pod may change that the downward API offers."""
    resources = [container.get("resources") for container in pod["spec"]["containers"]]
    return labels_of(pod), annotations_of(pod), resources
