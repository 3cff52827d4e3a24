# SPDX-License-Identifier: Apache-2.0
"""The cloud of this machine as its owner sees it."""

from __future__ import annotations

from lichen.client.local import LocalCloud, read_credentials
from lichen.client.remote import RemoteCloud


def as_owner(cloud: LocalCloud) -> RemoteCloud:
    """With the first admin's credential; to be used as a context. PermissionError: only the user who started the cloud
    may read that."""
    return RemoteCloud(cloud.kubernetes_url, token=read_credentials(cloud).admin_token, ca_file=cloud.ca_file)
