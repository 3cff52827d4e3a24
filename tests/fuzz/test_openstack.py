# SPDX-License-Identifier: Apache-2.0
"""Spoilt requests to every OpenStack route: no 500, no hang, no change after a refusal."""

from __future__ import annotations

import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz import nasty
from tests.fuzz.harness import Ask, Target, examples
from tests.tenancy import matrix

WHO = ("member", "admin", "outsider", "anonymous")


def words() -> tuple[str, ...]:
    """Every field that a body of the dialect declares."""
    found = {"name", "id", "tags", "properties"}
    for name, module in list(sys.modules.items()):
        if name.startswith("lichen.apis.openstack"):
            for shape in vars(module).values():
                if isinstance(shape, type) and issubclass(shape, msgspec.Struct):
                    found |= {field.encode_name for field in msgspec.structs.fields(shape)}
    return tuple(sorted(found))


@pytest.mark.parametrize("name", matrix.services())
def test_no_request_breaks_it(target: Target, name: str) -> None:
    known = words()
    rows = matrix.table(name)

    @examples(800)
    @given(st.data())
    def spoil(data: st.DataObject) -> None:
        row = data.draw(st.sampled_from(rows))
        ids = target.frozen.ids
        good: Any = matrix.body_of(row, ids)
        path = data.draw(nasty.paths(matrix.path_of(row, ids))) + data.draw(nasty.queries())
        body = data.draw(nasty.bodies(good, known)) if good is not None or data.draw(st.booleans()) else b""
        headers = matrix.headers_of(row, target.frozen.tokens) | data.draw(nasty.headers())
        target.try_openstack(Ask(data.draw(st.sampled_from(WHO)), row.method, path, body, headers))

    spoil()
