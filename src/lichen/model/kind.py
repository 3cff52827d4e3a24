# SPDX-License-Identifier: Apache-2.0
"""What a kind is: its names, its scope, its subresources. Built-in, own and installed kinds are all a `Kind`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self, TypeVar

import msgspec

from lichen.model.data import Data, Object
from lichen.model.data import field as data_field
from lichen.model.meta import Meta

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind's place in the API. Two kinds are equal if they have the same group, version and plural.

    `model` is the typed shape of Lichen's own kinds; built-in and installed kinds have none. `installed`: it comes from
    a CustomResourceDefinition.
    """

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True
    singular: str = field(default="", compare=False)
    short: tuple[str, ...] = field(default=(), compare=False)
    categories: tuple[str, ...] = field(default=(), compare=False)
    verbs: tuple[str, ...] = field(default=ALL_VERBS, compare=False)
    subresources: tuple[str, ...] = field(default=(), compare=False)
    model: type[Resource] | None = field(default=None, compare=False, repr=False)
    installed: bool = field(default=False, compare=False)

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """`servers.compute.lichen.dev`, `pods`: how errors and RBAC name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def __str__(self) -> str:
        return self.resource


class Resource(Data):
    """The base of Lichen's own kinds: declare inner `Spec` and `Status`, and the two fields of those types."""

    KIND: ClassVar[Kind]

    api_version: str = data_field("Group and version of this kind.", default="")
    kind: str = data_field("Name of this kind.", default="")
    metadata: Meta = data_field("Standard metadata.", default_factory=Meta)

    @classmethod
    def of(cls, obj: Object) -> Self:
        """The typed view of a stored object (a copy: writing to it changes nothing)."""
        return msgspec.convert(obj, cls)


R = TypeVar("R", bound=type[Resource])


def kind(
    plural: str,
    *,
    group: str,
    short: tuple[str, ...] = (),
    namespaced: bool = True,
    subresources: tuple[str, ...] = ("status",),
    verbs: tuple[str, ...] = ALL_VERBS,
) -> Callable[[R], R]:
    """Declare one of Lichen's kinds; `group` is the area: `compute` stands for `compute.lichen.dev`."""

    def declare(cls: R) -> R:
        cls.KIND = Kind(
            group=f"{group}.lichen.dev",
            version="v1",
            kind=cls.__name__,
            plural=plural,
            namespaced=namespaced,
            singular=cls.__name__.lower(),
            short=short,
            categories=("lichen",),
            verbs=verbs,
            subresources=subresources,
            model=cls,
        )
        return cls

    return declare


def new_object(kind: Kind, name: str, namespace: str = "", spec: Any = None, **metadata: Any) -> Object:
    """A fresh object of `kind`, ready for `State.create`."""
    meta: Object = {"name": name, **metadata}
    if kind.namespaced:
        meta["namespace"] = namespace
    obj: Object = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta}
    if spec is not None:
        obj["spec"] = msgspec.to_builtins(spec)
    return obj
