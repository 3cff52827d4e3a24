# SPDX-License-Identifier: Apache-2.0
"""What each subresource speaks: its kind and its verbs, whatever kind it belongs to."""

from __future__ import annotations

from typing import NamedTuple

from lichen.model.kind import Kind

_CHANGE = ("get", "patch", "update")
_STREAM = ("create", "get")


class Spoken(NamedTuple):
    """The kind that a subresource takes and gives."""

    group: str
    version: str
    kind: str
    verbs: tuple[str, ...]


_KNOWN = {
    "scale": Spoken("autoscaling", "v1", "Scale", _CHANGE),
    "binding": Spoken("", "v1", "Binding", ("create",)),
    "eviction": Spoken("policy", "v1", "Eviction", ("create",)),
    "token": Spoken("authentication.k8s.io", "v1", "TokenRequest", ("create",)),
    "attach": Spoken("", "v1", "PodAttachOptions", _STREAM),
    "exec": Spoken("", "v1", "PodExecOptions", _STREAM),
    "portforward": Spoken("", "v1", "PodPortForwardOptions", _STREAM),
}
_VERBS = {"log": ("get",), "finalize": ("update",)}


def resource_of_subresource(kind: Kind, name: str) -> Spoken:
    """What `name` of `kind` speaks: the kind itself, unless its name says otherwise."""
    known = _KNOWN.get(name)
    if known is not None:
        return known
    return Spoken(kind.group, kind.version, kind.kind, _VERBS.get(name, _CHANGE))
