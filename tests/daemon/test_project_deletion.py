# SPDX-License-Identifier: Apache-2.0
"""A project or namespace that is deleted takes all of both languages with it, in an order that ends, and leaves nothing
anywhere; what holds it up is named, in both languages and by `lichen explain`."""

from __future__ import annotations

import pytest

from tests.conformance.cloud import Here, a_qcow2, until
from tests.conformance.full_project import an_outside, everything, fill, gone

STUCK = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "stuck", "finalizers": ["example.com/never"]}}


@pytest.fixture(scope="module")
def outside(cloud: Here) -> str:
    return an_outside(cloud, a_qcow2(cloud.folder / "t.qcow2"))


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
    explained = cloud.lichen("explain", "namespace/held", "--data-dir", str(cloud.data_dir)).out
    assert "→ configmap held/stuck is being deleted and waits for example.com/never" in explained
    assert "kubectl -n held patch configmap stuck" in explained
    assert "It is being deleted and not gone yet." in cloud.openstack_refused(
        "project", "create", "held", cloud="lichen"
    )
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
