# SPDX-License-Identifier: Apache-2.0
"""The folders of a cloud and whose they are: each process can read what it needs and nothing else."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from lichen.daemon.certificates import ensure_authority, ensure_leaf
from lichen.daemon.interpreter import own_python
from lichen.daemon.settings import Settings


@dataclass(frozen=True, slots=True)
class Folder:
    """owner: "" for the one who starts the cloud (root in the real mode). group: "" for the owner's own."""

    path: Path
    owner: str
    mode: int
    group: str = ""


def folders(settings: Settings) -> tuple[Folder, ...]:
    kernel, services = ("", "") if settings.simulate else (settings.user, settings.service_user)
    shown = ("supervisor", ""), ("controllers", kernel), ("node", ""), ("openstack-api", services)
    return (
        Folder(settings.data_dir, "", 0o755),
        Folder(settings.log_dir, "", 0o755),
        Folder(settings.run_dir, "", 0o755),
        Folder(settings.metrics_dir, "", 0o755),
        # Each process makes its own socket; the kernel connects.
        *(Folder(settings.metrics_dir / role, owner, 0o2750, group=kernel) for role, owner in shown),
        Folder(settings.authority_dir, "", 0o700),
        Folder(settings.guests_dir, "", 0o700),
        Folder(settings.volumes_dir, "", 0o700),
        Folder(settings.tls_dir, "", 0o755),
        Folder(settings.tls_dir / "kernel", kernel, 0o700),
        Folder(settings.tls_dir / "openstack", services, 0o700),
        Folder(settings.tls_dir / "node", "", 0o700),
        Folder(settings.keys_dir, kernel, 0o700),
        Folder(settings.tokens_dir, kernel, 0o700),
        Folder(settings.service_tokens_dir, kernel, 0o2750, group=services),
        Folder(settings.access_dir, kernel, 0o700),
        Folder(settings.store_dir, kernel, 0o700),
        # The services write images; the controllers remove those that are gone.
        Folder(settings.images_dir, services, 0o2770, group=kernel),
    )


def prepare(settings: Settings) -> None:
    """Make users, folders and certificates; what is there already is let be."""
    if not settings.simulate:
        for user in (settings.user, settings.service_user):
            ensure_user(user)
        check_readable(settings)
    for folder in folders(settings):
        folder.path.mkdir(parents=True, exist_ok=True)
        if folder.owner or folder.group:
            uid = pwd.getpwnam(folder.owner).pw_uid if folder.owner else os.getuid()
            os.chown(folder.path, uid, pwd.getpwnam(folder.group or folder.owner).pw_gid)
        folder.path.chmod(folder.mode)
    ensure_authority(settings.authority_dir, settings.tls_dir)
    addresses = (settings.reachable, settings.listen)
    for listener, owner in (("kernel", settings.user), ("openstack", settings.service_user), ("node", "")):
        for path in ensure_leaf(settings.authority_dir, settings.tls_dir, listener, addresses):
            if owner and not settings.simulate:
                account = pwd.getpwnam(owner)
                os.chown(path, account.pw_uid, account.pw_gid)


def listener_files(settings: Settings, listener: str) -> tuple[Path, Path]:
    """Certificate and key of a listener, as `prepare` made them."""
    return settings.tls_dir / listener / "tls.crt", settings.tls_dir / listener / "tls.key"


def ensure_user(name: str) -> None:
    """A system user that cannot log in and owns nothing else."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        command = ["useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent", "--user-group"]
        subprocess.run([*command, "--shell", "/usr/sbin/nologin", name], check=True, capture_output=True)


def check_readable(settings: Settings) -> None:
    """PermissionError: the unprivileged users cannot read the program they are to run."""
    for needed in {Path(own_python()).parent, Path(sys.base_prefix), Path(__file__).resolve()}:
        closed = next((p for p in (needed, *needed.parents) if p.exists() and not p.stat().st_mode & 0o005), None)
        if closed is not None:
            raise PermissionError(
                f"user {settings.user} cannot read {closed}, where lichen is installed: "
                "install it where every user may read it (scripts/up does so, in /opt/lichen)"
            )
