# SPDX-License-Identifier: Apache-2.0
"""kubectl apply --server-side."""

import json
from typing import Any

from tests.apis.kubernetes.objects import a_deployment
from tests.conformance.kubectl import Kubectl

SERVER = ("apply", "--server-side", "-f", "-")


async def managers(kubectl: Kubectl, *what: str) -> list[tuple[str, str]]:
    shown = json.loads(await kubectl.ok("get", *what, "-o", "json", "--show-managed-fields"))
    return [(e["manager"], e["operation"]) for e in shown["metadata"].get("managedFields") or []]


async def test_apply_conflict_and_force(kubectl: Kubectl) -> None:
    assert await kubectl.ok(*SERVER, input=a_deployment("web")) == "deployment.apps/web serverside-applied\n"
    assert await managers(kubectl, "deploy", "web") == [("kubectl", "Apply")]
    await kubectl.ok("scale", "deploy/web", "--replicas=5")
    assert await managers(kubectl, "deploy", "web") == [("kubectl", "Apply"), ("kubectl", "Update")]
    said = await kubectl.fails(*SERVER, "--field-manager=ci", input=a_deployment("web"))
    assert 'conflict with "kubectl" with subresource "scale" using apps/v1: .spec.replicas' in said
    assert "Please review the fields above" in said
    assert "serverside-applied" in await kubectl.ok(*SERVER, "--force-conflicts", input=a_deployment("web"))
    hidden: Any = json.loads(await kubectl.ok("get", "deploy", "web", "-o", "json"))
    assert "managedFields" not in hidden["metadata"]


async def test_client_side_apply_moves_to_the_server_and_back(kubectl: Kubectl) -> None:
    two = a_deployment("web")
    two["spec"]["template"]["spec"]["containers"].append({"name": "side", "image": "busybox"})
    await kubectl.ok("apply", "-f", "-", input=two)
    assert await managers(kubectl, "deploy", "web") == [("kubectl-client-side-apply", "Update")]
    one = a_deployment("web", 3)
    await kubectl.ok(*SERVER, input=one)
    assert ("kubectl-client-side-apply", "Update") not in await managers(kubectl, "deploy", "web")
    shown = json.loads(await kubectl.ok("get", "deploy", "web", "-o", "json"))
    assert [c["name"] for c in shown["spec"]["template"]["spec"]["containers"]] == ["c"]
    assert shown["spec"]["replicas"] == 3
    assert "configured" in await kubectl.ok("apply", "-f", "-", input=a_deployment("web", 4))


async def test_diff_and_dry_run_on_the_server(kubectl: Kubectl) -> None:
    await kubectl.ok(*SERVER, input=a_deployment("web"))
    assert "serverside-applied (server dry run)" in await kubectl.ok(
        *SERVER, "--dry-run=server", input=a_deployment("web", 9)
    )
    result = await kubectl.run("diff", "--server-side", "-f", "-", input=a_deployment("web", 9))
    assert result.code == 1, result.err
    assert "+  replicas: 9" in result.out
