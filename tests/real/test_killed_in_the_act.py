# SPDX-License-Identifier: Apache-2.0
"""A real node agent, killed in the middle of one act after another: it is stopped as soon as the machine shows that the
act has begun, seen not to have ended it, and killed. What was begun is there once, and nothing is left when it goes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lichen.daemon.settings import load_settings
from lichen.drivers.cgroups import hierarchies
from tests.conformance.cloud import Here, a_cloud, until
from tests.real.machine import tiny_image
from tests.real.test_first_light import belongings, in_pod
from tests.real.test_killed_agent import DEMO, a_claim, a_pod, a_server, guests, processes
from tests.real.test_volumes import typed

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

TRIES = 5
"""An agent that was through with the act when it was stopped is let go on, and the next one is waited for."""
Seen = Callable[[], object]
ATTACHMENT = "volumeattachments.volume.lichen.dev"
MADE = f"servers,pods,pvc,volumes,{ATTACHMENT},ports"


@pytest.fixture(scope="module")
def cloud() -> Iterator[Here]:
    """It has had a machine and a pod before: what their first ones make (containerd, the network) stays."""
    with a_cloud(simulate=False, tiny=tiny_image()) as here:
        image = ["--disk-format", "qcow2", "--container-format", "bare", "--file", str(tiny_image())]
        here.openstack_ok("image", "create", "tiny", *image)
        for thing in (a_server("first"), a_claim("first"), a_pod("first")):
            create(here, thing)
        wait(here, "condition=Ready", "server/first", "pod/first")
        delete(here, "server/first", "pod/first", "pvc/first")
        until("all of it is gone", lambda: is_empty(here))
        yield here


def is_empty(cloud: Here) -> bool:
    return not cloud.object(*DEMO, MADE)["items"]


@pytest.fixture(autouse=True)
def leaves_nothing(cloud: Here) -> Iterator[None]:
    before = traces(cloud)
    yield
    until("what was made is gone", lambda: is_empty(cloud))
    left: dict[str, set[str]] = {}

    def is_as_before() -> bool:
        now = traces(cloud)
        left.update({what: now[what] ^ before[what] for what in before})
        return not any(left.values())

    with contextlib.suppress(AssertionError):
        until("the machine is as before", is_as_before, 30)
    assert {what: things for what, things in left.items() if things} == {}


def traces(cloud: Here) -> dict[str, set[str]]:
    """All that the cloud has on this machine, down to each file and control group of a guest, a pod or a volume."""
    places = ("volumes", "guests", "mounts", "pods", "run/guests", "containerd/logs", "containerd/pods")
    files = {str(path) for place in places for path in (cloud.data_dir / place).rglob("*")}
    images = {str(path) for path in (cloud.data_dir / "images").rglob("*") if path.is_file()}
    group = load_settings(cloud.data_dir).cgroup
    groups = {str(path) for root in hierarchies() for path in (root / group).rglob("*") if path.is_dir()}
    loops = subprocess.run(["losetup", "-n", "-O", "BACK-FILE"], capture_output=True, text=True, check=True).stdout
    mine = {line.strip() for line in loops.splitlines() if str(cloud.data_dir) in line}
    return belongings(cloud) | {"files": files | images, "groups": groups, "loop devices": mine}


# --- the killing ------------------------------------------------------------------------------------------------------


def agent(cloud: Here) -> int:
    found = until("an agent runs", lambda: processes(cloud, "lichen.daemon", "node"), 30)
    return found[0][0]


class Watcher(threading.Thread):
    """Stops process `pid` in the moment in which `seen` is true; it is killed at the block's end if it was `caught`."""

    def __init__(self, pid: int, seen: Seen) -> None:
        super().__init__(daemon=True)
        self._pid, self._seen = pid, seen
        self.stopped, self._over = threading.Event(), threading.Event()
        self.caught = False

    def run(self) -> None:
        while not self._over.wait(0.0005):
            if self._seen():
                os.kill(self._pid, signal.SIGSTOP)
                self.stopped.set()
                return

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()
        os.kill(self._pid, signal.SIGKILL if self.caught else signal.SIGCONT)


def kill_in_the_act(
    cloud: Here, ask: Callable[[str], None], begun: Seen, goes_on: Callable[[str], object], undo: Callable[[str], None]
) -> str:
    """Kill the agent in the midst of what `ask(name)` asks for: `begun()` is true from when the act begins, and
    `goes_on(name)` until it has ended. The name with which that was so; `undo(name)` was called for those before."""
    for number in range(TRIES):
        name, pid = f"k{number}", agent(cloud)
        watcher = Watcher(pid, begun)
        with watcher:
            ask(name)
            assert watcher.stopped.wait(30), "it was never seen to begin"
            watcher.caught = bool(goes_on(name))
        if watcher.caught:
            until("another agent runs", lambda pid=pid: agent(cloud) != pid, 30)  # type: ignore[misc]
            return name
        undo(name)
    raise AssertionError(f"{TRIES} times it had ended before the agent could be stopped")


# --- what is asked for ------------------------------------------------------------------------------------------------


def create(cloud: Here, *things: dict[str, Any]) -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": list(things)}
    cloud.kubectl_ok("create", "-f", "-", input=listed)


def delete(cloud: Here, *names: str) -> None:
    cloud.kubectl_ok("delete", *names, *DEMO, "--timeout=60s")


def wait(cloud: Here, what: str, *names: str) -> None:
    cloud.kubectl_ok("wait", f"--for={what}", *names, *DEMO, "--timeout=60s")


def an_object(group: str, kind: str, name: str, **spec: Any) -> dict[str, Any]:
    meta = {"name": name, "namespace": "demo"}
    return {"apiVersion": f"{group}.lichen.dev/v1", "kind": kind, "metadata": meta, "spec": spec}


def of(cloud: Here, kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = cloud.object(*DEMO, kind, name)
    return found


def phase(cloud: Here, kind: str, name: str) -> str:
    return str((of(cloud, kind, name).get("status") or {}).get("phase"))


def is_there(cloud: Here, kind: str, name: str) -> bool:
    return cloud.kubectl("get", kind, name, *DEMO).code == 0


def volume_files(cloud: Here, pattern: str = "*") -> list[Path]:
    return list((cloud.data_dir / "volumes").glob(pattern))


def pid_of(cloud: Here, name: str) -> int:
    """The process of a server's machine."""
    return int((cloud.data_dir / "run/guests" / of(cloud, "server", name)["spec"]["id"] / "pid").read_text())


def opened(pid: int) -> list[str]:
    """The volumes' files that a process has open."""
    links = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            links.append(os.readlink(entry))
    return [link for link in links if "/volumes/" in link]


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}/exe").exists()


def starts(cloud: Here, name: str) -> int:
    return len(cloud.kubectl_ok("exec", name, *DEMO, "--", "cat", "/data/starts").splitlines())


# --- the acts ---------------------------------------------------------------------------------------------------------


def test_while_an_image_is_copied_to_a_volume(cloud: Here) -> None:
    name = kill_in_the_act(
        cloud,
        lambda name: create(cloud, an_object("volume", "Volume", name, size=1, image="tiny")),
        lambda: volume_files(cloud, ".*.part"),
        lambda _: volume_files(cloud, ".*.part"),
        lambda name: delete(cloud, f"volume/{name}"),
    )
    wait(cloud, "jsonpath={.status.phase}=Available", f"volume/{name}")
    made = cloud.data_dir / "volumes" / f"{of(cloud, 'volume', name)['spec']['id']}.raw"
    assert volume_files(cloud) == [made]
    compare = ("qemu-img", "compare", "-f", "qcow2", "-F", "raw", str(tiny_image()), str(made))
    assert "Images are identical" in subprocess.run(compare, capture_output=True, text=True, check=False).stdout
    delete(cloud, f"volume/{name}")


def test_while_an_image_is_taken_of_a_running_machine(cloud: Here) -> None:
    create(cloud, a_server("web"))
    wait(cloud, "condition=Ready", "server/web")
    pid = pid_of(cloud, "web")
    drafts = cloud.data_dir / "images" / ".captures"
    taken = {"server": "web", "diskFormat": "qcow2", "containerFormat": "bare"}
    name = kill_in_the_act(
        cloud,
        lambda name: create(cloud, an_object("image", "Image", name, **taken)),
        lambda: list(drafts.glob("*/*")),
        lambda name: list(drafts.glob("*/*")) and phase(cloud, "image", name) == "saving",
        lambda name: delete(cloud, f"image/{name}"),
    )
    wait(cloud, "jsonpath={.status.phase}=active", f"image/{name}")
    image = of(cloud, "image", name)
    stored = cloud.data_dir / "images" / image["spec"]["id"]
    assert stored.stat().st_size == image["status"]["size"]
    subprocess.run(("qemu-img", "check", "-q", "-f", "qcow2", str(stored)), check=True)
    assert (pid_of(cloud, "web"), len(guests(cloud))) == (pid, 1)
    delete(cloud, f"image/{name}", "server/web")


def test_while_a_machine_starts(cloud: Here) -> None:
    name = kill_in_the_act(
        cloud,
        lambda name: create(cloud, a_server(name)),
        lambda: guests(cloud),
        lambda name: phase(cloud, "server", name) == "Building",
        lambda name: delete(cloud, f"server/{name}"),
    )
    wait(cloud, "condition=Ready", f"server/{name}")
    server = of(cloud, "server", name)
    assert guests(cloud) == [server["spec"]["id"]]
    assert not server["status"].get("restarts")
    delete(cloud, f"server/{name}")


def test_while_a_pods_sandbox_is_made(cloud: Here) -> None:
    name = kill_in_the_act(
        cloud,
        lambda name: create(cloud, a_claim(name), a_pod(name)),
        lambda: list((cloud.data_dir / "containerd/logs").iterdir()),
        lambda name: not of(cloud, "pod", name)["status"].get("podIP"),
        lambda name: delete(cloud, f"pod/{name}", f"pvc/{name}"),
    )
    wait(cloud, "condition=Ready", f"pod/{name}")
    assert starts(cloud, name) == 1
    assert len([line for _, line in processes(cloud) if "containerd-shim" in line[0]]) == 1
    delete(cloud, f"pod/{name}", f"pvc/{name}")


def test_while_a_volume_is_formatted(cloud: Here) -> None:
    name = kill_in_the_act(
        cloud,
        lambda name: create(cloud, a_claim(name), a_pod(name)),
        lambda: volume_files(cloud, ".*.formatting.part"),
        lambda _: volume_files(cloud, ".*.formatting.part"),
        lambda name: delete(cloud, f"pod/{name}", f"pvc/{name}"),
    )
    wait(cloud, "condition=Ready", f"pod/{name}")
    assert starts(cloud, name) == 1
    assert len(volume_files(cloud)) == 1
    delete(cloud, f"pod/{name}")
    until("it is unmounted", lambda: not list((cloud.data_dir / "mounts").iterdir()))
    subprocess.run(("e2fsck", "-f", "-n", str(volume_files(cloud)[0])), check=True, capture_output=True)
    delete(cloud, f"pvc/{name}")


@pytest.fixture
def with_volume(cloud: Here) -> Iterator[int]:
    """Server web runs, and volume data is there; the process of its machine."""
    create(cloud, a_server("web"), an_object("volume", "Volume", "data", size=1))
    wait(cloud, "condition=Ready", "server/web")
    wait(cloud, "jsonpath={.status.phase}=Available", "volume/data")
    yield pid_of(cloud, "web")
    delete(cloud, "server/web", "volume/data")


def attach(cloud: Here) -> None:
    create(cloud, an_object("volume", "VolumeAttachment", "data", volume="data", server="web"))


def detach(cloud: Here) -> None:
    delete(cloud, f"{ATTACHMENT}/data")


def test_while_a_disk_is_plugged_into_a_running_machine(cloud: Here, with_volume: int) -> None:
    kill_in_the_act(
        cloud,
        lambda _: attach(cloud),
        lambda: opened(with_volume),
        lambda _: phase(cloud, ATTACHMENT, "data") != "Attached",
        lambda _: detach(cloud),
    )
    wait(cloud, "jsonpath={.status.phase}=Attached", f"{ATTACHMENT}/data")
    serial = of(cloud, "volume", "data")["spec"]["id"][:20]
    assert typed(cloud, "cat /sys/block/vd*/serial").count(serial) == 1
    assert (pid_of(cloud, "web"), len(guests(cloud))) == (with_volume, 1)
    detach(cloud)
    assert opened(with_volume) == []


def test_while_a_disk_is_taken_out_of_a_running_machine(cloud: Here, with_volume: int) -> None:
    def ask(_: str) -> None:
        attach(cloud)
        wait(cloud, "jsonpath={.status.phase}=Attached", f"{ATTACHMENT}/data")
        cloud.kubectl_ok("delete", f"{ATTACHMENT}/data", *DEMO, "--wait=false")

    def is_detaching() -> bool:
        said = cloud.kubectl("get", f"{ATTACHMENT}/data", *DEMO, "-o", "jsonpath={.status.phase}")
        return said.out == "Detaching"

    kill_in_the_act(
        cloud,
        ask,
        is_detaching,
        lambda _: is_there(cloud, ATTACHMENT, "data"),
        lambda _: wait(cloud, "delete", f"{ATTACHMENT}/data"),
    )  # fmt: skip
    wait(cloud, "delete", f"{ATTACHMENT}/data")
    assert opened(with_volume) == []
    serial = of(cloud, "volume", "data")["spec"]["id"][:20]
    assert serial not in typed(cloud, "cat /sys/block/vd*/serial")
    assert (pid_of(cloud, "web"), len(guests(cloud))) == (with_volume, 1)


def test_while_a_machine_is_deleted(cloud: Here) -> None:
    pids: list[int] = []

    def ask(name: str) -> None:
        create(cloud, a_server(name))
        wait(cloud, "condition=Ready", f"server/{name}")
        pids.append(pid_of(cloud, name))
        cloud.kubectl_ok("delete", f"server/{name}", *DEMO, "--wait=false")

    name = kill_in_the_act(
        cloud,
        ask,
        lambda: pids and not is_alive(pids[-1]),
        lambda name: is_there(cloud, "server", name),
        lambda name: wait(cloud, "delete", f"server/{name}"),
    )
    wait(cloud, "delete", f"server/{name}")
    assert guests(cloud) == []


def test_while_a_pod_is_deleted(cloud: Here) -> None:
    pids: list[int] = []

    def ask(name: str) -> None:
        create(cloud, a_claim(name), a_pod(name))
        wait(cloud, "condition=Ready", f"pod/{name}")
        pids.append(in_pod(of(cloud, "pod", name)))
        cloud.kubectl_ok("delete", f"pod/{name}", f"pvc/{name}", *DEMO, "--wait=false")

    name = kill_in_the_act(
        cloud,
        ask,
        lambda: pids and not is_alive(pids[-1]),
        lambda name: is_there(cloud, "pod", name),
        lambda name: wait(cloud, "delete", f"pod/{name}", f"pvc/{name}"),
    )
    wait(cloud, "delete", f"pod/{name}", f"pvc/{name}")
    assert [line for _, line in processes(cloud) if "containerd-shim" in line[0]] == []
