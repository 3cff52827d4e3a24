# SPDX-License-Identifier: Apache-2.0
"""Volumes of a simulated cloud, through the openstack command and kubectl: one record, one user at a time."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.cloud import Here, a_qcow2, until

CLAIM: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "claimed", "namespace": "demo"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1500Mi"}}},
}


@pytest.fixture(scope="module")
def server(cloud: Here) -> str:
    image = a_qcow2(cloud.folder / "v.qcow2")
    cloud.openstack_ok(
        "image", "create", "v", "--disk-format", "qcow2", "--container-format", "bare", "--file", str(image)
    )
    cloud.openstack_ok("server", "create", "v", "--image", "v", "--flavor", "m1.tiny", "--wait")
    return "v"


def status(cloud: Here, volume: str) -> str:
    found: str = cloud.openstack_json("volume", "show", volume)["status"]
    return found


def available(cloud: Here, volume: str) -> None:
    until(f"{volume} is available", lambda: status(cloud, volume) == "available")


def test_a_volume_is_created_cloned_snapshotted_extended_and_deleted(cloud: Here):
    cloud.openstack_ok("volume", "create", "one", "--size", "1", "--property", "a=b")
    available(cloud, "one")
    cloud.openstack_ok("volume", "snapshot", "create", "one-snap", "--volume", "one")
    until("made", lambda: cloud.openstack_json("volume", "snapshot", "show", "one-snap")["status"] == "available")
    cloud.openstack_ok("volume", "create", "two", "--snapshot", "one-snap", "--size", "2")
    cloud.openstack_ok("volume", "create", "three", "--source", "one")
    available(cloud, "two")
    available(cloud, "three")
    cloud.openstack_ok("volume", "set", "two", "--size", "3", "--name", "second")
    shown = cloud.openstack_json("volume", "show", "second")
    assert (shown["size"], shown["type"]) == (3, "standard")
    assert "still has snapshots" in cloud.openstack_refused("volume", "delete", "one")
    cloud.openstack_ok("volume", "snapshot", "delete", "one-snap")
    cloud.openstack_ok("volume", "delete", "one", "second", "three")
    until(
        "all are gone",
        lambda: not {"one", "second", "three"} & {v["Name"] for v in cloud.openstack_json("volume", "list")},
    )


def test_what_is_copied_may_be_deleted_at_once(cloud: Here):
    cloud.openstack_ok("volume", "create", "first", "--size", "1")
    available(cloud, "first")
    cloud.openstack_ok("volume", "create", "second", "--source", "first")
    cloud.openstack_ok("volume", "delete", "first")
    available(cloud, "second")
    until("it is gone", lambda: "first" not in cloud.openstack_ok("volume", "list"))
    volume = {"apiVersion": "volume.lichen.dev/v1", "kind": "Volume", "metadata": {"name": "late", "namespace": "demo"}}
    said = cloud.kubectl_refused("create", "-f", "-", input={**volume, "spec": {"source": "nowhere"}})
    assert 'Not found: "nowhere"' in said
    cloud.openstack_ok("volume", "delete", "second")


def test_a_volume_made_with_kubectl_is_attached_with_openstack(cloud: Here, server: str):
    volume = {"apiVersion": "volume.lichen.dev/v1", "kind": "Volume", "spec": {"size": 1}}
    cloud.kubectl_ok("create", "-f", "-", input={**volume, "metadata": {"name": "mixed", "namespace": "demo"}})
    available(cloud, "mixed")
    cloud.openstack_ok("server", "add", "volume", server, "mixed")
    until("it is in use", lambda: status(cloud, "mixed") == "in-use")
    listed = cloud.openstack_json("server", "volume", "list", server)
    assert [row["Device"] for row in listed] == ["/dev/vdc"]
    assert "in use" in cloud.kubectl_refused("delete", "volume", "mixed", "-n", "demo")
    cloud.openstack_ok("server", "remove", "volume", server, "mixed")
    available(cloud, "mixed")


def test_a_server_boots_from_a_volume_that_goes_with_it(cloud: Here, server: str):
    cloud.openstack_ok("volume", "create", "root", "--image", "v", "--size", "1")
    available(cloud, "root")
    cloud.openstack_ok("server", "create", "kept", "--volume", "root", "--flavor", "m1.tiny", "--wait")
    assert "boots from it" in cloud.kubectl_refused(
        "delete", "volumeattachments.volume.lichen.dev", "root", "-n", "demo"
    )
    gone = "uuid={id},source_type=image,destination_type=volume,boot_index=0,volume_size=1,delete_on_termination=true"
    image = cloud.openstack_json("image", "show", "v")["id"]
    device = gone.format(id=image)
    cloud.openstack_ok("server", "create", "gone", "--block-device", device, "--flavor", "m1.tiny", "--wait")
    cloud.openstack_ok("server", "delete", "kept", "gone", "--wait")
    available(cloud, "root")
    until("the other went along", lambda: "gone-boot" not in cloud.openstack_ok("volume", "list"))


def test_a_claim_waits_for_its_pod_then_is_bound_mounted_grown_and_gone(cloud: Here):
    cloud.kubectl_ok("create", "-f", "-", input=CLAIM)
    until("it says why it waits", lambda: "first consumer" in cloud.kubectl_ok("get", "events", "-n", "demo"))
    container = {"name": "c", "image": "busybox", "command": ["sleep", "1000"]}
    container["volumeMounts"] = [{"name": "d", "mountPath": "/data"}]  # type: ignore[assignment]
    spec = {"containers": [container], "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "claimed"}}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "claims", "namespace": "demo"}, "spec": spec}
    cloud.kubectl_ok("create", "-f", "-", input=pod)
    cloud.kubectl_ok("wait", "--for=condition=Ready", "pod/claims", "-n", "demo", "--timeout=30s")
    claim = cloud.object("pvc", "claimed", "-n", "demo")
    assert (claim["status"]["phase"], claim["status"]["capacity"]) == ("Bound", {"storage": "2Gi"})
    grow = '{"spec": {"resources": {"requests": {"storage": "3Gi"}}}}'
    cloud.kubectl_ok("patch", "pvc", "claimed", "-n", "demo", "--type", "merge", "-p", grow)
    until(
        "it has grown", lambda: cloud.object("pvc", "claimed", "-n", "demo")["status"]["capacity"] == {"storage": "3Gi"}
    )
    cloud.kubectl_ok("delete", "pvc", "claimed", "-n", "demo", "--wait=false")
    assert cloud.object("pvc", "claimed", "-n", "demo")["status"]["phase"] == "Bound"
    cloud.kubectl_ok("delete", "pod", "claims", "-n", "demo", "--now")
    until("nothing is left", lambda: "pvc-" not in cloud.kubectl_ok("get", "pv,volumes", "-A"))
