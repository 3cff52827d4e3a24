# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from lichen.kernel.jsonpatch import json_patch
from lichen.kernel.strategic import strategic_merge
from lichen.kinds.builtin import DEPLOYMENT, POD, SERVICE
from lichen.kinds.catalog import default_catalog
from lichen.model.errors import BadRequest, Invalid
from lichen.model.kind import Kind


def merged(kind: Kind, target: Any, patch: Any) -> Any:
    catalog = default_catalog()
    return strategic_merge(target, patch, catalog.schema_of(kind), catalog.definition)


def a_pod(*containers: Any, **spec: Any) -> Any:
    return {"spec": {"containers": list(containers), **spec}}


def test_lists_merge_by_their_key() -> None:
    pod = a_pod({"name": "a", "image": "1"}, {"name": "b", "image": "1"})
    patch = a_pod({"name": "b", "image": "2"}, {"name": "c", "image": "3"})
    assert merged(POD, pod, patch) == a_pod(
        {"name": "a", "image": "1"}, {"name": "b", "image": "2"}, {"name": "c", "image": "3"}
    )


def test_nothing_given_is_changed() -> None:
    pod, patch = a_pod({"name": "a", "image": "1"}), a_pod({"name": "a", "image": "2"})
    merged(POD, pod, patch)
    assert (pod, patch) == (a_pod({"name": "a", "image": "1"}), a_pod({"name": "a", "image": "2"}))


def test_an_item_is_deleted_by_its_key() -> None:
    pod = a_pod({"name": "a"}, {"name": "b"})
    assert merged(POD, pod, a_pod({"name": "a", "$patch": "delete"})) == a_pod({"name": "b"})


def test_a_list_is_replaced_on_demand() -> None:
    pod = a_pod({"name": "a"}, {"name": "b"})
    assert merged(POD, pod, a_pod({"$patch": "replace"}, {"name": "c"})) == a_pod({"name": "c"})


def test_a_map_is_replaced_or_deleted_on_demand() -> None:
    labels = {"metadata": {"labels": {"a": "1", "b": "2"}}}
    assert merged(POD, labels, {"metadata": {"labels": {"$patch": "replace", "c": "3"}}}) == {
        "metadata": {"labels": {"c": "3"}}
    }
    assert merged(POD, labels, {"metadata": {"labels": {"$patch": "delete"}}}) == {"metadata": {}}


def test_null_removes_a_field() -> None:
    assert merged(POD, {"metadata": {"labels": {"a": "1", "b": "2"}}}, {"metadata": {"labels": {"a": None}}}) == {
        "metadata": {"labels": {"b": "2"}}
    }


def test_order_follows_the_directive() -> None:
    pod = a_pod({"name": "a"}, {"name": "b"})
    patch = {"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}], "containers": [{"name": "b"}]}}
    assert merged(POD, pod, patch) == a_pod({"name": "b"}, {"name": "a"})


def test_what_the_order_leaves_out_keeps_its_place() -> None:
    pod = a_pod({"name": "a"}, {"name": "x"}, {"name": "b"})
    patch = {
        "spec": {
            "$setElementOrder/containers": [{"name": "a"}, {"name": "b"}, {"name": "c"}],
            "containers": [{"name": "c"}],
        }
    }
    assert [c["name"] for c in merged(POD, pod, patch)["spec"]["containers"]] == ["a", "x", "b", "c"]


def test_primitive_lists_gain_and_lose_values() -> None:
    obj = {"metadata": {"finalizers": ["a", "b"]}}
    assert merged(POD, obj, {"metadata": {"finalizers": ["c", "a"]}})["metadata"]["finalizers"] == ["a", "b", "c"]
    gone = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}
    assert merged(POD, obj, gone)["metadata"]["finalizers"] == ["b"]


def test_retained_keys_are_all_that_stays() -> None:
    target = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert merged(DEPLOYMENT, target, patch) == {"spec": {"strategy": {"type": "Recreate"}}}


def test_a_services_ports_merge_by_port() -> None:
    target = {"spec": {"ports": [{"port": 80, "name": "a"}, {"port": 443, "name": "b"}]}}
    patch = {"spec": {"ports": [{"port": 443, "targetPort": 8443}]}}
    assert merged(SERVICE, target, patch)["spec"]["ports"][1] == {"port": 443, "name": "b", "targetPort": 8443}


def test_lists_without_a_key_are_replaced() -> None:
    target = a_pod({"name": "a", "command": ["x", "y"]})
    assert merged(POD, target, a_pod({"name": "a", "command": ["z"]})) == a_pod({"name": "a", "command": ["z"]})


@pytest.mark.parametrize(
    "patch",
    [
        {"spec": {"$patch": "explode"}},
        {"spec": {"$setElementOrder/containers": "a", "containers": [{"name": "a"}]}},
        {"spec": {"containers": [{"image": "x"}]}},
        {"spec": {"containers": ["x"]}},
        {"spec": {"$what": 1}},
        {"spec": {"$retainKeys": "type"}},
    ],
)
def test_a_directive_that_means_nothing_is_refused(patch: Any) -> None:
    with pytest.raises(BadRequest):
        merged(POD, a_pod({"name": "a"}), patch)


def test_json_patch_does_all_six_operations() -> None:
    operations = [
        {"op": "test", "path": "/a", "value": 1},
        {"op": "add", "path": "/list/-", "value": 3},
        {"op": "add", "path": "/list/0", "value": 0},
        {"op": "replace", "path": "/a", "value": 2},
        {"op": "copy", "from": "/a", "path": "/b"},
        {"op": "move", "from": "/b", "path": "/c~1d~0e"},
        {"op": "remove", "path": "/gone"},
    ]
    target = {"a": 1, "list": [1, 2], "gone": 1}
    assert json_patch(target, operations) == {"a": 2, "list": [0, 1, 2, 3], "c/d~e": 2}
    assert target == {"a": 1, "list": [1, 2], "gone": 1}


def test_the_copies_of_a_json_patch_cannot_fill_the_memory() -> None:
    doubling = [{"op": "copy", "from": "/list", "path": "/list/-"}] * 40
    with pytest.raises(Invalid, match="copies of a JSON patch"):
        json_patch({"list": ["a" * 1000]}, doubling)


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/none"},
        {"op": "replace", "path": "/none", "value": 1},
        {"op": "add", "path": "/list/9", "value": 1},
        {"op": "add", "path": "/list/x", "value": 1},
        {"op": "add", "path": "/a/b", "value": 1},
        {"op": "test", "path": "/a", "value": 2},
        {"op": "test", "path": "/a", "value": True},
        {"op": "copy", "from": "/none", "path": "/b"},
    ],
)
def test_a_json_patch_that_does_not_fit_is_invalid(operation: Any) -> None:
    with pytest.raises(Invalid):
        json_patch({"a": 1, "list": [1]}, [operation])


@pytest.mark.parametrize(
    "patch",
    [{}, "x", [1], [{"op": "add"}], [{"op": "add", "path": "/a"}], [{"op": "hop", "path": "/a"}],
     [{"op": "add", "path": "a", "value": 1}], [{"op": "move", "path": "/a"}]],
)  # fmt: skip
def test_what_is_no_json_patch_is_a_bad_request(patch: Any) -> None:
    with pytest.raises(BadRequest):
        json_patch({"a": 1}, patch)
