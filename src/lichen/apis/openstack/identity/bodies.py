# SPDX-License-Identifier: Apache-2.0
"""The bodies that keystone's calls take."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from lichen.apis.openstack.body import Name

Text = Annotated[str, msgspec.Meta(max_length=65535)]
Id = Annotated[str, msgspec.Meta(max_length=64)]
Password = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
Tag = Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern="^[^,/]*$")]
Tags = Annotated[list[Tag], msgspec.Meta(max_length=80)]


class DomainRef(msgspec.Struct):
    id: str = ""
    name: str = ""


class AuthUser(msgspec.Struct):
    password: str = ""
    id: str = ""
    name: str = ""
    domain: DomainRef = msgspec.field(default_factory=DomainRef)


class AuthPassword(msgspec.Struct):
    user: AuthUser


class AuthToken(msgspec.Struct):
    id: str


class AuthIdentity(msgspec.Struct):
    methods: list[str]
    password: AuthPassword | None = None
    token: AuthToken | None = None


class ScopeProject(msgspec.Struct):
    id: str = ""
    name: str = ""
    domain: DomainRef = msgspec.field(default_factory=DomainRef)


class ScopeSystem(msgspec.Struct):
    all: Literal[True]


class AuthScope(msgspec.Struct):
    project: ScopeProject | None = None
    domain: DomainRef | None = None
    system: ScopeSystem | None = None
    unscoped: Any = None


class Auth(msgspec.Struct):
    identity: AuthIdentity
    scope: AuthScope | Literal["unscoped"] | None = None


class ProjectBody(msgspec.Struct):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | msgspec.UnsetType = msgspec.UNSET
    description: Text | msgspec.UnsetType | None = msgspec.UNSET
    domain_id: Id | msgspec.UnsetType | None = msgspec.UNSET
    parent_id: Id | msgspec.UnsetType | None = msgspec.UNSET
    enabled: bool | msgspec.UnsetType = msgspec.UNSET
    is_domain: bool | msgspec.UnsetType = msgspec.UNSET
    tags: Tags | msgspec.UnsetType = msgspec.UNSET


class UserBody(msgspec.Struct):
    name: Name | msgspec.UnsetType = msgspec.UNSET
    description: Text | msgspec.UnsetType | None = msgspec.UNSET
    domain_id: Id | msgspec.UnsetType | None = msgspec.UNSET
    email: Text | msgspec.UnsetType | None = msgspec.UNSET
    enabled: bool | msgspec.UnsetType = msgspec.UNSET
    default_project_id: Id | msgspec.UnsetType | None = msgspec.UNSET
    password: Password | msgspec.UnsetType | None = msgspec.UNSET
    options: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class PasswordBody(msgspec.Struct):
    password: Password
    original_password: Password


class GroupBody(msgspec.Struct):
    name: Name | msgspec.UnsetType = msgspec.UNSET
    description: Text | msgspec.UnsetType | None = msgspec.UNSET
    domain_id: Id | msgspec.UnsetType | None = msgspec.UNSET


class RoleBody(msgspec.Struct):
    name: Name | msgspec.UnsetType = msgspec.UNSET
    description: Text | msgspec.UnsetType | None = msgspec.UNSET
    domain_id: Id | msgspec.UnsetType | None = msgspec.UNSET
    options: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class DomainBody(msgspec.Struct):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | msgspec.UnsetType = msgspec.UNSET
    description: Text | msgspec.UnsetType | None = msgspec.UNSET
    enabled: bool | msgspec.UnsetType = msgspec.UNSET
    tags: Tags | msgspec.UnsetType = msgspec.UNSET
    explicit_domain_id: Annotated[str, msgspec.Meta(pattern="^[a-f0-9]{32}$")] | msgspec.UnsetType = msgspec.UNSET
