# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from lichen.apis.openstack import faults, paging
from lichen.apis.openstack.app import create_app
from lichen.apis.openstack.body import Name
from lichen.apis.openstack.reply import Reply, created
from lichen.apis.openstack.request import Request
from lichen.apis.openstack.routing import Route, Service
from lichen.model.errors import Conflict, Unauthorized
from lichen.model.state import Caller, State

from .asgi import call

USER = {"x-auth-token": "good"}
OTHER = {"x-auth-token": "other"}


class Gate:
    """A Cloud that knows two tokens."""

    async def authenticate(self, token: str) -> Caller:
        if token not in ("good", "other"):
            raise Unauthorized("The request you have made requires authentication.")
        return Caller(
            name="ann" if token == "good" else "bob", namespace="demo", project_id="p" * 32, roles=("member",)
        )

    def acting(self, caller: Caller) -> State:
        raise NotImplementedError

    async def read(self, caller: Caller, path: str) -> bytes:
        raise NotImplementedError


class Thing(msgspec.Struct, forbid_unknown_fields=True):
    name: Name
    size: int = 0


async def make_thing(req: Request) -> Reply:
    thing = await req.json("thing", Thing)
    return created({"thing": thing})


async def show_thing(req: Request, thing_id: str) -> Reply:
    return Reply({"thing": {"id": thing_id, "version": list(req.version), "href": req.url("/v2.1/x")}})


async def list_things(req: Request) -> Reply:
    shown, marker = paging.page(req, ["a", "b", "c"], str)
    return Reply({"things": shown, **paging.nova_links(req, "things", marker)})


async def upload(req: Request) -> Reply:
    return Reply({"sizes": [len(chunk) async for chunk in req.stream()]})


async def download(req: Request) -> Reply:
    async def parts() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    return Reply(stream=parts(), content_type="application/octet-stream")


async def collide(req: Request) -> Reply:
    raise Conflict("It is <busy>.")


async def crash(req: Request) -> Reply:
    raise ZeroDivisionError


ROUTES = (
    Route("POST", "/v2.1/things", make_thing),
    Route("GET", "/v2.1/things", list_things),
    Route("GET", "/v2.1/things/{thing_id}", show_thing),
    Route("PUT", "/v2.1/upload", upload),
    Route("GET", "/v2.1/download", download),
    Route("GET", "/v2.1/collide", collide),
    Route("GET", "/v2.1/crash", crash),
    Route("GET", "/v2.1/new", list_things, since=(2, 50)),
    Route("GET", "/v2.1/admin", list_things, access="admin"),
)


def service(**changes: Any) -> Service:
    return Service(
        **{
            "type": "compute",
            "name": "nova",
            "mount": "/compute",
            "endpoint": "/compute/v2.1",
            "routes": ROUTES,
            "fault": faults.nova,
            "style": "nova",
            "version": "v2.1",
            "lowest": (2, 1),
            "highest": (2, 100),
            "version_header": "X-OpenStack-Nova-API-Version",
            "body_limit": 1000,
            **changes,
        }
    )


@pytest.fixture
def app() -> Any:
    return create_app(Gate(), services=(service(),))


async def test_every_answer_carries_a_request_id_and_its_microversion(app):
    answer = await call(app, "GET", "/compute/v2.1/things/7", headers={**USER, "openstack-api-version": "compute 2.61"})
    assert answer.json()["thing"] == {"id": "7", "version": [2, 61], "href": "http://cloud.test/compute/v2.1/x"}
    assert answer.headers["x-openstack-request-id"].startswith("req-")
    assert answer.headers["openstack-api-version"] == "compute 2.61"
    assert answer.headers["vary"] == "OpenStack-API-Version, X-OpenStack-Nova-API-Version"


async def test_a_request_keeps_the_id_that_it_came_with_if_that_is_one(app):
    async def answered(given: str) -> str:
        answer = await call(app, "GET", "/compute/v2.1/things/7", headers={**USER, "x-openstack-request-id": given})
        return answer.headers["x-openstack-request-id"]

    own = "req-01234567-89ab-cdef-0123-456789abcdef"
    assert await answered(own) == own
    for made_up in ("", "req-1", own + "x", own + "\nreq-", own.upper()):
        assert (await answered(made_up)) not in ("", made_up)


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        ({}, [2, 1]),
        ({"openstack-api-version": "compute latest"}, [2, 100]),
        ({"x-openstack-nova-api-version": "2.9"}, [2, 9]),
    ],
)
async def test_a_microversion_is_negotiated(app, asked, got):
    answer = await call(app, "GET", "/compute/v2.1/things/7", headers={**USER, **asked})
    assert answer.json()["thing"]["version"] == got


@pytest.mark.parametrize(("asked", "status"), [("2.101", 406), ("3.0", 406), ("2", 400), ("2.01", 400), ("x.y", 400)])
async def test_an_unserved_microversion_is_refused(app, asked, status):
    answer = await call(
        app, "GET", "/compute/v2.1/things/7", headers={**USER, "openstack-api-version": f"compute {asked}"}
    )
    assert answer.status == status


async def test_a_route_is_not_found_outside_of_its_microversions(app):
    assert (await call(app, "GET", "/compute/v2.1/new", headers=USER)).status == 404
    assert (
        await call(app, "GET", "/compute/v2.1/new", headers={**USER, "openstack-api-version": "compute 2.50"})
    ).status == 200


@pytest.mark.parametrize("headers", [{}, {"x-auth-token": "bad"}])
async def test_without_a_valid_token_the_answer_is_401_with_the_way_to_keystone(app, headers):
    answer = await call(app, "GET", "/compute/v2.1/things", headers=headers)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == 'Keystone uri="http://cloud.test/identity"'
    assert answer.json()["error"]["code"] == 401


async def test_an_admin_route_refuses_a_member(app):
    answer = await call(app, "GET", "/compute/v2.1/admin", headers=USER)
    assert (answer.status, list(answer.json())) == (403, ["forbidden"])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"", 400),
        (b"[]", 400),
        (b"\xff", 400),
        (b'{"thing": "\\ud800"}', 400),
        (b"[" * 900, 400),
        (b'{"thing": {"name": ' + b"[" * 250 + b"]" * 250 + b"}}", 400),
        (b"{}", 400),
        (b'{"thing": null}', 400),
        (b'{"thing": {}}', 400),
        (b'{"thing": {"name": 1}}', 400),
        (b'{"thing": {"name": ""}}', 400),
        (b'{"thing": {"name": "a", "colour": 1}}', 400),
        (b'{"thing": {"name": "a", "size": "big"}}', 400),
        (b'{"thing": {"name": "' + b"a" * 300 + b'"}}', 400),
        (b'{"thing": {"name": "' + b"a" * 3000 + b'"}}', 413),
        (b'{"thing": {"name": "a", "size": "7"}}', 201),
    ],
)
async def test_a_bad_body_is_refused_with_words(app, body, status):
    answer = await call(app, "POST", "/compute/v2.1/things", body=body, headers=USER)
    assert answer.status == status
    if status != 201:
        (fault,) = answer.json().values()
        assert fault["code"] == status
        assert fault["message"]


async def test_a_list_is_paged_by_marker(app):
    first = (await call(app, "GET", "/compute/v2.1/things?limit=2", headers=USER)).json()
    assert first["things"] == ["a", "b"]
    href = first["things_links"][0]["href"]
    assert href == "http://cloud.test/compute/v2.1/things?limit=2&marker=b"
    rest = (await call(app, "GET", href.removeprefix("http://cloud.test"), headers=USER)).json()
    assert rest == {"things": ["c"]}


@pytest.mark.parametrize("query", ["limit=-1", "limit=x", "marker=nobody", "limit=" + "9" * 400])
async def test_a_bad_page_is_400(app, query):
    assert (await call(app, "GET", f"/compute/v2.1/things?{query}", headers=USER)).status == 400


async def test_bodies_stream_both_ways_without_a_limit(app):
    answer = await call(app, "PUT", "/compute/v2.1/upload", body=[b"x" * 800, b"y" * 900], headers=USER)
    assert answer.json() == {"sizes": [800, 900]}
    assert (await call(app, "GET", "/compute/v2.1/download", headers=USER)).body == b"onetwo"


async def test_head_answers_as_get_without_a_body(app):
    answer = await call(app, "HEAD", "/compute/v2.1/things", headers=USER)
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/compute/nothing", 404), ("DELETE", "/compute/v2.1/things", 405)]
)
async def test_what_is_not_served_is_refused_in_dialect(app, method, path, status):
    answer = await call(app, method, path, headers=USER)
    assert answer.status == status
    assert list(answer.json()) == [{404: "itemNotFound", 405: "badMethod"}[status]]


async def test_a_crash_is_a_500_that_tells_nothing(app):
    answer = await call(app, "GET", "/compute/v2.1/crash", headers=USER)
    assert answer.status == 500
    assert b"ZeroDivision" not in answer.body


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (faults.keystone, {"error": {"code": 409, "message": "It is <busy>.", "title": "Conflict"}}),
        (faults.nova, {"conflictingRequest": {"code": 409, "message": "It is <busy>."}}),
        (faults.neutron, {"NeutronError": {"type": "Conflict", "message": "It is <busy>.", "detail": ""}}),
    ],
)
async def test_each_service_refuses_in_its_own_words(fault, expected):
    app = create_app(Gate(), services=(service(fault=fault),))
    answer = await call(app, "GET", "/compute/v2.1/collide", headers=USER)
    assert (answer.status, answer.json()) == (409, expected)


async def test_glance_refuses_in_html():
    app = create_app(Gate(), services=(service(fault=faults.glance),))
    answer = await call(app, "GET", "/compute/v2.1/collide", headers=USER)
    assert answer.headers["content-type"] == "text/html; charset=UTF-8"
    assert b"It is &lt;busy&gt;." in answer.body


async def test_discovery_needs_no_token(app):
    root = await call(app, "GET", "/compute/")
    assert root.status == 200
    assert root.json()["versions"] == [
        {
            "id": "v2.1",
            "status": "CURRENT",
            "links": [{"rel": "self", "href": "http://cloud.test/compute/v2.1/"}],
            "version": "2.100",
            "min_version": "2.1",
            "updated": "2013-07-23T11:33:21Z",
        }
    ]
    one = await call(app, "GET", "/compute/v2.1/")
    assert one.json()["version"]["media-types"][0]["base"] == "application/json"
    assert (await call(app, "GET", "/")).json()["services"]["compute"]["href"] == "http://cloud.test/compute/v2.1"
    assert (await call(app, "GET", "/nowhere")).status == 404


async def test_links_follow_the_proxy_and_refuse_a_forged_host(app):
    proxied = {**USER, "x-forwarded-proto": "https", "x-forwarded-host": "cloud.example:8443"}
    answer = await call(app, "GET", "/compute/v2.1/things/7", headers=proxied)
    assert answer.json()["thing"]["href"] == "https://cloud.example:8443/compute/v2.1/x"
    forged = await call(app, "GET", "/compute/v2.1/things/7", headers={**USER, "host": 'a"<b>'})
    assert forged.json()["thing"]["href"] == "http://127.0.0.1:80/compute/v2.1/x"


async def test_a_slash_inside_of_a_name_stays_in_its_segment(app):
    answer = await call(app, "GET", "/compute/v2.1/things/a%2Fb", headers=USER)
    assert answer.json()["thing"]["id"] == "a/b"


async def test_one_users_flood_is_told_to_come_back_and_others_are_served(monkeypatch):
    monkeypatch.setattr("lichen.apis.openstack.app.REQUESTS", 2)
    goes_on = asyncio.Event()

    async def wait(req: Request) -> Reply:
        await goes_on.wait()
        return Reply({})

    async def slow(req: Request) -> Reply:
        async def parts() -> AsyncIterator[bytes]:
            await goes_on.wait()
            yield b"late"

        return Reply(stream=parts())

    routes = (*ROUTES, Route("GET", "/v2.1/wait", wait), Route("GET", "/v2.1/slow", slow))
    app = create_app(Gate(), services=(service(routes=routes),))
    flood = [asyncio.create_task(call(app, "GET", f"/compute/v2.1/{path}", headers=USER)) for path in ("wait", "slow")]
    await asyncio.sleep(0.05)
    refused = await call(app, "GET", "/compute/v2.1/things", headers=USER)
    assert (refused.status, refused.headers["retry-after"]) == (429, "1")
    assert refused.json()["overLimit"]["code"] == 429
    assert (await call(app, "GET", "/compute/v2.1/things", headers=OTHER)).status == 200
    goes_on.set()
    assert [answer.status for answer in await asyncio.gather(*flood)] == [200, 200]
    assert (await call(app, "GET", "/compute/v2.1/things", headers=USER)).status == 200
