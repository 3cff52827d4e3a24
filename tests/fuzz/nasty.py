# SPDX-License-Identifier: Apache-2.0
"""What nobody should send: values, bodies, paths, queries and headers, and how a good request is spoilt."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

DEEP: Any = []
for _ in range(200):
    DEEP = [DEEP]
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63) - 1, 10**30, 1e308, -0.5, "", " ", "a", "0", "-1", "1e9",
    "true", "null", "\0", "a\0b", "\n", "a\nb: c", "\r\nX-Evil: 1", "%00", "%", "..", "../..", "/", "a/b", "//", ".",
    "a" * 70, "a" * 300, "a" * 100_000, "é", "🦎", "\u202e", "\ufeff", "\ud800", "１２", "٣", "ǅ", "[]", "{}", "$(id)",
    "';--", "${x}", "{{x}}", "10.0.0.0/8", "10.0.0.1", "::1", "fe80::1%eth0", "999.1.1.1", "10.0.0.0/-1",
    "2026-01-01T00:00:00Z", "9e99Gi", "99999999999999999Ei", "-1Gi", "NaN", "1Ki1", "fa:16:3e:00:00:01", "a=b", "a,b",
    "a\\b", "=", "!=", "in (", "kestrel", "kestrel/kestrel-net", "0f0f0f0f-1111-4222-8333-0f0f0f0f0f0f",
    "urn:uuid:0f0f0f0f-1111-4222-8333-0f0f0f0f0f0f", [], [None], [[]], [1, "a", {}], ["a"] * 3000, [{}], [{"name": 1}],
    {}, {"": ""}, {"a": None}, {"a": {"b": []}}, {"\0": 1}, {"a" * 300: "b"}, {"$ref": "#"}, {"__proto__": {}},
    {"name": ["x"]}, {"0": 0}, DEEP, {"a": DEEP},
)  # fmt: skip

RAW: tuple[bytes, ...] = (
    b"", b" ", b"{", b"[", b"}", b"null", b"0", b'"x"', b"[]", b"{}", b"{}{}", b'{"a":1,}', b"\xff\xfe{",
    b"\xef\xbb\xbf{}", b'{"a":NaN}', b'{"a":Infinity}', b'{"a":1e999}', b'{"a":' + b"9" * 5000 + b"}",
    b'{"a":"\\ud800"}', b'{"a":"\xff"}', b"[" * 50_000, b'{"a":' * 5_000, b"{" * 100_000, b"a: b\n", b"a: &a [*a]\n",
    b"- " * 3000, b"!!python/object:os.system x", b"a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nd: [*c,*c]\n", b"k8s\0",
    b"k8s\0\x0a\xff\xff\xff\xff\x0f", b"k8s\0" + b"\x0a" * 500, b"%YAML 9.9\n", b"---\n---\n", b"\0" * 100,
    b"\x1f\x8b\x08" + b"\0" * 20, b"QFI\xfb" + b"\xff" * 600, b"--x\r\n\r\n--x--",
    b'{"apiVersion":"v1","apiVersion":"v2","kind":"Pod"}', b"? a\n: b\n? [c]\n: d\n", b"2026-01-01: x\n",
    b"a: 0x\n1: 2\n",
)  # fmt: skip

TYPES: tuple[str, ...] = (
    "application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "application/merge-patch+json",
    "application/json-patch+json", "application/strategic-merge-patch+json", "application/apply-patch+yaml",
    "application/apply-patch+cbor", "application/cbor", "text/plain", "application/octet-stream", "", ";", "a/b; q=\0",
    "é", "application/json; charset=utf-16", "multipart/form-data", "application/openstack-images-v2.1-json-patch",
    "application/json;as=Table;v=v1;g=meta.k8s.io", "application/json;stream=watch", "*/*", "application/*;q=0",
)  # fmt: skip

HEADERS: tuple[tuple[str, str], ...] = (
    ("accept-encoding", "gzip, br;q=x"), ("content-encoding", "gzip"), ("range", "bytes=5-1"), ("range", "bytes=-1"),
    ("range", "bytes=0-99999999999999999999"), ("range", "lines=1"), ("content-length", "-1"),
    ("content-length", "99999999999"), ("x-openstack-nova-api-version", "2.99999999999"),
    ("openstack-api-version", "compute latest"), ("host", "a b"), ("openstack-api-version", "compute"),
    ("openstack-api-version", "volume é"), ("x-forwarded-host", "evil\\.test"), ("x-forwarded-proto", "gopher"),
    ("impersonate-user", "\xff"), ("impersonate-extra-é", "x"), ("audit-id", "\0" * 40), ("x-subject-token", "x.y.z"),
    ("x-subject-token", "é"), ("authorization", "Bearer"), ("x-auth-token", "\xff\0"), ("upgrade", "websocket"),
    ("upgrade", "SPDY/3.1"), ("expect", "100-continue"), ("if-match", "*"), ("user-agent", "a" * 5000),
    ("x-openstack-request-id", "é"), ("x-image-meta-size", "x"), ("transfer-encoding", "chunked"), ("te", "x"),
)  # fmt: skip

QUERY: tuple[str, ...] = (
    "limit", "marker", "sort", "sort_key", "sort_dir", "fields", "name", "id", "status", "all_tenants", "project_id",
    "tenant_id", "changes-since", "changes-before", "ip", "ip6", "created_at", "size_min", "size_max", "visibility",
    "tag", "tags", "tags-any", "not-tags", "metadata", "with_count", "page_reverse", "offset", "usage", "detailed",
    "start", "end", "fixed_ips", "tail", "labelSelector", "fieldSelector", "continue", "resourceVersion",
    "resourceVersionMatch", "timeoutSeconds", "watch", "pretty", "allowWatchBookmarks", "sendInitialEvents", "dryRun",
    "fieldManager", "fieldValidation", "force", "gracePeriodSeconds", "propagationPolicy", "orphanDependents",
    "container", "follow", "tailLines", "sinceSeconds", "sinceTime", "limitBytes", "previous", "timestamps", "command",
    "tty", "stdin", "ports", "includeObject", "timeout", "owner", "os_type", "effective", "bootable", "os-extended",
    "user_id", "scope.project.id", "include_names", "domain_id", "parent_id", "interface", "nocatalog",
)  # fmt: skip

PATHS: tuple[str, ...] = (
    "%2F", "%2f..%2f", "..", ".", "%00", "%", "%zz", "%ff%fe", "%F0%9F%A6%8E", "%c3%28", "%20", "a" * 5000, "-1",
    "9" * 400, "~", "*", "{}", "[]", "%7B%7D", "%0d%0aX:1", "a%0Ab", ";", "a;b=c", "@", ":", "$", "'", '%22', "\\",
    "%5c", "+", "(", "a=b", "a,b", "%25", "null", "undefined", "NaN", "detail", "status", "action", "log",
)  # fmt: skip

values = st.sampled_from(VALUES) | st.text(max_size=8) | st.integers() | st.floats()


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside, and of the whole."""
    yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*at, key))


def replaced(value: Any, at: tuple[Any, ...], new: Any) -> Any:
    """A copy with another value at a path."""
    if not at:
        return new
    whole = copy.deepcopy(value)
    node = whole
    for key in at[:-1]:
        node = node[key]
    node[at[-1]] = new
    return whole


@st.composite
def spoilt(draw: st.DrawFn, body: Any, words: tuple[str, ...]) -> Any:
    """A body with one to three faults: a value exchanged, one left out, a field added that others have."""
    for _ in range(draw(st.integers(1, 3))):
        spots = list(places(body))
        at = draw(st.sampled_from(spots))
        here: Any = body
        for key in at:
            here = here[key]
        if isinstance(here, dict) and draw(st.booleans()):
            body = replaced(body, (*at, draw(st.sampled_from(words))), draw(values))
        elif at and isinstance(at[-1], str) and draw(st.integers(0, 3)) == 0:
            body = copy.deepcopy(body)
            node = body
            for key in at[:-1]:
                node = node[key]
            del node[at[-1]]
        else:
            body = replaced(body, at, draw(values))
    return body


def encoded(body: Any) -> bytes:
    """JSON as a careless client writes it: NaN, lone surrogates and all."""
    return json.dumps(body).encode("utf-8", "surrogatepass")


@st.composite
def bodies(draw: st.DrawFn, body: Any, words: tuple[str, ...]) -> bytes:
    """Mostly a spoilt good one; sometimes a cut one, or none at all."""
    how = draw(st.integers(0, 9))
    if how == 0 or (body is None and how < 5):
        return draw(st.sampled_from(RAW))
    good = {} if body is None else body
    sent = good if isinstance(good, bytes) else encoded(draw(spoilt(good, words)) if how > 1 else good)
    return sent[: draw(st.integers(0, len(sent)))] if how == 1 else sent


@st.composite
def paths(draw: st.DrawFn, path: str) -> str:
    """Sometimes with a segment exchanged."""
    if draw(st.integers(0, 3)):
        return path
    parts = path.split("/")
    parts[draw(st.integers(1, len(parts) - 1))] = draw(st.sampled_from(PATHS))
    return "/".join(parts)


@st.composite
def queries(draw: st.DrawFn) -> str:
    from urllib.parse import quote

    if draw(st.booleans()):
        return ""
    pairs = draw(st.lists(st.tuples(st.sampled_from(QUERY), st.sampled_from(VALUES) | st.text(max_size=6)), max_size=3))
    raw = draw(st.sampled_from(("", "", "", "&=", "&&", "%ff", "&a", "&limit=%zz")))
    return "?" + "&".join(f"{k}={quote(str(v)[:2000].encode('utf-8', 'replace'))}" for k, v in pairs) + raw


@st.composite
def headers(draw: st.DrawFn) -> dict[str, str]:
    found = dict(draw(st.lists(st.sampled_from(HEADERS), max_size=2))) if draw(st.integers(0, 2)) == 0 else {}
    if draw(st.integers(0, 2)) == 0:
        found["content-type"] = draw(st.sampled_from(TYPES))
    if draw(st.integers(0, 4)) == 0:
        found["accept"] = draw(st.sampled_from(TYPES))
    return found
