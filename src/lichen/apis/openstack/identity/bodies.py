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
Limit = Annotated[int, msgspec.Meta(ge=-1, le=2147483647)]
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


class AuthApplicationCredential(msgspec.Struct):
    secret: str
    id: str = ""
    name: str = ""
    user: AuthUser = msgspec.field(default_factory=AuthUser)


class AuthToken(msgspec.Struct):
    id: str


class AuthIdentity(msgspec.Struct):
    methods: list[str]
    password: AuthPassword | None = None
    token: AuthToken | None = None
    application_credential: AuthApplicationCredential | None = None


class ScopeProject(msgspec.Struct):
    id: str = ""
    name: str = ""
    domain: DomainRef = msgspec.field(default_factory=DomainRef)


class ScopeSystem(msgspec.Struct):
    all: Literal[True]


class ScopeTrust(msgspec.Struct):
    id: str


class AuthScope(msgspec.Struct):
    project: ScopeProject | None = None
    domain: DomainRef | None = None
    system: ScopeSystem | None = None
    unscoped: Any = None
    trust: ScopeTrust | None = msgspec.field(default=None, name="OS-TRUST:trust")


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


class ServiceBody(msgspec.Struct):
    type: Name | msgspec.UnsetType = msgspec.UNSET
    name: Text | msgspec.UnsetType | None = msgspec.UNSET
    description: Text | msgspec.UnsetType | None = msgspec.UNSET
    enabled: bool | msgspec.UnsetType = msgspec.UNSET


class EndpointBody(msgspec.Struct):
    service_id: Id | msgspec.UnsetType = msgspec.UNSET
    interface: Literal["public", "internal", "admin"] | msgspec.UnsetType = msgspec.UNSET
    url: Annotated[str, msgspec.Meta(min_length=1, max_length=2048)] | msgspec.UnsetType = msgspec.UNSET
    region_id: Name | msgspec.UnsetType | None = msgspec.UNSET
    region: Name | msgspec.UnsetType | None = msgspec.UNSET
    enabled: bool | msgspec.UnsetType = msgspec.UNSET


class RegionBody(msgspec.Struct):
    id: Annotated[str, msgspec.Meta(max_length=255)] | msgspec.UnsetType | None = msgspec.UNSET
    description: Text | msgspec.UnsetType | None = msgspec.UNSET
    parent_region_id: Annotated[str, msgspec.Meta(max_length=255)] | msgspec.UnsetType | None = msgspec.UNSET


class PolicyBody(msgspec.Struct):
    type: Name | msgspec.UnsetType = msgspec.UNSET
    blob: Text | msgspec.UnsetType = msgspec.UNSET


class RoleRef(msgspec.Struct):
    id: str = ""
    name: str = ""


class AccessRuleBody(msgspec.Struct):
    service: Name | msgspec.UnsetType = msgspec.UNSET
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] | msgspec.UnsetType = msgspec.UNSET
    path: Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern="^/")] | msgspec.UnsetType = msgspec.UNSET
    id: str = ""


class ApplicationCredentialBody(msgspec.Struct):
    name: Name
    description: Text | None = None
    secret: Password | None = None
    roles: list[RoleRef] = []
    expires_at: str | None = None
    unrestricted: bool = False
    access_rules: list[AccessRuleBody] | None = None
    project_id: Id | None = None


class CredentialBody(msgspec.Struct):
    type: Name | msgspec.UnsetType = msgspec.UNSET
    blob: Text | msgspec.UnsetType = msgspec.UNSET
    user_id: Id | msgspec.UnsetType | None = msgspec.UNSET
    project_id: Id | msgspec.UnsetType | None = msgspec.UNSET


class TrustBody(msgspec.Struct):
    trustee_user_id: Id
    impersonation: bool
    trustor_user_id: Id = ""
    project_id: Id | None = None
    roles: list[RoleRef] = []
    expires_at: str | None = None
    remaining_uses: int | None = None
    allow_redelegation: bool = False
    redelegation_count: int | None = None


class ConsumerBody(msgspec.Struct):
    description: Text | None = None


class ConsumerUpdate(msgspec.Struct, forbid_unknown_fields=True):
    description: Text | msgspec.UnsetType | None = msgspec.UNSET


class EndpointGroupBody(msgspec.Struct):
    name: Name | msgspec.UnsetType = msgspec.UNSET
    description: Text | msgspec.UnsetType | None = msgspec.UNSET
    filters: EndpointFilters | msgspec.UnsetType | None = msgspec.UNSET


class EndpointFilters(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What an endpoint group's endpoints have in common."""

    service_id: Id | msgspec.UnsetType = msgspec.UNSET
    region_id: Name | msgspec.UnsetType = msgspec.UNSET
    interface: Literal["public", "internal", "admin"] | msgspec.UnsetType = msgspec.UNSET


class RegisteredLimitBody(msgspec.Struct):
    service_id: Id | msgspec.UnsetType = msgspec.UNSET
    region_id: Name | msgspec.UnsetType | None = msgspec.UNSET
    resource_name: Name | msgspec.UnsetType = msgspec.UNSET
    default_limit: Limit | msgspec.UnsetType = msgspec.UNSET
    description: Text | msgspec.UnsetType | None = msgspec.UNSET


class LimitBody(msgspec.Struct):
    service_id: Id | msgspec.UnsetType = msgspec.UNSET
    region_id: Name | msgspec.UnsetType | None = msgspec.UNSET
    resource_name: Name | msgspec.UnsetType = msgspec.UNSET
    project_id: Id | msgspec.UnsetType | None = msgspec.UNSET
    domain_id: Id | msgspec.UnsetType | None = msgspec.UNSET
    resource_limit: Limit | msgspec.UnsetType = msgspec.UNSET
    description: Text | msgspec.UnsetType | None = msgspec.UNSET
