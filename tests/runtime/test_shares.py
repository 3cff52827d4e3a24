# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import threading

import pytest

from lichen.model.errors import TooManyRequests
from lichen.model.names import CONTROLLERS, DIALECT, NODES
from lichen.model.state import Caller
from lichen.runtime.shares import Shares, apart, owner

MIA, TOM = Caller("mia"), Caller("tom")


def test_what_one_user_has_under_way_is_bounded_and_keeps_nothing_from_others() -> None:
    shares = Shares(2)
    shares.take("mia")
    shares.take("mia")
    with pytest.raises(TooManyRequests) as refused:
        shares.take("mia")
    assert refused.value.retry_after == 1
    shares.take("tom")
    shares.give_back("mia")
    shares.take("mia")


def test_nothing_is_remembered_of_who_has_nothing_under_way() -> None:
    shares = Shares(2)
    shares.take("mia")
    shares.give_back("mia")
    assert shares._taken == {}


def test_service_accounts_of_a_project_share() -> None:
    one, two, elsewhere = (Caller(f"system:serviceaccount:{place}") for place in ("team:one", "team:two", "other:one"))
    assert owner(one) == owner(two) != owner(elsewhere)


def test_users_have_a_share_each_and_so_has_nobody() -> None:
    callers = [MIA, TOM, Caller("system:anonymous", ("system:unauthenticated",))]
    assert [owner(caller) for caller in callers] == ["mia", "tom", "system:anonymous"]


@pytest.mark.parametrize(
    "caller",
    [
        Caller("root", roles=("admin",)),
        Caller("admin", ("system:masters",)),
        Caller(CONTROLLERS),
        Caller(DIALECT),
        Caller("system:node:a", (NODES,)),
    ],
    ids=lambda caller: caller.name,
)
def test_the_cloud_itself_is_not_counted(caller: Caller) -> None:
    assert owner(caller) == ""


async def test_what_takes_long_for_one_user_is_done_one_after_the_other() -> None:
    both = threading.Barrier(2)

    def meets() -> bool:
        try:
            both.wait(0.3)
        except threading.BrokenBarrierError:
            both.reset()
            return False
        return True

    assert await asyncio.gather(apart(MIA, meets), apart(MIA, meets)) == [False, False]
    assert await asyncio.gather(apart(MIA, meets), apart(TOM, meets)) == [True, True]
