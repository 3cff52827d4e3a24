# SPDX-License-Identifier: Apache-2.0
"""Tenancy in the OpenStack dialect: every route tried by everyone, as the tables say.

A refusal changes nothing; no answer names another project's things; and what is another's is answered as what is not
there.
"""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace
from typing import Any

import pytest

from tests.apis.openstack.asgi import Answer
from tests.tenancy import matrix
from tests.tenancy.matrix import ABSENT, Row
from tests.tenancy.secrecy import told
from tests.tenancy.world import CALLERS, Frozen, World, thawed

ROWS = [row for name in matrix.services() for row in matrix.table(name)]
LISTS = [row for row in ROWS if row.method == "GET"]


async def ask(world: World, who: str, row: Row, ids: dict[str, str], query: str = "") -> Answer:
    headers = matrix.headers_of(row, world.tokens)
    path = matrix.path_of(row, ids) + query
    return await world.ask_openstack(who, row.method, path, matrix.body_of(row, ids), headers)


@pytest.mark.parametrize("name", matrix.services())
def test_every_route_has_a_row_and_every_row_a_route(name: str) -> None:
    served = {(route.method, route.path) for route in matrix.routes_of(matrix.services()[name])}
    named = {row.route for row in matrix.table(name)}
    assert sorted(served - named) == [], "say in tests/tenancy/tables who may call them"
    assert sorted(named - served) == [], "tests/tenancy/tables names what is not served"


@pytest.mark.parametrize("row", ROWS, ids=str)
async def test_who_may(frozen: Frozen, row: Row) -> None:
    answered = {}
    for who in CALLERS:
        async with thawed(frozen) as world:
            answer = await ask(world, who, row, frozen.ids)
            answered[who] = str(answer.status)
            if answer.status >= 400:
                assert world.contents() == frozen.rows, f"{who} was refused, and something changed"
            assert told(frozen, who, answer, matrix.path_of(row, frozen.ids), row_text(row, frozen)) == [], who
    assert answered == row.expected, f"{row}: {' '.join(answered.values())}"


@pytest.mark.parametrize("row", [row for row in ROWS if "{" in row.path or "$" in row.body], ids=str)
async def test_what_is_anothers_is_answered_as_what_is_not_there(frozen: Frozen, row: Row) -> None:
    theirs = {k: v for k, v in frozen.ids.items() if frozen.others.get(k) != v}
    absent = frozen.ids | dict.fromkeys(theirs, ABSENT)
    async with thawed(frozen) as world:
        there = await ask(world, "outsider", row, frozen.ids)
        nowhere = await ask(world, "outsider", row, absent)
    if there.status < 400 and nowhere.status < 400:
        return  # both made something of the outsider's own
    assert plain(there, theirs.values()) == plain(nowhere, theirs.values())


QUERIES = (
    "?project_id={project}", "?tenant_id={project}", "?all_tenants=1", "?all_tenants=True&project_id={project}",
    "?id={server}&id={network}&id={volume}&id={image}", "?name=kestrel-server", "?name~=kestrel", "?owner={project}",
    "?marker={server}", "?marker={network}&limit=1", "?marker={image}", "?marker={volume}", "?network_id={network}",
    "?device_id={server}", "?user_id={user}", "?scope.project.id={project}&include_names", "?host=node-1",
    "?visibility=all", "?member_status=all&visibility=shared", "?reserved=1&tenant_id={project}&usage=1",
    "?ip={address}", "?host=node-1&deleted=true", "?volume_id={volume}", "?instance_id={server}", "?uuid={server}",
    "?fixed_ips=ip_address%3D{address}&fields=id", "?security_group_id={security_group}", "?status=active",
    "?trustor_user_id={user}", "?trustee_user_id={admin_user}", "?effective&include_subtree", "?user_id={user}&x",
    "?limit=1000000", "?sort_key=name&sort_dir=asc", "?bootable=true", "?changes-since=2000-01-01T00:00:00Z",
)  # fmt: skip


@pytest.mark.parametrize("row", LISTS, ids=str)
async def test_no_query_tells_of_anothers_things(frozen: Frozen, row: Row) -> None:
    foreign = {k: v for k, v in frozen.ids.items() if frozen.others.get(k) != v}
    async with thawed(frozen) as world:
        for who, query in itertools.product(("outsider", "anonymous"), QUERIES):
            sent = query.format(**frozen.ids)
            answer = await ask(world, who, row, frozen.ids, sent)
            assert answer.status < 500, (who, sent, answer)
            assert told(frozen, who, answer, sent, matrix.path_of(row, frozen.ids)) == [], (who, sent)
            if sent != query:
                nowhere = query.format(**(frozen.ids | dict.fromkeys(foreign, ABSENT)))
                other = await ask(world, who, row, frozen.ids, nowhere)
                assert plain(answer, foreign.values()) == plain(other, foreign.values()), (who, sent)
        assert world.contents() == frozen.rows


async def test_a_path_that_names_another_project_is_of_no_use(frozen: Frozen) -> None:
    """Cinder's old paths begin with a project; what they name must be the token's."""
    rows = [row for row in matrix.table("volume") if row.path.startswith("/v3/")]
    async with thawed(frozen) as world:
        for row in rows:
            path = matrix.path_of(replace(row, path=row.path.replace("/v3/", "/v3/{project_id}/", 1)), frozen.ids)
            answer = await world.ask_openstack("outsider", row.method, path, matrix.body_of(row, frozen.ids))
            assert answer.status in (400, 403, 404), (row, answer)
            assert told(frozen, "outsider", answer, path, row_text(row, frozen)) == []
        assert world.contents() == frozen.rows


async def test_what_others_do_changes_no_answer(frozen: Frozen) -> None:
    """Counts, quotas, limits and lists of one project are the same, whatever another makes."""
    rows = [row for row in LISTS if "os-simple-tenant-usage" not in row.path]  # its hours grow by themselves
    async with thawed(frozen) as world:
        before = [(await ask(world, "outsider", row, frozen.others)).body for row in rows]
        await more_of_everything(world)
        after = [(await ask(world, "outsider", row, frozen.others)).body for row in rows]
    assert [str(row) for row, old, new in zip(rows, before, after, strict=True) if old != new] == []


async def more_of_everything(world: World) -> None:
    """`kestrel` makes what its rows say can be made."""
    made = [row for row in ROWS if row.method == "POST" and row.expected["member"] in ("200", "201", "202")]
    for row in made:
        await ask(world, "member", row, world.ids)


def row_text(row: Row, frozen: Frozen) -> str:
    body = matrix.body_of(row, frozen.ids)
    return body.decode() if isinstance(body, bytes) else json.dumps(body)


def plain(answer: Answer, ids: Any) -> tuple[int, str]:
    """Status and text, whatever ids were asked for, and whatever handle was made up."""
    text = answer.body.decode("utf-8", "replace")
    for id in sorted({*ids, ABSENT}, key=len, reverse=True):
        text = text.replace(id, "…")
    return answer.status, re.sub(r"[0-9a-f]{12,}", "…", text)
