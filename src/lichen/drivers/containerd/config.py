# SPDX-License-Identifier: Apache-2.0
"""Where everything of our containerd lies, and its configuration as text."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

PAUSE_IMAGE = "lichen.dev/pause:1"
"""What holds a pod's namespaces: built by `pause.py`, never pulled."""

_UNUSED = ("aufs", "btrfs", "devmapper", "zfs", "native")


@dataclass(frozen=True, slots=True)
class Layout:
    """`state` survives a reboot (images, containers, logs); `run` need not (sockets, mounts, processes).

    cgroup: the group below which pods and containerd itself run, such as `lichen`.
    """

    state: Path
    run: Path
    cgroup: str

    @property
    def socket(self) -> Path:
        return self.run / "containerd.sock"

    @property
    def cni_socket(self) -> Path:
        return self.run / "cni.sock"

    @property
    def config(self) -> Path:
        return self.run / "config.toml"

    @property
    def log(self) -> Path:
        return self.state / "containerd.log"

    @property
    def logs(self) -> Path:
        """Containers' logs: `<pod uid>/<container>/<attempt>.log`."""
        return self.state / "logs"

    @property
    def pods(self) -> Path:
        """Files that pods get: `<pod uid>/hosts`."""
        return self.state / "pods"

    @property
    def execs(self) -> Path:
        """Pipes of running `exec`s, a folder each."""
        return self.run / "exec"

    def pins(self, uid: str, container: str) -> Path:
        """Where places inside volumes are bound while a container is made."""
        return self.run / "pins" / f"{uid}.{container}"

    def pod_cgroup(self, uid: str) -> str:
        return f"{self.cgroup}/pod{uid}"

    @property
    def own_cgroup(self) -> str:
        return f"{self.cgroup}/containerd"


def containerd_toml(layout: Layout) -> str:
    """The configuration file. TOML's basic strings are JSON's."""
    q = json.dumps
    unused = ", ".join(q(f"io.containerd.snapshotter.v1.{name}") for name in _UNUSED)
    handlers = "".join(
        f"""
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{name}]
  runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{name}.options]
    BinaryName = {q(binary)}
    Root = {q(str(layout.run / name))}
"""
        for name, binary in (("runc", "runc"), ("crun", str(layout.run / "bin" / "crun")))
    )
    return f"""version = 2
root = {q(str(layout.state / "root"))}
state = {q(str(layout.run / "state"))}
disabled_plugins = [{unused}, "io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp"]

[grpc]
  address = {q(str(layout.socket))}

[ttrpc]
  address = {q(str(layout.socket) + ".ttrpc")}

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = {q(PAUSE_IMAGE)}
  restrict_oom_score_adj = {q(not _may_lower_oom_score())}
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = {q(str(layout.run / "cni" / "bin"))}
    conf_dir = {q(str(layout.run / "cni" / "conf"))}
{handlers}"""


def cni_conflist(layout: Layout) -> str:
    """What containerd reads of a pod's network: everything is asked of the agent."""
    plugin = {"type": "lichen", "socket": str(layout.cni_socket)}
    return json.dumps({"cniVersion": "1.0.0", "name": "lichen", "plugins": [plugin]})


def crun_wrapper() -> str:
    """crun as it is, or in a mount namespace without the version 2 hierarchy that stands beside version 1 ones:
    crun refuses that mix."""
    if not Path("/sys/fs/cgroup/unified/cgroup.controllers").exists():
        return '#!/bin/sh\nexec crun "$@"\n'
    hidden = 'umount /sys/fs/cgroup/unified && exec crun "$@"'
    return f"#!/bin/sh\nexec unshare -m --propagation slave /bin/sh -c '{hidden}' crun \"$@\"\n"


def install(layout: Layout) -> None:
    """Write everything that containerd reads before it starts."""
    for folder in (layout.state, layout.logs, layout.pods, layout.execs):
        folder.mkdir(parents=True, exist_ok=True, mode=0o711)
    layout.run.chmod(0o711)
    _write(layout.config, containerd_toml(layout))
    _write(layout.run / "bin" / "crun", crun_wrapper(), 0o755)
    _write(layout.run / "cni" / "conf" / "10-lichen.conflist", cni_conflist(layout))
    source = Path(__file__).with_name("cni.py").read_text()
    python = os.path.realpath(sys.executable)
    _write(layout.run / "cni" / "bin" / "lichen", f"#!{python} -IS\n{source}", 0o755)
    _write(layout.run / "cni" / "bin" / "loopback", _LOOPBACK, 0o755)


_LOOPBACK = """#!/bin/sh
# containerd asks for this plugin in every pod. The agent brings `lo` up when the pod's own interface is plugged.
case "$CNI_COMMAND" in
ADD) echo '{"cniVersion":"0.3.1","interfaces":[{"name":"lo"}],"ips":[]}' ;;
VERSION) echo '{"cniVersion":"1.0.0","supportedVersions":["0.3.1","0.4.0","1.0.0"]}' ;;
esac
"""


def _write(path: Path, text: str, mode: int = 0o600) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    new.chmod(mode)
    new.rename(path)


def _may_lower_oom_score() -> bool:
    """Whether this process has CAP_SYS_RESOURCE (bit 24)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> 24 & 1)
    return False
