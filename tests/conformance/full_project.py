# SPDX-License-Identifier: Apache-2.0
"""A project with one of everything in it, in both languages, and what is left of it anywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.conformance.cloud import Here, until

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
        inside = {"name": "c", "image": "busybox", "command": ["sleep", "86400"], **container}
        spec = {"terminationGracePeriodSeconds": 1, "containers": [inside]}
        return {"metadata": {"labels": {"app": app}}, "spec": spec}

    def of_app(app: str, **spec: Any) -> dict[str, Any]:
        return {"selector": {"matchLabels": {"app": app}}, "replicas": 2, **spec}

    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    mounted = template("db", volumeMounts=[{"name": "d", "mountPath": "/d"}])
    templates = [{"metadata": {"name": "d"}, "spec": claim}]
    job: dict[str, Any] = {"template": template("job")}
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


def an_outside(cloud: Here, image: Path) -> str:
    """An external network and an image, which stay; the network's id."""
    admin = cloud.sdk("admin", "admin")
    network = admin.network.create_network(name="outside", is_router_external=True)
    admin.network.create_subnet(network_id=network.id, ip_version=4, cidr="203.0.113.0/24", is_dhcp_enabled=False)
    admin.create_image(
        "tiny", filename=str(image), disk_format="qcow2", container_format="bare",
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
