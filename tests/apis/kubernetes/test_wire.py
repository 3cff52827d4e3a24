# SPDX-License-Identifier: Apache-2.0
import pytest

from lichen.apis.kubernetes.negotiation import Form, form_of
from lichen.apis.kubernetes.protobuf import decode_protobuf
from lichen.apis.kubernetes.wire import decode_body, decode_object
from lichen.model.errors import BadRequest, NotAcceptable, UnsupportedMediaType
from tests.apis.kubernetes.protobuf_writer import enveloped, field


def test_a_yaml_body_is_read_as_json_types() -> None:
    body = b"apiVersion: v1\nkind: ConfigMap\ndata: {when: 2026-01-01, mode: '0644'}\n"
    assert decode_object(body, "application/yaml")["data"] == {"when": "2026-01-01", "mode": "0644"}


@pytest.mark.parametrize(
    ("body", "read"),
    [
        (b' {"a": "yes", "b": 1e3, "c": ["x", null, true]}\n', {"a": "yes", "b": 1000.0, "c": ["x", None, True]}),
        (b"{a: 'yes', b: 1, c: [x, null, true]}", {"a": "yes", "b": 1, "c": ["x", None, True]}),
        (b'{"a": 1}\n# said in YAML', {"a": 1}),
    ],
)
def test_json_may_be_sent_as_yaml_and_yamls_own_braces_are_not_taken_for_it(body: bytes, read: object) -> None:
    assert decode_object(body, "application/apply-patch+yaml") == read


@pytest.mark.parametrize(
    ("body", "media"),
    [
        (b"{", "application/json"),
        (b"[" * 100_000, "application/json"),
        (b"\xff\xfe", "application/json"),
        (b"[1]", "application/json"),
        (b"", "application/json"),
        (b"a: [", "application/yaml"),
        (b"[" * 10_000, "application/yaml"),
        (b"[" * 100_000, "application/yaml"),
        (b"{a: " * 20_000, "application/yaml"),
        (b"a: &x [1]\nb: *x\n", "application/yaml"),
        (b"? [a, b]\n: c\n", "application/yaml"),
        (b"a: !!python/object:os.system {}\n", "application/yaml"),
        (b"\x00", "application/yaml"),
    ],
)
def test_an_unreadable_body_is_a_bad_request(body: bytes, media: str) -> None:
    with pytest.raises(BadRequest):
        decode_object(body, media)


def test_an_unknown_media_type_is_unsupported() -> None:
    with pytest.raises(UnsupportedMediaType):
        decode_body(b"x", "text/plain")


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", Form.JSON),
        ("*/*", Form.JSON),
        ("application/json", Form.JSON),
        ("application/vnd.kubernetes.protobuf, application/json", Form.JSON),
        ("application/yaml", Form.YAML),
        ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", Form.TABLE),
        ("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1", Form.META),
        ("application/json;as=Table;v=v9;g=meta.k8s.io, application/json", Form.JSON),
        ("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", Form.DISCOVERY),
    ],
)
def test_the_first_form_that_is_served_is_chosen(accept: str, form: Form) -> None:
    assert form_of(accept) is form


def test_a_form_that_is_not_served_is_not_acceptable() -> None:
    with pytest.raises(NotAcceptable):
        form_of("application/vnd.kubernetes.protobuf")


def test_a_definition_of_a_kind_is_read_from_protobuf() -> None:
    def named(name: str, schema: bytes) -> bytes:
        return field(29, field(1, name) + field(2, schema))

    items = field(5, "array") + field(24, field(1, field(5, "string")))
    extra = field(5, "object") + field(30, field(1, 1))
    schema = field(5, "object") + named("list", items) + named("any", extra)
    version = field(1, "v1") + field(2, 1) + field(3, 1) + field(4, field(1, schema))
    spec = field(1, "example.com") + field(4, "Cluster") + field(7, version)
    body = field(1, field(1, "things.example.com")) + field(2, spec)
    definition = decode_protobuf(enveloped("apiextensions.k8s.io/v1", "CustomResourceDefinition", body))
    assert definition["metadata"]["name"] == "things.example.com"
    (found,) = definition["spec"]["versions"]
    assert found["schema"]["openAPIV3Schema"] == {
        "type": "object",
        "properties": {
            "list": {"type": "array", "items": {"type": "string"}},
            "any": {"type": "object", "additionalProperties": True},
        },
    }
