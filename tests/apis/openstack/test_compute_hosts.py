# SPDX-License-Identifier: Apache-2.0
"""Nodes, limits and quotas in Nova's words."""

from __future__ import annotations

from lichen.controllers.zone import plan_zones
from lichen.kinds.builtin import NODE, POD, RESOURCE_QUOTA
from lichen.model.kind import new_object
from lichen.planning.steps import Create, Patch

from .cloud import READY, TestCloud, a_node

V = "/compute/v2.1"


async def with_nodes(cloud: TestCloud) -> None:
    for name, zone in (("node-1", "north"), ("node-2", "")):
        await cloud.state.create(NODE, a_node(name, zone))
    await cloud.state.patch(NODE, "node-1", "", {"status": READY}, subresource="status")


async def test_hypervisors_are_the_nodes(cloud: TestCloud) -> None:
    await with_nodes(cloud)
    one, two = (await cloud.ok("GET", f"{V}/os-hypervisors/detail", who="admin"))["hypervisors"]
    assert (one["hypervisor_hostname"], one["state"], one["host_ip"]) == ("node-1", "up", "192.0.2.1")
    assert (two["hypervisor_hostname"], two["state"]) == ("node-2", "down")
    assert "vcpus" not in one
    assert (await cloud.ok("GET", f"{V}/os-hypervisors/{one['id']}", who="admin"))["hypervisor"]["id"] == one["id"]
    assert (await cloud.call("GET", f"{V}/os-hypervisors/nope", who="admin")).status == 404
    assert (await cloud.call("GET", f"{V}/os-hypervisors")).status == 403


async def test_figures_are_shown_in_the_microversions_that_have_them(cloud: TestCloud) -> None:
    await with_nodes(cloud)
    old = {"openstack-api-version": "compute 2.87"}
    one = (await cloud.ok("GET", f"{V}/os-hypervisors/detail", who="admin", headers=old))["hypervisors"][0]
    assert (one["vcpus"], one["memory_mb"], one["local_gb"], one["running_vms"]) == (4, 8192, 100, 0)
    sums = (await cloud.ok("GET", f"{V}/os-hypervisors/statistics", who="admin", headers=old))["hypervisor_statistics"]
    assert (sums["count"], sums["vcpus"]) == (2, 4)


async def test_services_are_opened_and_closed_as_nodes(cloud: TestCloud) -> None:
    await with_nodes(cloud)
    found = (await cloud.ok("GET", f"{V}/os-services?binary=nova-compute", who="admin"))["services"]
    assert [(s["host"], s["state"], s["status"]) for s in found] == [
        ("node-1", "up", "enabled"),
        ("node-2", "down", "enabled"),
    ]
    body = {"status": "disabled", "disabled_reason": "repair"}
    closed = await cloud.ok("PUT", f"{V}/os-services/{found[0]['id']}", body, who="admin")
    assert (closed["service"]["status"], closed["service"]["disabled_reason"]) == ("disabled", "repair")
    assert (await cloud.state.get(NODE, "node-1"))["spec"]["unschedulable"] is True
    opened = await cloud.ok("PUT", f"{V}/os-services/{found[0]['id']}", {"status": "enabled"}, who="admin")
    assert opened["service"]["status"] == "enabled"
    assert (await cloud.call("PUT", f"{V}/os-services/{found[0]['id']}", {"status": "x"}, who="admin")).status == 400


async def zones_follow(cloud: TestCloud) -> None:
    """What the controller of zones does."""
    for step in plan_zones((await cloud.state.list(NODE)).items, []):
        if isinstance(step, Create):
            await cloud.state.create(step.kind, step.object)
        elif isinstance(step, Patch):
            await cloud.state.patch(step.kind, step.name, "", step.patch, subresource=step.subresource)


async def test_a_zone_that_is_not_there_is_refused(cloud: TestCloud) -> None:
    body = {"volume": {"size": 1, "availability_zone": "nowhere"}}
    refused = await cloud.call("POST", "/volume/v3/volumes", body)
    assert (refused.status, "nowhere" in refused.json()["badRequest"]["message"]) == (400, True)


async def test_zones_are_labels_of_nodes(cloud: TestCloud) -> None:
    await with_nodes(cloud)
    await zones_follow(cloud)
    for path in (f"{V}/os-availability-zone", "/volume/v3/os-availability-zone"):  # projects know them, too
        zones = (await cloud.ok("GET", path))["availabilityZoneInfo"]
        assert [(z["zoneName"], z["zoneState"]["available"]) for z in zones] == [("north", True), ("nova", False)]
    networks = (await cloud.ok("GET", "/network/v2.0/availability_zones?resource=router"))["availability_zones"]
    assert [(z["name"], z["state"]) for z in networks] == [("north", "available"), ("nova", "unavailable")]
    detail = (await cloud.ok("GET", f"{V}/os-availability-zone/detail", who="admin"))["availabilityZoneInfo"]
    assert detail[0]["hosts"]["node-1"]["nova-compute"]["available"] is True
    assert (await cloud.ok("GET", f"{V}/os-availability-zone"))["availabilityZoneInfo"]


async def test_limits_and_quotas_are_unlimited_without_a_quota_and_its_figures_with_one(cloud: TestCloud) -> None:
    path = f"{V}/os-quota-sets/{cloud.projects['demo']}"
    assert (await cloud.ok("GET", path))["quota_set"]["cores"] == -1
    hard = {"requests.cpu": "4", "requests.memory": "2Gi", "count/servers.compute.lichen.dev": "3"}
    await cloud.state.create(RESOURCE_QUOTA, new_object(RESOURCE_QUOTA, "q", "demo", {"hard": hard}))
    quota = (await cloud.ok("GET", path))["quota_set"]
    assert (quota["cores"], quota["ram"], quota["instances"], quota["key_pairs"]) == (4, 2048, 3, -1)
    detail = (await cloud.ok("GET", path + "/detail"))["quota_set"]
    assert detail["cores"] == {"limit": 4, "in_use": 0, "reserved": 0}
    absolute = (await cloud.ok("GET", f"{V}/limits"))["limits"]["absolute"]
    assert (absolute["maxTotalCores"], absolute["totalCoresUsed"]) == (4, 0)
    assert (await cloud.ok("GET", path + "/defaults"))["quota_set"]["cores"] == -1
    assert (await cloud.call("GET", f"{V}/os-quota-sets/{cloud.projects['admin']}")).status == 403
    assert (await cloud.ok("GET", path, who="admin"))["quota_set"]["cores"] == 4


async def test_a_cloud_begins_without_aggregates_and_server_groups(cloud: TestCloud) -> None:
    assert (await cloud.ok("GET", f"{V}/os-aggregates", who="admin")) == {"aggregates": []}
    assert (await cloud.ok("GET", f"{V}/os-server-groups")) == {"server_groups": []}
    assert (await cloud.ok("GET", f"{V}/extensions/os-keypairs"))["extension"]["alias"] == "os-keypairs"


async def test_discovery_names_the_microversions(cloud: TestCloud) -> None:
    version = (await cloud.ok("GET", V, who=""))["version"]
    assert (version["id"], version["version"], version["min_version"]) == ("v2.1", "2.100", "2.1")
    too_new = {"openstack-api-version": "compute 2.999"}
    assert (await cloud.call("GET", f"{V}/servers", headers=too_new)).status == 406


async def test_pods_count_to_the_cores_in_use(cloud: TestCloud) -> None:
    requests = {"cpu": "1500m", "memory": "100Mi"}
    containers = [{"name": "main", "image": "x", "resources": {"requests": requests}}]
    await cloud.state.create(POD, new_object(POD, "p", "demo", {"containers": containers}))
    used = (await cloud.ok("GET", f"{V}/os-quota-sets/{cloud.projects['demo']}/detail"))["quota_set"]
    assert (used["cores"]["in_use"], used["ram"]["in_use"], used["instances"]["in_use"]) == (2, 100, 0)
    absolute = (await cloud.ok("GET", f"{V}/limits"))["limits"]["absolute"]
    assert (absolute["totalCoresUsed"], absolute["totalRAMUsed"]) == (2, 100)
