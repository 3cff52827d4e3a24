# SPDX-License-Identifier: Apache-2.0
"""What an answer must not tell: the ids and names of a project that the caller has nothing to do with."""

from __future__ import annotations

from tests.apis.openstack.asgi import Answer
from tests.tenancy.filling import OURS, THEIRS
from tests.tenancy.world import Frozen

OUTSIDE = {"outsider": OURS, "reader": THEIRS, "member": THEIRS, "manager": THEIRS, "anonymous": OURS}
"""By caller, the project that it must learn nothing of. The admin may see all."""


def told(frozen: Frozen, who: str, answer: Answer, *said: str) -> list[str]:
    """Which words of the project that is none of the caller's are in the answer. said: what the caller sent, which
    an answer may repeat."""
    if who not in OUTSIDE:
        return []
    text = answer.body.decode("utf-8", "replace") + " ".join(f"{k}: {v}" for k, v in answer.headers.items())
    heard = " ".join(said)
    return sorted({word for word in words(frozen, OUTSIDE[who]) if word in text and word not in heard})


def words(frozen: Frozen, project: str) -> set[str]:
    """A project's name, its id, and the ids of all that is in it."""
    inside, outside = (frozen.ids, frozen.others) if project == OURS else (frozen.others, frozen.ids)
    uids = {raw_uid(raw) for _, _, _, _, namespace, _, raw in frozen.rows if namespace == project}
    ids = {word for word in inside.values() if len(word) > 10} - set(outside.values())
    return {project, frozen.projects[project]} | ids | uids


def raw_uid(raw: bytes) -> str:
    _, _, rest = raw.partition(b'"uid":"')
    return rest[:36].decode()
