# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import msgspec
import pytest

from lichen.kernel.kernel import SYSTEM, Kernel
from lichen.kernel.session import Session
from lichen.kinds.builtin import CRD
from lichen.kinds.installed import kinds_of
from lichen.model.errors import Invalid, MethodNotAllowed, NotFound, UnsupportedMediaType
from lichen.model.kind import Kind
from lichen.model.state import EventType, PatchType, WriteOptions
from tests.kernel.custom.crontab import CRONTAB, GROUP, a_crontab, a_definition, a_version, define
from tests.kernel.helpers import AllowAll

NAME = f"crontabs.{GROUP}"


async def test_a_definition_is_established_in_its_answer_and_served_at_once(kernel: Kernel, session: Session) -> None:
    made = await define(session)
    assert {c["type"]: c["status"] for c in made["status"]["conditions"]} == {
        "NamesAccepted": "True",
        "Established": "True",
    }
    assert made["status"]["storedVersions"] == ["v1"]
    assert made["status"]["acceptedNames"]["singular"] == "crontab"
    assert kernel.catalog.by_resource(GROUP, "v1", "crontabs") == CRONTAB
    assert kinds_of(made) == (CRONTAB,)


async def test_objects_are_defaulted_pruned_and_counted(session: Session) -> None:
    await define(session)
    made = await session.create(CRONTAB, a_crontab(unknown=1, port="http", free={"a": {"b": 1}}, note=None))
    assert made["spec"] == {
        "cronSpec": "* * * * */5",
        "port": "http",
        "free": {"a": {"b": 1}},
        "note": None,
        "image": "busybox",
        "replicas": 1,
    }
    assert made["metadata"]["generation"] == 1


@pytest.mark.parametrize(
    ("spec", "field", "said"),
    [
        ({"cronSpec": "often"}, "spec.cronSpec", "should match"),
        ({"replicas": 11}, "spec.replicas", "less than or equal to 10"),
        ({"replicas": "two"}, "spec.replicas", "must be of type integer"),
        ({"replicas": True}, "spec.replicas", "must be of type integer"),
        ({"port": 1.5}, "spec.port", "must be of type integer,string"),
        ({"jobs": [{"mode": "a"}]}, "spec.jobs[0].name", "Required value"),
        ({"jobs": [{"name": "x", "mode": "c"}]}, "spec.jobs[0].mode", 'supported values: "a", "b"'),
        ({"jobs": [{"name": "x"}, {"name": "x"}]}, "spec.jobs[1]", "Duplicate value"),
        ({"tags": ["x", "y", "x"]}, "spec.tags[2]", "Duplicate value"),
        ({"pod": {"kind": "Pod"}}, "spec.pod.apiVersion", "Required value"),
        ({"image": None, "cronSpec": None}, "spec.cronSpec", "must be of type string"),
    ],
)
async def test_what_breaks_the_schema_is_told_by_field(
    session: Session, spec: dict[str, Any], field: str, said: str
) -> None:
    await define(session)
    with pytest.raises(Invalid) as refusal:
        await session.create(CRONTAB, a_crontab(**spec))
    assert [cause.field for cause in refusal.value.causes] == [field]
    assert said in refusal.value.message


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"scope": "Galaxy"}, "spec.scope"),
        ({"group": "nodots"}, "spec.group"),
        ({"preserveUnknownFields": True}, "spec.preserveUnknownFields"),
        ({"conversion": {"strategy": "Webhook"}}, "spec.conversion.strategy"),
        ({"versions": []}, "spec.versions"),
        ({"versions": [a_version(), a_version("v2")]}, "spec.versions"),
        ({"versions": [a_version(schema={})]}, "spec.versions[0].schema.openAPIV3Schema"),
    ],
)
async def test_a_definition_that_is_wrong_is_refused(session: Session, change: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        await define(session, **change)
    assert field in [cause.field for cause in refusal.value.causes]


@pytest.mark.parametrize(
    ("inner", "field"),
    [
        ({}, "type"),
        ({"type": "strange"}, "type"),
        ({"type": "array"}, "items"),
        ({"type": "string", "x-kubernetes-int-or-string": True}, "type"),
        ({"type": "object", "properties": {"a": {"type": "string"}}, "not": {"type": "string"}}, "not.type"),
        ({"type": "string", "anyOf": [{"type": "string"}]}, "anyOf[0].type"),
        ({"type": "integer", "default": "one"}, "default"),
        ({"type": "integer", "multipleOf": 0}, "multipleOf"),
        ({"type": "array", "items": {"type": "string"}, "uniqueItems": True}, "uniqueItems"),
        ({"type": "object", "$ref": "#/definitions/x"}, "$ref"),
    ],
)  # fmt: skip
async def test_a_schema_that_is_not_structural_is_refused(session: Session, inner: dict[str, Any], field: str) -> None:
    schema = {"type": "object", "properties": {"spec": inner}}
    with pytest.raises(Invalid) as refusal:
        await define(session, a_version(schema={"openAPIV3Schema": schema}))
    here = f"spec.versions[0].schema.openAPIV3Schema.properties[spec].{field}"
    assert here in [cause.field for cause in refusal.value.causes]


async def test_rules_that_are_not_understood_here_are_kept_and_warned_about(session: Session) -> None:
    schema = {"type": "object", "x-kubernetes-validations": [{"rule": "self.transformMap(k, v, v).size() > 1"}]}
    options = WriteOptions()
    made = await session.create(CRD, a_definition(a_version(schema={"openAPIV3Schema": schema})), options)
    assert "x-kubernetes-validations" in made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert any("not enforced" in warning for warning in options.warnings)


async def test_status_and_scale_are_subresources(session: Session) -> None:
    await define(session)
    made = await session.create(CRONTAB, {**a_crontab(), "status": {"replicas": 9}})
    assert "status" not in made
    patch = {"status": {"replicas": 1, "selector": "a=b"}, "spec": {"image": "other"}}
    kind = kinds_of(await session.get(CRD, NAME))[0]
    status = await session.patch(kind, "one", "default", patch, subresource="status")
    assert status["status"] == {"replicas": 1, "selector": "a=b"}
    assert status["spec"]["image"] == "busybox"
    scale = await session.patch(kind, "one", "default", {"spec": {"replicas": 3}}, subresource="scale")
    assert scale["kind"] == "Scale"
    assert (scale["spec"], scale["status"]) == ({"replicas": 3}, {"replicas": 1, "selector": "a=b"})
    seen = await session.get(kind, "one", "default")
    assert (seen["spec"]["replicas"], seen["metadata"]["generation"]) == (3, 2)


async def test_a_changed_schema_holds_at_once_and_for_what_is_stored(session: Session) -> None:
    await define(session)
    await session.create(CRONTAB, a_crontab(port=1))
    definition = await session.get(CRD, NAME)
    properties = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    properties["zone"] = {"type": "string", "default": "eu"}
    del properties["port"]
    await session.update(CRD, definition)
    shown = await session.get(CRONTAB, "one", "default")
    assert shown["spec"]["zone"] == "eu"
    assert "port" not in shown["spec"]
    assert (await session.list(CRONTAB, "default")).items == [shown]
    assert (await session.create(CRONTAB, a_crontab("two", zone="us")))["spec"]["zone"] == "us"


async def test_each_version_shows_the_same_objects(session: Session) -> None:
    await define(session, a_version(storage=False), a_version("v2"))
    second = Kind(GROUP, "v2", "CronTab", "crontabs")
    made = await session.create(CRONTAB, a_crontab())
    assert made["apiVersion"] == f"{GROUP}/v1"
    other = await session.get(second, "one", "default")
    assert other == {**made, "apiVersion": f"{GROUP}/v2"}
    patched = await session.patch(CRONTAB, "one", "default", {"spec": {"image": "x"}})
    assert (patched["apiVersion"], patched["spec"]["image"]) == (f"{GROUP}/v1", "x")
    raw = msgspec.json.decode(await session.get_raw(second, "one", "default"))
    assert (raw["apiVersion"], raw["spec"]["image"]) == (f"{GROUP}/v2", "x")
    async with aclosing(session.watch(CRONTAB, "default")) as events:  # type: ignore[type-var]
        async for event in events:
            assert event.object["apiVersion"] == f"{GROUP}/v1"
            break


async def test_the_stored_version_changes_and_old_objects_are_read(session: Session) -> None:
    await define(session, a_version("v1"), a_version("v2", storage=False))
    await session.create(CRONTAB, a_crontab())
    definition = await session.get(CRD, NAME)
    definition["spec"]["versions"][0]["storage"] = False
    definition["spec"]["versions"][1]["storage"] = True
    assert (await session.update(CRD, definition))["status"]["storedVersions"] == ["v1", "v2"]
    second = Kind(GROUP, "v2", "CronTab", "crontabs")
    assert (await session.get(second, "one", "default"))["apiVersion"] == f"{GROUP}/v2"
    definition = await session.get(CRD, NAME)
    del definition["spec"]["versions"][0]
    with pytest.raises(Invalid, match="must appear in"):
        await session.update(CRD, definition)


async def test_a_definition_goes_with_all_its_objects(kernel: Kernel, session: Session) -> None:
    await define(session)
    held = a_crontab("held")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    await session.create(CRONTAB, held)
    await session.create(CRONTAB, a_crontab("free"))
    last = await session.delete(CRD, NAME)
    assert last["metadata"]["deletionTimestamp"]
    assert "Terminating" in [c["type"] for c in last["status"]["conditions"]]
    with pytest.raises(MethodNotAllowed):
        await session.create(CRONTAB, a_crontab("late"))
    async with asyncio.timeout(5):
        await until_gone(session, CRONTAB, "free", "default")
        assert await session.get(CRD, NAME)
        await session.patch(CRONTAB, "held", "default", {"metadata": {"finalizers": None}})
        await until_gone(session, CRD, NAME)
    await asyncio.sleep(0)
    assert kernel.catalog.by_resource(GROUP, "v1", "crontabs") is None
    with pytest.raises(NotFound):
        await session.get(CRD, NAME)
    assert (await define(session))["status"]["storedVersions"] == ["v1"]
    assert (await session.list(CRONTAB)).items == []


async def test_conditions_that_a_client_wrote_stay_beside_ours(session: Session) -> None:
    await define(session)
    patch = [{"op": "add", "path": "/status/conditions", "value": [{"message": "mine"}]}]
    written = await session.patch(CRD, NAME, "", patch, type=PatchType.JSON, subresource="status")
    said = [(c.get("type"), c.get("status"), c["message"]) for c in written["status"]["conditions"]]
    assert said[0] == (None, None, "mine")
    assert [(type_, status) for type_, status, _ in said[1:]] == [("NamesAccepted", "True"), ("Established", "True")]


async def test_a_kernel_that_starts_again_serves_what_was_defined(kernel: Kernel, session: Session) -> None:
    await define(session)
    await session.create(CRONTAB, a_crontab())
    again = Kernel(kernel.store, AllowAll())
    await again.start()
    assert (await again.acting(SYSTEM).get(CRONTAB, "one", "default"))["spec"]["image"] == "busybox"


async def test_names_of_another_kind_are_not_accepted(kernel: Kernel, session: Session) -> None:
    await define(session)
    second = a_definition()
    second["metadata"]["name"] = f"others.{GROUP}"
    second["spec"]["names"] = {"plural": "others", "singular": "other", "kind": "CronTab"}
    made = await session.create(CRD, second)
    assert {c["type"]: (c["status"], c["reason"]) for c in made["status"]["conditions"]} == {
        "NamesAccepted": ("False", "KindConflict"),
        "Established": ("False", "NotAccepted"),
    }
    assert kernel.catalog.by_resource(GROUP, "v1", "others") is None


async def test_strategic_patches_are_for_built_in_kinds(session: Session) -> None:
    await define(session)
    await session.create(CRONTAB, a_crontab())
    with pytest.raises(UnsupportedMediaType):
        await session.patch(CRONTAB, "one", "default", {"spec": {}}, type=PatchType.STRATEGIC)


async def test_followers_hear_of_every_change_of_the_catalog(kernel: Kernel, session: Session) -> None:
    heard: list[int] = []
    stop = kernel.catalog.follow(lambda: heard.append(kernel.catalog.version))
    await define(session)
    assert heard == [1]
    stop()
    await session.delete(CRD, NAME)
    assert heard == [1]


async def test_a_watch_of_an_installed_kind_tells_of_every_change(session: Session) -> None:
    await define(session)
    async with aclosing(session.watch(CRONTAB, "default")) as events:  # type: ignore[type-var]
        await session.create(CRONTAB, a_crontab())
        assert (await anext(events)).type is EventType.ADDED


async def until_gone(session: Session, kind: Kind, name: str, namespace: str = "") -> None:
    async with aclosing(session.watch(kind, fields=f"metadata.name={name}")) as events:  # type: ignore[type-var]
        if not (await session.list(kind, namespace or None, fields=f"metadata.name={name}")).items:
            return
        async for event in events:
            if event.type is EventType.DELETED:
                return
