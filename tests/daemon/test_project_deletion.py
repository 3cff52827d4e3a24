# SPDX-License-Identifier: Apache-2.0
"""A project or namespace that is deleted takes all of both languages with it, in an order that ends, and leaves nothing
anywhere; what holds it up is named, in both languages and by `lichen explain`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conformance.cloud import Here, a_qcow2, until

STUCK = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "stuck", "finalizers": ["example.com/never"]}}
FLEETING = {
    "events",
    "events.events.k8s.io",
    "leases.coordination.k8s.io",
    "nodes",
    "revokedtokens.identity.lichen.dev",
}
"""Kinds that come and go by themselves."""


def workloads(namespace: str) -> dict[str, Any]:
    """A StatefulSet with claims of its own, a Deployment, a Job, Services, and a claim that nobody mounts."""

    def template(app: str, **container: Any) -> dict[str, Any]:
        spec = {"containers": [{"name": "c", "image": "busybox", "command": ["sleep", "inf"], **container}]}
        return {"metadata": {"labels": {"app": app}}, "spec": spec}

    def of_app(app: str, **spec: Any) -> dict[str, Any]:
        return {"selector": {"matchLabels": {"app": app}}, "replicas": 2, **spec}

    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    mounted = template("db", volumeMounts=[{"name": "d", "mountPath": "/d"}])
    templates = [{"metadata": {"name": "d"}, "spec": claim}]
    job = {"template": template("job")}
    job["template"]["spec"]["restartPolicy"] = "Never"
    specs = [
        ("apps/v1", "StatefulSet", of_app("db", serviceName="db", template=mounted, volumeClaimTemplates=templates)),
        ("apps/v1", "Deployment", of_app("web", template=template("web"))),
        ("batch/v1", "Job", job),
        ("v1", "Service", {"selector": {"app": "web"}, "ports": [{"port": 80}]}),
        ("v1", "PersistentVolumeClaim", claim),
    ]
    items = [
        {"apiVersion": version, "kind": kind, "metadata": {"name": "all", "namespace": namespace}, "spec": spec}
        for version, kind, spec in specs
    ]
    return {"apiVersion": "v1", "kind": "List", "items": items}


def everything(cloud: Here) -> set[tuple[str, str, str]]:
    """Kind, namespace and name of all that is stored, but for what comes and goes by itself."""
    kinds = set(cloud.kubectl_ok("api-resources", "--verbs=list,delete", "-o", "name").split()) - FLEETING
    listed = json.loads(cloud.kubectl_ok("get", ",".join(sorted(kinds)), "-A", "-o", "json"))["items"]
    return {(o["kind"], o["metadata"].get("namespace", ""), o["metadata"]["name"]) for o in listed}


@pytest.fixture(scope="module")
def outside(cloud: Here) -> str:
    """An external network and an image, which stay."""
    admin = cloud.sdk("admin", "admin")
    network = admin.network.create_network(name="outside", is_router_external=True)
    admin.network.create_subnet(network_id=network.id, ip_version=4, cidr="203.0.113.0/24", is_dhcp_enabled=False)
    admin.create_image(
        "tiny", filename=str(a_qcow2(cloud.folder / "t.qcow2")), disk_format="qcow2", container_format="bare",
        visibility="public", wait=True,
    )  # fmt: skip
    return str(network.id)


def fill(cloud: Here, name: str, outside: str) -> str:
    """A project with one of everything in it, things that hold each other included; its id."""
    admin = cloud.sdk("admin", "admin")
    project = admin.identity.create_project(name=name, domain_id="default")
    user, role = admin.identity.find_user("admin"), admin.identity.find_role("admin")
    admin.identity.assign_project_role_to_user(project, user, role)
    mine = cloud.sdk("admin", name)
    network = mine.network.create_network(name="inner")
    subnet = mine.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.9.0.0/24", name="inner")
    router = mine.network.create_router(name="r", external_gateway_info={"network_id": outside})
    mine.network.add_interface_to_router(router, subnet_id=subnet.id)
    groups = [mine.network.create_security_group(name=n) for n in ("a", "b")]
    for group, other in (groups, groups[::-1]):
        mine.network.create_security_group_rule(
            security_group_id=group.id, direction="ingress", remote_group_id=other.id, protocol="tcp"
        )
    server = mine.create_server(
        "vm", image="tiny", flavor="m1.tiny", network=network.id, security_groups=["a"], wait=True, auto_ip=False
    )
    port = next(iter(mine.network.ports(device_id=server.id)))
    mine.network.create_ip(floating_network_id=outside, port_id=port.id)
    volume = mine.create_volume(1, name="data", wait=True)
    mine.block_storage.create_snapshot(volume_id=volume.id, name="snap")
    until("the snapshot is made", lambda: next(iter(mine.block_storage.snapshots())).status == "available")
    mine.attach_volume(server, volume, wait=True)
    mine.compute.create_server_group(name="apart", policy="anti-affinity")
    mine.identity.create_application_credential(user=mine.current_user_id, name=f"of-{name}")
    cloud.kubectl_ok("apply", "-f", "-", input=workloads(name))
    cloud.kubectl_ok("-n", name, "rollout", "status", "statefulset/all", "deployment/all", "--timeout=60s")
    return str(project.id)


def gone(cloud: Here, name: str) -> bool:
    return cloud.kubectl("get", "namespace", name).code != 0


@pytest.mark.parametrize("language", ["openstack", "kubectl"])
def test_a_project_takes_all_with_it_and_leaves_nothing_anywhere(cloud: Here, outside: str, language: str):
    name = f"full-{language}"
    before = everything(cloud)
    project = fill(cloud, name, outside)
    assert len(everything(cloud) - before) > 40
    if language == "openstack":
        cloud.openstack_ok("project", "delete", name, cloud="lichen")
    else:
        cloud.kubectl_ok("delete", "namespace", name, "--wait=false")
    until(f"{name} is gone", lambda: gone(cloud, name))
    until("its volumes are gone", lambda: everything(cloud) <= before, 30.0)
    assert project not in {p.id for p in cloud.sdk("admin", "admin").identity.projects()}


def test_what_holds_a_project_up_is_named_in_both_languages(cloud: Here):
    project = cloud.openstack_json("project", "create", "held", cloud="lichen")["id"]
    cloud.kubectl_ok("-n", "held", "create", "-f", "-", input=STUCK)
    cloud.openstack_ok("project", "delete", "held", cloud="lichen")

    def said() -> str:
        conditions = cloud.object("namespace", "held")["status"].get("conditions") or []
        return " ".join(c["message"] for c in conditions)

    until("the namespace says what holds it", lambda: "example.com/never" in said())
    holder = "example.com/never in 1 resource instances (configmaps/stuck)"
    assert holder in said()
    assert holder in cloud.lichen("explain", "namespace/held", "--data-dir", str(cloud.data_dir)).out
    shown = cloud.sdk("admin", "admin").identity.get(f"/projects/{project}").json()["project"]
    assert (shown["status"], holder in shown["status_reason"]) == ("DELETING", True)
    cloud.kubectl_ok(
        "-n", "held", "patch", "configmap", "stuck", "--type=merge", "-p", '{"metadata":{"finalizers":null}}'
    )
    until("it is gone", lambda: gone(cloud, "held"))


def test_a_network_in_use_is_refused_and_says_by_what_in_both_languages(cloud: Here, outside: str):
    mine = cloud.sdk()
    network = mine.network.create_network(name="busy")
    mine.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.8.0.0/24")
    mine.network.create_port(network_id=network.id, name="user")
    refused = cloud.openstack_refused("network", "delete", "busy")
    assert "in use" in refused
    said = cloud.kubectl_refused("-n", "demo", "delete", "network.network.lichen.dev", "busy", "--wait=false")
    assert "in use" in said or "port" in said.lower()
    mine.network.delete_port(next(iter(mine.network.ports(network_id=network.id))))
    mine.network.delete_network(network)
