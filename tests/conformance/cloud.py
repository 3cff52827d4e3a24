# SPDX-License-Identifier: Apache-2.0
"""A whole cloud on this machine, simulated or real, started by `lichen up` and used through the real clients."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import ssl
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from lichen.cli.image import base_image
from lichen.client.local import Credentials, LocalCloud, read_credentials, read_local

from .witness import witnessing

BIN = Path(sys.executable).parent
SECONDS = 120.0
_T = TypeVar("_T")


@dataclass(frozen=True)
class Ended:
    """What a command left behind."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Answer:
    """What a raw request got."""

    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Here:
    """A folder with a data directory and a user's configuration of its own; `lichen` runs in it."""

    def __init__(self, folder: Path, *, simulate: bool = True) -> None:
        self.folder = folder
        self.data_dir = folder / "d"
        self.simulate = simulate

    @property
    def env(self) -> dict[str, str]:
        """Nothing of this machine's own settings."""
        return {
            "PATH": f"{BIN}:{os.environ.get('PATH', '')}:/usr/sbin",
            "HOME": str(self.folder),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "XDG_DATA_HOME": str(self.folder / "share"),
            "KUBECONFIG": str(self.folder / "config" / "lichen" / "kubeconfig"),
            "OS_CLIENT_CONFIG_FILE": str(self.folder / "config" / "openstack" / "clouds.yaml"),
            "NO_PROXY": "*",
        }

    def run(self, *command: str, input: str | bytes | None = None, seconds: float = SECONDS, **env: str) -> Ended:
        """Run a command to its end, whatever its status."""
        data = input.encode() if isinstance(input, str) else input
        stdin: dict[str, Any] = {"stdin": subprocess.DEVNULL} if data is None else {"input": data}
        done = subprocess.run(
            command, capture_output=True, timeout=seconds, env=self.env | env, cwd=self.folder, check=False, **stdin
        )
        return Ended(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))

    def start(self, *command: str, **env: str) -> subprocess.Popen[str]:
        """A command that goes on; the caller ends it. Both outputs come together."""
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=self.env | env, cwd=self.folder,
        )  # fmt: skip

    def lichen(self, *arguments: str, **env: str) -> Ended:
        return self.run("lichen", *arguments, **env)

    def up(self, *more: str) -> Ended:
        """`lichen up` on free ports."""
        mode = ["--simulate"] if self.simulate else []
        ports = ["--kubernetes-port", "0", "--openstack-port", "0", "--node-port", "0"]
        return self.lichen("up", *mode, "--data-dir", str(self.data_dir), *ports, *more)

    def down(self) -> Ended:
        return self.lichen("down", "--data-dir", str(self.data_dir))

    @property
    def facts(self) -> LocalCloud:
        found = read_local(self.data_dir)
        assert found is not None
        return found

    @property
    def credentials(self) -> Credentials:
        return read_credentials(self.facts)

    # --- the real clients ---------------------------------------------------------------------------------------------

    def kubectl(self, *arguments: str, input: str | dict[str, Any] | None = None, **env: str) -> Ended:
        text = json.dumps(input) if isinstance(input, dict) else input
        return self.run("kubectl", "--cache-dir", str(self.folder / "cache"), *arguments, input=text, **env)

    def kubectl_ok(self, *arguments: str, input: str | dict[str, Any] | None = None, **env: str) -> str:
        """What it prints; it must succeed."""
        done = self.kubectl(*arguments, input=input, **env)
        assert done.code == 0, f"kubectl {' '.join(arguments)}: {done.err}{done.out}"
        return done.out

    def kubectl_refused(self, *arguments: str, input: str | dict[str, Any] | None = None) -> str:
        """What it complains of; it must fail."""
        done = self.kubectl(*arguments, input=input)
        assert done.code != 0, f"kubectl {' '.join(arguments)} succeeded: {done.out}"
        return done.err

    def object(self, *arguments: str) -> Any:
        return json.loads(self.kubectl_ok("get", *arguments, "-o", "json"))

    def openstack(self, *arguments: str, cloud: str = "lichen-demo", input: str | None = None) -> Ended:
        return self.run("openstack", *arguments, input=input, OS_CLOUD=cloud)

    def openstack_ok(self, *arguments: str, cloud: str = "lichen-demo") -> str:
        done = self.openstack(*arguments, cloud=cloud)
        assert done.code == 0, f"openstack {' '.join(arguments)}: {done.err}{done.out}"
        return done.out

    def openstack_json(self, *arguments: str, cloud: str = "lichen-demo") -> Any:
        return json.loads(self.openstack_ok(*arguments, "-f", "json", cloud=cloud))

    def openstack_refused(self, *arguments: str, cloud: str = "lichen-demo") -> str:
        done = self.openstack(*arguments, cloud=cloud)
        assert done.code != 0, f"openstack {' '.join(arguments)} succeeded: {done.out}"
        return done.err

    def sdk(self, user: str = "demo", project: str = "demo", password: str | None = None) -> Any:
        """An openstacksdk connection: faster than the command by a Python's start."""
        import openstack

        known = {"demo": self.credentials.demo_password, "admin": self.credentials.admin_password}
        return openstack.connect(
            auth={
                "auth_url": f"{self.facts.openstack_url}/identity/v3",
                "username": user,
                "password": password or known[user],
                "project_name": project,
                "user_domain_name": "Default",
                "project_domain_name": "Default",
            },
            cacert=str(self.facts.ca_file),
            region_name="RegionOne",
            load_yaml_config=False,
            load_envvars=False,
        )

    def request(self, method: str, url: str, body: bytes | Any = None, **headers: str) -> Answer:
        """One raw request; `body` that is no bytes is sent as JSON. Header names are written with underscores."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"} | named, method=method)
        context = ssl.create_default_context(cafile=str(self.facts.ca_file))
        opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=context), urllib.request.ProxyHandler({})
        )
        try:
            with opener.open(request, timeout=30) as answer:
                return Answer(answer.status, answer.read(), dict(answer.headers))
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.read(), dict(error.headers))


def until(what: str, found: Callable[[], _T], seconds: float = 60.0) -> _T:
    """The first true value of `found`, asked again and again; AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = found()
        if value:
            return value
        assert time.monotonic() < deadline, f"after {seconds:.0f} s it is not so that {what}"
        time.sleep(0.1)


def a_qcow2(path: Path, size: int = 64 << 20) -> Path:
    """An empty qcow2 image, sound down to its reference counts."""
    cluster = 1 << 16
    header = struct.pack(
        ">4sIQIIQIIQQIIQ", b"QFI\xfb", 2, 0, 0, 16, size, 0, 1, 3 * cluster, cluster, 1, 0, 0,
    )  # fmt: skip
    table, counts = struct.pack(">Q", 2 * cluster), struct.pack(">4H", 1, 1, 1, 1)
    path.write_bytes(b"".join(part.ljust(cluster, b"\0") for part in (header, table, counts, b"")))
    return path


@contextlib.contextmanager
def folder_of_its_own() -> Iterator[Path]:
    """A short path (unix sockets' names are limited) that every user may walk through."""
    folder = Path(tempfile.mkdtemp(prefix="lt-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def a_cloud(
    *, simulate: bool = True, nodes: int = 3, tiny: Path | None = None, kept: Path | None = None
) -> Iterator[Here]:
    """A cloud that runs while the block does. What is on its way or in error in it is explained, or the block fails.
    tiny: a real cloud's first image, which is built otherwise; kept: an archive of the data that it goes on with."""
    with folder_of_its_own() as folder:
        here = Here(folder, simulate=simulate)
        if kept is not None:
            shutil.unpack_archive(kept, here.data_dir)
        if tiny is not None:
            place = base_image(here.data_dir, "tiny")
            place.parent.mkdir(parents=True)
            shutil.copyfile(tiny, place)
        try:
            started = here.up(*(("--nodes", str(nodes)) if simulate else ()))
            assert started.code == 0, f"{started.out}{started.err}"
            with witnessing(here.facts.kubernetes_url, here.credentials.admin_token, here.facts.ca_file):
                yield here
        finally:
            here.down()
