# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lichen.model.quantity import canonical, millis, parse, whole


@pytest.mark.parametrize(
    ("text", "form"),
    [("0.5", "500m"), ("1024Mi", "1Gi"), ("1.5Gi", "1536Mi"), ("1000m", "1"), ("1000", "1k"), ("1e3", "1e3"),
     ("12E", "12E"), ("-3", "-3"), ("0", "0"), ("0Gi", "0"), (".5", "500m"), ("5.", "5"), ("+1", "1"),
     ("0.5Ki", "512"), ("100u", "100u"), ("1n", "1n")],
)  # fmt: skip
def test_each_amount_has_one_form(text: str, form: str) -> None:
    assert canonical(text) == form


@pytest.mark.parametrize("text", ["", "m", "1mm", "1 Gi", "0x1", "1e", "1e9999", "١", "--1", "1KI", "."])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        parse(text)


@given(st.from_regex(r"[0-9]{1,6}(\.[0-9]{1,4})?([numkMGTPE]|[KMGTPE]i|e[0-9])?", fullmatch=True))
def test_the_one_form_means_the_same(text: str) -> None:
    assert parse(canonical(text)) == parse(text)
    assert canonical(canonical(text)) == canonical(text)


def test_amounts_are_counted_upwards() -> None:
    assert (millis("1.0001"), whole("1500m"), whole("1Ki"), parse("250m")) == (1001, 2, 1024, Fraction(1, 4))
