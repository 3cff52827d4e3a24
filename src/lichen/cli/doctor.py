# SPDX-License-Identifier: Apache-2.0
"""`lichen doctor`: what the real mode needs of this machine, what is there, and the command that mends what is not."""

from __future__ import annotations

import argparse
import ctypes.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

KUBECTL = "install it as https://kubernetes.io/docs/tasks/tools/ says (Debian's is too old)"


@dataclass(frozen=True, slots=True)
class Check:
    """One need. present: looks for it; mend: the command that brings it; needed: the real mode cannot do without."""

    what: str
    present: Callable[[], bool]
    mend: str
    needed: bool = True


@dataclass(frozen=True, slots=True)
class Finding:
    what: str
    ok: bool
    needed: bool
    mend: str


def program(name: str, package: str) -> Check:
    """A program, also where the search path of a plain user does not lead."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    return Check(name, lambda: shutil.which(name, path=path) is not None, f"apt-get install {package}")


def in_fresh_network(what: str, *command: str) -> Check:
    """A kernel feature, proved by using it in a network namespace that ends with the command."""
    return Check(f"kernel: {what}", lambda: _succeeds("unshare", "--net", *command), f"modprobe {what}")


REAL_MODE = (
    Check("root", lambda: os.geteuid() == 0, "sudo lichen up"),
    program("qemu-system-x86_64", "qemu-system-x86"),
    program("qemu-img", "qemu-utils"),
    program("containerd", "containerd"),
    program("runc", "runc"),
    program("crun", "crun"),
    program("dnsmasq", "dnsmasq-base"),
    program("nft", "nftables"),
    program("ip", "iproute2"),
    Check("libnftables", lambda: ctypes.util.find_library("nftables") is not None, "apt-get install libnftables1"),
    Check("busybox (static)", lambda: Path("/bin/busybox").exists(), "apt-get install busybox-static"),
    in_fresh_network("bridge", "ip", "link", "add", "probe", "type", "bridge"),
    in_fresh_network("veth", "ip", "link", "add", "probe", "type", "veth", "peer", "name", "probed"),
    in_fresh_network("tun", "ip", "tuntap", "add", "probe", "mode", "tap"),
    in_fresh_network("nf_tables", "nft", "add", "table", "inet", "probe"),
    Check("kernel: overlay", lambda: "overlay" in Path("/proc/filesystems").read_text(), "modprobe overlay"),
    Check("cgroups", lambda: Path("/sys/fs/cgroup").is_dir(), "mount -t cgroup2 none /sys/fs/cgroup"),
    Check("/dev/kvm (guests are emulated without it)", lambda: Path("/dev/kvm").exists(), "modprobe kvm", needed=False),
    Check("kubectl", lambda: shutil.which("kubectl") is not None, KUBECTL, needed=False),
    Check("openstack", lambda: _beside("openstack") is not None, "pip install python-openstackclient", needed=False),
)


def find_needs() -> list[Finding]:
    """Every check, carried out."""
    return [Finding(c.what, c.present(), c.needed, c.mend) for c in REAL_MODE]


def doctor(_: argparse.Namespace) -> int:
    findings = find_needs()
    for finding in findings:
        mark = "✔" if finding.ok else ("✘" if finding.needed else "–")
        print(f"  {mark} {finding.what:<44} {'' if finding.ok else finding.mend}".rstrip())
    missing = [f for f in findings if f.needed and not f.ok]
    print("\nThis machine can run `lichen up`." if not missing else "\n`lichen up` needs what is marked ✘.")
    print("`lichen up --simulate` needs none of it.")
    return 1 if missing else 0


def _beside(name: str) -> str | None:
    """A program in the same virtual environment, or on the search path."""
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"
    return shutil.which(name, path=path)


def _succeeds(*command: str) -> bool:
    environment = {"PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}
    try:
        return subprocess.run(command, capture_output=True, timeout=10, env=environment, check=False).returncode == 0
    except OSError:
        return False
