# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from lichen.apis.kubernetes.app import create_app
from lichen.client.kubeconfig import Access, KubeconfigError, cloud_of, read_kubeconfig, write_kubeconfig
from lichen.client.remote import RemoteCloud
from lichen.client.transport import tls_context
from lichen.kernel.kernel import Kernel
from lichen.kinds.builtin import NAMESPACE
from lichen.model.errors import Unavailable
from lichen.model.meta import name_of
from tests.client.conftest import no_node
from tests.conformance.kubectl import serving


def test_what_was_written_is_read_back_and_private(tmp_path: Path) -> None:
    path = tmp_path / "lichen" / "kubeconfig"
    write_kubeconfig(path, "https://127.0.0.1:6443", b"PEM", "secret")
    assert read_kubeconfig(path) == Access("https://127.0.0.1:6443", ca=b"PEM", token="secret")
    assert path.stat().st_mode & 0o777 == 0o600


def test_files_beside_a_foreign_kubeconfig_are_found(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(b"CA")
    (tmp_path / "config").write_text("""
contexts:
- name: a
  context: {cluster: c, user: u, namespace: team}
clusters:
- name: c
  cluster: {server: "https://x:1", certificate-authority: ca.pem}
users:
- name: u
  user: {tokenFile: token}
""")
    access = read_kubeconfig(tmp_path / "config", "a")
    assert access == Access("https://x:1", "team", b"CA", token_file=str(tmp_path / "token"))


@pytest.mark.parametrize("text", ["", "- a", "{", "current-context: none", "contexts: {}\ncurrent-context: x"])
def test_unusable_files_are_told_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text)
    with pytest.raises(KubeconfigError, match="config"):
        read_kubeconfig(tmp_path / "config")
    with pytest.raises(KubeconfigError, match="absent"):
        read_kubeconfig(tmp_path / "absent")


async def test_a_kubeconfig_leads_to_its_cloud_over_tls(kernel: Kernel, tmp_path: Path) -> None:
    async with serving(create_app(kernel, no_node), tmp_path) as (url, certificate):
        write_kubeconfig(tmp_path / "config", url, certificate.read_bytes(), "admin-token")
        async with cloud_of(read_kubeconfig(tmp_path / "config")) as cloud:
            assert name_of(await cloud.state.get(NAMESPACE, "default")) == "default"
        stranger = RemoteCloud(url, token="admin-token", tls=tls_context(), patience=0.1)
        async with stranger:
            with pytest.raises(Unavailable, match="certificate"):
                await stranger.state.get(NAMESPACE, "default")
