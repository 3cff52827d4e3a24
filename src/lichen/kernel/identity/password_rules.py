# SPDX-License-Identifier: Apache-2.0
"""A domain's rules for its users' passwords (what Keystone calls security_compliance), as pure functions."""

from __future__ import annotations

import re

from lichen.kernel.identity import times
from lichen.kinds.identity.domain import PasswordRules
from lichen.model.data import Object
from lichen.model.errors import BadRequest

DAY = 86400.0
OPTIONS = (
    "ignore_change_password_upon_first_use", "ignore_password_expiry", "ignore_lockout_failure_attempts",
    "ignore_user_inactivity", "lock_password",
)  # fmt: skip
"""Keystone's user options that mean something here; those of multi-factor authentication are refused."""
ASK_ADMIN = "Ask the cloud's admin to set it."


def check_rules(rules: PasswordRules) -> None:
    """BadRequest: the regular expression is none."""
    try:
        re.compile(rules.regex)
    except re.error as error:
        raise BadRequest(f"spec.passwordRules.regex: {error}.") from None


def check_options(options: Object) -> None:
    """BadRequest: a user option that is not kept, so that nobody trusts in it."""
    for name in options:
        if name.startswith("multi_factor_auth"):
            raise BadRequest("Multi-factor authentication is not offered: a user logs in by password, or by an "
                             f"application credential; option {name} is refused.")  # fmt: skip
        if name not in OPTIONS:
            raise BadRequest(f"There is no user option {name[:64]}; there are {', '.join(OPTIONS)}.")


def has(user: Object, option: str) -> bool:
    return (user["spec"].get("options") or {}).get(option) is True


def check_strength(rules: PasswordRules, password: str) -> None:
    """BadRequest: it does not match."""
    if rules.regex and re.fullmatch(f"(?:{rules.regex})", password, re.DOTALL) is None:
        wanted = rules.regex_description or f"regular expression {rules.regex}"
        raise BadRequest(f"The password does not match the requirements: {wanted}.")


def check_may_change(rules: PasswordRules, user: Object, changed_at: float, now: float) -> None:
    """BadRequest: the user may not change the password itself, or not yet."""
    if has(user, "lock_password"):
        raise BadRequest(f"You may not change this password yourself. {ASK_ADMIN}")
    left = changed_at + rules.minimum_age_days * DAY - now
    if rules.minimum_age_days and changed_at and left > 0 and not must_change(user, now):
        raise BadRequest(
            f"A password must be used for {rules.minimum_age_days} days before it is changed again: "
            f"wait {left / DAY:.1f} days. {ASK_ADMIN}"
        )


def expiry(rules: PasswordRules, user: Object, now: float, *, by_admin: bool) -> str:
    """When a password that is set now must be changed, RFC 3339; "": never."""
    if by_admin and rules.change_upon_first_use and not has(user, "ignore_change_password_upon_first_use"):
        return times.to_text(now)
    if rules.expires_days and not has(user, "ignore_password_expiry"):
        return times.to_text(now + rules.expires_days * DAY)
    return ""


def must_change(user: Object, now: float) -> bool:
    """Whether its password has expired."""
    ends = times.to_seconds(user["spec"].get("passwordExpiresAt", ""))
    return bool(ends) and ends <= now and not has(user, "ignore_password_expiry")
