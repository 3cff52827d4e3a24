# SPDX-License-Identifier: Apache-2.0
"""A real machine of a real cloud, from the call to its first program, beside bare QEMU with the same image."""

from __future__ import annotations

import asyncio
import subprocess
import time
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from bench.compute import SERVERS, is_running
from bench.http import connect
from bench.lib import Cloud, Report, cloud, folder, median, memory, processes
from bench.openstack import Client
from bench.watching import Watching

TIMES = 5
INIT, READY = b"lichen-tiny: kernel", b"web page on port 80"
ONE = "/apis/compute.lichen.dev/v1/namespaces/demo/servers"


def run(report: Report) -> None:
    with cloud(simulate=False) as here:
        image = here.data_dir / "base" / "lichen-tiny.qcow2"
        accelerator = accelerator_of(here)
        report.say(f"accelerator: {accelerator}")
        uvloop.run(measure(report, here, image, accelerator))


def accelerator_of(here: Cloud) -> str:
    """What the boot probe found."""
    known = here.data_dir / "probe" / "accelerator.json"
    return str(msgspec.json.decode(known.read_bytes())["accelerator"]) if known.exists() else "tcg"


async def measure(report: Report, here: Cloud, image: Path, accelerator: str) -> None:
    client = await Client.login(here)
    body = await client.server_body(await client.network("real", "10.90.0.0/24"))
    body["server"]["imageRef"] = await client.image("tiny", image.read_bytes(), "qcow2")
    bare, lichen = [], []
    for number in range(TIMES):
        bare.append(await asyncio.to_thread(boot_bare, image, accelerator))
        lichen.append(await boot(here, client, body, f"vm-{number}"))
    init, ready = (median([one[which] for one in bare]) for which in (0, 1))
    report.row("QEMU alone: exec → init", init, "s", peer="TCG 1.6 s")
    report.row("QEMU alone: exec → its page is served", ready, "s")
    active, lichen_init, lichen_ready = (median([one[which] for one in lichen]) for which in (0, 1, 2))
    report.row("server: call → ACTIVE", active, "s")
    report.row("server: call → init", lichen_init, "s", beside=f"QEMU alone {init:.2f} s")
    report.row("server: call → its page is served", lichen_ready, "s", beside=f"QEMU alone {ready:.2f} s")
    guest = next(pid for pid, command in processes(1).items() if str(here.data_dir) in command and "-uuid" in command)
    report.row("memory of a guest of 128 MiB, PSS", memory(guest)[0], "MiB")
    client.close()


async def boot(here: Cloud, client: Client, body: Any, name: str) -> tuple[float, float, float]:
    """Seconds from the call until ACTIVE, init, ready."""
    seen = Watching(here, ONE, lambda server: server["metadata"]["name"] == name and is_running(server))
    await seen.start()
    text = msgspec.json.encode(body).decode().replace("@", name)
    start = time.perf_counter()
    made = await client.connection.json("POST", SERVERS, client.headers, text.encode())
    console = here.data_dir / "guests" / made["server"]["id"] / "console.log"
    init, ready = await asyncio.to_thread(said, console, start)
    await seen.until(1)
    seen.close()
    await delete(here, name)
    return seen.when[name] - start, init, ready


async def delete(here: Cloud, name: str) -> None:
    """The last one stays, to be looked at."""
    if name == f"vm-{TIMES - 1}":
        return
    connection = await connect(here.kubernetes_url)
    await connection.ok("DELETE", f"{ONE}/{name}", here.admin)
    async with asyncio.timeout(60):
        while (await connection.send("GET", f"{ONE}/{name}", here.admin))[0] != 404:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    connection.close()


def said(console: Path, start: float, seconds: float = 120.0) -> tuple[float, float]:
    """Seconds after `start` at which the guest's console said that init runs, and that the page is served."""
    init = 0.0
    while time.perf_counter() - start < seconds:
        text = console.read_bytes() if console.exists() else b""
        now = time.perf_counter() - start
        init = init or (now if INIT in text else 0.0)
        if READY in text:
            return init, now
        time.sleep(0.005)
    raise TimeoutError(f"the guest did not get ready in {seconds} s: {text[-500:]!r}")


def boot_bare(image: Path, accelerator: str) -> tuple[float, float]:
    """The same image, machine and memory by QEMU alone, on a fresh overlay and QEMU's own network."""
    cpu = "host" if accelerator == "kvm" else "max"
    with folder() as place:
        start = time.perf_counter()
        disk, console = place / "disk.qcow2", place / "console.log"
        subprocess.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(image), "-F", "qcow2", str(disk)], check=True
        )
        command = ["qemu-system-x86_64", "-M", "q35", "-accel", accelerator, "-cpu", cpu, "-m", "128", "-nodefaults"]
        command += ["-display", "none", "-serial", f"file:{console}", "-drive", f"file={disk},if=virtio"]
        command += ["-netdev", "user,id=n", "-device", "virtio-net-pci,netdev=n,romfile="]
        with subprocess.Popen(command) as process:
            try:
                return said(console, start)
            finally:
                process.kill()
