# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from lichen.kernel.schema import Schemas
from lichen.kinds.builtin import CONFIG_MAP, CRD, DEPLOYMENT, ENDPOINT_SLICE, NODE, POD, SECRET
from lichen.kinds.catalog import Catalog, all_kinds, by_resource, default_catalog
from lichen.kinds.compute.flavor import Flavor
from lichen.kinds.installed import Installed
from lichen.kinds.network.network import Network
from lichen.model.errors import BadRequest, Invalid
from lichen.model.kind import Kind
from lichen.model.state import WriteOptions


@pytest.fixture(scope="module")
def schemas() -> Schemas:
    return Schemas(default_catalog())


def test_every_kind_has_a_schema_that_compiles(schemas: Schemas) -> None:
    for kind in all_kinds():
        schemas.of(kind)


def test_a_copy_is_made_and_what_no_schema_knows_is_dropped(schemas: Schemas) -> None:
    obj = {"metadata": {"name": "x", "managedFields": [{}], "selfLink": "y"}, "data": {"a": "b"}, "other": 1}
    out = schemas.of(CONFIG_MAP).decode(obj)
    assert out == {"metadata": {"name": "x"}, "data": {"a": "b"}}
    out["data"]["a"] = "c"
    assert obj["data"] == {"a": "b"}


def test_managed_fields_are_no_unknown_field(schemas: Schemas) -> None:
    obj = {"metadata": {"name": "x", "managedFields": []}}
    schemas.of(CONFIG_MAP).decode(obj, WriteOptions(field_validation="Strict"))


def test_nulls_are_dropped(schemas: Schemas) -> None:
    assert schemas.of(CONFIG_MAP).decode({"metadata": {"name": "x", "labels": None}, "data": None}) == {
        "metadata": {"name": "x"}
    }


def test_unknown_fields_are_told_by_their_path(schemas: Schemas) -> None:
    options = WriteOptions(field_validation="Warn")
    pod = {"metadata": {}, "spec": {"containers": [{"name": "c", "foo": 1}], "bar": 2}}
    schemas.of(POD).decode(pod, options)
    assert options.warnings == ['unknown field "spec.containers[0].foo"', 'unknown field "spec.bar"']


def test_quantities_take_their_one_form(schemas: Schemas) -> None:
    resources = {"requests": {"cpu": 0.5, "memory": "1024Mi"}, "limits": {"cpu": 2}}
    pod = {"metadata": {}, "spec": {"containers": [{"name": "c", "resources": resources}]}}
    assert schemas.of(POD).decode(pod)["spec"]["containers"][0]["resources"] == {
        "requests": {"cpu": "500m", "memory": "1Gi"},
        "limits": {"cpu": "2"},
    }


def test_ports_by_name_or_number_stay_what_they_are(schemas: Schemas) -> None:
    for port in (80, "http"):
        probe = {"httpGet": {"port": port}}
        pod = {"metadata": {}, "spec": {"containers": [{"name": "c", "readinessProbe": probe}]}}
        assert schemas.of(POD).decode(pod)["spec"]["containers"][0]["readinessProbe"] == probe


@pytest.mark.parametrize(
    ("kind", "obj", "said"),
    [
        (CONFIG_MAP, {"metadata": {}, "data": {"a": 1}}, "data.a: expected string, got integer"),
        (CONFIG_MAP, {"metadata": []}, "metadata: expected object, got array"),
        (DEPLOYMENT, {"spec": {"replicas": True}}, "spec.replicas: expected integer, got boolean"),
        (DEPLOYMENT, {"spec": {"replicas": 2**40}}, "spec.replicas: expected int32, got integer"),
        (POD, {"spec": {"containers": {}}}, "spec.containers: expected array, got object"),
        (SECRET, {"data": {"a": "not base64!"}}, "data.a: expected base64, got string"),
        (POD, {"metadata": {"creationTimestamp": "yesterday"}}, "metadata.creationTimestamp: expected a time"),
        (NODE, {"status": {"capacity": {"cpu": "many"}}}, "status.capacity.cpu: expected a quantity"),
        (POD, [], "expected object, got array"),
        (POD, None, "expected object, got null"),
    ],
)
def test_wrong_types_are_bad_requests(schemas: Schemas, kind: Kind, obj: Any, said: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        schemas.of(kind).decode(obj)
    assert said in refusal.value.message


def test_what_is_wanted_must_be_complete_what_is_observed_need_not(schemas: Schemas) -> None:
    with pytest.raises(Invalid, match=r"spec\.selector: Required value"):
        schemas.of(DEPLOYMENT).decode({"metadata": {"name": "x"}, "spec": {"template": {}}})
    schemas.of(POD).decode({"metadata": {}, "status": {"containerStatuses": [{"name": "c"}]}})
    schemas.of(ENDPOINT_SLICE).decode({"metadata": {}, "addressType": "IPv4"})


@pytest.mark.parametrize(
    ("group", "plural", "spec"), [("", "limitranges", {}), ("storage.k8s.io", "csinodes", {})]
)  # fmt: skip
def test_an_empty_list_need_not_be_sent(schemas: Schemas, group: str, plural: str, spec: dict[str, Any]) -> None:
    kind = by_resource(group, "v1", plural)
    assert kind is not None
    assert schemas.of(kind).decode({"metadata": {"name": "x"}, "spec": spec})["spec"] == spec


def test_own_kinds_get_their_defaults_and_bounds(schemas: Schemas) -> None:
    assert schemas.of(Network.KIND).decode({"metadata": {"name": "n"}})["spec"]["mtu"] == 1450
    with pytest.raises(Invalid) as refusal:
        schemas.of(Flavor.KIND).decode({"metadata": {"name": "f"}, "spec": {"vcpus": 0}})
    assert [(c.field, c.reason) for c in refusal.value.causes] == [
        ("spec.vcpus", "FieldValueInvalid"),
        ("spec.memory", "FieldValueRequired"),
    ]


def test_schemas_that_contain_themselves_compile(schemas: Schemas) -> None:
    inner = {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string"}}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": inner}}
    spec = {"group": "g", "scope": "Namespaced", "names": {"kind": "K", "plural": "ks"}, "versions": [version]}
    out = schemas.of(CRD).decode({"metadata": {"name": "ks.g"}, "spec": spec})
    assert out["spec"]["versions"][0]["schema"]["openAPIV3Schema"] == inner


def test_an_installed_kind_goes_the_same_way() -> None:
    catalog = Catalog()
    kind = Kind("example.org", "v1", "Thing", "things", installed=True)
    size = {"type": "integer", "minimum": 1, "default": 3}
    schema = {"type": "object", "properties": {
        "metadata": {"type": "object"}, "spec": {"type": "object", "properties": {"size": size}}
    }}  # fmt: skip
    catalog.install("example.org", "things", (Installed(kind, schema, (), kind),))
    out = Schemas(catalog).of(kind).decode({"metadata": {"name": "x"}, "spec": {"other": 1}})
    assert out["spec"] == {"size": 3}
    assert default_catalog().by_resource("example.org", "v1", "things") is None
