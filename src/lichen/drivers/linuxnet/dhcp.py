# SPDX-License-Identifier: Apache-2.0
"""dnsmasq of a network, in the network's namespace: DHCP for known ports only, and their names.

New leases are read on SIGHUP without a pause; changed subnets restart it. Clients renew with an authoritative server
that knows them from its files, so that a restart loses nothing.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from pathlib import Path

from lichen.drivers import pidfd
from lichen.drivers.base import NetworkSpec, SubnetSpec
from lichen.drivers.linuxnet import namespace
from lichen.drivers.linuxnet.names import GATEWAY
from lichen.model.errors import Permanent, Temporary

LEASE_SECONDS = 86400
CONFIG, LEASES, HOSTS, NAMES, PID = "dnsmasq.conf", "leases", "hosts", "names", "dnsmasq.pid"
CLUSTER_DOMAIN = "cluster.local"


def config_text(network: NetworkSpec, folder: Path) -> str:
    """dnsmasq.conf of a network."""
    lines = [
        f"interface={GATEWAY}",
        "except-interface=lo",
        "bind-interfaces",
        "no-resolv",
        "no-hosts",
        "no-poll",
        "user=nobody",
        "group=nogroup",
        f"pid-file={folder / PID}",
        f"dhcp-hostsfile={folder / LEASES}",
        f"addn-hosts={folder / HOSTS}",
        f"addn-hosts={folder / NAMES}",
        f"local=/{CLUSTER_DOMAIN}/",
        "leasefile-ro",
        "dhcp-authoritative",
        "dhcp-ignore=tag:!known",
        "dhcp-lease-max=65536",
        f"dhcp-option-force=option:mtu,{network.mtu}",
    ]
    if network.domain:
        lines += [f"domain={network.domain}", f"local=/{network.domain}/"]
    for number, subnet in enumerate(served(network)):
        lines += _subnet(f"s{number}", subnet)
    return _text(lines)


def _text(lines: Iterable[str]) -> str:
    """A file of lines. Permanent: one of them would be two. dnsmasq starts as root, and a line can name a program."""
    for line in lines:
        if not line.isprintable():
            raise Permanent("BadNetwork", f"{line[:80]!r} cannot be a line of dnsmasq's configuration")
    return "".join(f"{line}\n" for line in lines)


def served(network: NetworkSpec) -> list[SubnetSpec]:
    """The subnets that DHCP serves: those of IPv4."""
    return [s for s in network.subnets if s.dhcp and ip_network(s.cidr).version == 4]


def _subnet(tag: str, subnet: SubnetSpec) -> list[str]:
    cidr = ip_network(subnet.cidr)
    own = [subnet.gateway] if subnet.gateway else []
    servers = [a for a in subnet.dns_nameservers if ip_address(a).version == 4] or own
    lines = [
        f"dhcp-range=set:{tag},{cidr.network_address},static,{cidr.netmask},{LEASE_SECONDS}",
        ",".join([f"dhcp-option=tag:{tag},option:router", *own]),  # without a value: not offered
        ",".join([f"dhcp-option=tag:{tag},option:dns-server", *servers]),
    ]
    if not subnet.gateway:
        lines.append(f"shared-network={GATEWAY},{cidr.network_address}")
    if subnet.host_routes:  # a client that takes classless routes ignores the router option
        pairs = [*subnet.host_routes, *(("0.0.0.0/0", gateway) for gateway in own)]
        every = ",".join(item for pair in pairs for item in pair)
        lines += [f"dhcp-option=tag:{tag},{number},{every}" for number in (121, 249)]
    return lines


def leases_text(network: NetworkSpec) -> str:
    """One line a port: its MAC, its IPv4 addresses, its name."""
    lines = []
    for lease in sorted(network.leases, key=lambda item: item.mac):
        for address in (a for a in lease.addresses if ip_address(a).version == 4):
            lines.append(f"{lease.mac},{address}" + (f",{lease.hostname}" if lease.hostname else ""))
    return _text(lines)


def hosts_text(network: NetworkSpec) -> str:
    pairs = sorted((a, lease.hostname) for lease in network.leases for a in lease.addresses if lease.hostname)
    full = f" {{name}}.{network.domain}" if network.domain else ""
    return _text([f"{address} {name}{full.format(name=name)}" for address, name in pairs])


def name(pairs: Iterable[tuple[str, str]], folder: Path) -> None:
    """Say these names too, if the network has a name server."""
    if folder.exists():
        text = _text([f"{address} {name}" for name, address in sorted(pairs)])
        running = _find(folder)
        if _write(folder / NAMES, text) and running is not None:
            os.kill(running.pid, signal.SIGHUP)


def ensure(network: NetworkSpec, netns: Path, folder: Path) -> pidfd.ProcessId | None:
    """Run dnsmasq as the network wants it, or not at all (None) if no subnet has DHCP."""
    if not served(network):
        stop(folder)
        return None
    folder.mkdir(parents=True, exist_ok=True, mode=0o755)
    files = {CONFIG: config_text(network, folder), LEASES: leases_text(network), HOSTS: hosts_text(network)}
    (folder / NAMES).touch(0o644)
    changed = {file for file, text in files.items() if _write(folder / file, text)}
    running = _find(folder)
    if running and CONFIG in changed:
        stop(folder, keep=True)
        running = None
    if running is None:
        _start(netns, folder)
    elif changed:
        os.kill(running.pid, signal.SIGHUP)
    return running or _find(folder)


def stop(folder: Path, *, keep: bool = False) -> None:
    """End dnsmasq, if it runs, and remove its files unless they are to be kept."""
    running = _find(folder)
    if running:
        descriptor = os.pidfd_open(running.pid)
        try:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)  # it holds no state of its own
            _wait(descriptor)
        except ProcessLookupError:
            pass
        finally:
            os.close(descriptor)
    if not keep:
        shutil.rmtree(folder, ignore_errors=True)


def _wait(descriptor: int) -> None:
    select.select([descriptor], [], [], 5.0)


def _find(folder: Path) -> pidfd.ProcessId | None:
    return pidfd.find(folder / PID, f"--conf-file={folder / CONFIG}")


def _start(netns: Path, folder: Path) -> None:
    """Start it inside the namespace; it detaches itself once it serves."""
    (folder / PID).unlink(missing_ok=True)
    try:
        with namespace.inside(netns):
            done = subprocess.run(
                ["dnsmasq", f"--conf-file={folder / CONFIG}"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=10,
                check=False,
                start_new_session=True,
            )
    except FileNotFoundError as error:
        raise Temporary("dnsmasq is missing: apt-get install dnsmasq-base", delay=30) from error
    if done.returncode != 0:
        raise Temporary(f"dnsmasq did not start: {done.stderr.strip()[-300:]}")


def _write(path: Path, text: str) -> bool:
    """Replace a file; False if it said so already. Readable by the user dnsmasq becomes."""
    try:
        if path.read_text() == text:
            return False
    except FileNotFoundError:
        pass
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    part.chmod(0o644)
    os.replace(part, path)
    return True
