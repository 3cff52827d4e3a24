# SPDX-License-Identifier: Apache-2.0
"""What a user needs to log in: entries in their clouds.yaml, and a kubeconfig of Lichen's own."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from lichen.client.clouds import cloud_entries, merge_clouds
from lichen.client.kubeconfig import kubeconfig_text
from lichen.client.local import LocalCloud, read_credentials, write_private


def hand_over(cloud: LocalCloud) -> dict[str, Path]:
    """Write both files for the user who called, also through sudo; their paths."""
    home, owner = calling_user()
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") if owner is None else home / ".config"
    clouds, kubeconfig = config / "openstack" / "clouds.yaml", config / "lichen" / "kubeconfig"
    merge_clouds(clouds, entries_of(cloud))
    write_private(kubeconfig, kubeconfig_of(cloud).encode())
    if owner is not None:
        for path in (clouds, kubeconfig, clouds.parent, kubeconfig.parent, config):
            os.chown(path, owner.pw_uid, owner.pw_gid)
    return {"clouds": clouds, "kubeconfig": kubeconfig}


def entries_of(cloud: LocalCloud) -> dict[str, object]:
    credentials = read_credentials(cloud)
    return cloud_entries(
        f"{cloud.openstack_url}/identity/v3",
        cloud.ca_file,
        admin_password=credentials.admin_password,
        demo_password=credentials.demo_password,
    )


def kubeconfig_of(cloud: LocalCloud) -> str:
    return kubeconfig_text(cloud.kubernetes_url, cloud.ca_file.read_bytes(), read_credentials(cloud).admin_token)


def calling_user() -> tuple[Path, pwd.struct_passwd | None]:
    """The home of who called, and their account if that is behind sudo."""
    uid = os.environ.get("SUDO_UID")
    if os.geteuid() == 0 and uid and uid != "0":
        account = pwd.getpwuid(int(uid))
        return Path(account.pw_dir), account
    return Path.home(), None
