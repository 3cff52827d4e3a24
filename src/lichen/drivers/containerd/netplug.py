# SPDX-License-Identifier: Apache-2.0
"""The agent's side of the CNI plugin: a unix socket on which containerd's pods ask for their network.

`plug(pod_uid, netns)` makes the pod's interface in the namespace at path `netns` and returns its port;
`unplug(pod_uid)` takes it back and succeeds when there is nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import json
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lichen.drivers.base import PortSpec
from lichen.model.errors import LichenError

Plug = Callable[[str, str], Awaitable[PortSpec | None]]
Unplug = Callable[[str], Awaitable[None]]

_TRY_AGAIN = 11
_SIOCSIFFLAGS, _IFF_UP_RUNNING = 0x8914, 0x41
_CLONE_NEWNET = 0x40000000


class PlugServer:
    """Serves the plugin for as long as it is open."""

    def __init__(self, path: Path, plug: Plug, unplug: Unplug) -> None:
        self._path = path
        self._plug = plug
        self._unplug = unplug
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, str(self._path))
        self._path.chmod(0o600)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(await self._answer(parse(await reader.read())))
            await writer.drain()
        except ConnectionError:
            pass  # the plugin was killed; containerd takes its network back by DEL
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, variables: Mapping[str, str]) -> bytes:
        uid = pod_uid(variables)
        command = variables.get("CNI_COMMAND")
        try:
            if command == "ADD":
                netns = variables.get("CNI_NETNS", "")
                await asyncio.to_thread(bring_up_loopback, netns)
                return b"0" + result(await self._plug(uid, netns), netns, variables.get("CNI_IFNAME", "eth0"))
            if command == "DEL":
                await self._unplug(uid)
        except (LichenError, OSError) as error:
            fault = {"cniVersion": "1.0.0", "code": _TRY_AGAIN, "msg": str(error)}
            return b"1" + json.dumps(fault).encode()
        return b"0"


def parse(request: bytes) -> dict[str, str]:
    """The CNI_ variables of a request; what is none is passed over."""
    head, _, _ = request.decode(errors="replace").partition("\0\0")
    return dict(line.split("=", 1) for line in head.split("\0") if "=" in line)


def pod_uid(variables: Mapping[str, str]) -> str:
    """The pod's uid out of `CNI_ARGS` (`K8S_POD_UID=…;K8S_POD_NAME=…`)."""
    pairs = (pair.split("=", 1) for pair in variables.get("CNI_ARGS", "").split(";") if "=" in pair)
    return dict(pairs).get("K8S_POD_UID", "")


def result(port: PortSpec | None, netns: str, interface: str) -> bytes:
    """A CNI 1.0.0 result. A pod without a port is told the loopback address, since containerd insists on one."""
    link: dict[str, Any] = {"name": interface, "sandbox": netns}
    ips: list[dict[str, Any]] = [{"address": "127.0.0.1/8", "interface": 0}]
    if port is not None:
        link["mac"] = port.mac
        ips = [{"address": f"{ip}/{length}", "interface": 0} for ip, length in port.addresses] or ips
        if port.gateway and port.addresses:
            ips[0]["gateway"] = port.gateway
    return json.dumps({"cniVersion": "1.0.0", "interfaces": [link], "ips": ips, "dns": {}}).encode()


def bring_up_loopback(netns: str) -> None:
    """Set `lo` up in a network namespace. Call it in a thread: the thread enters the namespace and comes back."""
    with enter_namespace(netns):
        control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP_RUNNING))


@contextlib.contextmanager
def enter_namespace(netns: str) -> Iterator[None]:
    """The calling thread is in the network namespace; what it opens there stays there."""
    with open("/proc/thread-self/ns/net") as here, open(netns) as there:
        _setns(there.fileno())
        try:
            yield
        finally:
            _setns(here.fileno())


def _setns(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
