# SPDX-License-Identifier: Apache-2.0
"""What of the containerd driver needs no containerd: words, files, archives, the CNI plugin and its socket."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest

from lichen.drivers.base import ContainerPhase, ContainerSpec, ContainerState, Mount, PodSpec, PortSpec
from lichen.drivers.containerd import cni, netplug, spec
from lichen.drivers.containerd import cri_pb2 as pb
from lichen.drivers.containerd.archive import Root, write_archive
from lichen.drivers.containerd.config import Layout, containerd_toml, install
from lichen.drivers.containerd.netplug import PlugServer
from lichen.drivers.containerd.pause import program
from lichen.model.errors import Permanent, Temporary

LAYOUT = Layout(Path("/var/lib/lichen/containerd"), Path("/run/lichen/containerd"), "lichen")
POD = PodSpec(uid="u-1", namespace="default", name="web")
PORT = PortSpec("p-1", "n-1", "fa:16:3e:00:00:01", (("10.244.0.5", 16),), "10.244.0.1")


@pytest.mark.parametrize(
    ("given", "full"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1.36", "docker.io/library/busybox:1.36"),
        ("team/app", "docker.io/team/app:latest"),
        ("quay.io/team/app:v1", "quay.io/team/app:v1"),
        ("localhost/app", "localhost/app:latest"),
        ("127.0.0.1:5000/app:v1", "127.0.0.1:5000/app:v1"),
        ("app@sha256:" + "0" * 64, "docker.io/library/app@sha256:" + "0" * 64),
    ],
)
def test_an_images_name_is_completed_as_docker_does(given: str, full: str) -> None:
    assert spec.reference(given) == full


@pytest.mark.parametrize("given", ["", "Not A Name", "UPPER", "a/:tag", "app:", "app@sha256:12", "-app"])
def test_what_is_no_images_name_is_refused(given: str) -> None:
    with pytest.raises(Permanent) as refusal:
        spec.reference(given)
    assert refusal.value.reason == "InvalidImageName"


def test_limits_become_quota_shares_and_bytes() -> None:
    container = ContainerSpec("c", "busybox", cpu_millis=500, cpu_request_millis=250, memory_bytes=1 << 26)
    resources = spec.container_config(POD, container, LAYOUT, attempt=0).linux.resources
    assert (resources.cpu_period, resources.cpu_quota) == (100_000, 50_000)
    assert (resources.cpu_shares, resources.memory_limit_in_bytes) == (256, 1 << 26)


def test_a_container_without_limits_has_the_least_share_and_no_bound() -> None:
    resources = spec.container_config(POD, ContainerSpec("c", "busybox"), LAYOUT, attempt=0).linux.resources
    assert (resources.cpu_quota, resources.cpu_shares, resources.memory_limit_in_bytes) == (0, 2, 0)


def test_user_capabilities_and_a_read_only_root_reach_the_engine() -> None:
    container = ContainerSpec(
        "c", "busybox", run_as_user=0, run_as_group=5, read_only_root=True, capabilities_drop=("ALL",)
    )
    security = spec.container_config(POD, container, LAYOUT, attempt=0).linux.security_context
    assert (security.HasField("run_as_user"), security.run_as_user.value, security.run_as_group.value) == (True, 0, 5)
    assert (security.readonly_rootfs, list(security.capabilities.drop_capabilities)) == (True, ["ALL"])
    assert not spec.container_config(POD, ContainerSpec("c", "x"), LAYOUT, attempt=0).linux.security_context.HasField(
        "run_as_user"
    )


def test_a_pods_own_hosts_file_gives_way_to_a_mount() -> None:
    plain = spec.container_config(POD, ContainerSpec("c", "x"), LAYOUT, attempt=0)
    assert [m.host_path for m in plain.mounts] == ["/var/lib/lichen/containerd/pods/u-1/hosts"]
    own = ContainerSpec("c", "x", mounts=(Mount("/h", "/etc/hosts", True),))
    assert [m.host_path for m in spec.container_config(POD, own, LAYOUT, attempt=0).mounts] == ["/h"]


def test_a_sandbox_says_whose_it_is_and_where_its_group_lies() -> None:
    config = spec.sandbox_config(POD, LAYOUT, attempt=2)
    assert (config.metadata.uid, config.metadata.attempt, config.hostname) == ("u-1", 2, "web")
    assert config.linux.cgroup_parent == "/lichen/podu-1"
    assert dict(config.labels)[spec.UID] == "u-1"
    assert not config.HasField("dns_config")


def test_a_pod_on_the_hosts_network_has_the_hosts_name() -> None:
    config = spec.sandbox_config(PodSpec("u", "ns", "n", host_network=True), LAYOUT, attempt=0)
    assert config.hostname == ""
    assert config.linux.security_context.namespace_options.network == pb.NODE


def test_the_newest_attempt_of_each_container_counts() -> None:
    states = [ContainerState(f"{n}{a}", n, a, ContainerPhase.EXITED) for n, a in (("b", 1), ("a", 0), ("b", 0))]
    assert [state.id for state in spec.newest(states)] == ["a0", "b1"]


def test_the_configuration_is_toml_and_keeps_to_its_own_folders() -> None:
    config = tomllib.loads(containerd_toml(LAYOUT))
    assert config["root"] == "/var/lib/lichen/containerd/root"
    assert config["grpc"]["address"] == "/run/lichen/containerd/containerd.sock"
    runtimes = config["plugins"]["io.containerd.grpc.v1.cri"]["containerd"]["runtimes"]
    assert {name: runtime["options"]["Root"] for name, runtime in runtimes.items()} == {
        "runc": "/run/lichen/containerd/runc",
        "crun": "/run/lichen/containerd/crun",
    }


def test_an_archive_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    root = Root(("bin",), {"bin/tool": b"content"}, {"bin/alias": "bin/tool"})
    for name in ("a.tar", "b.tar"):
        write_archive(tmp_path / name, "example.org/tool:1", root, command=("tool",))
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    with tarfile.open(tmp_path / "a.tar") as tar:
        manifest = json.loads(tar.extractfile("manifest.json").read())  # type: ignore[union-attr]
        assert manifest[0]["RepoTags"] == ["example.org/tool:1"]
        with tarfile.open(fileobj=tar.extractfile(manifest[0]["Layers"][0])) as layer:
            assert layer.getmember("bin/alias").linkname == "bin/tool"


@pytest.mark.skipif(platform.system() != "Linux", reason="an ELF program")
def test_the_pause_program_waits_until_it_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "pause"
    path.write_bytes(program())
    path.chmod(0o755)
    with subprocess.Popen([str(path)]) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.2)
        process.terminate()
        assert process.wait(5) == -15


def test_pause_programs_exist_for_two_machines_and_no_other() -> None:
    assert {len(program(machine)) for machine in ("x86_64", "aarch64")} == {129, 152}
    with pytest.raises(Permanent):
        program("vax")


def run_plugin(folder: Path, command: str) -> tuple[int, str]:
    """Run the installed plugin as containerd does."""
    layout = Layout(folder / "state", folder / "run", "x")
    env = {"CNI_COMMAND": command, "CNI_NETNS": "/proc/self/ns/net", "CNI_IFNAME": "eth0",
           "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_UID=u-1;K8S_POD_NAME=web"}  # fmt: skip
    configuration = json.dumps({"type": "lichen", "name": "lichen", "socket": str(layout.cni_socket)})
    done = subprocess.run([str(layout.run / "cni/bin/lichen")], env=env, input=configuration, capture_output=True,
                          text=True, check=False, timeout=20)  # fmt: skip
    assert done.stderr == ""
    return done.returncode, done.stdout


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    install(Layout(tmp_path / "state", tmp_path / "run", "x"))
    return tmp_path


def test_the_plugin_asks_to_try_again_while_the_agent_is_away(installed: Path) -> None:
    code, printed = run_plugin(installed, "ADD")
    assert (code, json.loads(printed)["code"]) == (1, 11)


def test_taking_a_network_back_succeeds_while_the_agent_is_away(installed: Path) -> None:
    assert run_plugin(installed, "DEL") == (0, "")


def test_the_plugin_tells_its_versions(installed: Path) -> None:
    code, printed = run_plugin(installed, "VERSION")
    assert (code, json.loads(printed)["cniVersion"]) == (0, "1.0.0")


def test_the_plugin_finds_the_socket_in_the_configuration_however_it_is_spaced() -> None:
    for text in ('{"socket":"/run/x","name":"l"}', '{"name": "l", "socket": "/run/x"}'):
        assert cni.address_in(text) == "/run/x"


async def test_the_plugin_prints_what_the_agent_plugged(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    async def plug(uid: str, netns: str) -> PortSpec:
        asked.append(("plug", uid, netns))
        return PORT

    async def unplug(uid: str) -> None:
        asked.append(("unplug", uid))

    monkeypatch.setattr(netplug, "bring_up_loopback", lambda netns: None)
    server = PlugServer(installed / "run/cni.sock", plug, unplug)
    await server.open()
    try:
        code, printed = await asyncio.to_thread(run_plugin, installed, "ADD")
        assert await asyncio.to_thread(run_plugin, installed, "DEL") == (0, "")
    finally:
        await server.close()
    assert code == 0
    assert json.loads(printed) == {
        "cniVersion": "1.0.0",
        "interfaces": [{"name": "eth0", "sandbox": "/proc/self/ns/net", "mac": "fa:16:3e:00:00:01"}],
        "ips": [{"address": "10.244.0.5/16", "interface": 0, "gateway": "10.244.0.1"}],
        "dns": {},
    }
    assert asked == [("plug", "u-1", "/proc/self/ns/net"), ("unplug", "u-1")]


async def test_a_port_that_cannot_be_plugged_yet_is_tried_again(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def plug(uid: str, netns: str) -> PortSpec:
        raise Temporary("its port is not there yet")

    async def unplug(uid: str) -> None: ...

    monkeypatch.setattr(netplug, "bring_up_loopback", lambda netns: None)
    server = PlugServer(installed / "run/cni.sock", plug, unplug)
    await server.open()
    code, printed = await asyncio.to_thread(run_plugin, installed, "ADD")
    await server.close()
    assert code == 1
    assert json.loads(printed) == {"cniVersion": "1.0.0", "code": 11, "msg": "its port is not there yet"}


def test_a_pod_without_a_port_is_told_the_loopback_address() -> None:
    assert json.loads(netplug.result(None, "/n", "eth0"))["ips"] == [{"address": "127.0.0.1/8", "interface": 0}]
    status = pb.PodSandboxStatus(network=pb.PodSandboxNetworkStatus(ip="127.0.0.1"))
    assert spec.addresses(status) == ()


def test_the_plugin_imports_next_to_nothing() -> None:
    source = os.fspath(Path(cni.__file__))
    names = f"import runpy, sys; runpy.run_path({source!r}); print('json' in sys.modules, 'socket' in sys.modules)"
    done = subprocess.run([sys.executable, "-IS", "-c", names], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_what_never_started_has_no_start_though_cri_says_year_one() -> None:
    never = pb.ContainerStatus(started_at=-6795364578871345152, finished_at=1_795_748_657_000_000_000)
    assert spec.container_state(never).started_at == 0.0
    assert spec.container_state(never).finished_at == 1_795_748_657.0
