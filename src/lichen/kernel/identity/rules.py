# SPDX-License-Identifier: Apache-2.0
"""RBAC rules: what a list of them allows, remembered by question; aggregation; and whether one list covers another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from lichen.model.data import Object
from lichen.model.selectors import label_selector

Key = tuple[str, str]
Rule = Object
"""One PolicyRule as it is stored: verbs, apiGroups, resources, resourceNames, nonResourceURLs."""


class RuleSet:
    """The rules that hold for one caller in one namespace (or in all)."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)
        self._answers: dict[tuple[str, str, str], bool | frozenset[str]] = {}

    def allows(self, verb: str, group: str, resource: str, name: str) -> bool:
        """resource: the plural, with `/subresource` if one is meant."""
        question = (verb, group, resource)
        answer = self._answers.get(question)
        if answer is None:
            answer = self._answers[question] = self._decide(verb, group, resource)
        return answer if isinstance(answer, bool) else name in answer

    def _decide(self, verb: str, group: str, resource: str) -> bool | frozenset[str]:
        names: set[str] = set()
        for rule in self.rules:
            if _matches(rule, verb, group, resource):
                only = rule.get("resourceNames")
                if not only:
                    return True
                names.update(only)
        return frozenset(names)

    def allows_path(self, verb: str, path: str) -> bool:
        return any(_has(rule.get("verbs"), verb) and _path_matches(rule, path) for rule in self.rules)

    def covers(self, rule: Rule) -> bool:
        """Whether everything `rule` allows is allowed here: who holds these rules may hand that one on."""
        names = rule.get("resourceNames") or [""]
        resources = all(
            self._covers_one(verb, group, resource, name)
            for verb in rule.get("verbs") or []
            for group in rule.get("apiGroups") or []
            for resource in rule.get("resources") or []
            for name in names
        )
        paths = all(self.allows_path(v, p) for v in rule.get("verbs") or [] for p in rule.get("nonResourceURLs") or [])
        return resources and paths

    def _covers_one(self, verb: str, group: str, resource: str, name: str) -> bool:
        if "*" in (verb, group) or resource.startswith("*"):
            return any(_covers_wild(rule, verb, group, resource, name) for rule in self.rules)
        return self.allows(verb, group, resource, name)


def _covers_wild(rule: Rule, verb: str, group: str, resource: str, name: str) -> bool:
    if rule.get("resourceNames") and name not in rule["resourceNames"]:
        return False
    held = rule.get("resources") or []
    return _has(rule.get("verbs"), verb) and _has(rule.get("apiGroups"), group) and ("*" in held or resource in held)


def _matches(rule: Rule, verb: str, group: str, resource: str) -> bool:
    return _has(rule.get("verbs"), verb) and _has(rule.get("apiGroups"), group) and _has_resource(rule, resource)


def _has(values: list[str] | None, value: str) -> bool:
    return values is not None and ("*" in values or value in values)


def _has_resource(rule: Rule, resource: str) -> bool:
    held = rule.get("resources") or []
    if "*" in held or resource in held:
        return True
    _, slash, sub = resource.partition("/")
    return bool(slash) and f"*/{sub}" in held


def _path_matches(rule: Rule, path: str) -> bool:
    return any(
        held == path or (held.endswith("*") and path.startswith(held[:-1]))
        for held in rule.get("nonResourceURLs") or []
    )


def rules_of(role: Object, cluster_roles: Mapping[Key, Object]) -> list[Rule]:
    """A role's rules; those of an aggregated ClusterRole are the rules of the ones its selectors pick, in turn."""
    return list(_rules_of(role, cluster_roles, set()))


def _rules_of(role: Object, cluster_roles: Mapping[Key, Object], seen: set[str]) -> Iterator[Rule]:
    selectors = (role.get("aggregationRule") or {}).get("clusterRoleSelectors")
    if not selectors:
        yield from role.get("rules") or []
        return
    seen.add(role["metadata"]["name"])
    matchers = [label_selector(s) for s in selectors]
    for other in cluster_roles.values():
        if other["metadata"]["name"] not in seen and any(m(other) for m in matchers):
            seen.add(other["metadata"]["name"])
            yield from _rules_of(other, cluster_roles, seen)
