# SPDX-License-Identifier: Apache-2.0
"""The options that Keystone lets a domain configure, by group; their defaults as Lichen has them."""

from __future__ import annotations

from lichen.model.data import Object

_LDAP = [
    "alias_dereferencing", "auth_pool_connection_lifetime", "auth_pool_size", "chase_referrals", "connection_timeout",
    "debug_level", "group_ad_nesting", "group_additional_attribute_mapping", "group_attribute_ignore",
    "group_desc_attribute", "group_filter", "group_id_attribute", "group_member_attribute", "group_members_are_ids",
    "group_name_attribute", "group_objectclass", "group_tree_dn", "page_size", "pool_connection_lifetime",
    "pool_connection_timeout", "pool_retry_delay", "pool_retry_max", "pool_size", "query_scope", "suffix",
    "tls_cacertdir", "tls_cacertfile", "tls_req_cert", "url", "use_auth_pool", "use_pool", "use_tls", "user",
    "user_additional_attribute_mapping", "user_attribute_ignore", "user_default_project_id_attribute",
    "user_description_attribute", "user_enabled_attribute", "user_enabled_default", "user_enabled_emulation",
    "user_enabled_emulation_dn", "user_enabled_emulation_use_group_config", "user_enabled_invert",
    "user_enabled_mask", "user_filter", "user_id_attribute", "user_mail_attribute", "user_name_attribute",
    "user_objectclass", "user_pass_attribute", "user_tree_dn",
]  # fmt: skip
DEFAULTS: dict[str, Object] = {
    "identity": {"driver": "sql", "list_limit": None},
    "ldap": dict.fromkeys(_LDAP),
}
"""driver: `sql` is Keystone's name for its own directory, and so Lichen's."""
SECRET = frozenset(("ldap.password",))
"""Taken, kept as a Secret, and shown to nobody."""


def is_option(group: str, option: str) -> bool:
    return option in DEFAULTS.get(group, ()) or f"{group}.{option}" in SECRET
