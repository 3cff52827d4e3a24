# SPDX-License-Identifier: Apache-2.0
"""What benchmarks share: the table, clouds to measure, memory of processes."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from lichen.client.local import Credentials, LocalCloud, read_credentials, read_local
from lichen.daemon.layout import prepare
from lichen.daemon.settings import Settings

BIN = Path(sys.executable).parent
COLUMNS = (
    ("what", 46), ("Lichen", 27), ("beside it, in this run", 31), ("peer (anchors)", 29), ("first budget", 18),
)  # fmt: skip


class Report:
    """A table that is printed row by row. A budget is (how to compare, figure, unit): ("≥", 500, "/s")."""

    def __init__(self, name: str) -> None:
        load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
        print(f"\n## {name}   ({os.cpu_count()} cores, load before: {load})\n", flush=True)
        print("  ".join(title.ljust(width) for title, width in COLUMNS) + "  verdict")
        print("  ".join("-" * width for _, width in COLUMNS) + "  -------", flush=True)

    def row(
        self,
        what: str,
        value: float,
        unit: str,
        *,
        note: str = "",
        beside: str = "",
        peer: str = "",
        budget: tuple[str, float] | None = None,
    ) -> None:
        """One line: `value` in `unit`, judged by `budget` in the same unit."""
        wanted, verdict = "", ""
        if budget is not None:
            wanted = f"{budget[0]} {number(budget[1])} {unit}".rstrip()
            verdict = "met" if (value >= budget[1] if budget[0] == "≥" else value <= budget[1]) else "MISSED"
        shown = f"{number(value)} {unit}{f' ({note})' if note else ''}".strip()
        cells = (what, shown, beside, peer, wanted)
        print("  ".join(t.ljust(width) for t, (_, width) in zip(cells, COLUMNS, strict=True)), verdict, flush=True)

    def say(self, text: str) -> None:
        print(f"   {text}", flush=True)

    def close(self, seconds: float) -> None:
        print(f"   took {seconds:.0f} s", flush=True)


def number(value: float) -> str:
    """Three or four digits, as people write them."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def share(value: float, limit: float) -> str:
    return f"{100 * value / limit:.0f} %"


def percentile(values: Sequence[float], which: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * which / 100), len(ordered) - 1)]


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


# --- clouds ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cloud:
    """A cloud, or a kernel alone, that runs for a benchmark."""

    data_dir: Path
    pid: int
    kubernetes_url: str
    openstack_url: str
    credentials: Credentials

    @property
    def ca_file(self) -> Path:
        return self.data_dir / "tls" / "ca.crt"

    @property
    def admin(self) -> dict[str, str]:
        """Headers of the Kubernetes API's administrator."""
        return {"Authorization": f"Bearer {self.credentials.admin_token}", "Content-Type": "application/json"}


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A folder on a disk (fsync must cost what it costs) that every user may walk through, with a short path."""
    made = Path(tempfile.mkdtemp(prefix="lb-", dir=os.environ.get("LICHEN_BENCH_DIR", "/tmp")))
    made.chmod(0o755)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextlib.contextmanager
def cloud(*, simulate: bool = True, nodes: int = 1) -> Iterator[Cloud]:
    """A whole cloud by `lichen up`, its store on disk, on ports and with files of its own."""
    with folder() as home:
        try:
            up(home, simulate=simulate, nodes=nodes)
            yield cloud_of(home / "d")
        finally:
            down(home)


def up(home: Path, *, simulate: bool = True, nodes: int = 1) -> None:
    ports = ["--kubernetes-port", "0", "--openstack-port", "0", "--node-port", "0"]
    mode = ["--simulate", "--nodes", str(nodes)] if simulate else []
    lichen(home, "up", *mode, "--data-dir", str(home / "d"), *ports)


def down(home: Path) -> None:
    lichen(home, "down", "--data-dir", str(home / "d"))


def lichen(home: Path, *arguments: str) -> None:
    env = os.environ | {"HOME": str(home), "XDG_CONFIG_HOME": str(home / "c"), "NO_PROXY": "*"}
    done = subprocess.run([BIN / "lichen", *arguments], env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"lichen {' '.join(arguments)}:\n{done.stdout}{done.stderr}")


def cloud_of(data_dir: Path) -> Cloud:
    found: LocalCloud | None = read_local(data_dir)
    if found is None:
        raise RuntimeError(f"no cloud in {data_dir}")
    return Cloud(data_dir, found.pid, found.kubernetes_url, found.openstack_url, read_credentials(found))


@contextlib.contextmanager
def kernel() -> Iterator[Cloud]:
    """The kernel alone, as `lichen up` runs it: a process of its own, HTTPS, SQLite with fsync."""
    with folder() as data_dir, socket.create_server(("127.0.0.1", 0)) as sock:
        settings = Settings(data_dir=data_dir, simulate=True, kubernetes_port=sock.getsockname()[1])
        settings.save()
        prepare(settings)
        command = [sys.executable, "-m", "lichen.daemon", "kernel", "--data-dir", str(data_dir)]
        with child(command, sock, f"LICHEN_SOCKETS=kubernetes={sock.fileno()}") as process:
            path = data_dir / "access" / "credentials.json"
            wait_for(lambda: path.exists() and answers(sock))
            credentials = msgspec.json.decode(path.read_bytes(), type=Credentials)
            yield Cloud(data_dir, process.pid, settings.kubernetes_url, "", credentials)


@contextlib.contextmanager
def controllers(of: Cloud) -> Iterator[int]:
    """The controllers' process of a kernel; its pid."""
    command = [sys.executable, "-m", "lichen.daemon", "controllers", "--data-dir", str(of.data_dir)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


@contextlib.contextmanager
def hello(tls_of: Cloud) -> Iterator[str]:
    """A bare ASGI app that answers "hello" from a process of its own, on the same server and certificate; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        certificate = tls_of.data_dir / "tls" / "kernel"
        command = [sys.executable, "-m", "bench.hello", str(sock.fileno()), str(certificate)]
        with child(command, sock, "LICHEN_HELLO=1"):
            wait_for(lambda: answers(sock))
            yield f"https://127.0.0.1:{sock.getsockname()[1]}"


@contextlib.contextmanager
def child(command: list[str], sock: socket.socket, variable: str) -> Iterator[subprocess.Popen[bytes]]:
    name, _, value = variable.partition("=")
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command, pass_fds=[sock.fileno()], env=os.environ | {name: value}, stdout=output, stderr=output
        )
        try:
            yield process
        finally:
            process.terminate()
            if process.wait(30) not in (0, -15):
                output.seek(0)
                print(output.read().decode()[-3000:], file=sys.stderr)


def answers(sock: socket.socket) -> bool:
    """Whether somebody accepts on a listening socket: a TLS greeting is answered."""
    import ssl

    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection(sock.getsockname(), timeout=1) as raw, context.wrap_socket(raw):
            return True
    except OSError:
        return False


def wait_for(found: Any, seconds: float = 60.0, pause: float = 0.02) -> Any:
    """The first true answer of `found`. TimeoutError."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds} s in vain")
        time.sleep(pause)
    return value


# --- memory ---------------------------------------------------------------------------------------------------------


def memory(pid: int) -> tuple[float, float]:
    """MiB of a process: (PSS, shared pages counted in part; RSS)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    kib = {line.split(":")[0]: int(line.split()[1]) for line in lines[1:]}
    return kib["Pss"] / 1024, kib["Rss"] / 1024


def processes(pid: int) -> dict[int, str]:
    """A process and all that descend from it or belong to its data directory: pid → command line."""
    found = {pid: command_of(pid)}
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                parents.setdefault(parent, []).append(int(entry.name))
    queue = [pid]
    while queue:
        for other in parents.get(queue.pop(), ()):
            found[other] = command_of(other)
            queue.append(other)
    return found


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""
