# SPDX-License-Identifier: Apache-2.0
"""A real cloud's volumes: a disk in a running machine, then a file system in a pod, then a disk again, with its data.

The tests run in the order they are written, on one cloud: each finds what the earlier ones left.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.cloud import Here, a_cloud, until
from tests.real.machine import tiny_image
from tests.real.test_first_light import kill, processes, role

pytestmark = [pytest.mark.real, pytest.mark.timeout(300), pytest.mark.xdist_group("volumes")]
MOUNTED = "mkdir -p /m; mount -t ext2 /dev/vdc /m"


@pytest.fixture(scope="module")
def cloud() -> Iterator[Here]:
    with a_cloud(simulate=False, tiny=tiny_image()) as here:
        image = ["--disk-format", "qcow2", "--container-format", "bare", "--file", str(tiny_image())]
        here.openstack_ok("image", "create", "tiny", *image)
        here.openstack_ok("server", "create", "web", "--image", "tiny", "--flavor", "m1.tiny", "--wait")
        yield here


def status(cloud: Here, volume: str = "data") -> str:
    found: str = cloud.openstack_json("volume", "show", volume)["status"]
    return found


def guest(cloud: Here) -> str:
    return str(cloud.object("server", "web", "-n", "demo")["spec"]["id"])


def machine(cloud: Here) -> int:
    """Its process."""
    return int((cloud.data_dir / "run" / "guests" / guest(cloud) / "pid").read_text())


def typed(cloud: Here, command: str) -> str:
    """What a command says that is typed at the machine's console."""

    async def talk() -> bytes:
        socket = str(cloud.data_dir / "run" / "guests" / guest(cloud) / "console")
        reader, writer = await asyncio.open_unix_connection(socket)
        async with asyncio.timeout(90):
            for prompt, answer in ((b"login:", "root"), (b"Password:", "lichen"), (b"# ", command)):
                writer.write(b"\n" if prompt == b"login:" else b"")
                await reader.readuntil(prompt)
                writer.write(answer.encode() + b"\n")
            said = await reader.readuntil(b"# ")
            writer.write(b"exit\n")
            await reader.readuntil(b"login:")
        writer.close()
        return said

    return asyncio.run(talk()).decode(errors="replace")


def a_pod(command: str) -> dict[str, Any]:
    mount = {"name": "d", "mountPath": "/data"}
    container = {"name": "c", "image": "busybox", "command": ["sh", "-c", command], "volumeMounts": [mount]}
    volumes = [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]
    spec = {"terminationGracePeriodSeconds": 1, "containers": [container], "volumes": volumes}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "demo"}, "spec": spec}


def a_claim(**annotations: str) -> dict[str, Any]:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    meta = {"name": "data", "namespace": "demo", "annotations": annotations}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": spec}


def leftovers(cloud: Here) -> str:
    """Loop devices and mounts of volumes of this cloud."""
    loops = subprocess.run(["losetup", "-n", "-O", "BACK-FILE"], capture_output=True, text=True, check=True).stdout
    lines = (loops + Path("/proc/mounts").read_text()).splitlines()
    mine = (str(cloud.data_dir / "volumes"), str(cloud.data_dir / "mounts"))
    return "\n".join(line for line in lines if any(folder in line for folder in mine))


def test_a_machine_that_runs_sees_a_disk_and_writes_to_it(cloud: Here):
    cloud.openstack_ok("volume", "create", "data", "--size", "1")
    until("the volume is made", lambda: status(cloud) == "available")
    cloud.openstack_ok("server", "add", "volume", "web", "data")
    until("the volume is in use", lambda: status(cloud) == "in-use")
    serial = cloud.openstack_json("volume", "show", "data")["id"][:20]
    assert serial in typed(cloud, "cat /sys/block/vdc/serial")
    assert "WROTE" in typed(
        cloud, f"mke2fs /dev/vdc >/dev/null; {MOUNTED}; echo from-vm > /m/vm && umount /m && echo WROTE"
    )
    assert "in use" in cloud.openstack_refused("volume", "delete", "data")


def test_the_disk_is_there_again_after_the_machines_process_was_killed(cloud: Here):
    os.kill(machine(cloud), signal.SIGKILL)
    until("the machine came back", lambda: cloud.object("server", "web", "-n", "demo")["status"].get("restarts") == 1)
    assert "from-vm" in typed(cloud, f"{MOUNTED}; cat /m/vm; umount /m")


def test_the_disk_grows_under_the_running_machine(cloud: Here):
    cloud.openstack_ok("--os-volume-api-version", "3.70", "volume", "set", "--size", "2", "data")
    until("the guest sees 2 GiB", lambda: str(2 << 21) in typed(cloud, "cat /sys/block/vdc/size"))


def test_a_pod_mounts_what_the_machine_wrote(cloud: Here):
    cloud.openstack_ok("server", "remove", "volume", "web", "data")
    until("the volume is free", lambda: status(cloud) == "available")
    cloud.kubectl_ok("create", "-f", "-", input=a_claim(**{"volume.lichen.dev/volume": "data"}))
    cloud.kubectl_ok("create", "-f", "-", input=a_pod("cat /data/vm; echo from-pod > /data/pod; sync; sleep 1000"))
    cloud.kubectl_ok("wait", "--for=condition=Ready", "pod/p", "-n", "demo", "--timeout=60s")
    assert cloud.kubectl_ok("logs", "p", "-n", "demo") == "from-vm\n"
    assert status(cloud) == "in-use"
    assert "attached already" in cloud.openstack_refused("server", "add", "volume", "web", "data")


def test_the_machine_reads_what_the_pod_wrote(cloud: Here):
    cloud.kubectl_ok("delete", "pod/p", "pvc/data", "-n", "demo")
    until("the volume is free", lambda: status(cloud) == "available")
    assert leftovers(cloud) == ""
    cloud.openstack_ok("server", "add", "volume", "web", "data")
    until("the volume is in use", lambda: status(cloud) == "in-use")
    assert "from-pod" in typed(cloud, f"{MOUNTED}; cat /m/pod; umount /m")


def test_a_disk_attached_by_hand_stays_in_the_machine_when_the_agent_is_killed(cloud: Here):
    agent, qemu = role(cloud, "node"), machine(cloud)
    kill(agent)
    until("another agent runs", lambda: processes("lichen.daemon node ", str(cloud.data_dir)), 30)
    assert "from-pod" in typed(cloud, f"{MOUNTED}; cat /m/pod; umount /m")
    cloud.openstack_ok("--os-volume-api-version", "3.70", "volume", "set", "--size", "3", "data")
    until("the guest sees 3 GiB", lambda: str(3 << 21) in typed(cloud, "cat /sys/block/vdc/size"))
    assert (status(cloud), machine(cloud)) == ("in-use", qemu)
    assert "attached already" in cloud.openstack_refused("server", "add", "volume", "web", "data")


def test_a_machine_boots_from_a_volume(cloud: Here):
    cloud.openstack_ok("server", "create", "boots", "--image", "tiny", "--flavor", "m1.tiny", "--boot-from-volume", "1")
    until("it has booted", lambda: "ready" in cloud.openstack("console", "log", "show", "boots").out, 90)
    cloud.openstack_ok("server", "delete", "boots", "--wait")
    until("its volume is free", lambda: status(cloud, "boots-boot") == "available")
    cloud.openstack_ok("volume", "delete", "boots-boot")


def test_down_leaves_no_mount_and_up_finds_a_claims_data(cloud: Here):
    cloud.kubectl_ok("create", "-f", "-", input=a_claim())
    cloud.kubectl_ok("create", "-f", "-", input=a_pod("date >> /data/starts; sync; sleep 1000"))
    cloud.kubectl_ok("wait", "--for=condition=Ready", "pod/p", "-n", "demo", "--timeout=60s")
    assert leftovers(cloud) != ""
    assert cloud.down().code == 0
    assert leftovers(cloud) == ""
    assert cloud.up().code == 0

    def starts() -> int:
        return len(cloud.kubectl("exec", "p", "-n", "demo", "--", "cat", "/data/starts").out.splitlines())

    until("the pod runs again on its data", lambda: starts() == 2, 90)
    cloud.kubectl_ok("delete", "pod/p", "pvc/data", "-n", "demo")
    until("the claim's volume is gone", lambda: "pvc-" not in cloud.openstack_ok("volume", "list"))
    assert leftovers(cloud) == ""


def test_a_disk_attached_by_hand_is_in_the_machine_again_after_down_and_up(cloud: Here):
    serial = cloud.openstack_json("volume", "show", "data")["id"][:20]
    assert typed(cloud, "cat /sys/block/vd?/serial").count(serial) == 1
    assert "from-pod" in typed(cloud, f"{MOUNTED}; cat /m/pod; umount /m")
    assert status(cloud) == "in-use"
    cloud.openstack_ok("server", "remove", "volume", "web", "data")
    until("the volume is free", lambda: status(cloud) == "available")
