# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lichen.agent.agent import Shared
from lichen.agent.heart import Heart
from lichen.agent.node import Capacity, NodeFacts, NodeKeeper, facts_of_this_machine, node_status
from lichen.agent.workers import Workers
from lichen.drivers.fake import FakeMachine
from lichen.kinds.builtin import LEASE, NODE
from lichen.kinds.compute.server import Server
from lichen.kinds.network.port import Port
from lichen.model.data import Object
from lichen.model.errors import Temporary
from lichen.runtime.clock import ManualClock, SystemClock, settle
from lichen.store.memory import MemoryStore
from tests.agent.world import FAST, World, a_network, a_port, a_server, an_agent, until

FACTS = NodeFacts("n", Capacity(4000, 8 << 30, 100 << 30), ("192.0.2.10",), {"zone": "z"}, "fake", "fake://1", 1234)


async def test_a_node_registers_and_is_alive(world: World):
    node = await world.store.get(NODE, "node-1")
    lease = await world.store.get(LEASE, "node-1", "kube-node-lease")
    assert node["metadata"]["annotations"]["compute.lichen.dev/accelerator"] == "fake"
    assert node["metadata"]["labels"]["kubernetes.io/hostname"] == "node-1"
    assert lease["spec"]["holderIdentity"] == "node-1"
    assert lease["metadata"]["ownerReferences"][0]["uid"] == node["metadata"]["uid"]


def test_a_nodes_status_says_what_it_has():
    status = node_status(FACTS, {}, 0)
    quantities = {"cpu": "4", "memory": "8388608Ki", "ephemeral-storage": "104857600Ki", "pods": "110"}
    assert (status["capacity"], status["allocatable"]) == (quantities, quantities)
    assert status["addresses"] == [
        {"type": "InternalIP", "address": "192.0.2.10"},
        {"type": "Hostname", "address": "n"},
    ]
    assert status["daemonEndpoints"] == {"kubeletEndpoint": {"Port": 1234}}
    assert status["nodeInfo"]["containerRuntimeVersion"] == "fake://1"
    assert {c["type"]: c["status"] for c in status["conditions"]} == {
        "MemoryPressure": "False", "DiskPressure": "False", "PIDPressure": "False", "Ready": "True",
    }  # fmt: skip


def test_a_nodes_conditions_say_when_they_were_looked_at_to_within_minutes():
    def beats(status: Object) -> set[str]:
        return {c["lastHeartbeatTime"] for c in status["conditions"]}

    first = node_status(FACTS, {}, 60)
    assert beats(first) == {"1970-01-01T00:01:00Z"}
    assert node_status(FACTS, first, 359) == first
    assert beats(node_status(FACTS, first, 360)) == {"1970-01-01T00:06:00Z"}


@pytest.mark.parametrize(("millis", "text"), [(4000, "4"), (1500, "1500m")])
def test_cpu_is_written_as_kubernetes_does(millis: int, text: str):
    assert Capacity(millis, 0, 0).quantities()["cpu"] == text


def test_this_machine_has_facts(tmp_path: Path):
    facts = facts_of_this_machine("n", tmp_path, ("127.0.0.1",), accelerator="tcg")
    assert facts.capacity.memory > 0
    assert (facts.accelerator, facts.addresses) == ("tcg", ("127.0.0.1",))


async def test_registering_again_takes_over_the_node():
    store = MemoryStore()
    first = await NodeKeeper(store, FACTS).register(1000)
    second = await NodeKeeper(store, FACTS).register(1100)
    assert second["metadata"]["uid"] == first["metadata"]["uid"]
    assert second["status"]["conditions"] == first["status"]["conditions"]


async def test_a_node_that_was_lost_is_ready_again_at_the_next_report():
    store = MemoryStore()
    keeper = NodeKeeper(store, FACTS)
    await keeper.register(1000)
    lost = [{"type": "Ready", "status": "Unknown"}]
    await store.patch(NODE, "n", "", {"status": {"conditions": lost}}, subresource="status")
    node = await keeper.report(2000)
    assert {c["type"]: c["status"] for c in node["status"]["conditions"]}["Ready"] == "True"


async def test_a_deleted_node_registers_again():
    store = MemoryStore()
    keeper = NodeKeeper(store, FACTS)
    await keeper.register(1000)
    await store.delete(NODE, "n")
    await keeper.report(2000)
    assert (await store.get(NODE, "n"))["status"]["capacity"]["cpu"] == "4"


async def test_a_deleted_lease_is_made_again():
    store = MemoryStore()
    keeper = NodeKeeper(store, FACTS)
    await keeper.register(1000)
    await keeper.renew(1000)
    await store.delete(LEASE, "n", "kube-node-lease")
    await keeper.renew(2000)
    assert (await store.get(LEASE, "n", "kube-node-lease"))["spec"]["renewTime"].startswith("1970-01-01T00:33:20")


@pytest.mark.parametrize(("nodes", "interval"), [(1, 10), (100, 10), (101, 25), (300, 25)])
async def test_every_heart_beats_once_in_an_interval(nodes: int, interval: int):
    clock, beats = ManualClock(), dict.fromkeys(range(nodes), 0)
    heart = Heart(clock)

    def beat(number: int):
        async def count() -> None:
            beats[number] += 1

        return count

    for number in beats:
        heart.join(str(number), beat(number))
    await clock.run(interval + 0.001)
    assert set(beats.values()) == {1}
    for number in beats:
        await heart.leave(str(number))


async def unheard(key: object, error: Exception | None, failures: int) -> None:
    """Nobody is told how work ends."""


async def test_a_worker_runs_once_more_if_it_was_poked_meanwhile():
    runs = 0

    async def work(key: object) -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            workers.poke("a")
            workers.poke("a")

    workers = Workers(work, ManualClock(), unheard)
    workers.poke("a")
    await settle()
    assert (runs, workers.busy) == (2, 0)


async def test_a_failure_is_tried_again_later_and_later():
    clock, times = ManualClock(0), []

    async def work(key: object) -> None:
        times.append(clock.now())
        raise Temporary("no")

    workers = Workers(work, clock, unheard)
    workers.poke("a")
    await clock.run(20)
    await workers.close()
    assert times == [0, 1, 3, 7, 15]


async def test_a_poke_wakes_what_waits():
    clock, times = ManualClock(0), []

    async def work(key: object) -> float | None:
        times.append(clock.now())
        return 100.0 if len(times) == 1 else None

    workers = Workers(work, clock, unheard)
    workers.poke("a")
    await clock.run(5)
    workers.poke("a")
    await clock.run(200)
    assert times == [0, 5]


async def test_different_objects_are_worked_on_at_the_same_time():
    gate, inside = asyncio.Event(), set()

    async def work(key: object) -> None:
        inside.add(key)
        await gate.wait()

    workers = Workers(work, SystemClock(), unheard)
    for key in "abc":
        workers.poke(key)
    await settle()
    assert inside == {"a", "b", "c"}
    await workers.close()


async def test_many_simulated_nodes_share_what_they_watch(tmp_path: Path):
    store = MemoryStore()
    await a_network(store)
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / a_server()["spec"]["imageId"]).write_bytes(b"QFI\xfb")
    clock = SystemClock()
    shared = Shared.of(store, clock)
    machines = [FakeMachine(f"node-{n}", clock, tmp_path / str(n), timing=FAST) for n in range(200)]
    agents = [an_agent(store, machine, tmp_path, shared=shared)[0] for machine in machines]
    tasks = [asyncio.create_task(agent.run()) for agent in agents]
    await asyncio.gather(*(agent.ready.wait() for agent in agents))
    for n in range(0, 200, 10):
        await store.create(Server.KIND, a_server(f"s{n}", node=f"node-{n}"))
        port = a_port(f"s{n}-0", f"id-s{n}", "compute:nova", n % 250)
        await store.create(Port.KIND, port)
    for n in range(0, 200, 10):
        await until(store, Server.KIND, f"s{n}", "demo", lambda s: (s.get("status") or {}).get("phase") == "Running")
        assert list(machines[n].guests) == [f"id-s{n}"]
    assert len((await store.list(NODE)).items) == 200
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert shared.users == 0
