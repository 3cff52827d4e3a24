# SPDX-License-Identifier: Apache-2.0
"""`lichen` as a user runs it, on a simulated cloud."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lichen import __version__
from tests.conformance.cloud import Here, folder_of_its_own, until


@pytest.fixture
def here() -> Iterator[Here]:
    with folder_of_its_own() as folder:
        place = Here(folder)
        try:
            yield place
        finally:
            place.down()


def test_up_hands_over_what_clients_need_and_touches_nothing_else(here: Here):
    clouds = here.folder / "config" / "openstack" / "clouds.yaml"
    clouds.parent.mkdir(parents=True)
    clouds.write_text("clouds:\n  other:\n    auth: {auth_url: https://other.example/v3}\n")
    started = here.up("--nodes", "2")
    assert started.code == 0, started.err
    assert here.facts.kubernetes_url in started.out
    entries = yaml.safe_load(clouds.read_text())["clouds"]
    assert set(entries) == {"other", "lichen", "lichen-demo"}
    assert entries["other"] == {"auth": {"auth_url": "https://other.example/v3"}}
    assert (clouds.stat().st_mode & 0o777, here.facts.credentials_file.stat().st_mode & 0o777) == (0o600, 0o600)
    assert here.kubectl_ok("config", "current-context") == "lichen\n"
    nodes = here.kubectl_ok("get", "nodes", "-o", "name")
    assert nodes.split() == ["node/node-1", "node/node-2"]
    printed = here.lichen("kubeconfig", "--data-dir", str(here.data_dir)).out
    assert printed == Path(here.env["KUBECONFIG"]).read_text()
    assert set(yaml.safe_load(here.lichen("clouds", "--data-dir", str(here.data_dir)).out)["clouds"]) == {
        "lichen",
        "lichen-demo",
    }


def test_the_namespace_that_a_user_chose_outlives_the_clouds_next_start(here: Here):
    assert here.up().code == 0
    here.kubectl_ok("config", "set-context", "--current", "--namespace=demo")
    here.lichen("down", "--data-dir", str(here.data_dir))
    assert here.up().code == 0
    assert here.kubectl_ok("config", "view", "--minify", "-o", "jsonpath={..namespace}") == "demo"


def test_a_second_cloud_leaves_alone_what_leads_to_the_first_while_that_runs(here: Here):
    assert here.up().code == 0
    files = [Path(here.env["OS_CLIENT_CONFIG_FILE"]), Path(here.env["KUBECONFIG"])]
    before = [file.read_text() for file in files]
    second = Here(here.folder)
    second.data_dir = here.folder / "second"
    try:
        started = second.up()
        assert (started.code, [file.read_text() for file in files]) == (0, before)
        assert f"lead to the cloud in {here.data_dir}, which runs" in started.out
        exported = dict(word.split("=", 1) for word in started.out.partition("export ")[2].splitlines()[0].split())
        assert (
            second.kubectl_ok("config", "view", KUBECONFIG=exported["KUBECONFIG"]).count(second.facts.kubernetes_url)
            == 1
        )
        assert second.run("openstack", "project", "list", **exported).code == 0
        assert f"lichen status --data-dir {second.data_dir}" in started.out
        assert here.kubectl_ok("get", "--raw", "/readyz") == "ok"
        here.down()
        assert "which runs" not in second.up().out
        assert second.facts.kubernetes_url in files[1].read_text()
    finally:
        second.down()


def test_a_second_up_says_that_the_cloud_runs_and_a_second_down_that_it_does_not(here: Here):
    assert here.up().code == 0
    pid = here.facts.pid
    again = here.up()
    assert (again.code, here.facts.pid) == (0, pid)
    assert "runs already" in again.out
    status = here.lichen("status", "--data-dir", str(here.data_dir))
    assert status.code == 0
    assert "1 Ready" in status.out and here.facts.openstack_url in status.out
    stopped = here.down()
    assert stopped.code == 0 and "Its data stays" in stopped.out
    assert not here.facts.is_running
    assert here.lichen("status", "--data-dir", str(here.data_dir)).code == 1
    assert here.down().code == 0


def test_the_data_of_a_cloud_with_a_directory_of_its_own_outlives_it(here: Here):
    assert here.up("--nodes", "2").code == 0
    here.kubectl_ok("-n", "demo", "create", "configmap", "kept", "--from-literal=a=b")
    uid = here.object("-n", "demo", "configmap", "kept")["metadata"]["uid"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [SLEEPS]}}
    here.kubectl_ok("-n", "demo", "apply", "-f", "-", input=pod)
    here.kubectl_ok("-n", "demo", "wait", "--for=condition=Ready", "pod/p", "--timeout=30s")
    password = here.credentials.demo_password
    assert here.down().code == 0
    assert here.up("--nodes", "2").code == 0
    assert here.object("-n", "demo", "configmap", "kept")["metadata"]["uid"] == uid
    assert here.credentials.demo_password == password
    here.kubectl_ok("-n", "demo", "wait", "--for=condition=Ready", "pod/p", "--timeout=30s")


def test_a_killed_cloud_comes_up_again_with_what_it_answered(here: Here):
    assert here.up().code == 0
    here.kubectl_ok("-n", "demo", "create", "configmap", "kept")
    os.kill(here.facts.pid, signal.SIGKILL)
    until("the process is gone", lambda: not here.facts.is_running)
    assert here.up().code == 0
    assert here.object("-n", "demo", "configmap", "kept")["metadata"]["name"] == "kept"


def test_a_cloud_without_a_directory_keeps_its_objects_in_memory_only(here: Here):
    flags = ("up", "--simulate", "--kubernetes-port", "0", "--openstack-port", "0", "--node-port", "0")
    here.data_dir = here.folder / "share" / "lichen" / "simulated"
    assert here.lichen(*flags).code == 0
    here.kubectl_ok("-n", "demo", "create", "configmap", "kept")
    assert here.lichen("down").code == 0
    assert here.lichen(*flags).code == 0
    assert "NotFound" in here.kubectl_refused("-n", "demo", "get", "configmap", "kept")
    assert here.openstack_json("token", "issue")["project_id"]


def test_a_taken_port_is_said_in_words_and_leaves_nothing_running(here: Here):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = here.lichen("up", "--simulate", "--data-dir", str(here.data_dir), "--kubernetes-port", str(port))
    assert refused.code == 1
    assert f"127.0.0.1 port {port}: Address already in use" in refused.err
    assert "Traceback" not in refused.err
    assert "No cloud" in here.lichen("status", "--data-dir", str(here.data_dir)).out


def test_commands_without_a_cloud_say_how_to_get_one(here: Here):
    place = str(here.folder / "none")
    for command in ("kubeconfig", "clouds", "demo"):
        refused = here.lichen(command, "--data-dir", place)
        assert refused.code == 1
        assert refused.err == "lichen: no cloud runs here: start one with `lichen up` (or `lichen up --simulate`).\n"
    assert here.lichen("down", "--data-dir", place).out == "No cloud was ever started here.\n"
    assert here.lichen("status", "--data-dir", place).code == 1


def test_wrong_arguments_are_explained(here: Here):
    assert here.lichen("up", "--simulate", "--nodes", "0").err == "lichen: --nodes must be 1 or more.\n"
    assert "--nodes goes with --simulate" in here.lichen("up", "--nodes", "2").err
    assert here.lichen("dance").code == 2
    assert here.lichen().code == 2
    for port in ("70000", "-1", "http"):
        refused = here.lichen("up", "--simulate", "--data-dir", str(here.data_dir), f"--kubernetes-port={port}")
        assert (refused.code, f"'{port}' is no port: a number from 0 to 65535" in refused.err) == (2, True)
    refused = here.lichen("up", "--simulate", "--data-dir", str(here.data_dir), "--listen", "no.such.host.invalid")
    assert refused.code == 1
    assert "no.such.host.invalid port 6443: Name or service not known" in refused.err


def test_the_version_is_printed(here: Here):
    assert here.lichen("version").out == f"lichen {__version__}\n"


def test_doctor_names_what_is_there_and_how_to_mend_what_is_not(here: Here):
    found = here.lichen("doctor")
    assert "qemu-system-x86_64" in found.out and "nf_tables" in found.out
    assert "`lichen up --simulate` needs none of it." in found.out
    lacking = here.lichen("doctor", PATH=here.env["PATH"].split(":")[0])
    assert lacking.code == 1
    assert "✘ containerd " in lacking.out and "apt-get install containerd" in lacking.out


def test_images_are_built_into_the_file_one_names(here: Here):
    built = here.lichen("image", "build", "busybox", "-o", str(here.folder / "bb.tar"))
    assert built.code == 0, built.err
    listing = here.run("tar", "-tf", str(here.folder / "bb.tar")).out.split()
    assert "oci-layout" in listing or "manifest.json" in listing


SLEEPS = {"name": "c", "image": "busybox", "command": ["sleep", "100000"]}


def test_nothing_that_lies_where_one_stands_is_run(here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "copy.py").write_text("raise SystemExit('what lies here was run')")
    monkeypatch.chdir(tmp_path)
    command = ["lichen", "up", "--simulate", "--foreground", "--data-dir", str(here.data_dir)]
    ports = ["--kubernetes-port", "0", "--openstack-port", "0", "--node-port", "0"]
    with subprocess.Popen([*command, *ports], env=here.env, stdout=subprocess.DEVNULL) as process:
        until("it answers or has ended", lambda: process.poll() is not None or is_up(here))
        assert process.poll() is None
        process.terminate()


def is_up(here: Here) -> bool:
    return here.lichen("status", "--data-dir", str(here.data_dir)).code == 0
