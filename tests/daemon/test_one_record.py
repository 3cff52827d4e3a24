# SPDX-License-Identifier: Apache-2.0
"""One record, two languages; and what one project may not see of another, in either."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conformance.cloud import Here, a_cloud, a_qcow2, until


@pytest.fixture(scope="module")
def image(cloud: Here) -> str:
    sdk = cloud.sdk()
    return str(
        sdk.create_image("tiny", filename=str(a_qcow2(cloud.folder / "i")), disk_format="qcow2", wait=True).id
    )  # fmt: skip


def token_of(cloud: Here, user: str = "demo", project: str = "demo", password: str | None = None) -> str:
    return str(cloud.sdk(user, project, password).auth_token)


def test_a_server_made_by_one_language_is_seen_changed_and_deleted_by_the_other(cloud: Here, image: str):
    sdk = cloud.sdk()
    made = sdk.create_server("born-in-nova", image=image, flavor="m1.tiny", wait=True, auto_ip=False)
    assert cloud.object("-n", "demo", "server", "born-in-nova")["spec"]["id"] == made.id
    stop = '{"spec":{"power":"Off"}}'
    cloud.kubectl_ok("-n", "demo", "patch", "server", "born-in-nova", "--type=merge", "-p", stop)
    until("nova sees it off", lambda: sdk.compute.get_server(made.id).status == "SHUTOFF")
    cloud.kubectl_ok("-n", "demo", "delete", "server", "born-in-nova", "--timeout=30s")
    assert sdk.get_server("born-in-nova") is None

    manifest = {
        "apiVersion": "compute.lichen.dev/v1", "kind": "Server", "metadata": {"name": "born-in-kube"},
        "spec": {"flavor": "m1.tiny", "image": "tiny", "displayName": "Born in Kube"},
    }  # fmt: skip
    cloud.kubectl_ok("-n", "demo", "apply", "-f", "-", input=manifest)
    cloud.kubectl_ok("-n", "demo", "wait", "--for=condition=Ready", "server/born-in-kube", "--timeout=30s")
    found = sdk.compute.find_server("Born in Kube")
    assert (found.status, found.id) == (
        "ACTIVE", cloud.object("-n", "demo", "server", "born-in-kube")["spec"]["id"],
    )  # fmt: skip
    sdk.compute.stop_server(found.id)
    cloud.kubectl_ok(
        "-n", "demo", "wait", "--for=jsonpath={.status.phase}=Stopped", "server/born-in-kube", "--timeout=30s"
    )
    sdk.delete_server(found.id, wait=True)
    assert "NotFound" in cloud.kubectl_refused("-n", "demo", "get", "server", "born-in-kube")


def test_a_namespace_is_a_project(cloud: Here):
    admin = cloud.sdk("admin", "admin")
    cloud.kubectl_ok("create", "namespace", "from-kube")
    project = admin.identity.find_project("from-kube")
    labels = cloud.object("namespace", "from-kube")["metadata"]["labels"]
    assert labels["identity.lichen.dev/project-id"] == project.id
    made = admin.identity.create_project(name="From Keystone", description="sells")
    selector = f"identity.lichen.dev/project-id={made.id}"
    namespaces = cloud.object("namespaces", "-l", selector)["items"]
    assert namespaces[0]["metadata"]["annotations"]["lichen.dev/name"] == "From Keystone"
    cloud.kubectl_ok("-n", namespaces[0]["metadata"]["name"], "create", "configmap", "inside")
    admin.identity.delete_project(made.id)
    until("the namespace is gone", lambda: not cloud.object("namespaces", "-l", selector)["items"])
    cloud.kubectl_ok("delete", "namespace", "from-kube", "--timeout=30s")
    assert admin.identity.find_project("from-kube") is None


def test_a_keystone_token_speaks_to_kubectl_with_its_own_rights(cloud: Here):
    token = cloud.openstack_json("token", "issue")["id"]
    bare = {"KUBECONFIG": str(nobody(cloud))}
    cloud.kubectl_ok("--token", token, "-n", "demo", "create", "configmap", "by-token", **bare)
    assert cloud.kubectl_ok("--token", token, "-n", "demo", "auth", "can-i", "create", "servers", **bare) == "yes\n"
    for refused in (("get", "servers", "-A"), ("-n", "default", "get", "pods"), ("get", "nodes"), ("get", "users")):
        done = cloud.kubectl("--token", token, *refused, **bare)
        assert done.code == 1 and "Forbidden" in done.err
    assert "demo" in cloud.kubectl_ok("--token", token, "auth", "whoami", **bare)


def nobody(cloud: Here) -> Any:
    """A kubeconfig without a credential."""
    config = json.loads(cloud.kubectl_ok("config", "view", "--raw", "-o", "json"))
    config["users"] = [{"name": user["name"], "user": {}} for user in config["users"]]
    path = cloud.folder / "nobody"
    path.write_text(json.dumps(config))
    return path


def test_a_member_of_one_project_reaches_nothing_of_another_in_either_language(cloud: Here, image: str):
    admin = cloud.sdk("admin", "admin")
    project = admin.identity.create_project(name="spies", domain_id="default")
    spy = admin.identity.create_user(name="mata", password="hari-hari", default_project_id=project.id)
    admin.identity.assign_project_role_to_user(project, spy, admin.identity.find_role("member"))
    sdk = cloud.sdk()
    server = sdk.create_server("secret", image=image, flavor="m1.tiny", wait=True, auto_ip=False)
    port = next(iter(sdk.network.ports(device_id=server.id)))
    mata = cloud.sdk("mata", "spies", "hari-hari")
    url, token = cloud.facts.openstack_url, mata.auth_token
    paths = {
        f"/compute/v2.1/servers/{server.id}": ("GET", "DELETE"),
        f"/network/v2.0/ports/{port.id}": ("GET", "DELETE"),
        f"/image/v2/images/{image}": ("GET", "DELETE"),
        f"/identity/v3/projects/{sdk.current_project_id}": ("GET", "DELETE"),
    }
    for path, methods in paths.items():
        for method in methods:
            answer = cloud.request(method, url + path, X_Auth_Token=token)
            assert answer.status in (403, 404), (method, path, answer)
    action = cloud.request(
        "POST", f"{url}/compute/v2.1/servers/{server.id}/action", {"os-stop": None}, X_Auth_Token=token
    )
    assert action.status == 404
    assert list(mata.compute.servers()) == [] and list(mata.network.ports()) == []
    assert list(mata.compute.servers(all_projects=False)) == []
    kube = f"{cloud.facts.kubernetes_url}/apis/compute.lichen.dev/v1/namespaces/demo/servers"
    for method, path in (("GET", kube), ("GET", f"{kube}/secret"), ("GET", f"{kube}/secret/log"),
                         ("DELETE", f"{kube}/secret"), ("GET", f"{kube}?watch=1")):  # fmt: skip
        answer = cloud.request(method, path, Authorization=f"Bearer {token}")
        assert (answer.status, answer.json["reason"]) == (403, "Forbidden")
    assert sdk.compute.get_server(server.id).status == "ACTIVE"
    sdk.delete_server(server.id, wait=True)


def test_a_revoked_role_ends_at_once(cloud: Here):
    admin = cloud.sdk("admin", "admin")
    user = admin.identity.create_user(name="leaver", password="soon-gone")
    project, role = admin.identity.find_project("demo"), admin.identity.find_role("member")
    admin.identity.assign_project_role_to_user(project, user, role)
    token = token_of(cloud, "leaver", "demo", "soon-gone")
    pods = f"{cloud.facts.kubernetes_url}/api/v1/namespaces/demo/pods"
    assert cloud.request("GET", pods, Authorization=f"Bearer {token}").status == 200
    admin.identity.unassign_project_role_from_user(project, user, role)
    assert cloud.request("GET", pods, Authorization=f"Bearer {token}").status in (401, 403)
    servers = f"{cloud.facts.openstack_url}/compute/v2.1/servers"
    assert cloud.request("GET", servers, X_Auth_Token=token).status in (401, 403)


def test_two_clouds_on_one_machine_know_nothing_of_each_other(cloud: Here):
    with a_cloud(nodes=1) as other:
        assert other.kubectl_ok("get", "nodes", "-o", "name") == "node/node-1\n"
        token = token_of(cloud)
        pods = f"{other.facts.kubernetes_url}/api/v1/namespaces/demo/pods"
        assert other.request("GET", pods, Authorization=f"Bearer {token}").status == 401
