# SPDX-License-Identifier: Apache-2.0
"""The scheduler over a real kernel: pods and servers are bound, told why not, tried again, counted once."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import Any

from lichen.kinds.builtin import EVENT, NODE, PERSISTENT_VOLUME_CLAIM, POD, PRIORITY_CLASS
from lichen.kinds.compute.flavor import Flavor
from lichen.kinds.compute.server import Server
from lichen.kinds.volume.volume import Volume
from lichen.model.data import Object
from lichen.model.errors import Invalid
from lichen.model.kind import new_object
from lichen.model.meta import find_condition, name_of
from lichen.model.names import POOL
from tests.controllers.world import Cloud, a_cloud


def asks(cpu: str = "1", memory: str = "1Gi", **spec: Any) -> Object:
    resources = {"requests": {"cpu": cpu, "memory": memory}}
    return {"containers": [{"name": "main", "image": "busybox:v1", "resources": resources}], **spec}


def node_of(pod: Object) -> str:
    name: str = pod["spec"].get("nodeName", "")
    return name


def why(obj: Object, type_: str = "PodScheduled") -> str:
    condition = find_condition(obj, type_) or {}
    return condition.get("message", "") if condition.get("status") == "False" else ""


async def test_a_pod_is_bound_and_that_is_recorded(cloud: Cloud):
    await cloud.create(POD, "one", asks())
    pod = await cloud.until(POD, "one", node_of)
    events = await cloud.until_all(EVENT, lambda found: [e for e in found if e["reason"] == "Scheduled"])
    (event,) = [e for e in events if e["reason"] == "Scheduled"]
    assert event["message"] == f"Successfully assigned demo/one to {node_of(pod)}"
    assert event["source"]["component"] == "default-scheduler"


async def test_what_fits_nowhere_is_told_why_and_bound_when_there_is_room(cloud: Cloud):
    await cloud.create(POD, "big", asks(memory="6Gi"))
    await cloud.create(POD, "bigger", asks(memory="6Gi"))
    await cloud.until(POD, "big", node_of)
    await cloud.until(POD, "bigger", node_of)
    await cloud.create(POD, "third", asks(memory="6Gi"))
    pod = await cloud.until(POD, "third", why)
    assert why(pod) == "0/2 nodes are available: 2 Insufficient memory."
    await cloud.until_all(EVENT, lambda found: [e for e in found if e["reason"] == "FailedScheduling"])
    await cloud.state.delete(POD, "big", "demo")
    await cloud.until(POD, "third", node_of)


async def test_a_new_node_takes_what_waited(cloud: Cloud):
    await cloud.create(POD, "zoned", asks(nodeSelector={"disk": "ssd"}))
    await cloud.until(POD, "zoned", why)
    await cloud.node("n3", disk="ssd")
    assert node_of(await cloud.until(POD, "zoned", node_of)) == "n3"


async def test_pods_and_servers_share_the_nodes(cloud: Cloud):
    flavor = new_object(Flavor.KIND, "large", spec={"vcpus": 2, "memory": 6144, "disk": 0})
    await cloud.state.create(Flavor.KIND, flavor)
    await cloud.create(Server.KIND, "vm", {"flavor": "large", "networks": []})
    server = await cloud.until(Server.KIND, "vm", lambda s: s["spec"].get("node"))
    await cloud.create(POD, "big", asks(memory="6Gi"))
    pod = await cloud.until(POD, "big", node_of)
    assert node_of(pod) != server["spec"]["node"]
    await cloud.create(Server.KIND, "second", {"flavor": "large", "networks": []})
    refused = await cloud.until(Server.KIND, "second", lambda s: why(s, "Scheduled"))
    assert why(refused, "Scheduled") == "0/2 nodes are available: 2 Insufficient memory."
    await cloud.state.delete(POD, "big", "demo")
    await cloud.until(Server.KIND, "second", lambda s: s["spec"].get("node"))


async def test_a_crowd_is_never_bound_to_more_room_than_there_is():
    async with a_cloud(nodes=0) as cloud:
        for number in range(4):
            await cloud.node(f"n{number}", cpu="4", memory="4Gi")
        for number in range(30):
            await cloud.create(POD, f"p{number}", asks(memory="1Gi", cpu="100m"))
        pods = await cloud.until_all(POD, lambda pods: sum(bool(node_of(p)) for p in pods) == 16)
        await cloud.settle()
        held = Counter(node_of(p) for p in await cloud.all(POD))
        assert held == {"n0": 4, "n1": 4, "n2": 4, "n3": 4, "": 14}
        for pod in pods[:5]:
            await cloud.state.delete(POD, name_of(pod), "demo", grace_seconds=0)
        await cloud.until_all(POD, lambda found: sum(bool(node_of(p)) for p in found) == 16)
        assert max(Counter(node_of(p) for p in await cloud.all(POD) if node_of(p)).values()) <= 4


async def test_a_cordoned_node_takes_nothing_until_it_is_opened(cloud: Cloud):
    for name in ("n1", "n2"):
        await cloud.patch(NODE, name, {"spec": {"unschedulable": True}})
    await cloud.create(POD, "one", asks())
    assert "unschedulable" in why(await cloud.until(POD, "one", why))
    await cloud.patch(NODE, "n2", {"spec": {"unschedulable": False}})
    assert node_of(await cloud.until(POD, "one", node_of)) == "n2"


async def test_what_wants_to_be_near_another_is_bound_when_that_comes(cloud: Cloud):
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "db"}}}
    near = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    await cloud.create(POD, "web", asks(affinity=near))
    await cloud.until(POD, "web", why)
    await cloud.create(POD, "db", asks(), labels={"app": "db"})
    database = await cloud.until(POD, "db", node_of)
    assert node_of(await cloud.until(POD, "web", node_of)) == node_of(database)


async def test_rules_that_cannot_be_read_hold_nobody_else_up(cloud: Cloud):
    terms = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "cores", "operator": "Gt", "values": ["many"]}]}]}
    odd = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
    await cloud.node("n3", cores="3")
    with contextlib.suppress(Invalid):  # refused at the door is as good
        await cloud.create(POD, "odd", asks(affinity=odd))
    await cloud.create(POD, "plain", asks())
    await cloud.until(POD, "plain", node_of)


async def test_a_gated_pod_waits_until_its_gates_are_gone(cloud: Cloud):
    await cloud.create(POD, "gated", asks(schedulingGates=[{"name": "example.org/wait"}]))
    await cloud.settle()
    assert node_of(await cloud.get(POD, "gated")) == ""
    await cloud.patch(POD, "gated", {"spec": {"schedulingGates": None}})
    await cloud.until(POD, "gated", node_of)


async def test_another_schedulers_pods_are_left_to_it(cloud: Cloud):
    await cloud.create(POD, "other", asks(schedulerName="mine"))
    await cloud.create(POD, "ours", asks())
    await cloud.until(POD, "ours", node_of)
    assert node_of(await cloud.get(POD, "other")) == ""


async def test_pods_of_lower_priority_give_way_and_only_as_many_as_must(cloud: Cloud):
    await cloud.state.create(PRIORITY_CLASS, {**new_object(PRIORITY_CLASS, "high"), "value": 1000})
    for number in range(4):
        await cloud.create(POD, f"low{number}", asks(memory="4Gi"))
    await cloud.until_all(POD, lambda pods: all(map(node_of, pods)))
    await cloud.create(POD, "high", asks(memory="4Gi", priorityClassName="high"))
    await cloud.until(POD, "high", node_of)
    assert len(await cloud.names(POD)) == 4
    await cloud.until_all(EVENT, lambda found: [e for e in found if e["reason"] == "Preempted"])


async def on_disks_of(cloud: Cloud, volume: str, node: str) -> None:
    await cloud.create(Volume.KIND, volume, {"size": 1, "node": node})


async def test_a_server_is_placed_where_its_volumes_are_or_told_that_there_is_no_such_place(cloud: Cloud):
    await cloud.create(Flavor.KIND, "f", {"vcpus": 1, "memory": 128}, namespace="")
    for number, node in enumerate(("n2", "n1", "n2")):
        await on_disks_of(cloud, f"v{number}", node)
        server = {"flavor": "f", "volumes": [{"volume": f"v{number}", "boot": True}]}
        await cloud.create(Server.KIND, f"s{number}", server)
        await cloud.until(Server.KIND, f"s{number}", lambda s, node=node: s["spec"].get("node") == node)
    await on_disks_of(cloud, "here", "n1")
    await on_disks_of(cloud, "there", "n2")
    torn = {"flavor": "f", "volumes": [{"volume": "here", "boot": True}, {"volume": "there"}]}
    await cloud.create(Server.KIND, "torn", torn)
    told = await cloud.until(Server.KIND, "torn", lambda s: why(s, "Scheduled"))
    assert why(told, "Scheduled") == "0/2 nodes are available: 2 node(s) had volume node affinity conflict."
    for node in ("n1", "n2"):
        await cloud.patch(NODE, node, {"metadata": {"labels": {POOL: "san"}}})
    await cloud.until(Server.KIND, "torn", lambda s: s["spec"].get("node"))


async def test_a_server_waits_for_the_volume_that_it_names(cloud: Cloud):
    await cloud.create(Flavor.KIND, "f", {"vcpus": 1, "memory": 128}, namespace="")
    await cloud.create(Server.KIND, "s", {"flavor": "f", "volumes": [{"volume": "later", "boot": True}]})
    told = await cloud.until(Server.KIND, "s", lambda s: why(s, "Scheduled"))
    assert "volume later has no node yet" in why(told, "Scheduled")
    await on_disks_of(cloud, "later", "n2")
    await cloud.until(Server.KIND, "s", lambda s: s["spec"].get("node") == "n2")


async def test_a_pod_follows_the_volume_of_its_claim(cloud: Cloud):
    await on_disks_of(cloud, "kept", "n2")
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    await cloud.create(PERSISTENT_VOLUME_CLAIM, "c", claim, annotations={"volume.lichen.dev/volume": "kept"})
    for number in range(3):
        volumes = [{"name": "d", "persistentVolumeClaim": {"claimName": "c"}}]
        await cloud.create(POD, f"p{number}", asks(volumes=volumes))
        await cloud.until(POD, f"p{number}", lambda p: node_of(p) == "n2")
