# SPDX-License-Identifier: Apache-2.0
"""Pages of a list, and the tokens that continue it: a revision and the last key that was shown.

A continued list shows the objects as they were at the revision of its first page, rebuilt from the log; when the log
no longer reaches back that far the answer is Expired, never a mixture of two revisions unless the client asks for one:
the refusal has a token that goes on behind the same key, with the objects as they are by then.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from lichen.model.errors import BadRequest
from lichen.store.codec import Selection, View
from lichen.store.table import Entry

_Token = tuple[int, str]
NEWEST = -1
"""In a token: whatever revision it is by then."""


class RawPage(NamedTuple):
    """`Page` in raw bytes. remaining is 0 where a selector leaves it unknown, as in Kubernetes."""

    items: list[bytes]
    revision: int
    continue_token: str
    remaining: int


def pack(revision: int, key: str) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode((revision, key))).rstrip(b"=").decode()


def unpack(token: str) -> _Token:
    """BadRequest: it is none of ours."""
    try:
        padded = token + "=" * (-len(token) % 4)
        unpacked: _Token = msgspec.json.decode(
            base64.b64decode(padded.encode(), altchars=b"-_", validate=True), type=_Token
        )
        return unpacked
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        raise BadRequest("continue key is not valid") from None


def page(scan: Iterable[tuple[str, Entry]], total: int, wanted: Selection | None, limit: int, revision: int) -> RawPage:
    """The first `limit` (0: all) of `total` scanned objects that are wanted, and where to go on."""
    if wanted is None and not limit:
        return RawPage([entry.raw for _, entry in scan], revision, "", 0)
    items: list[bytes] = []
    last = ""
    for key, entry in scan:
        if wanted is not None and not wanted(View(entry.raw)):
            continue
        if limit and len(items) == limit:
            return RawPage(items, revision, pack(revision, last), total - limit if wanted is None else 0)
        items.append(entry.raw)
        last = key
    return RawPage(items, revision, "", 0)
