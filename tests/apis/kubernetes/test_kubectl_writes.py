# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path
from typing import Any

import pytest

from tests.apis.kubernetes.conftest import Cloud
from tests.apis.kubernetes.objects import a_config_map, a_deployment, a_flavor, a_pod, a_server
from tests.conformance.kubectl import Kubectl


async def read(kubectl: Kubectl, *what: str) -> Any:
    return json.loads(await kubectl.ok("get", *what, "-o", "json"))


async def test_create_apply_and_delete_of_a_built_in_kind(kubectl: Kubectl) -> None:
    assert await kubectl.ok("create", "-f", "-", input=a_deployment("web")) == "deployment.apps/web created\n"
    assert "AlreadyExists" in await kubectl.fails("create", "-f", "-", input=a_deployment("web"))
    assert await kubectl.ok("delete", "deployment", "web") == 'deployment.apps "web" deleted\n'
    assert await kubectl.ok("apply", "-f", "-", input=a_deployment("web")) == "deployment.apps/web created\n"
    assert await kubectl.ok("apply", "-f", "-", input=a_deployment("web")) == "deployment.apps/web unchanged\n"
    assert await kubectl.ok("apply", "-f", "-", input=a_deployment("web", 3)) == "deployment.apps/web configured\n"
    assert (await read(kubectl, "deployment", "web"))["spec"]["replicas"] == 3


async def test_apply_of_a_server(cloud: Cloud, kubectl: Kubectl) -> None:
    await cloud.apply(a_flavor())
    assert await kubectl.ok("apply", "-f", "-", input=a_server("web")) == "server.compute.lichen.dev/web created\n"
    changed = a_server("web", power="Off")
    assert await kubectl.ok("apply", "-f", "-", input=changed) == "server.compute.lichen.dev/web configured\n"
    assert (await read(kubectl, "server", "web"))["spec"]["power"] == "Off"
    assert await kubectl.ok("apply", "-f", "-", input=a_server("web")) == "server.compute.lichen.dev/web configured\n"
    assert (await read(kubectl, "server", "web"))["spec"]["power"] == "On"


async def test_apply_merges_lists_by_their_keys(kubectl: Kubectl) -> None:
    two = a_deployment("web")
    two["spec"]["template"]["spec"]["containers"].append({"name": "side", "image": "busybox"})
    await kubectl.ok("apply", "-f", "-", input=two)
    await kubectl.ok("set", "image", "deployment/web", "c=other")
    one = a_deployment("web")
    one["spec"]["template"]["spec"]["containers"][0]["image"] = "third"
    await kubectl.ok("apply", "-f", "-", input=one)
    containers = (await read(kubectl, "deployment", "web"))["spec"]["template"]["spec"]["containers"]
    assert [(c["name"], c["image"]) for c in containers] == [("c", "third")]


@pytest.mark.parametrize(
    ("type_", "patch"),
    [
        ("merge", {"data": {"a": "2", "b": None}}),
        ("strategic", {"data": {"a": "2", "b": None}}),
        ("json", [{"op": "replace", "path": "/data/a", "value": "2"}, {"op": "remove", "path": "/data/b"}]),
    ],
)
async def test_every_type_of_patch(cloud: Cloud, kubectl: Kubectl, type_: str, patch: Any) -> None:
    await cloud.apply(a_config_map("c", a="1", b="1"))
    assert await kubectl.ok("patch", "cm", "c", "--type", type_, "-p", json.dumps(patch)) == "configmap/c patched\n"
    assert (await read(kubectl, "cm", "c"))["data"] == {"a": "2"}


async def test_strategic_patches_are_refused_where_a_kind_has_no_keys(cloud: Cloud, kubectl: Kubectl) -> None:
    await cloud.apply(a_flavor(), a_server("s"))
    assert await kubectl.ok("patch", "server", "s", "--type=merge", "-p", '{"spec":{"power":"Off"}}')
    assert (await read(kubectl, "server", "s"))["spec"]["power"] == "Off"


async def test_edit_with_an_editor(cloud: Cloud, kubectl: Kubectl, tmp_path: Path) -> None:
    await cloud.apply(a_config_map("c", a="1"))
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i \'s/a: "1"/a: "2"/\' "$1"\n')
    editor.chmod(0o755)
    kubectl.env["EDITOR"] = str(editor)
    assert await kubectl.ok("edit", "configmap", "c") == "configmap/c edited\n"
    assert (await read(kubectl, "cm", "c"))["data"] == {"a": "2"}


async def test_label_annotate_and_scale(cloud: Cloud, kubectl: Kubectl) -> None:
    await cloud.apply(a_deployment("web"), a_flavor(), a_server("s"))
    await kubectl.ok("label", "server", "s", "tier=front")
    await kubectl.ok("annotate", "deployment", "web", "note=this")
    assert await kubectl.ok("scale", "deployment", "web", "--replicas=4") == "deployment.apps/web scaled\n"
    assert "Expected replicas" in await kubectl.fails("scale", "deploy/web", "--current-replicas=9", "--replicas=1")
    web = await read(kubectl, "deployment", "web")
    assert (web["spec"]["replicas"], web["metadata"]["annotations"]["note"]) == (4, "this")
    assert (await read(kubectl, "server", "s"))["metadata"]["labels"]["tier"] == "front"


async def test_replace_needs_the_newest_revision(cloud: Cloud, kubectl: Kubectl) -> None:
    await cloud.apply(a_config_map("c", a="1"))
    old = await read(kubectl, "cm", "c")
    await kubectl.ok("patch", "cm", "c", "-p", '{"data":{"a":"2"}}')
    old["data"]["a"] = "3"
    assert "the object has been modified" in await kubectl.fails("replace", "-f", "-", input=old)
    del old["metadata"]["resourceVersion"]
    assert await kubectl.ok("replace", "-f", "-", input=old) == "configmap/c replaced\n"


async def test_a_dry_run_changes_nothing(cloud: Cloud, kubectl: Kubectl) -> None:
    assert "created (server dry run)" in await kubectl.ok("create", "-f", "-", "--dry-run=server", input=a_pod("p"))
    assert "not found" in await kubectl.fails("get", "pod", "p")
    await cloud.apply(a_pod("p"))
    await kubectl.ok("delete", "pod", "p", "--dry-run=server")
    await kubectl.ok("get", "pod", "p")


async def test_unknown_fields_are_refused_or_warned_of(cloud: Cloud, kubectl: Kubectl) -> None:
    await cloud.apply(a_flavor())
    for obj in (a_pod("p"), a_server("s")):
        obj["spec"]["nonsense"] = 1
        assert 'unknown field "spec.nonsense"' in await kubectl.fails(
            "create", "--validate=strict", "-f", "-", input=obj
        )
        warned = await kubectl.run("create", "--validate=warn", "-f", "-", input=obj)
        assert warned.code == 0
        assert 'Warning: unknown field "spec.nonsense"' in warned.err


async def test_a_list_is_checked_and_applied(cloud: Cloud, kubectl: Kubectl) -> None:
    await cloud.apply(a_flavor())
    both: Any = {"apiVersion": "v1", "kind": "List", "items": [a_config_map("c", a="1"), a_server("s")]}
    out = await kubectl.ok("create", "-f", "-", input=both)
    assert out == "configmap/c created\nserver.compute.lichen.dev/s created\n"
    saved = await kubectl.ok("get", "cm,servers", "-o", "yaml")
    assert "configmap/c" in await kubectl.ok("apply", "-f", "-", input=saved)
    both["items"][1]["spec"]["nonsense"] = 1
    assert "nonsense" in await kubectl.fails("create", "-f", "-", input=both)


async def test_invalid_objects_name_the_field(cloud: Cloud, kubectl: Kubectl) -> None:
    await cloud.apply(a_flavor())
    err = await kubectl.fails("create", "-f", "-", input=a_server("s", power="Maybe"))
    assert "spec.power" in err
    err = await kubectl.fails("create", "--validate=false", "-f", "-", input=a_deployment("UPPER"))
    assert "metadata.name" in err


async def test_deletes_by_selector_and_all(cloud: Cloud, kubectl: Kubectl) -> None:
    await cloud.apply(*(a_config_map(name) for name in "abc"))
    await kubectl.ok("label", "cm", "a", "b", "x=y")
    out = await kubectl.ok("delete", "cm", "-l", "x=y")
    assert out.splitlines() == ['configmap "a" deleted', 'configmap "b" deleted']
    await kubectl.ok("delete", "cm", "--all")
    assert await kubectl.ok("get", "cm", "-o", "name") == ""
    assert "NotFound" in await kubectl.fails("delete", "cm", "a")
    await kubectl.ok("delete", "cm", "a", "--ignore-not-found")


async def test_a_whole_collection_is_deleted_through_one_call(cloud: Cloud, kubectl: Kubectl) -> None:
    await cloud.apply(*(a_config_map(name) for name in "abc"))
    await kubectl.ok("delete", "--raw", "/api/v1/namespaces/default/configmaps?fieldSelector=metadata.name!%3Da")
    assert await kubectl.ok("get", "cm", "-o", "name") == "configmap/a\n"


@pytest.mark.parametrize(
    "command",
    [
        "create namespace new",
        "create deployment d --image=i --replicas=0",
        "create configmap c --from-literal=a=b",
        "create secret generic s --from-literal=a=b",
        "create service clusterip v --tcp=80:8080",
        "create serviceaccount sa",
        "create role r --verb=get --resource=pods",
        "create clusterrole cr --verb=get --resource=servers.compute.lichen.dev",
        "create rolebinding rb --role=r --user=u",
        "create job j --image=i",
        "create cronjob cj --image=i --schedule=@hourly",
        "create quota q --hard=cpu=1,pods=3",
        "create ingress i --rule=a.b/c=d:80",
        "create poddisruptionbudget p --min-available=1 --selector=a=b",
        "create priorityclass pc --value=7",
        "run r --image=i --port=80",
    ],
)
async def test_kubectls_generators(kubectl: Kubectl, command: str) -> None:
    assert " created" in await kubectl.ok(*command.split())


async def test_what_a_generator_sends_in_protobuf_is_what_json_would_say(kubectl: Kubectl) -> None:
    await kubectl.ok("create", "deployment", "d", "--image=i", "--replicas=0", "--port=80", "--", "sh", "-c", "true")
    spec = (await read(kubectl, "deployment", "d"))["spec"]
    container = spec["template"]["spec"]["containers"][0]
    assert spec["replicas"] == 0
    assert container["command"] == ["sh", "-c", "true"]
    assert container["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    await kubectl.ok("create", "secret", "generic", "s", "--from-literal=k=välue")
    assert (await read(kubectl, "secret", "s"))["data"] == {"k": "dsOkbHVl"}
    await kubectl.ok("create", "service", "clusterip", "v", "--tcp=80:web")
    assert (await read(kubectl, "svc", "v"))["spec"]["ports"][0]["targetPort"] == "web"
    await kubectl.ok("create", "quota", "q", "--hard=cpu=1500m")
    assert (await read(kubectl, "quota", "q"))["spec"]["hard"] == {"cpu": "1500m"}
