# SPDX-License-Identifier: Apache-2.0
"""Bad input to a whole cloud: a clear error in the caller's own dialect, nothing changed, never a 500."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conformance.cloud import Answer, Here, a_qcow2, until

SERVERS = "/apis/compute.lichen.dev/v1/namespaces/demo/servers"
SUBNETS = "/apis/network.lichen.dev/v1/namespaces/demo/subnets"
CONFIG_MAPS = "/api/v1/namespaces/demo/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/demo/deployments"
ZERO = "00000000-0000-0000-0000-000000000000"


class Caller:
    """Raw requests of one user in both dialects."""

    def __init__(self, cloud: Here) -> None:
        self.cloud = cloud
        self.sdk = cloud.sdk()
        self.token = self.sdk.auth_token

    def kubernetes(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        headers = {"Authorization": f"Bearer {self.token}"} | headers
        return self.cloud.request(method, self.cloud.facts.kubernetes_url + path, body, **headers)

    def openstack(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        headers = {"X_Auth_Token": self.token} | headers
        return self.cloud.request(method, self.cloud.facts.openstack_url + path, body, **headers)

    def everything(self) -> set[tuple[str, str, str]]:
        """Each object the project has, and which version of it."""
        kinds = "servers,subnets,networks,ports,images,keypairs,configmaps,deployments,pods,secrets,services"
        items = self.cloud.object("-n", "demo", kinds)["items"]
        return {(i["kind"], i["metadata"]["name"], i["metadata"]["resourceVersion"]) for i in items}


@pytest.fixture
def caller(cloud: Here) -> Iterator[Caller]:
    """What a test asks wrongly must leave everything as it is."""
    known = Caller(cloud)
    before = known.everything()
    yield known
    assert known.everything() == before


def named(kind: str, api_version: str, name: str, **more: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **more}


def a_server(name: str = "s", **spec: Any) -> dict[str, Any]:
    return named("Server", "compute.lichen.dev/v1", name, spec={"flavor": "m1.tiny", "networks": [], **spec})


def a_config_map(name: str, **more: Any) -> dict[str, Any]:
    return named("ConfigMap", "v1", name, **more)


NOT_OBJECTS = [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b'{"a":1}{', b"[" * 100_000, b'{"metadata":' * 5000]

KUBERNETES: list[tuple[str, str, str, Any, int]] = [
    ("wrong type", "POST", SERVERS, a_server(power=7), 400),
    ("wrong type of a list", "POST", SERVERS, a_server(networks="blue"), 400),
    ("no flavor named", "POST", SERVERS, named("Server", "compute.lichen.dev/v1", "s", spec={}), 422),
    ("missing flavor", "POST", SERVERS, a_server(flavor="none"), 422),
    ("missing image", "POST", SERVERS, a_server(image="none"), 422),
    ("missing network", "POST", SERVERS, a_server(networks=[{"network": "none"}]), 422),
    ("missing key", "POST", SERVERS, a_server(keypair="none"), 422),
    ("word out of the list", "POST", SERVERS, a_server(power="Maybe"), 422),
    ("other kind's object", "POST", SERVERS, a_config_map("s"), 400),
    ("other version", "POST", SERVERS, named("Server", "compute.lichen.dev/v9", "s", spec={}), 400),
    ("long name", "POST", CONFIG_MAPS, a_config_map("a" * 254), 422),
    ("bad name", "POST", CONFIG_MAPS, a_config_map("Not A Name"), 422),
    ("no name", "POST", CONFIG_MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}}, 422),
    ("bad label", "POST", CONFIG_MAPS, {"apiVersion": "v1", "kind": "ConfigMap",
                                        "metadata": {"name": "l", "labels": {"a b": "c"}}}, 422),
    ("values no strings", "POST", CONFIG_MAPS, a_config_map("m", data={"a": 1}), 400),
    ("other namespace", "POST", CONFIG_MAPS, {"apiVersion": "v1", "kind": "ConfigMap",
                                              "metadata": {"name": "l", "namespace": "default"}}, 400),
    ("selector apart from labels", "POST", DEPLOYMENTS, named("Deployment", "apps/v1", "d", spec={
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "c"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
    }), 422),
    ("no containers", "POST", "/api/v1/namespaces/demo/pods", named("Pod", "v1", "p", spec={"containers": []}), 422),
    ("missing namespace's kind", "GET", "/apis/none.example/v1/things", None, 404),
    ("no such object", "GET", f"{SERVERS}/none", None, 404),
    ("bad selector", "GET", f"{SERVERS}?labelSelector=a%20in%20(", None, 400),
    ("bad continue", "GET", f"{SERVERS}?continue=nonsense&limit=1", None, 400),
    ("bad limit", "GET", f"{SERVERS}?limit=x", None, 400),
    ("bad version", "GET", f"{SERVERS}?watch=1&resourceVersion=abc", None, 422),
    ("verb not there", "PUT", SERVERS, a_server(), 405),
    ("process class", "POST", "/api/v1/namespaces/demo/pods", named("Pod", "v1", "p", spec={
        "runtimeClassName": "process", "containers": [{"name": "c", "image": "i"}]}), 403),
]  # fmt: skip

SERVER = {"name": "s", "flavorRef": "m1.tiny", "imageRef": ZERO}
OPENSTACK: list[tuple[str, str, str, Any, int]] = [
    ("no flavor", "POST", "/compute/v2.1/servers", {"server": {"name": "s"}}, 400),
    ("missing flavor", "POST", "/compute/v2.1/servers", {"server": SERVER | {"flavorRef": "none"}}, 400),
    ("missing image", "POST", "/compute/v2.1/servers", {"server": SERVER}, 400),
    ("wrong type", "POST", "/compute/v2.1/servers", {"server": SERVER | {"name": 7}}, 400),
    ("unknown field", "POST", "/compute/v2.1/servers", {"server": SERVER | {"colour": "red"}}, 400),
    ("long name", "POST", "/compute/v2.1/servers", {"server": SERVER | {"name": "a" * 256}}, 400),
    ("bad user data", "POST", "/compute/v2.1/servers", {"server": SERVER | {"user_data": "%%%"}}, 400),
    ("no server", "GET", f"/compute/v2.1/servers/{ZERO}", None, 404),
    ("no call", "GET", "/compute/v2.1/nothing", None, 404),
    ("no network", "POST", "/network/v2.0/subnets",
     {"subnet": {"network_id": ZERO, "ip_version": 4, "cidr": "10.0.0.0/24"}}, 404),
    ("long network name", "POST", "/network/v2.0/networks", {"network": {"name": "a" * 300}}, 400),
    ("port on nothing", "POST", "/network/v2.0/ports", {"port": {"network_id": ZERO}}, 404),
    ("strange format", "POST", "/image/v2/images", {"name": "i", "disk_format": "doc"}, 400),
    ("bad key", "POST", "/compute/v2.1/os-keypairs", {"keypair": {"name": "k", "public_key": "rubbish"}}, 400),
    ("bad microversion", "GET", "/compute/v2.1/servers", None, 406),
]  # fmt: skip


def assert_status(answer: Answer, code: int) -> None:
    """A Kubernetes Status, complete."""
    assert answer.status == code, answer
    body = answer.json
    assert (body["kind"], body["status"], body["code"]) == ("Status", "Failure", code)
    assert body["message"] and body["reason"]


def assert_fault(answer: Answer, code: int) -> None:
    """An OpenStack fault, complete; each service has a shape of its own."""
    assert answer.status == code, answer
    if answer.headers.get("Content-Type", "").startswith("application/json"):
        ((_, fault),) = list(answer.json.items())[:1]
        assert fault and (isinstance(fault, list | str) or fault.get("message"))
    else:
        assert b"Traceback" not in answer.body


@pytest.mark.parametrize("case", KUBERNETES, ids=lambda case: case[0])
def test_kubernetes_refuses(caller: Caller, case: tuple[str, str, str, Any, int]):
    _, method, path, body, code = case
    assert_status(caller.kubernetes(method, path, body), code)


@pytest.mark.parametrize("case", OPENSTACK, ids=lambda case: case[0])
def test_openstack_refuses(caller: Caller, case: tuple[str, str, str, Any, int]):
    name, method, path, body, code = case
    more = {"OpenStack_API_Version": "compute 2.9999"} if name == "bad microversion" else {}
    assert_fault(caller.openstack(method, path, body, **more), code)


@pytest.mark.parametrize("raw", NOT_OBJECTS, ids=range(len(NOT_OBJECTS)))
def test_what_is_no_object_is_refused_by_both(caller: Caller, raw: bytes):
    assert_status(caller.kubernetes("POST", SERVERS, raw), 400)
    assert_status(caller.kubernetes("POST", SERVERS, raw, Content_Type="application/yaml"), 400)
    for path in ("/compute/v2.1/servers", "/network/v2.0/networks", "/image/v2/images", "/identity/v3/auth/tokens"):
        answer = caller.openstack("POST", path, raw)
        assert answer.status == 400, (path, answer)


def test_unknown_fields_are_refused_when_asked_to_be_strict(caller: Caller):
    body = a_server(colour="red")
    assert_status(caller.kubernetes("POST", f"{SERVERS}?fieldValidation=Strict", body), 400)
    text = caller.cloud.kubectl_refused("-n", "demo", "apply", "-f", "-", input=body)
    assert 'unknown field "spec.colour"' in text


def test_a_body_over_the_limit_is_refused_unread(caller: Caller):
    body = a_config_map("big", data={"a": "x" * (4 << 20)})
    assert_status(caller.kubernetes("POST", CONFIG_MAPS, body), 413)
    assert caller.openstack("POST", "/compute/v2.1/servers", {"server": SERVER | {"name": "x" * (4 << 20)}}).status in (
        400, 413,
    )  # fmt: skip


def test_a_name_taken_is_refused_and_a_stale_version_too(cloud: Here):
    caller = Caller(cloud)
    cloud.kubectl_ok("-n", "demo", "create", "configmap", "one")
    before = caller.everything()
    assert_status(caller.kubernetes("POST", CONFIG_MAPS, a_config_map("one")), 409)
    stale = a_config_map("one", data={"a": "b"})
    stale["metadata"]["resourceVersion"] = "1"
    assert_status(caller.kubernetes("PUT", f"{CONFIG_MAPS}/one", stale), 409)
    renamed = a_config_map("two")
    assert_status(caller.kubernetes("PUT", f"{CONFIG_MAPS}/one", renamed), 400)
    for patch in (b"[]", b'{"metadata": {"name": "two"}}', b"nonsense"):
        answer = caller.kubernetes(
            "PATCH", f"{CONFIG_MAPS}/one", patch, Content_Type="application/merge-patch+json"
        )  # fmt: skip
        assert answer.status in (400, 422), answer
    missing = b'[{"op": "remove", "path": "/data/none"}]'
    answer = caller.kubernetes("PATCH", f"{CONFIG_MAPS}/one", missing, Content_Type="application/json-patch+json")
    assert_status(answer, 422)
    assert_status(caller.kubernetes("PATCH", f"{CONFIG_MAPS}/one", b"{}", Content_Type="text/plain"), 415)
    assert caller.everything() == before


def test_overlapping_ranges_are_refused_by_both(cloud: Here):
    caller = Caller(cloud)
    network = caller.sdk.create_network("ranges")
    caller.sdk.create_subnet(network.id, "10.40.0.0/16")
    before = caller.everything()
    overlap = {"subnet": {"network_id": network.id, "ip_version": 4, "cidr": "10.40.3.0/24"}}
    fault = caller.openstack("POST", "/network/v2.0/subnets", overlap)
    assert fault.status == 400 and "overlap" in fault.json["NeutronError"]["message"]
    subnet = named("Subnet", "network.lichen.dev/v1", "twin", spec={"network": "ranges", "cidr": "10.40.3.0/24"})
    answer = caller.kubernetes("POST", SUBNETS, subnet)
    assert answer.status in (400, 422) and "overlap" in answer.json["message"]
    for wrong in ("10.0.0.0/99", "ten", "", 7, "10.41.0.1/16/8"):
        answer = caller.openstack("POST", "/network/v2.0/subnets", {"subnet": overlap["subnet"] | {"cidr": wrong}})
        assert answer.status == 400, (wrong, answer)
    outside = {"port": {"network_id": network.id, "fixed_ips": [{"ip_address": "192.0.2.1"}]}}
    assert caller.openstack("POST", "/network/v2.0/ports", outside).status == 400
    assert caller.everything() == before


@pytest.mark.parametrize("format", ["qcow2", "raw"])
def test_what_is_no_image_never_becomes_active(cloud: Here, format: str):
    caller = Caller(cloud)
    made = caller.openstack(
        "POST", "/image/v2/images", {"name": f"no-{format}", "disk_format": format, "container_format": "bare"}
    ).json
    path = f"/image/v2/images/{made['id']}/file"
    content = b"this is a letter, not a disk" if format == "qcow2" else a_qcow2(cloud.folder / "q").read_bytes()
    refused = caller.openstack("PUT", path, content, Content_Type="application/octet-stream")
    if format == "qcow2":
        assert refused.status in (400, 415, 422), refused
    assert refused.status < 500
    status = caller.openstack("GET", f"/image/v2/images/{made['id']}").json["status"]
    assert status != "active" or format == "raw"
    caller.openstack("DELETE", f"/image/v2/images/{made['id']}")
    until("it is gone", lambda: caller.openstack("GET", f"/image/v2/images/{made['id']}").status == 404)


def forged(token: str) -> dict[str, str]:
    head, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    admin = base64.urlsafe_b64encode(json.dumps(claims | {"sub": "admin"}).encode()).rstrip(b"=").decode()
    return {
        "other claims": f"{head}.{admin}.{signature}",
        "no algorithm": f"{none}.{body}.",
        "no signature": f"{head}.{body}.",
        "other signature": f"{head}.{body}.{signature[::-1]}",
        "no token": "nonsense",
        "dots": "..",
        "long": "a" * 5000,
    }


def test_forged_tokens_are_refused_by_both(caller: Caller):
    for how, token in forged(caller.token).items():
        answer = caller.kubernetes("GET", SERVERS, Authorization=f"Bearer {token}")
        assert answer.status == 401, (how, answer)
        assert_status(answer, 401)
        assert caller.openstack("GET", "/compute/v2.1/servers", X_Auth_Token=token).status == 401, how
        revoked = caller.openstack("GET", "/identity/v3/auth/tokens", X_Subject_Token=token)
        assert revoked.status == 404, (how, revoked)


def test_a_wrong_password_and_no_token_at_all_are_refused(caller: Caller):
    user = {"name": "demo", "domain": {"id": "default"}, "password": "wrong"}
    auth = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}}
    answer = caller.openstack("POST", "/identity/v3/auth/tokens", auth)
    assert answer.status == 401 and answer.json["error"]["code"] == 401
    assert caller.openstack("GET", "/compute/v2.1/servers", X_Auth_Token="").status == 401
    anonymous = caller.kubernetes("GET", SERVERS, Authorization="")
    assert anonymous.status in (401, 403)
