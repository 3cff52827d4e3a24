# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from lichen.kernel.session import Session
from lichen.kinds.builtin import CONFIG_MAP, DEPLOYMENT, SERVICE
from lichen.model.errors import BadRequest, Conflict, Invalid, NotFound
from lichen.model.kind import Kind
from lichen.model.state import PatchType, WriteOptions
from tests.kernel.custom.crontab import CRONTAB, a_crontab, define

Object = dict[str, Any]


async def apply(
    session: Session,
    kind: Kind,
    config: Object,
    manager: str = "kubectl",
    *,
    force: bool = False,
    subresource: str = "",
    **options: Any,
) -> Object:
    how = WriteOptions(field_manager=manager, force=force, **options)
    meta = config["metadata"]
    return await session.patch(
        kind, meta["name"], "default", config, type=PatchType.APPLY, subresource=subresource, options=how
    )


def a_map(**data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": data}


def a_deployment(replicas: int | None = 2, **containers: str) -> Object:
    listed = [{"name": name, "image": image} for name, image in (containers or {"web": "nginx"}).items()]
    spec: Object = {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": listed}},
    }
    if replicas is not None:
        spec["replicas"] = replicas
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}


def managed(obj: Object) -> dict[tuple[str, str], Object]:
    return {(e["manager"], e["operation"]): e["fieldsV1"] for e in obj["metadata"].get("managedFields") or []}


async def test_an_apply_creates_and_owns_what_it_says(session: Session) -> None:
    made = await apply(session, DEPLOYMENT, a_deployment())
    assert session.created
    (entry,) = made["metadata"]["managedFields"]
    assert {key: entry[key] for key in ("manager", "operation", "apiVersion", "fieldsType")} == {
        "manager": "kubectl",
        "operation": "Apply",
        "apiVersion": "apps/v1",
        "fieldsType": "FieldsV1",
    }
    assert entry["fieldsV1"] == {
        "f:spec": {
            "f:replicas": {},
            "f:selector": {},
            "f:template": {
                "f:metadata": {"f:labels": {"f:app": {}}},
                "f:spec": {"f:containers": {'k:{"name":"web"}': {".": {}, "f:name": {}, "f:image": {}}}},
            },
        }
    }
    assert made["spec"]["template"]["spec"]["restartPolicy"] == "Always"


async def test_the_same_apply_again_changes_nothing(session: Session) -> None:
    made = await apply(session, DEPLOYMENT, a_deployment())
    again = await apply(session, DEPLOYMENT, a_deployment())
    assert again == made


async def test_what_is_not_applied_any_more_goes(session: Session) -> None:
    await apply(session, CONFIG_MAP, a_map(a="1", b="2"))
    changed = await apply(session, CONFIG_MAP, a_map(b="2"))
    assert changed["data"] == {"b": "2"}
    two = await apply(session, DEPLOYMENT, a_deployment(web="nginx", side="busybox"))
    assert len(two["spec"]["template"]["spec"]["containers"]) == 2
    one = await apply(session, DEPLOYMENT, a_deployment(web="nginx"))
    assert [c["name"] for c in one["spec"]["template"]["spec"]["containers"]] == ["web"]


async def test_two_managers_share_an_object_and_equal_values(session: Session) -> None:
    await apply(session, CONFIG_MAP, a_map(a="1", shared="x"), "one")
    both = await apply(session, CONFIG_MAP, a_map(b="2", shared="x"), "two")
    assert both["data"] == {"a": "1", "b": "2", "shared": "x"}
    left = await apply(session, CONFIG_MAP, a_map(a="1"), "one")
    assert left["data"] == {"a": "1", "b": "2", "shared": "x"}
    gone = await apply(session, CONFIG_MAP, a_map(b="2"), "two")
    assert gone["data"] == {"a": "1", "b": "2"}


async def test_a_conflict_names_manager_and_field(session: Session) -> None:
    await apply(session, CONFIG_MAP, a_map(a="1", b="1"), "one")
    with pytest.raises(Conflict) as refusal:
        await apply(session, CONFIG_MAP, a_map(a="2"), "two")
    assert refusal.value.message == 'Apply failed with 1 conflict: conflict with "one": .data.a'
    (cause,) = refusal.value.causes
    assert (cause.field, cause.reason, cause.message) == (".data.a", "FieldManagerConflict", 'conflict with "one"')
    with pytest.raises(Conflict) as refusal:
        await apply(session, CONFIG_MAP, a_map(a="2", b="2"), "two")
    assert refusal.value.message == ('Apply failed with 2 conflicts: conflicts with "one":\n- .data.a\n- .data.b')


async def test_force_takes_ownership_over(session: Session) -> None:
    await apply(session, CONFIG_MAP, a_map(a="1", b="1"), "one")
    taken = await apply(session, CONFIG_MAP, a_map(a="2"), "two", force=True)
    assert taken["data"] == {"a": "2", "b": "1"}
    assert managed(taken) == {
        ("one", "Apply"): {"f:data": {"f:b": {}}},
        ("two", "Apply"): {"f:data": {"f:a": {}}},
    }


async def test_an_update_takes_fields_of_an_object_that_was_applied(session: Session) -> None:
    await apply(session, DEPLOYMENT, a_deployment(replicas=2))
    how = WriteOptions(field_manager="hpa")
    scaled = await session.patch(
        DEPLOYMENT, "web", "default", {"spec": {"replicas": 5}}, subresource="scale", options=how
    )
    assert scaled["spec"]["replicas"] == 5
    with pytest.raises(Conflict) as refusal:
        await apply(session, DEPLOYMENT, a_deployment(replicas=2))
    assert refusal.value.message == (
        'Apply failed with 1 conflict: conflict with "hpa" with subresource "scale" using apps/v1: .spec.replicas'
    )
    kept = await apply(session, DEPLOYMENT, a_deployment(replicas=None))
    assert kept["spec"]["replicas"] == 5


async def test_status_is_owned_apart(session: Session) -> None:
    await define(session)
    await apply(session, CRONTAB, {**a_crontab(), "status": {"replicas": 7}}, "user")
    config = {**a_crontab(image="ignored"), "status": {"replicas": 3}}
    done = await apply(session, CRONTAB, config, "controller", subresource="status")
    assert (done["status"], done["spec"]["image"]) == ({"replicas": 3}, "busybox")
    entry = next(e for e in done["metadata"]["managedFields"] if e["manager"] == "controller")
    assert (entry["subresource"], entry["fieldsV1"]) == ("status", {"f:status": {"f:replicas": {}}})
    again = await apply(session, CRONTAB, a_crontab(), "user")
    assert again["status"] == {"replicas": 3}


async def test_what_was_there_before_the_first_apply_belongs_to_nobody_in_particular(session: Session) -> None:
    made = await session.create(CONFIG_MAP, {**a_map(a="1"), "metadata": {"name": "m", "namespace": "default"}})
    assert "managedFields" not in made["metadata"]
    with pytest.raises(Conflict, match=r'"before-first-apply" using v1: \.data\.a'):
        await apply(session, CONFIG_MAP, a_map(a="2"))
    shared = await apply(session, CONFIG_MAP, a_map(a="1"))
    assert [e["manager"] for e in shared["metadata"]["managedFields"]] == ["kubectl", "before-first-apply"]


async def test_who_names_itself_is_tracked_from_creation_on(session: Session) -> None:
    obj = {**a_map(a="1"), "metadata": {"name": "m", "namespace": "default", "labels": {"x": "y"}}}
    made = await session.create(CONFIG_MAP, obj, WriteOptions(field_manager="kubectl-create"))
    assert managed(made) == {
        ("kubectl-create", "Update"): {
            "f:metadata": {"f:labels": {".": {}, "f:x": {}}},
            "f:data": {".": {}, "f:a": {}},
        }
    }
    session.agent = "curl"
    changed = await session.patch(CONFIG_MAP, "m", "default", {"data": {"a": "2", "b": "3"}})
    assert managed(changed) == {
        ("kubectl-create", "Update"): {"f:metadata": {"f:labels": {".": {}, "f:x": {}}}, "f:data": {}},
        ("curl", "Update"): {"f:data": {"f:a": {}, "f:b": {}}},
    }
    removed = await session.patch(CONFIG_MAP, "m", "default", {"data": {"b": None}})
    assert managed(removed)["curl", "Update"] == {"f:data": {"f:a": {}}}


async def test_kubectl_may_change_what_it_applied_on_its_own_side(session: Session) -> None:
    before = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"m"},"data":{"a":"1"}}'
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": before}
    obj = {**a_map(a="1", b="1"), "metadata": {"name": "m", "namespace": "default", "annotations": annotations}}
    await session.create(CONFIG_MAP, obj, WriteOptions(field_manager="kubectl-client-side-apply"))
    changed = await apply(session, CONFIG_MAP, a_map(a="2"))
    assert changed["data"] == {"a": "2", "b": "1"}
    text = changed["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"]
    assert '"a":"2"' in text
    with pytest.raises(Conflict):
        await apply(session, CONFIG_MAP, a_map(b="2"))


async def test_managers_can_be_rewritten_and_forgotten(session: Session) -> None:
    made = await apply(session, CONFIG_MAP, a_map(a="1"), "one")
    entries = [{**made["metadata"]["managedFields"][0], "manager": "other"}]
    path = "/metadata/managedFields"
    patch = [{"op": "replace", "path": path, "value": entries}]
    moved = await session.patch(CONFIG_MAP, "m", "default", patch, type=PatchType.JSON)
    assert moved["metadata"]["managedFields"] == entries
    sent = {**moved, "metadata": {**moved["metadata"], "managedFields": []}}
    assert (await session.update(CONFIG_MAP, sent))["metadata"]["managedFields"] == entries
    patch = [{"op": "replace", "path": path, "value": [{}]}]
    forgotten = await session.patch(CONFIG_MAP, "m", "default", patch, type=PatchType.JSON)
    assert "managedFields" not in forgotten["metadata"]


async def test_lists_keep_the_order_that_is_applied(session: Session) -> None:
    await apply(session, DEPLOYMENT, a_deployment(a="1", b="1", c="1"), "one")
    mixed = await apply(session, DEPLOYMENT, a_deployment(c="1", a="1"), "two")
    assert [c["name"] for c in mixed["spec"]["template"]["spec"]["containers"]] == ["c", "a", "b"]


async def test_items_are_known_by_keys_with_their_defaults(session: Session) -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s"},
        "spec": {"selector": {"a": "b"}, "ports": [{"port": 80, "name": "web"}]},
    }
    made = await apply(session, SERVICE, service)
    ports = made["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]["f:ports"]
    assert list(ports) == ['k:{"port":80,"protocol":"TCP"}']
    again = await apply(session, SERVICE, service)
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_quantities_are_compared_by_what_they_mean(session: Session) -> None:
    config = a_deployment()
    config["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "0.5"}}
    made = await apply(session, DEPLOYMENT, config)
    assert await apply(session, DEPLOYMENT, config, "other")
    again = await apply(session, DEPLOYMENT, config)
    assert again["spec"] == made["spec"]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"kind": "Secret"}, BadRequest),
        ({"apiVersion": "v2"}, BadRequest),
        ({"metadata": {"name": "m", "managedFields": [{"manager": "x"}]}}, BadRequest),
        ({"metadata": {"name": "m", "uid": "1234"}}, Conflict),
        ({"data": {"a": 1}}, BadRequest),
        ({"data": {"a/b": "1"}}, Invalid),
        ({"unknown": 1}, BadRequest),
    ],
)
async def test_what_cannot_be_applied_is_refused(session: Session, change: Object, error: type[Exception]) -> None:
    with pytest.raises(error):
        await apply(session, CONFIG_MAP, {**a_map(a="1"), **change}, field_validation="Strict")
    with pytest.raises(NotFound):
        await session.get(CONFIG_MAP, "m", "default")


async def test_an_apply_needs_a_manager(session: Session) -> None:
    with pytest.raises(BadRequest, match="fieldManager"):
        await apply(session, CONFIG_MAP, a_map(a="1"), "")


async def test_a_dry_run_shows_and_keeps_nothing(session: Session) -> None:
    shown = await apply(session, CONFIG_MAP, a_map(a="1"), dry_run=True)
    assert shown["data"] == {"a": "1"}
    with pytest.raises(NotFound):
        await session.get(CONFIG_MAP, "m", "default")


async def test_free_form_parts_of_installed_kinds_are_merged_by_name(session: Session) -> None:
    await define(session)
    await apply(session, CRONTAB, a_crontab(free={"a": {"x": 1}, "list": [1]}, jobs=[{"name": "j"}]), "one")
    config = a_crontab(free={"a": {"y": 2}}, jobs=[{"name": "k", "mode": "a"}])
    del config["spec"]["cronSpec"]
    both = await apply(session, CRONTAB, config, "two")
    assert both["spec"]["free"] == {"a": {"x": 1, "y": 2}, "list": [1]}
    assert [job["name"] for job in both["spec"]["jobs"]] == ["j", "k"]
    less = await apply(session, CRONTAB, a_crontab(), "one")
    assert less["spec"]["free"] == {"a": {"y": 2}}
    assert [job["name"] for job in less["spec"]["jobs"]] == ["k"]


@pytest.mark.parametrize(
    "junk", [5, "x", [1], [{"manager": 1}], [{"operation": "Update", "fieldsV1": {"k:{": {}}}], [{"fieldsV1": []}]]
)
async def test_managers_that_cannot_be_read_change_nothing(session: Session, junk: Any) -> None:
    made = await apply(session, CONFIG_MAP, a_map(a="1"), "one")
    sent = {**made, "metadata": {**made["metadata"], "managedFields": junk}}
    kept = await session.update(CONFIG_MAP, sent)
    assert kept["metadata"]["managedFields"] == made["metadata"]["managedFields"]


async def test_a_scale_without_sense_is_refused(session: Session) -> None:
    await apply(session, DEPLOYMENT, a_deployment())
    scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "web"}, "spec": "many"}
    with pytest.raises(BadRequest):
        await apply(session, DEPLOYMENT, scale, subresource="scale")
    done = await apply(session, DEPLOYMENT, {**scale, "spec": {"replicas": 4}}, "hpa", subresource="scale", force=True)
    assert done["spec"] == {"replicas": 4}
