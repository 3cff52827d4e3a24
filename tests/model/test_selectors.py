# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from lichen.model.data import Object
from lichen.model.errors import BadRequest
from lichen.model.selectors import equal, equalities, label_selector, parse_fields, parse_labels

LABELS = {"app": "web", "tier": "front", "lichen.dev/size": "3"}


@pytest.mark.parametrize(
    "text",
    ["", "app", "app=web", "app==web", "app=web,tier=front", "app in (web,db)", "app notin (db)", "!canary",
     "app!=db", "canary!=yes", "canary notin (yes)", "lichen.dev/size>2", "lichen.dev/size<4", " app = web , tier "],
)  # fmt: skip
def test_matching_labels_are_selected(text: str) -> None:
    assert parse_labels(text).matches(LABELS)


@pytest.mark.parametrize("text", ["db", "app=db", "!app", "app!=web", "app notin (web)", "x=", "lichen.dev/size>3"])
def test_other_labels_are_not_selected(text: str) -> None:
    assert not parse_labels(text).matches(LABELS)


@pytest.mark.parametrize(
    "text", [",", "a=b,", "=b", "a=b c", "a in b", "a in (b", "-a", "a=b/c", "a>x", "a=" + "x" * 64]
)
def test_bad_label_selectors_are_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        parse_labels(text)


def test_object_form_selects_all_when_empty_and_nothing_when_absent() -> None:
    pod: Object = {"metadata": {"name": "p", "labels": LABELS}}
    assert label_selector({})(pod)
    assert not label_selector(None)(pod)
    assert label_selector({"matchLabels": {"app": "web"}})(pod)
    assert not label_selector({"matchLabels": {"app": "db"}})(pod)
    assert label_selector({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["front"]}]})(pod)
    assert not label_selector({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]})(pod)


@pytest.mark.parametrize(
    "expression",
    [{"key": "a", "operator": "Is"}, {"key": "a", "operator": "In"}, {"key": "", "operator": "Exists"},
     {"key": "a", "operator": "Exists", "values": ["x"]}],
)  # fmt: skip
def test_bad_expressions_are_refused(expression: Object) -> None:
    with pytest.raises(BadRequest):
        label_selector({"matchExpressions": [expression]})


@pytest.mark.parametrize(
    ("text", "matches"),
    [("", True), ("metadata.name=p", True), ("metadata.name!=p", False), ("spec.nodeName=", True),
     ("spec.host=true", True), ("spec.count==2", True), ("metadata.name=p,spec.count=3", False),
     (r"spec.text=a\,b\=c", True)],
)  # fmt: skip
def test_fields_are_compared_as_text(text: str, matches: bool) -> None:
    obj: Object = {"metadata": {"name": "p"}, "spec": {"host": True, "count": 2, "text": "a,b=c"}}
    assert parse_fields(text)(obj) is matches


@pytest.mark.parametrize(
    ("text", "matches"),
    [("spec.off|'false'=false", True), ("spec.off|'false'!=false", False), ("spec.host|'false'=false", False),
     ("spec.off|spec.text=a", True), ("spec.text|spec.count=2", False), ("spec.off|spec.gone=", True)],
)  # fmt: skip
def test_a_field_may_be_in_several_places_or_be_something_else_where_it_is_absent(text: str, matches: bool) -> None:
    assert parse_fields(text)({"metadata": {}, "spec": {"host": True, "count": 2, "text": "a"}}) is matches


@pytest.mark.parametrize("text", ["spec.off|'false'!=false", r"a=b\,c\=d\\e", "a.b|c=x"])
def test_a_field_term_is_written_as_it_is_read(text: str) -> None:
    (term,) = parse_fields(text).terms
    assert str(term) == text


@pytest.mark.parametrize("text", ["metadata.name", "=x", "a=b=c", "a=\\x"])
def test_bad_field_selectors_are_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        parse_fields(text)


@pytest.mark.parametrize("value", ["plain", "a,metadata.name=b", r"back\slash", "a==b"])
def test_a_selector_asks_for_a_value_whatever_is_in_it(value: str):
    asked = equal("metadata.name", value)
    assert equalities(asked) == {"metadata.name": value}
    assert parse_fields(asked)({"metadata": {"name": value}})


@pytest.mark.parametrize("text", ["", "metadata.name!=a", r"metadata.name=a\b", "nonsense"])
def test_a_selector_that_asks_for_no_value_says_none(text: str):
    assert equalities(text) == {}
