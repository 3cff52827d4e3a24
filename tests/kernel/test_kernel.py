# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lichen.kernel.admission import Request
from lichen.kernel.kernel import Kernel
from lichen.kernel.session import Session
from lichen.kinds.builtin import CONFIG_MAP, DEPLOYMENT, NAMESPACE, POD, SECRET, SERVICE
from lichen.kinds.image.image import Image
from lichen.model.data import Object
from lichen.model.errors import (
    AlreadyExists,
    BadRequest,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    TooLarge,
)
from lichen.model.kind import new_object
from lichen.model.state import Caller, PatchType, Preconditions, WriteOptions
from tests.kernel.helpers import AllowAll, a_kernel

STRICT = WriteOptions(field_validation="Strict")


def a_map(name: str = "m", namespace: str = "default", **data: str) -> Object:
    return {**new_object(CONFIG_MAP, name, namespace), "data": data}


def a_pod(name: str = "p", namespace: str = "default", **spec: Any) -> Object:
    pod = new_object(POD, name, namespace)
    pod["spec"] = {"containers": [{"name": "c", "image": "busybox:1"}], **spec}
    return pod


def a_deployment(name: str = "d", **spec: Any) -> Object:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": a_pod()["spec"]}
    obj = new_object(DEPLOYMENT, name, "default")
    obj["spec"] = {"selector": {"matchLabels": {"app": "web"}}, "template": template, **spec}
    return obj


async def test_bootstrap_makes_what_every_cloud_has_and_can_be_repeated(kernel: Kernel, session: Session) -> None:
    await kernel.start()
    names = [n["metadata"]["name"] for n in (await session.list(NAMESPACE)).items]
    assert names == ["default", "kube-node-lease", "kube-public", "kube-system", "lichen-system"]
    assert (await session.get(SERVICE, "kubernetes", "default"))["spec"]["clusterIP"] == "10.96.0.1"


async def test_an_unknown_field_is_refused_told_or_dropped_as_asked(session: Session) -> None:
    obj = {**a_map(), "dat": {"a": "b"}}
    with pytest.raises(BadRequest, match='strict decoding error: unknown field "dat"'):
        await session.create(CONFIG_MAP, obj, STRICT)
    warn = WriteOptions(field_validation="Warn", dry_run=True)
    await session.create(CONFIG_MAP, obj, warn)
    assert warn.warnings == ['unknown field "dat"']
    assert "dat" not in await session.create(CONFIG_MAP, obj)


async def test_a_wrong_type_is_a_bad_request_that_names_the_field(session: Session) -> None:
    with pytest.raises(BadRequest, match=r"spec\.replicas: expected integer, got string"):
        await session.create(DEPLOYMENT, a_deployment(replicas="three"))


async def test_faults_are_all_told_at_once_with_their_fields(session: Session) -> None:
    with pytest.raises(Invalid) as refusal:
        await session.create(POD, a_pod("Not a name", containers=[]))
    assert [cause.field for cause in refusal.value.causes] == ["metadata.name", "spec.containers"]


async def test_nothing_is_created_in_a_missing_namespace(session: Session) -> None:
    with pytest.raises(NotFound, match='namespaces "nowhere" not found'):
        await session.create(CONFIG_MAP, a_map(namespace="nowhere"))


async def test_nothing_is_created_in_a_namespace_that_ends(session: Session) -> None:
    await session.create(NAMESPACE, new_object(NAMESPACE, "ending"))
    marked = await session.delete(NAMESPACE, "ending")
    assert marked["status"]["phase"] == "Terminating"
    with pytest.raises(Forbidden, match="because it is being terminated"):
        await session.create(CONFIG_MAP, a_map(namespace="ending"))


async def test_a_namespace_goes_when_finalize_empties_its_finalizers(session: Session) -> None:
    await session.create(NAMESPACE, new_object(NAMESPACE, "ending"))
    marked = await session.delete(NAMESPACE, "ending")
    await session.update(NAMESPACE, {**marked, "spec": {"finalizers": []}}, subresource="finalize")
    with pytest.raises(NotFound):
        await session.get(NAMESPACE, "ending")


async def test_status_and_the_rest_are_written_apart(session: Session) -> None:
    made = await session.create(DEPLOYMENT, {**a_deployment(), "status": {"replicas": 7}})
    assert made["status"] == {}
    made["status"] = {"replicas": 3}
    made["spec"]["replicas"] = 5
    assert (await session.update(DEPLOYMENT, made))["status"] == {}
    made["metadata"].pop("resourceVersion")
    made["spec"]["replicas"] = 9
    written = await session.update(DEPLOYMENT, made, subresource="status")
    assert (written["spec"]["replicas"], written["status"]["replicas"]) == (5, 3)


async def test_who_writes_a_status_need_not_know_the_rest(session: Session) -> None:
    """As a client that sends its language's whole object, with nothing in it but the status."""
    made = await session.create(POD, a_pod())
    patch = {"metadata": {"creationTimestamp": None}, "spec": {"containers": None}, "status": {"reason": "Mine"}}
    written = await session.patch(POD, "p", "default", patch, type=PatchType.MERGE, subresource="status")
    assert (written["spec"], written["status"]["reason"]) == (made["spec"], "Mine")
    with pytest.raises(BadRequest):
        await session.patch(
            POD, "p", "default", {"spec": {"containers": 1}}, type=PatchType.MERGE, subresource="status"
        )
    with pytest.raises(Invalid):
        await session.patch(POD, "p", "default", {"spec": {"containers": None}}, type=PatchType.MERGE)


async def test_generation_counts_changes_of_spec_only(session: Session) -> None:
    made = await session.create(DEPLOYMENT, a_deployment())
    labelled = await session.patch(DEPLOYMENT, "d", "default", {"metadata": {"labels": {"a": "b"}}})
    scaled = await session.patch(DEPLOYMENT, "d", "default", {"spec": {"replicas": 2}})
    generations = [o["metadata"]["generation"] for o in (made, labelled, scaled)]
    assert generations == [1, 1, 2]


async def test_what_a_selector_selects_cannot_be_changed(session: Session) -> None:
    await session.create(DEPLOYMENT, a_deployment())
    with pytest.raises(Invalid, match=r"spec\.selector: Invalid value: .*field is immutable"):
        await session.patch(
            DEPLOYMENT,
            "d",
            "default",
            {
                "spec": {
                    "selector": {"matchLabels": {"app": "db"}},
                    "template": {"metadata": {"labels": {"app": "db"}}},
                }
            },
        )


async def test_a_stale_update_conflicts_in_upstreams_words(session: Session) -> None:
    made = await session.create(CONFIG_MAP, a_map())
    await session.patch(CONFIG_MAP, "m", "default", {"data": {"a": "1"}})
    with pytest.raises(Conflict, match='Operation cannot be fulfilled on configmaps "m": the object has been modified'):
        await session.update(CONFIG_MAP, {**made, "data": {"a": "2"}})


async def test_a_hundred_patches_at_once_all_take_effect(session: Session) -> None:
    await session.create(CONFIG_MAP, a_map())
    await asyncio.gather(*(session.patch(CONFIG_MAP, "m", "default", {"data": {f"k{i}": "v"}}) for i in range(100)))
    assert len((await session.get(CONFIG_MAP, "m", "default"))["data"]) == 100


async def test_a_dry_run_answers_and_changes_nothing(session: Session) -> None:
    dry = WriteOptions(dry_run=True)
    assert (await session.create(CONFIG_MAP, a_map(a="1"), dry))["data"] == {"a": "1"}
    with pytest.raises(NotFound):
        await session.get(CONFIG_MAP, "m", "default")
    service = new_object(SERVICE, "s", "default")
    service["spec"] = {"ports": [{"port": 80}], "clusterIP": "10.96.0.77"}
    await session.create(SERVICE, service, dry)
    await session.create(SERVICE, service)


async def test_a_patch_cannot_rename(session: Session) -> None:
    await session.create(CONFIG_MAP, a_map())
    with pytest.raises(BadRequest, match=r"metadata\.name cannot be changed"):
        await session.patch(CONFIG_MAP, "m", "default", {"metadata": {"name": "n"}})


async def test_an_object_with_finalizers_is_marked_and_goes_with_the_last(session: Session) -> None:
    obj = a_map()
    obj["metadata"]["finalizers"] = ["example.org/hold"]
    await session.create(CONFIG_MAP, obj)
    marked = await session.delete(CONFIG_MAP, "m", "default")
    assert marked["metadata"]["deletionTimestamp"]
    again = await session.delete(CONFIG_MAP, "m", "default")
    assert again["metadata"]["resourceVersion"] == marked["metadata"]["resourceVersion"]
    await session.patch(CONFIG_MAP, "m", "default", {"metadata": {"finalizers": None}})
    with pytest.raises(NotFound):
        await session.get(CONFIG_MAP, "m", "default")


async def test_propagation_adds_its_finalizer(session: Session) -> None:
    await session.create(CONFIG_MAP, a_map())
    marked = await session.delete(CONFIG_MAP, "m", "default", propagation="Foreground")
    assert marked["metadata"]["finalizers"] == ["foregroundDeletion"]


async def test_deletion_heeds_uid(session: Session) -> None:
    await session.create(CONFIG_MAP, a_map())
    with pytest.raises(Conflict, match="Precondition failed: UID"):
        await session.delete(CONFIG_MAP, "m", "default", preconditions=Preconditions(uid="other"))


async def test_a_pod_that_runs_nowhere_goes_at_once(session: Session) -> None:
    await session.create(POD, a_pod())
    await session.delete(POD, "p", "default")
    with pytest.raises(NotFound):
        await session.get(POD, "p", "default")


async def test_a_pod_that_was_refused_a_place_is_scheduled_once_it_is_bound(session: Session) -> None:
    await session.create(POD, a_pod())
    refused = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no room"}
    await session.patch(POD, "p", "default", {"status": {"conditions": [refused]}}, subresource="status")
    binding = {"metadata": {"name": "p", "namespace": "default"}, "target": {"kind": "Node", "name": "n1"}}
    await session.create(POD, binding, subresource="binding")
    (condition,) = (await session.get(POD, "p", "default"))["status"]["conditions"]
    assert (condition["type"], condition["status"], condition.get("message")) == ("PodScheduled", "True", None)


async def test_a_bound_pod_goes_gracefully_and_its_agent_ends_it(session: Session) -> None:
    await session.create(POD, a_pod(terminationGracePeriodSeconds=7))
    binding = {"metadata": {"name": "p", "namespace": "default"}, "target": {"kind": "Node", "name": "n1"}}
    await session.create(POD, binding, subresource="binding")
    marked = await session.delete(POD, "p", "default")
    assert marked["metadata"]["deletionGracePeriodSeconds"] == 7
    assert marked["spec"]["nodeName"] == "n1"
    await session.delete(POD, "p", "default", grace_seconds=0)
    with pytest.raises(NotFound):
        await session.get(POD, "p", "default")


async def test_a_pod_is_bound_once(session: Session) -> None:
    await session.create(POD, a_pod(nodeName="n1"))
    binding = {"metadata": {"name": "p", "namespace": "default"}, "target": {"kind": "Node", "name": "n2"}}
    with pytest.raises(Conflict, match='already assigned to node "n1"'):
        await session.create(POD, binding, subresource="binding")


async def test_a_pods_image_may_change_its_command_may_not(session: Session) -> None:
    await session.create(POD, a_pod())
    json = PatchType.JSON
    path = "/spec/containers/0"
    op = [{"op": "replace", "path": f"{path}/image", "value": "busybox:2"}]
    assert (await session.patch(POD, "p", "default", op, type=json))["spec"]["containers"][0]["image"] == "busybox:2"
    with pytest.raises(Invalid, match="pod updates may not change fields other than"):
        await session.patch(POD, "p", "default", [{"op": "add", "path": f"{path}/command", "value": ["sh"]}], type=json)


async def test_scale_is_read_and_written_as_autoscaling_does(session: Session) -> None:
    await session.create(DEPLOYMENT, a_deployment())
    scale = await session.get(DEPLOYMENT, "d", "default", subresource="scale")
    assert (scale["kind"], scale["spec"], scale["status"]["selector"]) == ("Scale", {"replicas": 1}, "app=web")
    scale["spec"]["replicas"] = 4
    await session.update(DEPLOYMENT, scale, subresource="scale")
    await session.patch(DEPLOYMENT, "d", "default", {"spec": {"replicas": 6}}, subresource="scale")
    assert (await session.get(DEPLOYMENT, "d", "default"))["spec"]["replicas"] == 6


async def test_evicting_a_pod_deletes_it(session: Session) -> None:
    await session.create(POD, a_pod())
    await session.create(POD, {"metadata": {"name": "p", "namespace": "default"}}, subresource="eviction")
    with pytest.raises(NotFound):
        await session.get(POD, "p", "default")


async def test_delete_collection_takes_what_is_selected(session: Session) -> None:
    for name, colour in (("a", "red"), ("b", "blue"), ("c", "red")):
        obj = a_map(name)
        obj["metadata"]["labels"] = {"colour": colour}
        await session.create(CONFIG_MAP, obj)
    gone = await session.delete_collection(CONFIG_MAP, "default", labels="colour=red")
    assert [o["metadata"]["name"] for o in gone] == ["a", "c"]
    assert [o["metadata"]["name"] for o in (await session.list(CONFIG_MAP, "default")).items] == ["b"]


async def test_string_data_of_a_secret_becomes_data(session: Session) -> None:
    obj = {**new_object(SECRET, "s", "default"), "stringData": {"a": "x"}}
    made = await session.create(SECRET, obj)
    assert (made["data"], made["type"], "stringData" in made) == ({"a": "eA=="}, "Opaque", False)


async def test_own_kinds_begin_with_their_status_and_keep_what_is_immutable(session: Session) -> None:
    made = await session.create(Image.KIND, new_object(Image.KIND, "i", "default", Image.Spec()))
    assert made["status"] == {"phase": "queued"}
    assert made["spec"]["displayName"] == "i"
    with pytest.raises(Invalid, match=r"spec\.id: Invalid value: .*field is immutable"):
        await session.patch(Image.KIND, "i", "default", {"spec": {"id": "other"}})
    replaced = await session.update(Image.KIND, {**new_object(Image.KIND, "i", "default"), "spec": {"minRam": 64}})
    assert replaced["spec"]["id"] == made["spec"]["id"]


class Nobody(AllowAll):
    def refusal(self, *_: Any, **__: Any) -> str | None:  # type: ignore[override]
        return ""


async def test_who_may_not_is_told_what_and_where() -> None:
    kernel = Kernel((await a_kernel()).store, Nobody())
    session = kernel.acting(Caller(name="jane"))
    said = 'pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "default"'
    with pytest.raises(Forbidden) as refusal:
        await session.list(POD, "default")
    assert refusal.value.message == said
    with pytest.raises(Forbidden):
        await session.create(CONFIG_MAP, a_map())
    with pytest.raises(Forbidden):
        session.watch(CONFIG_MAP)


async def test_a_name_that_is_taken_is_told_even_in_a_dry_run(session: Session) -> None:
    await session.create(CONFIG_MAP, a_map())
    with pytest.raises(AlreadyExists, match='configmaps "m" already exists'):
        await session.create(CONFIG_MAP, a_map(), WriteOptions(dry_run=True))


async def test_a_binding_is_of_the_pod_that_its_scheduler_saw(session: Session) -> None:
    await session.create(POD, a_pod())
    metadata = {"name": "p", "namespace": "default", "uid": "of-another-of-that-name"}
    with pytest.raises(Conflict, match="UID in precondition: of-another-of-that-name"):
        await session.create(POD, {"metadata": metadata, "target": {"name": "n1"}}, subresource="binding")
    stale = {"name": "p", "namespace": "default", "resourceVersion": "1"}
    with pytest.raises(Conflict, match="the object has been modified"):
        await session.create(POD, {"metadata": stale, "target": {"name": "n1"}}, subresource="binding")
    named = {"name": "p", "namespace": "default"}
    for target in ({"name": ""}, {"name": "No node"}, {}):
        with pytest.raises(BadRequest, match="the name of a node is required"):
            await session.create(POD, {"metadata": named, "target": target}, subresource="binding")
    assert "nodeName" not in (await session.get(POD, "p", "default"))["spec"]


async def test_a_binding_goes_in_whatever_else_is_written_meanwhile(kernel: Kernel, session: Session) -> None:
    await session.create(POD, a_pod())
    binding = {"metadata": {"name": "p", "namespace": "default"}, "target": {"name": "n1"}}
    labels = [session.patch(POD, "p", "default", {"metadata": {"labels": {f"l{n}": "x"}}}) for n in range(5)]
    await asyncio.gather(*labels, session.create(POD, binding, subresource="binding"))
    pod = await session.get(POD, "p", "default")
    assert pod["spec"]["nodeName"] == "n1"
    assert len(pod["metadata"]["labels"]) == 5


async def test_what_an_earlier_release_took_may_be_labelled_and_not_changed_for_the_worse(
    kernel: Kernel, session: Session
) -> None:
    pod = await session.create(POD, a_pod())
    pod["spec"]["restartPolicy"] = "Whenever"
    await kernel.store.update(POD, pod)
    labelled = await session.patch(POD, "p", "default", {"metadata": {"labels": {"a": "b"}}})
    assert labelled["metadata"]["labels"] == {"a": "b"}
    with pytest.raises(Invalid, match="restartPolicy"):
        await session.patch(POD, "p", "default", {"spec": {"activeDeadlineSeconds": 5}})


async def test_an_object_has_a_size_that_it_may_have(session: Session) -> None:
    obj = a_map()
    obj["metadata"]["annotations"] = {"a": "x" * 300_000}
    with pytest.raises(Invalid, match=r"metadata\.annotations: Too long"):
        await session.create(CONFIG_MAP, obj)
    pod = a_pod(containers=[{"name": "c", "image": "b", "args": ["x" * 2_000_000]}])
    with pytest.raises(TooLarge):
        await session.create(POD, pod)


async def test_a_refusal_is_not_tried_again(kernel: Kernel, session: Session) -> None:
    class Refuses:
        kinds = (CONFIG_MAP,)
        verbs = ("update", "delete")
        asked = 0

        async def admit(self, request: Request) -> None:
            self.asked += 1
            raise Conflict("no")

    await session.create(CONFIG_MAP, a_map())
    refuses = Refuses()
    kernel.admission.append(refuses)
    for attempt in (
        session.patch(CONFIG_MAP, "m", "default", {"data": {"a": "1"}}),
        session.update(CONFIG_MAP, a_map(a="1")),
        session.delete(CONFIG_MAP, "m", "default"),
    ):
        with pytest.raises(Conflict, match="no"):
            await attempt
    assert refuses.asked == 3
