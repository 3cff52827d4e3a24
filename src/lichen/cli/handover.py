# SPDX-License-Identifier: Apache-2.0
"""What a user needs to log in: entries in their clouds.yaml, and a kubeconfig of Lichen's own."""

from __future__ import annotations

import hashlib
import os
import pwd
from pathlib import Path
from typing import NamedTuple

import yaml

from lichen.client.clouds import cloud_entries, merge_clouds
from lichen.client.kubeconfig import NAME, KubeconfigError, kubeconfig_text, read_kubeconfig
from lichen.client.local import LocalCloud, read_credentials, read_local, write_private


class Handed(NamedTuple):
    """Where a user finds what to log in with. beside: data of the other cloud to which the usual files lead, so that
    this one has files of its own; "" if these are the usual ones."""

    clouds: Path
    kubeconfig: Path
    beside: str = ""


def hand_over(cloud: LocalCloud) -> Handed:
    """Write both files for the user who called, also through sudo. What leads to another cloud that runs is let be."""
    home, owner = calling_user()
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") if owner is None else home / ".config"
    handed = _places(config, cloud)
    merge_clouds(handed.clouds, entries_of(cloud))
    write_private(handed.kubeconfig, kubeconfig_of(cloud, _chosen_namespace(handed.kubeconfig)).encode())
    if owner is not None:
        for path in (handed.clouds, handed.kubeconfig, handed.clouds.parent, handed.kubeconfig.parent, config):
            os.chown(path, owner.pw_uid, owner.pw_gid)
    return handed


def _places(config: Path, cloud: LocalCloud) -> Handed:
    usual = Handed(config / "openstack" / "clouds.yaml", config / "lichen" / "kubeconfig")
    other = _led_to(usual.clouds)
    if other is None or other.data_dir == cloud.data_dir or not other.is_running:
        return usual
    own = config / "lichen" / hashlib.sha256(cloud.data_dir.encode()).hexdigest()[:8]
    return Handed(own / "clouds.yaml", own / "kubeconfig", other.data_dir)


def _led_to(clouds: Path) -> LocalCloud | None:
    """The cloud of this machine to which the entry `lichen` of a clouds.yaml leads, running or not."""
    try:
        entry = yaml.safe_load(clouds.read_bytes())["clouds"]["lichen"]
        return read_local(Path(entry["cacert"]).parents[1])
    except (OSError, yaml.YAMLError, RecursionError, ValueError, LookupError, TypeError):
        return None


def entries_of(cloud: LocalCloud) -> dict[str, object]:
    credentials = read_credentials(cloud)
    return cloud_entries(
        f"{cloud.openstack_url}/identity/v3",
        cloud.ca_file,
        admin_password=credentials.admin_password,
        demo_password=credentials.demo_password,
    )


def kubeconfig_of(cloud: LocalCloud, namespace: str = "default") -> str:
    token = read_credentials(cloud).admin_token
    return kubeconfig_text(cloud.kubernetes_url, cloud.ca_file.read_bytes(), token, namespace=namespace)


def _chosen_namespace(kubeconfig: Path) -> str:
    """What `kubectl config set-context --current --namespace` wrote: a cloud that is started again keeps it."""
    try:
        return read_kubeconfig(kubeconfig, NAME).namespace
    except KubeconfigError:
        return "default"


def calling_user() -> tuple[Path, pwd.struct_passwd | None]:
    """The home of who called, and their account if that is behind sudo."""
    uid = os.environ.get("SUDO_UID")
    if os.geteuid() == 0 and uid and uid != "0":
        account = pwd.getpwuid(int(uid))
        return Path(account.pw_dir), account
    return Path.home(), None
