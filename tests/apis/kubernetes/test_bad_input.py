# SPDX-License-Identifier: Apache-2.0
"""Whatever is sent, the answer is a Status with a clear code, never a 500, and nothing changes."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import yaml

from lichen.apis.kubernetes.app import create_app
from lichen.kinds.builtin import CONFIG_MAP
from tests.apis.kubernetes.conftest import ADMIN, Cloud
from tests.apis.kubernetes.objects import a_config_map, a_flavor, a_pod, a_server
from tests.apis.kubernetes.protobuf_writer import enveloped, field
from tests.conformance.kubectl import trusting

MAPS = "/api/v1/namespaces/default/configmaps"


class Client:
    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session, self.url = session, url

    async def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        headers = {"content-type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
        async with self.session.request(method, self.url + path, data=data, headers=headers) as answer:
            text = await answer.read()
            return answer.status, json.loads(text) if text else None


@pytest_asyncio.fixture
async def call(cloud: Cloud) -> AsyncIterator[Client]:
    connector = aiohttp.TCPConnector(ssl=trusting(cloud.certificate))
    headers = {"authorization": "Bearer admin-token"}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        yield Client(session, cloud.url)


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("POST", MAPS, b"{", 400),
        ("POST", MAPS, b"", 400),
        ("POST", MAPS, b"[]", 400),
        ("POST", MAPS, b"null", 400),
        ("POST", MAPS, b'"text"', 400),
        ("POST", MAPS, b"\xff\xfe\xfd", 400),
        ("POST", MAPS, b"[" * 5000, 400),
        ("POST", MAPS, b'{"a":' * 5000, 400),
        ("POST", MAPS, {"metadata": []}, 400),
        ("POST", MAPS, {"metadata": {"name": 7}}, 400),
        ("POST", MAPS, {"metadata": {"name": "x", "namespace": "other"}}, 400),
        ("POST", MAPS, {"metadata": {"name": "x"}, "kind": "Pod"}, 400),
        ("POST", MAPS, {"metadata": {"name": "x"}, "apiVersion": "v9"}, 400),
        ("POST", MAPS, {"metadata": {"name": "x"}, "kind": {}}, 400),
        ("POST", MAPS, {"metadata": {}}, 422),
        ("POST", MAPS, {"metadata": {"name": "Not Valid"}}, 422),
        ("POST", MAPS, {"metadata": {"name": "x" * 300}}, 422),
        ("POST", MAPS, {"metadata": {"name": "../x"}}, 422),
        ("POST", MAPS, {"metadata": {"name": "x\u0000y"}}, 422),
        ("POST", MAPS, {"metadata": {"name": "x", "labels": {"a": "b c"}}}, 422),
        ("POST", "/api/v1/configmaps", {"metadata": {"name": "x"}}, 404),
        ("POST", MAPS + "?dryRun=Maybe", {"metadata": {"name": "x"}}, 422),
        ("POST", MAPS + "?fieldValidation=Often", {"metadata": {"name": "x"}}, 422),
        ("POST", MAPS + "?fieldManager=" + "x" * 200, {"metadata": {"name": "x"}}, 400),
        ("POST", MAPS + "/kept", {}, 405),
        ("PUT", MAPS, {}, 405),
        ("PUT", MAPS + "/kept", {"metadata": {"name": "other"}}, 400),
        ("PUT", MAPS + "/kept", {"metadata": {"resourceVersion": "1"}}, 409),
        ("PUT", MAPS + "/kept", {"metadata": {"resourceVersion": "no"}}, 409),
        ("PUT", MAPS + "/none", {"metadata": {}}, 404),
        ("PATCH", MAPS + "/kept", {}, 415),
        ("DELETE", MAPS + "/none", None, 404),
        ("DELETE", MAPS + "/kept", {"kind": "Pod"}, 400),
        ("DELETE", MAPS + "/kept", {"gracePeriodSeconds": "soon"}, 400),
        ("DELETE", MAPS + "/kept", {"propagationPolicy": "Sideways"}, 422),
        ("DELETE", MAPS + "/kept", {"propagationPolicy": "Orphan", "orphanDependents": True}, 422),
        ("DELETE", MAPS + "/kept", {"preconditions": {"uid": "other"}}, 409),
        ("DELETE", MAPS + "/kept", {"preconditions": []}, 400),
        ("DELETE", MAPS + "/kept", {"dryRun": "All"}, 400),
        ("GET", MAPS + "?limit=many", None, 400),
        ("GET", MAPS + "?limit=-1", None, 400),
        ("GET", MAPS + "?continue=nonsense", None, 400),
        ("GET", MAPS + "?labelSelector=a%3D%3D%3Db", None, 400),
        ("GET", MAPS + "?labelSelector=%28%28", None, 400),
        ("GET", MAPS + "?fieldSelector=a%20b", None, 400),
        ("GET", MAPS + "?fieldSelector=data.a%3D1", None, 400),
        ("GET", MAPS + "?watch=true&fieldSelector=data.a%3D1", None, 400),
        ("DELETE", MAPS + "?fieldSelector=data.a%3D1", None, 400),
        ("GET", MAPS + "?resourceVersion=999999999999", None, 504),
        ("GET", MAPS + "?resourceVersion=x", None, 422),
        ("GET", MAPS + "?resourceVersionMatch=Exact", None, 422),
        ("GET", MAPS + "?resourceVersion=1&resourceVersionMatch=Nearly", None, 422),
        ("GET", MAPS + "?watch=true&resourceVersion=x", None, 422),
        ("GET", MAPS + "?watch=true&sendInitialEvents=true", None, 422),
        ("GET", MAPS + "?watch=true&timeoutSeconds=x", None, 400),
        ("GET", MAPS + "?a=%ff", None, 400),
        ("GET", "/api/v1/nothing", None, 404),
        ("GET", "/apis/none.example/v1/things", None, 404),
        ("GET", "/apis/apps/v9/deployments", None, 404),
        ("GET", "/apis//v1/pods", None, 404),
        ("GET", "/apis/none.example", None, 404),
        ("GET", "/nowhere", None, 404),
        ("GET", "/api/v1/namespaces/default/pods/x/nonsense", None, 404),
        ("GET", "/openapi/v3/nothing", None, 404),
        ("POST", "/api", {}, 405),
        ("POST", "/version", {}, 405),
    ],
)
async def test_a_bad_request_is_refused_with_a_status(
    cloud: Cloud, call: Client, method: str, path: str, body: Any, code: int
) -> None:
    await cloud.apply(a_config_map("kept", a="1"))
    before = await cloud.kernel.store.get_raw(
        cloud.kernel.catalog.by_resource("", "v1", "configmaps"), "kept", "default"
    )
    status, answer = await call(method, path, body)
    assert (status, answer["kind"], answer["code"]) == (code, "Status", code), answer
    assert answer["message"]
    after = await cloud.kernel.store.get_raw(
        cloud.kernel.catalog.by_resource("", "v1", "configmaps"), "kept", "default"
    )
    assert before == after
    assert [m["metadata"]["name"] for m in (await call("GET", MAPS))[1]["items"]] == ["kept"]


@pytest.mark.parametrize(
    ("body", "type_", "code"),
    [
        ([], "application/merge-patch+json", 400),
        ({"data": 7}, "application/merge-patch+json", 400),
        ({"metadata": {"name": "other"}}, "application/merge-patch+json", 400),
        ({"metadata": 3}, "application/merge-patch+json", 400),
        ({"metadata": {"resourceVersion": "1"}}, "application/merge-patch+json", 409),
        ({}, "application/json-patch+json", 400),
        ([{"op": "fly"}], "application/json-patch+json", 400),
        ([{"op": "remove", "path": "/data/none"}], "application/json-patch+json", 422),
        ([{"op": "test", "path": "/data/a", "value": "9"}], "application/json-patch+json", 422),
        ([1], "application/json-patch+json", 400),
        ([], "application/strategic-merge-patch+json", 400),
        ({"data": []}, "application/strategic-merge-patch+json", 400),
    ],
)
async def test_a_bad_patch_is_refused(cloud: Cloud, call: Client, body: Any, type_: str, code: int) -> None:
    await cloud.apply(a_config_map("kept", a="1"))
    status, answer = await call("PATCH", MAPS + "/kept", body, content_type=type_)
    assert (status, answer["kind"]) == (code, "Status"), answer
    assert (await call("GET", MAPS + "/kept"))[1]["data"] == {"a": "1"}


async def test_a_body_over_the_limit_is_too_large(call: Client) -> None:
    status, answer = await call("POST", MAPS, b'{"data":{"a":"' + b"x" * (3 * 1024 * 1024) + b'"}}')
    assert (status, answer["reason"]) == (413, "RequestEntityTooLarge")


async def test_yaml_bodies_are_read(call: Client) -> None:
    status, answer = await call("POST", MAPS, b"metadata: {name: y}\ndata: {a: '1'}\n", content_type="application/yaml")
    assert (status, answer["data"]) == (201, {"a": "1"})
    status, answer = await call("POST", MAPS, b"a: [", content_type="application/yaml")
    assert (status, answer["reason"]) == (400, "BadRequest")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"k8s",
        b"k8s\0",
        b"k8s\0\xff\xff\xff",
        b"k8s\0\x0a\x7f",
        b"k8s\0\x0a\x04\x0a\x02v1",
        b"k8s\0" + b"\x80" * 30,
    ],
)
async def test_broken_protobuf_is_refused(call: Client, body: bytes) -> None:
    status, answer = await call("POST", MAPS, body, content_type="application/vnd.kubernetes.protobuf")
    assert status in (400, 415), answer


async def test_what_cannot_be_written_is_not_acceptable(call: Client) -> None:
    status, _ = await call("POST", MAPS, a_config_map("x"), accept="application/vnd.kubernetes.protobuf")
    assert status == 406
    assert (await call("GET", MAPS + "/x"))[0] == 404


async def test_wrong_types_name_their_fields(cloud: Cloud, call: Client) -> None:
    await cloud.apply(a_flavor())
    server = a_server("s")
    server["spec"]["networks"] = "all"
    status, answer = await call("POST", "/apis/compute.lichen.dev/v1/namespaces/default/servers", server)
    assert status in (400, 422)
    assert "networks" in answer["message"]
    pod = a_pod("p")
    pod["spec"]["containers"][0]["ports"] = [{"containerPort": "eighty"}]
    status, answer = await call("POST", "/api/v1/namespaces/default/pods", pod)
    assert status in (400, 422)
    assert "containerPort" in answer["message"]


async def test_a_request_has_an_id(cloud: Cloud, call: Client) -> None:
    async with call.session.get(cloud.url + MAPS, headers={"audit-id": "my-id"}) as answer:
        assert answer.headers["audit-id"] == "my-id"
    async with call.session.get(cloud.url + MAPS) as answer:
        assert len(answer.headers["audit-id"]) == 16


async def test_without_a_token_little_is_shown(cloud: Cloud) -> None:
    connector = aiohttp.TCPConnector(ssl=trusting(cloud.certificate))
    async with aiohttp.ClientSession(connector=connector) as session:
        codes = {}
        for path in ("/version", "/healthz", "/livez", "/readyz", "/api", "/apis", "/openapi/v3", MAPS):
            async with session.get(cloud.url + path) as answer:
                codes[path] = answer.status
        async with session.get(cloud.url + MAPS, headers={"authorization": "Basic eA=="}) as answer:
            assert answer.status == 401
    assert codes == {
        "/version": 200, "/healthz": 200, "/livez": 200, "/readyz": 200,
        "/api": 403, "/apis": 403, "/openapi/v3": 403, MAPS: 403,
    }  # fmt: skip


async def test_what_cannot_be_read_again_has_no_table(call: Client) -> None:
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
    review = {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "x"}}}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    code, status = await call("POST", path, review, accept=accept)
    assert (code, status["reason"]) == (406, "NotAcceptable")


async def test_protobuf_that_nests_without_end_is_refused(call: Client) -> None:
    schema = b""
    for _ in range(3000):
        schema = field(28, schema)
    definition = field(2, field(7, field(4, field(1, schema))))
    body = enveloped("apiextensions.k8s.io/v1", "CustomResourceDefinition", definition)
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    code, status = await call("POST", path, body, content_type="application/vnd.kubernetes.protobuf")
    assert code == 400
    assert "nested too deep" in status["message"]


def nested(levels: int, core: str = "1") -> str:
    return '{"a":' * levels + core + "}" * levels


REVISIONS = "/apis/apps/v1/namespaces/default/controllerrevisions"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.mark.parametrize(
    ("method", "path", "body", "type_"),
    [
        ("POST", REVISIONS, '{"metadata":{"name":"deep"},"revision":1,"data":%s}', "application/json"),
        ("POST", DEFINITIONS, '{"metadata":{"name":"a.b.c"},"spec":{"versions":[{"schema":%s}]}}', "application/json"),
        ("PUT", MAPS + "/kept", '{"metadata":{"managedFields":[{"fieldsV1":%s}]}}', "application/json"),
        ("PATCH", MAPS + "/kept", '{"metadata":%s}', "application/merge-patch+json"),
        ("PATCH", MAPS + "/kept", '{"metadata":%s}', "application/strategic-merge-patch+json"),
        ("PATCH", MAPS + "/kept", '[{"op":"add","path":"/data","value":%s}]', "application/json-patch+json"),
        ("PATCH", MAPS + "/kept?fieldManager=x", '{"metadata":%s}', "application/apply-patch+yaml"),
    ],
)
async def test_what_is_nested_too_deep_is_refused_and_what_is_nearly_so_is_understood(
    cloud: Cloud, call: Client, method: str, path: str, body: str, type_: str
) -> None:
    await cloud.apply(a_config_map("kept", a="1"))
    for levels in (250, 400, 900, 5000):
        code, answer = await call(method, path, (body % nested(levels)).encode(), content_type=type_)
        assert (code, answer["kind"]) == (400, "Status"), answer
    code, answer = await call(method, path, (body % nested(180, "{}")).encode(), content_type=type_)
    assert code < 500, answer


async def test_no_row_of_patches_nests_an_object_too_deep(cloud: Cloud, call: Client) -> None:
    body: dict[str, Any] = {"metadata": {"name": "row"}, "revision": 1, "data": {"a": {}}}
    assert (await call("POST", REVISIONS, body))[0] == 201
    deeper = [{"op": "add", "path": "/data" + "/a" * 150, "value": json.loads(nested(150))}]
    longer = [{"op": "add", "path": "/data" + "/a" * (n + 1), "value": {"a": {}}} for n in range(150)]
    type_ = "application/json-patch+json"
    codes = [(await call("PATCH", REVISIONS + "/row", patch, content_type=type_))[0] for patch in (longer, deeper)]
    assert codes == [200, 422]


async def test_who_goes_away_before_the_body_has_changed_nothing(cloud: Cloud) -> None:
    await cloud.apply(a_config_map("kept"))
    app = create_app(cloud.kernel, unreachable_node)
    answers: list[Any] = []

    async def gone() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        answers.append(message)

    headers = [(b"authorization", b"Bearer admin-token"), (b"content-length", b"90")]
    scope = {"type": "http", "method": "DELETE", "path": f"{MAPS}/kept", "query_string": b"", "headers": headers}
    await app(scope, gone, send)
    assert answers[0]["status"] == 400
    assert await cloud.kernel.acting(ADMIN).get(CONFIG_MAP, "kept", "default"), "its preconditions never came"


async def unreachable_node(name: str) -> Any:
    raise AssertionError("nobody asks for a node")


async def test_lists_are_given_in_yaml_to_whom_asks_for_it(cloud: Cloud, call: Client) -> None:
    await cloud.apply(a_config_map("a"), a_config_map("b"))
    headers = {"accept": "application/yaml"}
    async with call.session.get(f"{cloud.url}{MAPS}", headers=headers) as answer:
        assert answer.content_type == "application/yaml"
        given = yaml.safe_load(await answer.read())
    _, plain = await call("GET", MAPS)
    assert given == plain
