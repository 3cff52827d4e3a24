# SPDX-License-Identifier: Apache-2.0
"""The cloud as one of its own processes reaches it. Apart from those processes, so that none loads another's rooms."""

from __future__ import annotations

from lichen.client.remote import RemoteCloud
from lichen.daemon.settings import Settings


def own_cloud(settings: Settings, role: str) -> RemoteCloud:
    """Over HTTP, with a credential of `role` that the kernel renews."""
    return RemoteCloud(
        settings.kubernetes_url, token_file=settings.tokens_dir / role, ca_file=settings.tls_dir / "ca.crt"
    )
