# SPDX-License-Identifier: Apache-2.0
"""What a pod finds of its service account, in a simulated cloud."""

from __future__ import annotations

from lichen.kernel.admission.podtokens import MOUNT_PATH
from tests.conformance.cloud import Here, until


def run_pod(cloud: Here, name: str, *more: str) -> None:
    cloud.kubectl_ok("-n", "demo", "run", name, "--image=busybox", *more, "--", "sh", "-c", "sleep 1000")
    cloud.kubectl_ok("-n", "demo", "wait", f"pod/{name}", "--for=condition=Ready", "--timeout=30s")


def test_a_pod_bears_the_token_of_its_account_and_trusts_the_api(cloud: Here):
    run_pod(cloud, "bearer")
    held = [cloud.kubectl_ok("-n", "demo", "exec", "bearer", "--", "cat", f"{MOUNT_PATH}/{name}") for name in
            ("token", "ca.crt", "namespace")]  # fmt: skip
    assert held[1].strip() == cloud.facts.ca_file.read_text().strip()
    assert held[2].strip() == "demo"
    review = cloud.request(
        "POST",
        f"{cloud.facts.kubernetes_url}/apis/authentication.k8s.io/v1/selfsubjectreviews",
        {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"},
        Authorization=f"Bearer {held[0].strip()}",
    )
    assert review.json["status"]["userInfo"]["username"] == "system:serviceaccount:demo:default"


def test_a_pod_may_do_without(cloud: Here):
    run_pod(cloud, "plain", '--overrides={"spec":{"automountServiceAccountToken":false}}')
    assert not cloud.object("-n", "demo", "pod", "plain")["spec"].get("volumes")


def test_the_authority_is_published_again_where_it_was_taken_away(cloud: Here):
    cloud.kubectl_ok("-n", "demo", "delete", "configmap", "kube-root-ca.crt")
    until("it is back", lambda: cloud.kubectl("-n", "demo", "get", "configmap", "kube-root-ca.crt").code == 0)
