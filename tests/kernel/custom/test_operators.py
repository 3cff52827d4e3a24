# SPDX-License-Identifier: Apache-2.0
"""Rules as CRDs of popular operators have them: each installs without a warning, and holds."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio

from lichen.kernel.cel.formats import FORMATS, faults
from lichen.kernel.session import Session
from lichen.kinds.builtin import CRD
from lichen.model.errors import Invalid
from lichen.model.state import WriteOptions
from tests.kernel.custom.crontab import CRONTAB, a_definition, a_version
from tests.kernel.custom.test_rules import tab
from tests.kernel.helpers import a_kernel

Object = dict[str, Any]
TEXT: Object = {"type": "string"}
FREE: Object = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
NO_TWINS = """self.all(p1, self.exists_one(p2, p1.name == p2.name && ((!has(p1.section) && !has(p2.section)) ||
    (has(p1.section) && has(p2.section) && p1.section == p2.section))))"""


@pytest_asyncio.fixture
async def session() -> Session:
    kernel = await a_kernel()
    return kernel.acting(await kernel.authenticate(""))


def ruled(inner: Object, *rules: str) -> Object:
    return {**inner, "x-kubernetes-validations": [{"rule": rule} for rule in rules]}


def listed(**properties: Object) -> Object:
    return {"type": "array", "items": {"type": "object", "properties": properties}}


CASES: dict[str, tuple[Object, Any, Any]] = {
    "either of two fields": (
        ruled(FREE, "[has(self.acme), has(self.ca)].exists_one(x, x)"),
        {"acme": {}},
        {"acme": {}, "ca": {}},
    ),
    "a field that its type needs": (
        ruled(
            FREE, "self.type != 'Redirect' || has(self.redirect)", "has(self.redirect) ? self.type == 'Redirect' : true"
        ),
        {"type": "Redirect", "redirect": {}},
        {"type": "Redirect"},
    ),
    "no two references are the same": (
        ruled(listed(name=TEXT, section=TEXT), NO_TWINS),
        [{"name": "a"}, {"name": "b"}, {"name": "a", "section": "x"}],
        [{"name": "a"}, {"name": "a"}],
    ),
    "a duration within bounds": (
        ruled(TEXT, "duration(self) >= duration('1h') && duration(self) <= duration('2160h')"),
        "24h",
        "30m",
    ),
    "a size that is more than another": (
        ruled(FREE, "quantity(self.limit).compareTo(quantity(self.request)) >= 0"),
        {"limit": "1Gi", "request": "500Mi"},
        {"limit": "500Mi", "request": "1Gi"},
    ),
    "a url of https without a query": (
        ruled(TEXT, "isURL(self) && url(self).getScheme() == 'https' && url(self).getQuery().size() == 0"),
        "https://acme.example/dir",
        "http://acme.example/dir?x=1",
    ),
    "an address in a range": (
        ruled(FREE, "cidr(self.range).containsIP(self.ip) && ip.isCanonical(self.ip)"),
        {"range": "fd00::/64", "ip": "fd00::1"},
        {"range": "fd00::/64", "ip": "fd00:0::1"},
    ),
    "a name that is a label": (
        ruled(TEXT, "!format.dns1123Label().validate(self).hasValue()"),
        "web-1",
        "Web_1",
    ),
    "wildcards only in front": (
        ruled({"type": "array", "items": TEXT}, "self.all(h, !h.contains('*') || h.startsWith('*.'))"),
        ["*.example"],
        ["a.*.example"],
    ),
    "weights that add up": (
        ruled(listed(weight={"type": "integer"}), "self.map(w, w.weight).sum() == 100", "self.size() <= 16"),
        [{"weight": 60}, {"weight": 40}],
        [{"weight": 60}],
    ),
    "a list in order": (
        ruled({"type": "array", "items": {"type": "integer"}}, "self.isSorted() && self.min() > 0"),
        [1, 2],
        [2, 1],
    ),
    "a text put together": (
        ruled(FREE, "self.host == '%s.%s'.format([self.name, self.zone])"),
        {"host": "a.b", "name": "a", "zone": "b"},
        {"host": "a.c", "name": "a", "zone": "b"},
    ),
    "an optional field with a default": (
        ruled(FREE, "self.?mode.orValue('Auto') in ['Auto', 'Manual']"),
        {},
        {"mode": "Odd"},
    ),
    "a version that is new enough": (
        ruled(TEXT, "isSemver(self) && !semver(self).isLessThan(semver('1.19.0'))"),
        "1.20.1",
        "1.18.0",
    ),
}


def schema_of(value: Object) -> Object:
    whole = {"type": "object", "properties": {"v": value}}
    return {"openAPIV3Schema": {"type": "object", "properties": {"spec": whole}}}


async def install(session: Session, value: Object) -> list[str]:
    """The warnings."""
    options = WriteOptions()
    version = a_version(schema=schema_of(value), subresources={}, additionalPrinterColumns=[])
    await session.create(CRD, a_definition(version), options)
    return options.warnings


@pytest.mark.parametrize("what", CASES)
async def test_a_rule_of_an_operator_installs_and_holds(session: Session, what: str) -> None:
    value, good, bad = CASES[what]
    assert await install(session, value) == []
    await session.create(CRONTAB, tab(v=good))
    with pytest.raises(Invalid, match=r"spec\.v: Invalid value: .*: failed rule: "):
        await session.create(CRONTAB, {**tab(v=bad), "metadata": {"name": "bad", "namespace": "default"}})


@pytest.mark.parametrize(
    "rule",
    [
        "self.all(k, v, v != '')",
        "self.transformMap(k, v, v).size() > 0",
        "self.words.sort() == self.words",
        "format.named('dns1123Label').hasValue()",
        "format.dns1123Label().validate(self.a).orValue([]) == []",
        "isURL(self.a, true)",
        "lists.range(3).size() == 3",
    ],
)
async def test_what_is_not_known_here_is_refused_or_warned_about_and_never_passed_over(
    session: Session, rule: str
) -> None:
    try:
        warnings = await install(session, ruled(FREE, rule))
    except Invalid as refusal:
        assert [cause.field.rpartition(".")[2] for cause in refusal.causes] == ["rule"]
    else:
        assert any("not enforced" in warning for warning in warnings)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("dns1123Label", "a-1", "A"),
        ("dns1123Subdomain", "a.b-c", "a..b"),
        ("dns1035Label", "a1", "1a"),
        ("dns1123LabelPrefix", "a-", "-a"),
        ("dns1123SubdomainPrefix", "a.b-", "a."),
        ("dns1035LabelPrefix", "a-", "1-"),
        ("qualifiedName", "example.com/a_b", "example.com/"),
        ("labelValue", "", "a b"),
        ("uri", "https://a/b", "b"),
        ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123e4567"),
        ("byte", "YQ==", "YQ="),
        ("date", "2026-02-28", "2026-02-30"),
        ("datetime", "2026-02-28T10:00:00Z", "2026-02-28 10:00:00"),
    ],
)
def test_a_format_takes_what_is_of_it(name: str, good: str, bad: str) -> None:
    assert faults(name, good) == []
    assert faults(name, bad) == [f"must be a valid {name}"]


def test_each_format_is_tried() -> None:
    tried = {mark.args[1][i][0] for mark in test_a_format_takes_what_is_of_it.pytestmark for i in range(13)}  # type: ignore[attr-defined]
    assert tried == set(FORMATS)
