# SPDX-License-Identifier: Apache-2.0
"""`lichen explain` on a simulated cloud: what is ill says why, in either language's names."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from lichen.cli.explain import choose, find_kind, printed
from lichen.planning.causes import Line
from tests.conformance.cloud import Here, a_cloud, a_qcow2, until


@pytest.fixture(scope="module")
def cloud() -> Iterator[Here]:
    with a_cloud(nodes=2) as here:
        disk = a_qcow2(here.folder / "blank.qcow2")
        here.openstack_ok("image", "create", "--file", str(disk), "--disk-format", "qcow2", "blank")
        yield here


def explained(here: Here, *arguments: str) -> str:
    ended = here.lichen("explain", *arguments, "--data-dir", str(here.data_dir))
    assert ended.code == 0, ended.err
    return ended.out


def a_server(here: Here, name: str, flavor: str = "m1.tiny", *more: str) -> str:
    """Its id."""
    shown = here.openstack_json(
        "server", "create", "--image", "blank", "--flavor", flavor, "--network", "cluster", *more, name
    )
    return str(shown["id"])


def a_pod(here: Here, name: str, *, volumes: object = (), **container: object) -> None:
    spec = {"containers": [{"name": "c", "image": "busybox", **container}], "volumes": volumes}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
    here.kubectl_ok("-n", "demo", "apply", "-f", "-", input=pod)


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("server", "Server"), ("servers", "Server"), ("instance", "Server"), ("Pods", "Pod"), ("po", "Pod"),
        ("deploy", "Deployment"), ("vol", "Volume"), ("snapshots", "VolumeSnapshot"), ("project", "Namespace"),
        ("hypervisor", "Node"), ("service", "Service"), ("networks.network.lichen.dev", "Network"),
    ],
)  # fmt: skip
def test_kinds_go_by_the_names_of_both_languages(word: str, kind: str):
    found = find_kind(word)
    assert found is not None and found.kind == kind


def test_a_name_comes_before_an_id_and_an_id_before_what_the_user_wrote():
    one = {"metadata": {"name": "a"}, "spec": {"id": "b", "displayName": "c"}}
    two = {"metadata": {"name": "b"}, "spec": {"id": "c", "displayName": "c"}}
    assert [choose([one, two], name) for name in "abcd"] == [[one], [two], [two], []]


def test_a_thing_goes_by_its_name_as_an_explanation_writes_it():
    mine, other = ({"metadata": {"name": "web", "namespace": space}} for space in ("demo", "shop"))
    assert choose([mine, other], "shop/web") == [other]


def test_the_chain_is_indented_and_the_command_comes_last():
    lines = [Line(0, "a is ill"), Line(1, "b is ill"), Line(2, "c is ill", "mend c")]
    assert list(printed(lines)) == ["a is ill", "→ b is ill", "  → c is ill", "mend: mend c"]


def test_a_server_that_no_node_has_room_for(cloud: Here):
    cloud.openstack_ok("flavor", "create", "--ram", "921600", "--vcpus", "1", "--disk", "1", "huge", cloud="lichen")
    a_server(cloud, "too-big", "huge")
    sentence = "has no node: 0/2 nodes are available: 2 Insufficient memory (it asks for 1 CPU and 900 GiB of memory)"
    until("it is refused", lambda: sentence in explained(cloud, "server/too-big"))
    assert "mend: openstack flavor list" in explained(cloud, "server/too-big")


def test_a_pod_that_no_node_has_room_for(cloud: Here):
    a_pod(cloud, "big", resources={"requests": {"memory": "900Gi"}})
    sentence = "pod demo/big has no node: 0/2 nodes are available: 2 Insufficient memory\n"
    until("it is refused", lambda: explained(cloud, "pod/big").startswith(sentence))


def test_a_deployment_whose_image_is_missing(cloud: Here):
    cloud.kubectl_ok("-n", "demo", "create", "deployment", "web", "--image=missing.lichen.dev/no")
    said = "cannot have image missing.lichen.dev/no of container no"
    until("it cannot be pulled", lambda: said in explained(cloud, "deployment/web", "-n", "demo"))
    first, second, third, mend = explained(cloud, "deploy/web").splitlines()
    assert first == "deployment demo/web has 0 of 1 pods ready"
    assert second.startswith("→ replica set demo/web-") and third.startswith("  → pod demo/web-")
    assert mend == "mend: kubectl -n demo set image deployment/web no=IMAGE"


def test_a_server_that_fails_and_one_that_is_well(cloud: Here):
    broken = a_server(cloud, "Un Lucky", "m1.tiny", "--property", "lichen.dev/simulate-fault=start")
    healthy = a_server(cloud, "fine")
    until("it failed", lambda: "is in Error" in explained(cloud, f"server/{broken}"))
    by_name = explained(cloud, "server/Un Lucky")
    assert "refused to start" in by_name and f"mend: openstack server reboot --hard {broken}" in by_name
    well = "nothing is wrong: server demo/fine is Running\n"
    until("it runs", lambda: explained(cloud, f"servers/{healthy}") == well)


def test_a_claim_that_no_volume_can_be_as_large_as(cloud: Here):
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "900Ti"}}}
    meta = {"name": "vast", "namespace": "demo"}
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": spec}
    cloud.kubectl_ok("apply", "-f", "-", input=claim)
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "vast"}}]
    a_pod(cloud, "owner", volumes=volumes, volumeMounts=[{"name": "data", "mountPath": "/data"}])
    said = "→ volume claim demo/vast is not bound: ProvisioningFailed:"
    until("it is told", lambda: said in explained(cloud, "pod/owner"))
    assert "65536" in explained(cloud, "pvc/vast")


def test_a_project_that_cannot_go_says_what_holds_it(cloud: Here):
    cloud.kubectl_ok("create", "namespace", "doomed")
    meta = {"name": "stuck", "namespace": "doomed", "finalizers": ["example.com/never"]}
    cloud.kubectl_ok("apply", "-f", "-", input={"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta})
    cloud.kubectl_ok("delete", "namespace", "doomed", "--wait=false")
    said = (
        "→ configmap doomed/stuck is being deleted and waits for example.com/never to let go\nmend: kubectl -n doomed"
    )
    until("it is held up", lambda: said in explained(cloud, "project/doomed"))
    cloud.kubectl_ok(
        "-n", "doomed", "patch", "configmap", "stuck", "--type=merge", "-p", '{"metadata":{"finalizers":null}}'
    )
    cloud.kubectl_ok("wait", "--for=delete", "namespace/doomed", "--timeout=20s")


def test_what_is_not_there_is_said(cloud: Here):
    for thing, words in (("pod/nope", "there is no pod 'nope'"), ("what/x", "no kind 'what'"), ("pod", "KIND/NAME")):
        ended = cloud.lichen("explain", thing, "--data-dir", str(cloud.data_dir))
        assert (ended.code, words in ended.err) == (1, True), json.dumps(ended.err)
