# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest

from lichen.agent.guest_spec import config_drive, meta_data, network_data, user_data_of
from lichen.agent.ownership import give_to
from lichen.agent.pod_spec import container_spec, environment, expand, field_value, pod_spec
from lichen.agent.volumes import Volumes
from lichen.drivers.base import Mount, PortSpec, SubnetSpec
from lichen.kinds.compute.server import Server
from lichen.model.data import Object
from lichen.model.errors import Permanent
from lichen.model.names import PROJECT_ID
from tests.agent.world import a_server

CONF = {"kind": "ConfigMap", "data": {"a": "1", "b": "2"}}
HIDDEN = {"kind": "Secret", "data": {"word": base64.b64encode(b"hush").decode()}}


GROUP = os.getgid()


def find(kind: str, name: str) -> Object | None:
    return {("ConfigMap", "conf"): CONF, ("Secret", "hidden"): HIDDEN}.get((kind, name))


def a_pod(container: Object | None = None, **spec: Any) -> Object:
    meta = {"name": "web", "namespace": "demo", "uid": "u", "labels": {"l": "1"}, "annotations": {"a": "2"}}
    return {"metadata": meta, "spec": {"containers": [container or {"name": "main", "image": "i"}], **spec}}


def env_of(*entries: Object, source: list[Object] | None = None) -> dict[str, str]:
    container = {"name": "main", "env": list(entries), "envFrom": source or []}
    return environment(a_pod(container), container, find, "192.0.2.1", ("10.0.0.5",))


# --- the config drive -------------------------------------------------------------------------------------------------


def server(**spec: Any) -> Server:
    return Server.of(a_server(**spec))


def test_a_guest_learns_who_it_is():
    namespace = {"metadata": {"labels": {PROJECT_ID: "p1"}}}
    assert meta_data(server(displayName="My Web", metadata={"k": "v"}), namespace, None) == {
        "uuid": "id-web", "name": "My Web", "hostname": "my-web", "launch_index": 0, "availability_zone": "nova",
        "project_id": "p1", "meta": {"k": "v"}, "devices": [],
    }  # fmt: skip


def test_a_guest_learns_its_keys():
    keypair = {"metadata": {"name": "k"}, "spec": {"displayName": "My Key", "publicKey": "ssh-rsa A"}}
    found = meta_data(server(), None, keypair)
    assert found["public_keys"] == {"My Key": "ssh-rsa A"}
    assert found["keys"] == [{"name": "My Key", "type": "ssh", "data": "ssh-rsa A"}]


@pytest.mark.parametrize(
    ("dhcp", "network"),
    [
        (True, {"type": "ipv4_dhcp"}),
        (
            False,
            {
                "type": "ipv4",
                "ip_address": "10.0.0.5/24",
                "routes": [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.0.0.1"}],
            },
        ),
    ],
)
def test_a_guest_learns_its_networks(dhcp: bool, network: Object):
    port = PortSpec("0123456789abcdef", "N", "fa:16:3e:00:00:05", (("10.0.0.5", 24),), "10.0.0.1", 1400)
    subnets = {"N": (SubnetSpec("S", "10.0.0.0/24", "10.0.0.1", dhcp, ("192.0.2.53",)),)}
    link = {
        "id": "tap0123456789a", "vif_id": "0123456789abcdef", "type": "bridge", "mtu": 1400,
        "ethernet_mac_address": "fa:16:3e:00:00:05",
    }  # fmt: skip
    assert network_data([port], subnets) == {
        "links": [link],
        "networks": [{"id": "network0", "link": "tap0123456789a", "network_id": "N", **network}],
        "services": [{"type": "dns", "address": "192.0.2.53"}],
    }


def test_user_data_is_given_only_where_there_is_some():
    assert "openstack/latest/user_data" not in config_drive(server(), None, None, None, [], {})
    assert config_drive(server(), None, None, b"#!/bin/sh", [], {})["openstack/latest/user_data"] == b"#!/bin/sh"


@pytest.mark.parametrize(
    ("secret", "data"),
    [({"data": {"userdata": "aGk="}}, b"hi"), ({"stringData": {"userdata": "hi"}}, b"hi"), ({}, None)],
)
def test_user_data_is_read_from_its_secret(secret: Object, data: bytes | None):
    assert user_data_of(secret) == data


# --- environment ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("plain", "plain"), ("$(A)", "1"), ("x$(A)y$(B)", "x1y2"), ("$$(A)", "$(A)"), ("$(C)", "$(C)"), ("$A", "$A"),
        ("$$$(A)", "$1"),
    ],
)  # fmt: skip
def test_references_are_expanded(text: str, result: str):
    assert expand(text, {"A": "1", "B": "2"}) == result


def test_values_may_refer_to_what_stands_before():
    assert env_of({"name": "A", "value": "1"}, {"name": "B", "value": "$(A)$(C)"}, {"name": "C", "value": "3"}) == {
        "A": "1", "B": "1$(C)", "C": "3",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ({"configMapKeyRef": {"name": "conf", "key": "a"}}, "1"),
        ({"secretKeyRef": {"name": "hidden", "key": "word"}}, "hush"),
        ({"fieldRef": {"fieldPath": "metadata.name"}}, "web"),
        ({"fieldRef": {"fieldPath": "metadata.namespace"}}, "demo"),
        ({"fieldRef": {"fieldPath": "metadata.uid"}}, "u"),
        ({"fieldRef": {"fieldPath": "metadata.labels['l']"}}, "1"),
        ({"fieldRef": {"fieldPath": "metadata.annotations['a']"}}, "2"),
        ({"fieldRef": {"fieldPath": "status.podIP"}}, "10.0.0.5"),
        ({"fieldRef": {"fieldPath": "status.hostIP"}}, "192.0.2.1"),
        ({"fieldRef": {"fieldPath": "spec.serviceAccountName"}}, "default"),
    ],
)
def test_values_come_from_elsewhere(source: Object, value: str):
    assert env_of({"name": "X", "valueFrom": source}) == {"X": value}


def test_whole_maps_can_be_taken_over_with_a_prefix():
    assert env_of(source=[{"configMapRef": {"name": "conf"}, "prefix": "C_"}, {"secretRef": {"name": "hidden"}}]) == {
        "C_a": "1", "C_b": "2", "word": "hush",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"configMapKeyRef": {"name": "no", "key": "a"}}, 'configmap "no" not found'),
        ({"configMapKeyRef": {"name": "conf", "key": "no"}}, "couldn't find key no in ConfigMap conf"),
        ({"secretKeyRef": {"name": "no", "key": "a"}}, 'secret "no" not found'),
        ({"fieldRef": {"fieldPath": "spec.nothing"}}, "fieldPath spec.nothing is not offered to containers"),
    ],
)
def test_what_is_missing_is_said(source: Object, message: str):
    with pytest.raises(Permanent) as refusal:
        env_of({"name": "X", "valueFrom": source})
    assert (refusal.value.reason, refusal.value.message) == ("CreateContainerConfigError", message)


@pytest.mark.parametrize("name", ["no", "conf"])
def test_what_is_optional_may_be_missing(name: str):
    assert env_of({"name": "X", "valueFrom": {"configMapKeyRef": {"name": name, "key": "no", "optional": True}}}) == {}


@pytest.mark.parametrize(
    ("resource", "divisor", "value"),
    [
        ("limits.cpu", "1", "2"), ("limits.cpu", "1m", "1500"), ("limits.cpu", None, "2"),
        ("limits.memory", "1Mi", "64"), ("requests.memory", "1", "0"),
    ],
)  # fmt: skip
def test_limits_can_be_read(resource: str, divisor: str | None, value: str):
    container = {
        "name": "main",
        "resources": {"limits": {"cpu": "1500m", "memory": "64Mi"}},
        "env": [{"name": "X", "valueFrom": {"resourceFieldRef": {"resource": resource, "divisor": divisor}}}],
    }
    assert environment(a_pod(container), container, find, "", ()) == {"X": value}


def test_unknown_fields_have_no_value():
    assert field_value(a_pod(), "spec.containers") is None


# --- sandboxes and containers -----------------------------------------------------------------------------------------


def test_a_sandbox_is_named_after_its_pod():
    spec = pod_spec(a_pod(hostNetwork=True), "port", "crun")
    assert (spec.uid, spec.namespace, spec.name, spec.hostname) == ("u", "demo", "web", "web")
    assert (spec.host_network, spec.port_id, spec.runtime, spec.labels) == (True, "port", "crun", {"l": "1"})


def test_a_container_is_given_what_it_asks_for():
    container = {
        "name": "main", "image": "i", "command": ["run", "$(A)"], "args": ["$(A)"], "workingDir": "/w",
        "env": [{"name": "A", "value": "1"}], "tty": True, "stdin": True,
        "resources": {"limits": {"cpu": "500m", "memory": "64Mi"}, "requests": {"cpu": "250m"}},
        "securityContext": {
            "runAsUser": 7, "readOnlyRootFilesystem": True, "privileged": True,
            "capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]},
        },
    }  # fmt: skip
    spec = container_spec(
        a_pod(container, securityContext={"runAsGroup": 8}), container, [Mount("/h", "/c")], {"A": "1"}
    )
    assert (spec.command, spec.args, spec.working_dir) == (("run", "1"), ("1",), "/w")
    assert (spec.cpu_millis, spec.cpu_request_millis, spec.memory_bytes) == (500, 250, 64 << 20)
    assert (spec.run_as_user, spec.run_as_group, spec.privileged, spec.read_only_root) == (7, 8, True, True)
    assert (spec.capabilities_add, spec.capabilities_drop, spec.mounts) == (
        ("NET_ADMIN",),
        ("ALL",),
        (Mount("/h", "/c"),),
    )
    assert (spec.tty, spec.stdin) == (True, True)


@pytest.mark.parametrize(
    ("security", "groups"),
    [({}, ()), ({"fsGroup": 5}, (5,)), ({"supplementalGroups": [7, 5], "fsGroup": 5}, (7, 5)), ({"fsGroup": 0}, (0,))],
)
def test_a_container_is_in_the_groups_of_its_pod(security: Object, groups: tuple[int, ...]):
    pod = a_pod(securityContext=security)
    assert container_spec(pod, pod["spec"]["containers"][0], [], {}).groups == groups


def test_a_sandbox_has_the_settings_of_its_network_that_it_asks_for():
    asked = {"sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "80"}]}
    found = pod_spec(a_pod(securityContext=asked), "", "runc").sysctls
    assert found == {"net.ipv4.ip_unprivileged_port_start": "80"}


def test_root_is_refused_where_the_pod_says_so():
    container = {"name": "main", "securityContext": {"runAsNonRoot": True, "runAsUser": 0}}
    with pytest.raises(Permanent):
        container_spec(a_pod(container), container, [], {})


@pytest.mark.parametrize(
    ("resources", "score"),
    [
        ({}, 1000),
        ({"requests": {"memory": "1Gi"}}, 750),
        ({"limits": {"memory": "2Gi"}}, 500),
        ({"requests": {"cpu": "1"}}, 999),
        ({"requests": {"memory": "4Gi"}}, 2),
        ({"limits": {"memory": "1Gi", "cpu": "1"}}, 0),
    ],
)
def test_who_asked_for_least_is_ended_first_when_memory_runs_out(resources: Object, score: int):
    container = {"name": "main", "resources": resources}
    spec = container_spec(a_pod(container), container, [], {}, machine_bytes=4 << 30)
    assert spec.oom_score == score


@pytest.mark.parametrize(("said", "kept"), [({}, False), (True, False), (False, True)])
def test_who_may_gain_no_privileges_is_held_to_it(said: Any, kept: bool):
    container = {"name": "main", "securityContext": {"allowPrivilegeEscalation": said} if said != {} else {}}
    assert container_spec(a_pod(container), container, [], {}).no_new_privileges is kept


def test_only_lichens_own_pods_inherit_sockets():
    pod = a_pod()
    pod["metadata"]["annotations"]["lichen.dev/listen"] = "openstack"
    assert container_spec(pod, pod["spec"]["containers"][0], [], {}).listen == ""
    pod["metadata"]["namespace"] = "lichen-system"
    assert container_spec(pod, pod["spec"]["containers"][0], [], {}).listen == "openstack"


# --- volumes ----------------------------------------------------------------------------------------------------------


async def mounted(root: Path, volume: Object, security: Object | None = None, **mount: Any) -> Mount:
    container = {"name": "main", "volumeMounts": [{"name": "v", "mountPath": "/m", **mount}]}
    pod = a_pod(container, volumes=[{"name": "v", **volume}], securityContext=security or {})
    env = {"POD": "web-0", "AWAY": "../.."}
    (found,) = await Volumes(root).mounts(pod, container, find, {"/": "token"}, {"c": root / "claim"}, env)
    return found


def content(mount: Mount) -> dict[str, str]:
    root = Path(mount.host_path)
    seen = [top for top in root.iterdir() if not top.name.startswith("..")]
    files = [path for top in seen for path in (top, *top.rglob("*")) if path.is_file()]
    return {str(path.relative_to(root)): path.read_text() for path in files}


async def test_a_place_in_a_volume_may_be_named_by_variables(tmp_path: Path):
    assert (await mounted(tmp_path, {"emptyDir": {}}, subPathExpr="logs/$(POD)")).sub_path == "logs/web-0"
    assert (await mounted(tmp_path, {"emptyDir": {}}, subPathExpr="$$(POD)")).sub_path == "$(POD)"
    with pytest.raises(Permanent, match="missing value for"):
        await mounted(tmp_path, {"emptyDir": {}}, subPathExpr="$(NOBODY)")
    with pytest.raises(Permanent, match="stay inside its volume"):
        await mounted(tmp_path, {"emptyDir": {}}, subPathExpr="$(AWAY)/etc")


def rights(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_gid, status.st_mode & 0o7777


@pytest.fixture
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the node's agent is. The group is one's own, to which everybody may give."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)


@pytest.mark.usefixtures("as_root")
async def test_what_is_in_volumes_belongs_to_the_group_of_the_pod(tmp_path: Path):
    security = {"fsGroup": GROUP}
    empty = Path((await mounted(tmp_path, {"emptyDir": {}}, security)).host_path)
    assert rights(empty) == (GROUP, 0o2777)
    secret = {"secret": {"secretName": "hidden", "defaultMode": 0o400}}
    hidden = Path((await mounted(tmp_path / "s", secret, security)).host_path)
    assert rights(hidden / "word") == (GROUP, 0o440)


async def test_an_empty_directory_whose_making_was_cut_off_is_made_whole(tmp_path: Path):
    (tmp_path / "u/v").mkdir(parents=True, mode=0o755)
    assert rights(Path((await mounted(tmp_path, {"emptyDir": {}})).host_path))[1] == 0o777


@pytest.mark.usefixtures("as_root")
async def test_what_could_not_be_given_to_the_group_is_given_at_the_next_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pod = a_pod(volumes=[{"name": "v", "emptyDir": {}}], securityContext={"fsGroup": GROUP})
    container = {"name": "main", "volumeMounts": [{"name": "v", "mountPath": "/m"}]}
    volumes, chown = Volumes(tmp_path), os.chown
    monkeypatch.setattr(os, "chown", lambda *_, **__: (_ for _ in ()).throw(OSError("not now")))
    with pytest.raises(OSError, match="not now"):
        await volumes.mounts(pod, container, find)
    monkeypatch.setattr(os, "chown", chown)
    (mount,) = await volumes.mounts(pod, container, find)
    assert rights(Path(mount.host_path)) == (GROUP, 0o2777)


@pytest.mark.usefixtures("as_root")
async def test_a_claims_content_is_given_to_the_group_unless_it_has_it_already_and_that_is_enough(tmp_path: Path):
    (tmp_path / "claim").mkdir()
    claim: Object = {"persistentVolumeClaim": {"claimName": "c"}}
    (file := tmp_path / "claim/file").write_text("x")
    file.chmod(0o600)
    await mounted(tmp_path, {"persistentVolumeClaim": {"claimName": "c", "readOnly": True}}, {"fsGroup": GROUP})
    assert rights(file) == (GROUP, 0o600)
    await mounted(tmp_path, claim, {"fsGroup": GROUP})
    assert rights(file) == (GROUP, 0o660)
    file.chmod(0o600)
    await mounted(tmp_path, claim, {"fsGroup": GROUP, "fsGroupChangePolicy": "OnRootMismatch"})
    assert rights(file) == (GROUP, 0o600)


def test_giving_a_volume_away_touches_nothing_outside_of_it(tmp_path: Path):
    (outside := tmp_path / "outside").write_text("x")
    outside.chmod(0o600)
    (tmp_path / "volume/sub").mkdir(parents=True)
    (tmp_path / "volume/link").symlink_to(outside)
    (tmp_path / "volume/sub/up").symlink_to(tmp_path)
    (inside := tmp_path / "volume/sub/file").write_text("x")
    inside.chmod(0o600)
    give_to(tmp_path / "volume", GROUP, writable=True)
    assert (rights(outside), rights(inside)) == ((GROUP, 0o600), (GROUP, 0o660))
    assert rights(tmp_path / "volume/sub")[1] & 0o2770 == 0o2770


async def test_an_empty_directory_is_writable_by_all(tmp_path: Path):
    mount = await mounted(tmp_path, {"emptyDir": {}})
    assert (mount.read_only, Path(mount.host_path).stat().st_mode & 0o777) == (False, 0o777)


@pytest.mark.parametrize(
    ("volume", "files"),
    [
        ({"configMap": {"name": "conf"}}, {"a": "1", "b": "2"}),
        ({"configMap": {"name": "conf", "items": [{"key": "a", "path": "d/x"}]}}, {"d/x": "1"}),
        ({"configMap": {"name": "no", "optional": True}}, {}),
        ({"secret": {"secretName": "hidden"}}, {"word": "hush"}),
        ({"downwardAPI": {"items": [{"path": "n", "fieldRef": {"fieldPath": "metadata.name"}}]}}, {"n": "web"}),
        (
            {
                "projected": {
                    "sources": [
                        {"configMap": {"name": "conf", "items": [{"key": "b", "path": "b"}]}},
                        {"secret": {"name": "hidden"}},
                        {"serviceAccountToken": {"path": "t"}},
                    ]
                }
            },
            {"b": "2", "word": "hush", "t": "token"},
        ),
    ],
)
async def test_volumes_hold_what_they_are_made_of(tmp_path: Path, volume: Object, files: dict[str, str]):
    mount = await mounted(tmp_path, volume)
    assert (content(mount), mount.read_only) == (files, True)


@pytest.mark.parametrize(
    ("volume", "mount"),
    [
        ({"configMap": {"name": "no"}}, {}),
        ({"configMap": {"name": "conf", "items": [{"key": "no", "path": "x"}]}}, {}),
        ({"configMap": {"name": "conf", "items": [{"key": "a", "path": "../x"}]}}, {}),
        ({"configMap": {"name": "conf", "items": [{"key": "a", "path": "/x"}]}}, {}),
        ({"configMap": {"name": "conf", "items": [{"key": "a", "path": "..data"}]}}, {}),
        ({"configMap": {"name": "conf", "items": [{"key": "a", "path": "x"}, {"key": "b", "path": "x/y"}]}}, {}),
        ({"emptyDir": {}}, {"subPath": "../../x"}),
        ({"hostPath": {"path": "/"}}, {}),
        ({"nfs": {"server": "x"}}, {}),
        ({"emptyDir": {}}, {"name": "other"}),
    ],
)
async def test_volumes_that_cannot_be_are_refused(tmp_path: Path, volume: Object, mount: Object):
    with pytest.raises(Permanent) as refusal:
        await mounted(tmp_path, volume, **mount)
    assert refusal.value.reason == "FailedMount"


async def test_a_link_does_not_lead_out_of_a_volume(tmp_path: Path):
    root = Path((await mounted(tmp_path, {"emptyDir": {}})).host_path)
    (root / "link").symlink_to("/etc")
    with pytest.raises(Permanent):
        await mounted(tmp_path, {"emptyDir": {}}, subPath="link/passwd")


async def test_modes_are_as_asked(tmp_path: Path):
    mount = await mounted(tmp_path, {"secret": {"secretName": "hidden", "defaultMode": 0o400}})
    assert (Path(mount.host_path) / "word").stat().st_mode & 0o777 == 0o400


async def test_removed_volumes_leave_nothing(tmp_path: Path):
    await mounted(tmp_path, {"emptyDir": {}})
    assert await Volumes(tmp_path).known() == ["u"]
    await Volumes(tmp_path).remove("u")
    assert await Volumes(tmp_path).known() == []
