# SPDX-License-Identifier: Apache-2.0
"""The State protocol: seven verbs on objects, and nothing else, between any two parts of Lichen.

Stores, the kernel and the HTTP client all implement it and pass the same conformance suite
(`tests/conformance/state.py`). A revision is one number that grows with every write of any object.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from lichen.model.data import Object
from lichen.model.kind import Kind
from lichen.model.names import CONTROLLERS, NODE_USER


class EventType(StrEnum):
    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"


class Event(NamedTuple):
    """One change. A DELETED event carries the last state with the revision of the deletion;
    a BOOKMARK carries only `metadata.resourceVersion`."""

    type: EventType
    object: Object


class PatchType(StrEnum):
    """By media type."""

    JSON = "application/json-patch+json"
    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True, slots=True)
class Page:
    """A list's answer: the items, the revision they are true at, and where to go on."""

    items: list[Object]
    revision: int
    continue_token: str = ""
    remaining: int = 0


@dataclass(frozen=True, slots=True)
class Preconditions:
    """What must still hold when an object is deleted; empty means whatever it is."""

    uid: str = ""
    resource_version: str = ""


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """How a write is treated by a kernel; a bare store ignores it.

    field_validation: Strict (refuse unknown fields), Warn or Ignore. warnings: filled by the kernel. doubled: what the
    text of the object says twice, in words: told like unknown fields.
    """

    dry_run: bool = False
    field_manager: str = ""
    field_validation: str = "Ignore"
    force: bool = False
    warnings: list[str] = field(default_factory=list)
    doubled: tuple[str, ...] = ()


DEFAULT_OPTIONS = WriteOptions()


class State(Protocol):
    """Objects by kind, namespace and name. Errors: `lichen.model.errors`.

    `namespace` is "" for cluster-scoped kinds; in list and watch, None means all namespaces.
    `labels` and `fields` are selectors in Kubernetes' syntax. What is returned belongs to the caller.
    """

    async def get(self, kind: Kind, name: str, namespace: str = "") -> Object:
        """The object at the newest revision. NotFound."""
        ...

    async def list(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        limit: int = 0,
        continue_token: str = "",
    ) -> Page:
        """Objects in order of namespace and name, at one revision. Expired: the token is too old."""
        ...

    def watch(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        since: int | None = None,
        bookmarks: bool = False,
    ) -> AsyncIterator[Event]:
        """Every change after revision `since`, in order, for ever; without `since`, first an ADDED for all that is
        there. An object that starts (ceases) to match a selector appears as ADDED (DELETED).
        Expired: `since` was compacted. Close the iterator to stop."""
        ...

    async def create(
        self, kind: Kind, obj: Object, options: WriteOptions = DEFAULT_OPTIONS, *, subresource: str = ""
    ) -> Object:
        """Store a new object; uid, creationTimestamp and resourceVersion are filled. AlreadyExists.
        With a subresource (binding, eviction, token), `obj` is its body; a bare store knows none."""
        ...

    async def update(
        self, kind: Kind, obj: Object, *, subresource: str = "", options: WriteOptions = DEFAULT_OPTIONS
    ) -> Object:
        """Replace an object. With metadata.resourceVersion set it must be the newest: else Conflict. NotFound."""
        ...

    async def patch(
        self,
        kind: Kind,
        name: str,
        namespace: str,
        patch: Any,
        *,
        type: PatchType = PatchType.MERGE,
        subresource: str = "",
        options: WriteOptions = DEFAULT_OPTIONS,
    ) -> Object:
        """Change an object by a patch, atomically. A bare store knows merge patches only. NotFound, Conflict."""
        ...

    async def delete(
        self,
        kind: Kind,
        name: str,
        namespace: str = "",
        *,
        preconditions: Preconditions = Preconditions(),
        propagation: str = "Background",
        grace_seconds: int | None = None,
        options: WriteOptions = DEFAULT_OPTIONS,
    ) -> Object:
        """Remove an object, or mark it (deletionTimestamp) while it has finalizers; returns its last state.
        propagation: Background, Foreground or Orphan; a bare store removes at once. NotFound, Conflict."""
        ...


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: what a verified credential says, and no more than that.

    name: `system:serviceaccount:ns:name`, `system:node:x`, or the user's handle. user_id, domain_id, project_id:
    OpenStack ids, empty where they do not apply. namespace: the project's namespace if the scope is a project.
    roles: effective role names in that scope, evaluated when the credential was checked. application_credential_id,
    trust_id: by which of them it acts. access_rules: the only calls it may make, `METHOD service path`; none: all.
    """

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    user_id: str = ""
    user_name: str = ""
    domain_id: str = ""
    project_id: str = ""
    namespace: str = ""
    scope: str = ""  # "project" | "domain" | "system" | "" (unscoped, or a Kubernetes identity)
    scope_domain_id: str = ""
    roles: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    audit_ids: tuple[str, ...] = ()
    application_credential_id: str = ""
    trust_id: str = ""
    access_rules: tuple[str, ...] = ()
    issued_at: str = ""
    expires_at: str = ""
    token: str = field(default="", repr=False)
    through: str = ""
    """DIALECT if OpenStack's API asks for it."""

    @property
    def is_admin(self) -> bool:
        """As upstream, `admin` on any project or on the system is the cloud's admin; so is `system:masters`."""
        return "admin" in self.roles or "system:masters" in self.groups

    @property
    def is_cloud(self) -> bool:
        """The cloud's admin or its controllers, which do what no project may."""
        return self.is_admin or self.name == CONTROLLERS

    @property
    def node(self) -> str:
        """The node whose credential it is, "" for all others."""
        return self.name.removeprefix(NODE_USER) if self.name.startswith(NODE_USER) else ""


class Cloud(Protocol):
    """How a dialect or a controller reaches the kernel: in the same process, or over HTTP."""

    async def authenticate(self, token: str) -> Caller:
        """Who bears `token`. Unauthorized: it is forged, expired or revoked."""
        ...

    def acting(self, caller: Caller) -> State:
        """The State as `caller` may see and change it."""
        ...

    async def read(self, caller: Caller, path: str) -> bytes:
        """The body of a GET of `path`, with its query, on the Kubernetes API: a log, a console. NotFound."""
        ...
