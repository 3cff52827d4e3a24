# SPDX-License-Identifier: Apache-2.0
"""Rules in CEL beside the schemas of installed kinds (x-kubernetes-validations)."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
import pytest_asyncio

from lichen.kernel.cel import budget
from lichen.kernel.cel.language import Failure, Language
from lichen.kernel.custom.rules import compile_rules, judge, nothing
from lichen.kernel.session import Session
from lichen.kinds.builtin import CRD
from lichen.kinds.faults import Faults
from lichen.model.errors import Invalid
from tests.kernel.custom.crontab import CRONTAB, GROUP, a_version, define
from tests.kernel.helpers import a_kernel

Object = dict[str, Any]
TEXT: Object = {"type": "string"}


@pytest_asyncio.fixture
async def session() -> Session:
    kernel = await a_kernel()
    return kernel.acting(await kernel.authenticate(""))


async def ruled(session: Session, spec: Object, *rules: Object) -> None:
    """Install CronTab with these properties of its spec, and rules beside the spec."""
    whole = {"type": "object", "properties": spec, "x-kubernetes-validations": list(rules)}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": whole}}}
    await define(session, a_version(schema=schema, subresources={}, additionalPrinterColumns=[]))


def tab(**spec: Any) -> Object:
    meta = {"name": "t", "namespace": "default"}
    return {"apiVersion": f"{GROUP}/v1", "kind": "CronTab", "metadata": meta, "spec": spec}


async def refusal(session: Session, **spec: Any) -> str:
    with pytest.raises(Invalid) as caught:
        await session.create(CRONTAB, tab(**spec))
    return caught.value.message


async def test_a_rule_holds_of_what_is_written(session: Session) -> None:
    numbers = {"least": {"type": "integer"}, "most": {"type": "integer"}}
    await ruled(session, numbers, {"rule": "self.least <= self.most"})
    said = await refusal(session, least=2, most=1)
    assert said == (
        f'CronTab.{GROUP} "t" is invalid: spec: Invalid value: "object": failed rule: self.least <= self.most'
    )
    await session.create(CRONTAB, tab(least=1, most=2))


async def test_a_rule_says_what_it_wants_and_where(session: Session) -> None:
    said = {"messageExpression": "'want less than ' + string(self.n)", "fieldPath": ".n"}
    await ruled(session, {"n": {"type": "integer"}}, {"rule": "self.n < 3", **said, "reason": "FieldValueForbidden"})
    assert (await refusal(session, n=5)).endswith("spec.n: Forbidden: want less than 5")


async def test_a_change_is_held_to_what_was(session: Session) -> None:
    once = {"type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "may not change"}]}
    await ruled(session, {"id": once, "note": TEXT})
    await session.create(CRONTAB, tab(id="a"))
    await session.patch(CRONTAB, "t", "default", {"spec": {"note": "x"}})
    with pytest.raises(Invalid, match=r'spec\.id: Invalid value: "b": may not change'):
        await session.patch(CRONTAB, "t", "default", {"spec": {"id": "b"}})


async def test_an_old_value_that_may_be_missing_is_an_optional(session: Session) -> None:
    rule = {"rule": "oldSelf.hasValue() || self.n == 1", "optionalOldSelf": True}
    await ruled(session, {"n": {"type": "integer"}}, rule)
    await refusal(session, n=2)
    await session.create(CRONTAB, tab(n=1))
    await session.patch(CRONTAB, "t", "default", {"spec": {"n": 2}})


async def test_rules_of_items_and_of_maps_are_told_with_their_place(session: Session) -> None:
    short = {"type": "string", "x-kubernetes-validations": [{"rule": "self.size() < 3"}]}
    lists = {"type": "array", "items": {"type": "object", "properties": {"name": short}}}
    await ruled(session, {"list": lists, "map": {"type": "object", "additionalProperties": short}})
    said = await refusal(session, list=[{"name": "ok"}, {"name": "long"}], map={"key": "long"})
    assert "spec.list[1].name: Invalid value" in said
    assert "spec.map[key]: Invalid value" in said


async def test_types_are_those_of_the_schema(session: Session) -> None:
    types = {
        "when": {"type": "string", "format": "date-time"},
        "share": {"type": "number"},
        "namespace": TEXT,
        "with-dash": TEXT,
    }
    rule = (
        "self.when > timestamp('2020-01-01T00:00:00Z') && self.share / 2.0 == 0.5 && "
        "self.__namespace__ == self.with__dash__dash"
    )
    await ruled(session, types, {"rule": rule})
    good: Object = {"when": "2026-01-01T00:00:00Z", "share": 1, "namespace": "x", "with-dash": "x"}
    await session.create(CRONTAB, tab(**good))
    await refusal(session, **{**good, "when": "2019-01-01T00:00:00Z"})


async def test_what_was_wrong_before_may_stay_while_the_rest_changes(session: Session) -> None:
    await ruled(session, {"a": TEXT, "b": TEXT})
    await session.create(CRONTAB, tab(a="long"))
    short = {"type": "string", "x-kubernetes-validations": [{"rule": "self.size() < 3"}]}
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"a": short, "b": TEXT}}}}
    versions = [a_version(schema={"openAPIV3Schema": schema}, subresources={}, additionalPrinterColumns=[])]
    await session.patch(CRD, f"crontabs.{GROUP}", "", {"spec": {"versions": versions}})
    await session.patch(CRONTAB, "t", "default", {"spec": {"b": "x"}})
    with pytest.raises(Invalid):
        await session.patch(CRONTAB, "t", "default", {"spec": {"a": "longer"}})


@pytest.mark.parametrize("rule", ["self.a >", "nobody", "1 > 'a'", "'text'", ""])
async def test_a_rule_that_does_not_compile_is_refused_with_its_definition(session: Session, rule: str) -> None:
    with pytest.raises(Invalid) as caught:
        await ruled(session, {"a": TEXT}, {"rule": rule})
    (cause,) = caught.value.causes
    where = "spec.versions[0].schema.openAPIV3Schema.properties[spec].x-kubernetes-validations[0].rule"
    assert cause.field == where


@pytest.mark.parametrize("text", ["0" * 400_000 + "x", "1" * 400_000, "9" * 5000 + "h"])
async def test_a_long_text_that_is_nearly_a_duration_is_judged_at_once(session: Session, text: str) -> None:
    await ruled(session, {"a": {"type": "string", "format": "duration"}}, {"rule": "self.a > duration('1s')"})
    async with asyncio.timeout(5):
        assert "spec" in await refusal(session, a=text)


async def test_a_rule_that_costs_too_much_refuses_the_write_and_ends_the_judging(session: Session) -> None:
    numbers: Object = {"l": {"type": "array", "items": {"type": "integer"}}}
    await ruled(session, numbers, {"rule": "self.l.all(x, self.l.indexOf(x) >= 0)"}, {"rule": "self.l.size() < 3"})
    said = await refusal(session, l=list(range(9_000)))
    assert said.endswith(
        """spec: Invalid value: "object": 'operation cancelled: actual cost limit exceeded': no further validation """
        "rules will be run due to call cost exceeds limit for rule: self.l.all(x, self.l.indexOf(x) >= 0)"
    )
    assert "failed rule: self.l.size() < 3" in await refusal(session, l=[1, 2, 3])


async def test_rules_of_many_items_share_one_budget(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "MOST_ALTOGETHER", 1_000)
    item = {"type": "string", "x-kubernetes-validations": [{"rule": "self.matches('^[a-z]+$')"}]}
    await ruled(session, {"l": {"type": "array", "items": item}})
    said = await refusal(session, l=["a" * 1_000] * 100)
    assert said.count("spec.l[") == 1, "the first for which nothing is left ends the judging"
    assert "validation failed due to running out of cost budget, no further validation rules will be run" in said


def test_a_kept_rule_that_no_longer_compiles_lets_nothing_pass() -> None:
    kept = compile_rules({"type": "object", "x-kubernetes-validations": [{"rule": "[" * 30 + "self" + "]" * 30}]})
    faults = Faults()
    assert kept is not None
    judge(kept, {"a": 1}, nothing(), faults)
    assert [cause.message for cause in faults] == [
        'Invalid value: "object": rule compile error: compilation failed: the expression is nested too deeply'
    ]


LANGUAGE = Language(("self",))


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("sets.contains(self, [1.0, {'a': [1.0]}])", True),
        ("sets.contains(self, [2])", False),
        ("sets.contains(self, [false])", False),
        ("sets.intersects(self, [2, {'a': [1]}])", True),
        ("sets.intersects(self, [{'a': 1}])", False),
        ("sets.equivalent(self, [true, {'a': [1]}, 1, 1])", True),
        ("sets.equivalent(self, [])", False),
    ],
)
def test_sets_are_compared_by_value(expression: str, value: bool) -> None:
    assert LANGUAGE.compile(expression).value(LANGUAGE.bind({"self": [1, True, {"a": [1]}]})) is value


def test_large_sets_are_compared_at_once() -> None:
    bound = LANGUAGE.bind({"self": [f"{number:07}" for number in range(100_000)]})
    began = time.perf_counter()
    assert LANGUAGE.compile("sets.equivalent(self, self)").value(bound) is True
    assert time.perf_counter() - began < 3


def test_what_is_looked_at_again_and_again_costs_too_much() -> None:
    rule = LANGUAGE.compile("self.all(x, self.isSorted())")
    assert rule.value(LANGUAGE.bind({"self": list(range(500))})) is True
    with pytest.raises(Failure, match="actual cost limit exceeded"):
        rule.value(LANGUAGE.bind({"self": list(range(2000))}))
