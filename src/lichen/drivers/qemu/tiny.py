# SPDX-License-Identifier: Apache-2.0
"""Builds `lichen-tiny`: a bootable qcow2 of Debian's cloud kernel, busybox and dropbear, from Debian packages only.

Nothing is installed on the host and no root is needed: packages are unpacked in a work folder, the initramfs is
written by `cpio.py`, the FAT partition by mtools, the boot loader is syslinux. What runs inside is in `guest/`.
Needs on the host: apt-get, apt-cache, dpkg-deb and qemu-img.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

from lichen.drivers.qemu.cpio import Archive
from lichen.model.errors import Permanent

Progress = Callable[[str], None]

GUEST = Path(__file__).with_name("guest")
BOOT_MODULES = ("virtio_pci", "virtio_net", "virtio_blk", "isofs", "vfat", "nls_cp437", "nls_ascii", "evdev", "button")
CDROM_MODULES = ("ata_piix", "virtio_scsi", "sr_mod")
FOLDERS = (
    *("bin", "dev", "proc", "sys", "run", "config", "www", "root", "root/.ssh"),
    *("etc", "etc/acpi", "etc/acpi/PWRF", "etc/dropbear", "lib", "lib64", "lib/modules"),
)
SSH_PACKAGES = ("dropbear-bin", "libc6", "libcrypt1", "libgmp10", "libtomcrypt1", "libtommath1", "zlib1g")
PACKAGES = ("busybox-static", "mtools", "syslinux", "syslinux-common", *SSH_PACKAGES)
LOADER = "lib64/ld-linux-x86-64.so.2"
LIBRARIES = ("libc.so.6", "libcrypt.so.1", "libgmp.so.10", "libtomcrypt.so.1", "libtommath.so.1", "libz.so.1")
"""What dropbear is linked with, and what that is linked with."""
# The password of root is "lichen", as README says.
PASSWORD = "$5$lichentiny$U1qTxLEir3T6xdJ66KdVJq3mVccm172xiXHmy9TTdB8"  # noqa: S105
SECTOR = 512
PARTITION_AT = 2048
MIB = 1 << 20


def build_tiny(out: Path, work: Path, progress: Progress = lambda _: None) -> Path:
    """Build the image at `out` (qcow2), using folder `work` for what is downloaded and unpacked (may be deleted
    afterwards, or kept to make the next build faster). Permanent ImageBuildFailed says what was missing."""
    work.mkdir(parents=True, exist_ok=True)
    root = _unpacked(work, progress)
    kernel = next(iter(sorted((root / "boot").glob("vmlinuz-*"))))
    progress(f"kernel {kernel.name.removeprefix('vmlinuz-')}")
    initrd = work / "initrd"
    initrd.write_bytes(gzip.compress(_initramfs(root), 9, mtime=0))
    progress(f"initramfs of {initrd.stat().st_size // 1024} KiB")
    raw = _disk(work, root, kernel, initrd)
    part = out.with_name(out.name + ".part")
    out.parent.mkdir(parents=True, exist_ok=True)
    _run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(part))
    os.replace(part, out)
    raw.unlink()
    progress(f"image of {out.stat().st_size // 1024} KiB at {out}")
    return out


def _unpacked(work: Path, progress: Progress) -> Path:
    root, packages = work / "root", work / "packages"
    done, wanted = work / "unpacked", (_kernel_package(), *PACKAGES)
    if done.exists() and done.read_text() == " ".join(wanted):
        return root
    for old in (root, packages):
        shutil.rmtree(old, ignore_errors=True)
    packages.mkdir()
    progress(f"downloading {', '.join(wanted)}")
    # APT::Sandbox::User: apt's own user cannot write to a private work folder.
    _run("apt-get", "download", "-q", "-o", f"APT::Sandbox::User={_user()}", *wanted, cwd=packages)
    for package in sorted(packages.glob("*.deb")):
        _run("dpkg-deb", "-x", str(package), str(root))
    done.write_text(" ".join(wanted))
    return root


def _user() -> str:
    return "root" if os.geteuid() == 0 else ""


def _kernel_package() -> str:
    """The versioned package behind Debian's linux-image-cloud meta-package."""
    text = _run("apt-cache", "depends", "linux-image-cloud-amd64")
    found = re.search(r"Depends: (linux-image-\S+)", text)
    if found is None:
        raise Permanent("ImageBuildFailed", "apt knows no linux-image-cloud-amd64: run apt-get update")
    return found.group(1)


def _initramfs(root: Path) -> bytes:
    archive = Archive()
    for folder in FOLDERS:
        archive.folder(folder, 0o700 if folder.startswith("root") else 0o755)
    archive.folder("tmp", 0o1777)
    archive.device("dev/console", 5, 1)
    archive.device("dev/null", 1, 3, 0o666)
    _busybox(archive, root)
    _dropbear(archive, root)
    _settings(archive)
    _modules(archive, root)
    return archive.close()


def _busybox(archive: Archive, root: Path) -> None:
    busybox = next(p for p in (root / "bin/busybox", root / "usr/bin/busybox") if p.exists())
    archive.file("bin/busybox", busybox.read_bytes(), 0o755)
    for applet in _run(str(busybox), "--list").split():
        if applet != "busybox":
            archive.link(f"bin/{applet}", "busybox")
    archive.link("init", "bin/busybox")


def _dropbear(archive: Archive, root: Path) -> None:
    """The SSH server and its shared libraries: Debian has no static one."""
    for name in (LOADER, *LIBRARIES):
        found = (path.resolve() for path in root.rglob(Path(name).name))
        path = next(p for p in found if p.is_relative_to(root.resolve()))  # a link may lead to the host's own
        archive.file(name if "/" in name else f"lib/{name}", path.read_bytes(), 0o755)
    archive.file("bin/dropbear", (root / "usr/sbin/dropbear").read_bytes(), 0o755)


def _settings(archive: Archive) -> None:
    archive.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
    archive.file("etc/group", b"root:x:0:\n")
    archive.file("etc/shadow", f"root:{PASSWORD}:20000:0:99999:7:::\n".encode(), 0o600)
    archive.file("etc/issue", b"lichen-tiny \\n\n")
    archive.file("etc/inittab", (GUEST / "inittab").read_bytes())
    archive.file("root/.ssh/authorized_keys", b"", 0o600)
    scripts = {"rc": "etc/rc", "udhcpc": "etc/udhcpc", "page": "etc/page", "fetch": "bin/fetch"}
    for name, path in {**scripts, "poweroff": "etc/acpi/PWRF/00000080"}.items():
        archive.file(path, (GUEST / name).read_bytes(), 0o755)


def _modules(archive: Archive, root: Path) -> None:
    found = {path.stem: path for path in (root / "lib/modules").rglob("*.ko")}
    boot = _in_order(BOOT_MODULES, found)
    cdrom = [name for name in _in_order(CDROM_MODULES, found) if name not in boot]
    for name in boot + cdrom:
        archive.file(f"lib/modules/{name}.ko", found[name].read_bytes())
    for listing, names in (("boot", boot), ("cdrom", cdrom)):
        archive.file(f"lib/modules/{listing}", "".join(f"{name}.ko\n" for name in names).encode())


def _in_order(wanted: Iterable[str], found: dict[str, Path]) -> list[str]:
    """Modules with what they depend on, dependencies first; those built into the kernel are left out."""
    order: list[str] = []

    def add(name: str) -> None:
        path = found.get(name) or found.get(name.replace("_", "-"))
        if path is None or path.stem in order:
            return
        depends = re.search(rb"\0depends=([^\0]*)\0", path.read_bytes())
        for dependency in depends.group(1).decode().split(",") if depends else ():
            add(dependency)
        order.append(path.stem)

    for name in wanted:
        add(name)
    return order


def _disk(work: Path, root: Path, kernel: Path, initrd: Path) -> Path:
    """A raw disk: MBR of syslinux, one active FAT partition with the boot loader, kernel and initramfs."""
    raw = work / "disk.raw"
    size = (kernel.stat().st_size + initrd.stat().st_size + 3 * MIB) // MIB * MIB
    sectors = size // SECTOR
    with raw.open("wb") as disk:
        disk.write(_boot_record(root, sectors))
        disk.truncate(PARTITION_AT * SECTOR + size)
    tools = {**os.environ, "PATH": f"{root / 'usr/bin'}:{os.environ['PATH']}", "MTOOLS_SKIP_CHECK": "1"}
    drive = f"{raw}@@{PARTITION_AT * SECTOR}"
    shape = ("-T", str(sectors), "-h", "16", "-s", "63", "-H", str(PARTITION_AT), "-v", "LICHEN", "-N", "11c4e401")
    _run("mformat", "-i", drive, *shape, "::", env=tools)
    for source, name in ((kernel, "vmlinuz"), (initrd, "initrd"), (GUEST / "syslinux.cfg", "syslinux.cfg")):
        _run("mcopy", "-i", drive, str(source), f"::{name}", env=tools)
    _run("syslinux", "--install", "--offset", str(PARTITION_AT * SECTOR), str(raw), env=tools)
    return raw


def _boot_record(root: Path, sectors: int) -> bytes:
    code = next(root.glob("usr/lib/syslinux/mbr/mbr.bin")).read_bytes()
    active_fat16_lba = bytes([0x80, 0, 2, 0, 0x0E, 0, 2, 0])
    entry = active_fat16_lba + PARTITION_AT.to_bytes(4, "little") + sectors.to_bytes(4, "little")
    return code.ljust(440, b"\0") + b"LICH\0\0" + entry + bytes(48) + b"\x55\xaa"


def _run(*command: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    try:
        done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=300, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise Permanent("ImageBuildFailed", f"{command[0]}: {error}") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()[-600:]
        raise Permanent("ImageBuildFailed", f"{' '.join(command[:3])} ended with {done.returncode}: {said}")
    return done.stdout
