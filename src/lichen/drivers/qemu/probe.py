# SPDX-License-Identifier: Apache-2.0
"""KVM or TCG: proved by booting the tiny guest under KVM against a deadline, remembered until something changes.

That `/dev/kvm` opens proves nothing: on some clouds firmware runs under it and a kernel crawls for minutes.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
import time
from pathlib import Path

import msgspec

DEADLINE = 6.0
"""Seconds a kernel gets to reach its first program; TCG needs about two on a machine where KVM does not work."""
_PROOF = b"lichen-tiny: kernel"


class Verdict(msgspec.Struct):
    """accelerator: "kvm" | "tcg". machine: what it holds for (boot, processor, QEMU). why: for people."""

    accelerator: str
    why: str
    machine: str = ""
    seconds: float = 0.0


async def choose_accelerator(state_dir: Path, tiny: Path | None, *, kvm: Path = Path("/dev/kvm")) -> Verdict:
    """The verdict for this machine. `tiny` is the lichen-tiny image; without it nothing can be proved (nor is
    remembered) and the answer is TCG. Takes milliseconds when known, at most DEADLINE when not."""
    if not os.access(kvm, os.R_OK | os.W_OK):
        return Verdict("tcg", f"{kvm} is missing or closed to us")
    known = state_dir / "accelerator.json"
    machine = await _machine()
    verdict = _load(known)
    if verdict and verdict.machine == machine:
        return verdict
    if tiny is None or not tiny.exists():
        return Verdict("tcg", "KVM is unproved: the lichen-tiny image is not built yet")
    verdict = await _boot(tiny)
    verdict.machine = machine
    state_dir.mkdir(parents=True, exist_ok=True)
    part = known.with_name(known.name + ".part")
    part.write_bytes(msgspec.json.encode(verdict))
    os.replace(part, known)
    return verdict


def _load(path: Path) -> Verdict | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Verdict)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


async def _machine() -> str:
    """A digest of what the verdict depends on: this boot, the processor, the QEMU binary."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text()
    models = {line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")}
    version = await _output("qemu-system-x86_64", "--version")
    return hashlib.sha256(f"{boot}{sorted(models)}{version}".encode()).hexdigest()[:16]


async def _output(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    return out.decode(errors="replace")


async def _boot(tiny: Path) -> Verdict:
    """Boot the image (nothing is written to it) and wait for the line its first program prints."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lichen-probe-") as folder:
        process = await asyncio.create_subprocess_exec(
            *("qemu-system-x86_64", "-M", "q35", "-accel", "kvm", "-cpu", "host", "-m", "128", "-no-reboot"),
            *("-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio"),
            *("-drive", f"file={str(tiny).replace(',', ',,')},format=qcow2,if=virtio,snapshot=on"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "TMPDIR": folder},
        )
        assert process.stdout
        said = b""
        try:
            async with asyncio.timeout(DEADLINE):
                while _PROOF not in said and (chunk := await process.stdout.read(4096)):
                    said += chunk
        except TimeoutError:
            process.kill()
            return Verdict("tcg", f"a kernel did not boot under KVM within {DEADLINE:.0f} s", seconds=DEADLINE)
        finally:
            if _PROOF in said:
                process.kill()
            await process.wait()
    seconds = round(time.monotonic() - began, 2)
    if _PROOF in said:
        return Verdict("kvm", f"a kernel booted under KVM in {seconds} s", seconds=seconds)
    last = said.decode(errors="replace").strip().splitlines() or ["it said nothing"]
    return Verdict("tcg", f"QEMU gave up under KVM: {last[-1][:200]}", seconds=seconds)
