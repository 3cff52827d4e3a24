# SPDX-License-Identifier: Apache-2.0
"""Selectors over raw objects say what they say over decoded ones."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lichen.model.selectors import parse_fields, parse_labels
from lichen.store.codec import Selection, View, encode

VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 30), st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "a", "a-b", "ü", 'a"b', "a\\b", "true", "None", "1", "1.5", "1e-07", "x/y:z"]),
)  # fmt: skip


def an_object(value: Any, labels: dict[str, str]) -> dict[str, Any]:
    return {"metadata": {"name": "n", "namespace": "s", "labels": labels}, "spec": {"field": value, "more": {"a": 1}}}


@given(held=VALUES, asked=VALUES, negated=st.booleans())
def test_a_field_selector_on_bytes_agrees_with_the_one_on_objects(held: Any, asked: Any, negated: bool):
    text = "" if asked is None else str(asked).lower() if isinstance(asked, bool) else str(asked)
    escaped = text.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")
    selector, obj = f"spec.field{'!=' if negated else '='}{escaped}", an_object(held, {})
    assert Selection("", selector)(View(encode(obj))) is parse_fields(selector)(obj)


@pytest.mark.parametrize("selector", ["app=web", "app in (web,db)", "app", "!app", "app!=web", "n>3", "x/app=web"])
@pytest.mark.parametrize(
    "labels", [{}, {"app": "web"}, {"app": "we"}, {"xapp": "web"}, {"app": "db", "b": "web"}, {"n": "5"}, {"x/app": ""}]
)  # fmt: skip
def test_a_label_selector_on_bytes_agrees_with_the_one_on_objects(selector: str, labels: dict[str, str]):
    obj = an_object("web", labels)
    assert Selection(selector, "")(View(encode(obj))) is parse_labels(selector)(obj)


def test_what_cannot_match_is_not_decoded():
    view = View(encode(an_object("b", {})))
    assert not Selection("", "spec.field=a-long-identifier")(view)
    assert view._full is None
