# SPDX-License-Identifier: Apache-2.0
"""How the page is served."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from lichen.dashboard.app import POLICY, with_dashboard
from lichen.dashboard.app import _files as files


async def the_api(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 299, "headers": []})
    await send({"type": "http.response.body", "body": b"the API"})


async def ask(path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    given = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "path": path, "method": method, "headers": given}
    await with_dashboard(the_api)(scope, None, send)  # type: ignore[arg-type]
    head = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], head, sent[1]["body"]


async def test_the_page_comes_with_a_policy_that_lets_nothing_in_from_elsewhere():
    code, head, body = await ask("/dashboard/")
    assert (code, head["content-type"]) == (200, "text/html; charset=utf-8")
    assert head["content-security-policy"] == POLICY and "unsafe" not in POLICY
    assert (head["x-frame-options"], head["x-content-type-options"]) == ("DENY", "nosniff")
    assert b"main.js" in body


async def test_a_file_is_sent_packed_once_and_then_only_confirmed():
    code, head, body = await ask("/dashboard/main.js", accept_encoding="gzip, br")
    assert (code, head["content-encoding"]) == (200, "gzip")
    assert gzip.decompress(body) == files()["main.js"].plain
    code, again, body = await ask("/dashboard/main.js", if_none_match=head["etag"])
    assert (code, again["etag"], body) == (304, head["etag"], b"")


@pytest.mark.parametrize(
    ("path", "method", "headers", "code"),
    [
        ("/dashboard/../app.py", "GET", {}, 404),
        ("/dashboard/app.py", "GET", {}, 404),
        ("/dashboard/main.js", "POST", {}, 405),
        ("/dashboard", "GET", {}, 307),
        ("/", "GET", {"accept": "text/html,*/*"}, 307),
        ("/", "GET", {"accept": "application/json"}, 299),
        ("/dashboards", "GET", {}, 299),
        ("/api/v1/pods", "GET", {"accept": "text/html"}, 299),
    ],
)
async def test_everything_else_is_refused_or_the_apis(path: str, method: str, headers: dict[str, str], code: int):
    assert (await ask(path, method, **headers))[0] == code


async def test_head_has_no_body():
    code, head, body = await ask("/dashboard/base.css", "HEAD")
    assert (code, body) == (200, b"") and int(head["content-length"]) > 1000


def test_the_page_needs_nothing_from_elsewhere_and_nothing_inline():
    for name, file in files().items():
        text = file.plain.decode()
        assert "http://" not in text.replace("http://www.w3.org/", "") and "https://" not in text, name
        assert "innerHTML" not in text and "eval(" not in text and "style=" not in text, name
    assert sum(len(file.packed) for file in files().values()) < 40_000
