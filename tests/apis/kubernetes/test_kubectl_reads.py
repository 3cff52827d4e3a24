# SPDX-License-Identifier: Apache-2.0
import json

import pytest
import yaml

from lichen.apis.kubernetes.status import status_of
from lichen.kinds.catalog import columns_of
from lichen.kinds.network.port import Port
from lichen.model.errors import Expired
from tests.apis.kubernetes.conftest import Cloud
from tests.apis.kubernetes.objects import a_config_map, a_flavor, a_pod, a_server
from tests.conformance.kubectl import Kubectl


async def test_every_output_form_of_get(cloud: Cloud, kubectl: Kubectl) -> None:
    await cloud.apply(a_pod("a", node="n1", app="web"), a_pod("b", app="db"), a_flavor(), a_server("s"))
    assert (await kubectl.ok("get", "pods")).splitlines()[0].startswith("NAME")
    wide = await kubectl.ok("get", "po", "-o", "wide")
    assert wide.splitlines()[1].split()[0] == "a"
    assert await kubectl.ok("get", "pods", "-o", "name") == "pod/a\npod/b\n"
    listed = json.loads(await kubectl.ok("get", "pods", "-o", "json"))
    assert [item["metadata"]["name"] for item in listed["items"]] == ["a", "b"]
    one = yaml.safe_load(await kubectl.ok("get", "pod", "a", "-o", "yaml"))
    assert (one["kind"], one["spec"]["nodeName"]) == ("Pod", "n1")
    path = "jsonpath={.items[*].metadata.labels.app}"
    assert await kubectl.ok("get", "pods", "-o", path) == "web db"
    columns = "custom-columns=N:.metadata.name,F:.spec.flavor"
    assert (await kubectl.ok("get", "servers", "-o", columns)).split() == ["N", "F", "s", "small"]


async def test_selectors_and_all_namespaces(cloud: Cloud, kubectl: Kubectl) -> None:
    await kubectl.ok("create", "namespace", "team")
    await cloud.apply(a_pod("a", app="web"), a_pod("b", app="db"), a_pod("c", "team", app="web"))
    assert await kubectl.ok("get", "pods", "-l", "app=web", "-o", "name") == "pod/a\n"
    assert await kubectl.ok("get", "pods", "-l", "app notin (web)", "-o", "name") == "pod/b\n"
    assert await kubectl.ok("get", "pods", "--field-selector", "metadata.name=b", "-o", "name") == "pod/b\n"
    rows = (await kubectl.ok("get", "pods", "-A", "-l", "app=web")).splitlines()
    assert [row.split()[:2] for row in rows[1:]] == [["default", "a"], ["team", "c"]]
    nothing = await kubectl.run("get", "pods", "-l", "app=none")
    assert "No resources found" in nothing.err


async def test_only_fields_that_upstream_offers_select_built_in_kinds(cloud: Cloud, kubectl: Kubectl) -> None:
    await cloud.apply(a_pod("a", node="n1"), a_pod("b", node="n2"), a_flavor(), a_server("web"))
    selector = "spec.nodeName=n2,status.phase!=Failed,metadata.namespace=default"
    assert await kubectl.ok("get", "pods", "--field-selector", selector, "-o", "name") == "pod/b\n"
    refusal = await kubectl.fails("get", "pods", "--field-selector", "spec.nothing=1")
    assert "(BadRequest)" in refusal
    assert "field label not supported: spec.nothing" in refusal
    refusal = await kubectl.fails("get", "configmaps", "--field-selector", "data.a=1")
    assert '"data.a" is not a known field selector: only "metadata.name", "metadata.namespace"' in refusal
    assert "web" in await kubectl.ok("get", "servers", "--field-selector", "spec.flavor=small")


async def test_a_field_that_is_not_there_is_what_it_stands_for(cloud: Cloud, kubectl: Kubectl) -> None:
    event = {
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "default"},
        "involvedObject": {"namespace": "default"},
    }  # fmt: skip
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "open"}}
    cordoned = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "shut"}, "spec": {"unschedulable": True}}
    source = {**event, "metadata": {"name": "f", "namespace": "default"}, "source": {"component": "kubelet"}}
    await cloud.apply(a_pod("a"), node, cordoned, source, {**event, "reportingComponent": "tests"})

    async def selected(kinds: str, selector: str) -> str:
        return await kubectl.ok("get", kinds, "--field-selector", selector, "-o", "name")

    assert await selected("nodes", "spec.unschedulable=false") == "node/open\n"
    assert await selected("nodes", "spec.unschedulable!=false") == "node/shut\n"
    assert await selected("pods", "spec.hostNetwork=false") == "pod/a\n"
    assert await selected("events", "source=tests") == "event/e\n"
    assert await selected("events", "source=kubelet") == "event/f\n"


async def test_a_list_at_a_revision_to_come_is_refused(cloud: Cloud, kubectl: Kubectl) -> None:
    refusal = await kubectl.fails("get", "--raw", "/api/v1/pods?resourceVersion=999999999")
    assert "Too large resource version: 999999999" in refusal


def test_a_list_that_is_too_old_to_go_on_says_how_it_goes_on() -> None:
    refusal = status_of(Expired("too old", continue_token="here"))
    assert (refusal["code"], refusal["reason"], refusal["metadata"]) == (410, "Expired", {"continue": "here"})
    assert status_of(Expired("too old"))["metadata"] == {}


async def test_lichens_own_kinds_are_shown_with_their_columns(cloud: Cloud, kubectl: Kubectl) -> None:
    await cloud.apply(a_flavor(), a_server("web"))
    head, row = (await kubectl.ok("get", "srv")).splitlines()
    assert head.split()[:3] == ["NAME", "FLAVOR", "IMAGE"]
    assert row.split()[:2] == ["web", "small"]
    assert "Flavor:" in await kubectl.ok("describe", "server", "web")


def test_a_port_is_shown_with_its_addresses() -> None:
    addresses = [{"subnet": "s", "ipAddress": "10.0.0.5"}, {"subnet": "s", "ipAddress": "10.0.0.6"}]
    columns = columns_of(Port.KIND)
    port = {"metadata": {"name": "p"}, "spec": {"fixedIps": addresses}}
    assert next(c.cell(port, 0.0) for c in columns if c.name == "Addresses") == "10.0.0.5,10.0.0.6"


async def test_an_autoscaler_is_shown_with_what_it_aims_at(cloud: Cloud, kubectl: Kubectl) -> None:
    aim = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    await cloud.apply({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 5, "metrics": [aim]},
    })  # fmt: skip
    head, row = (await kubectl.ok("get", "hpa")).splitlines()
    assert head.split() == ["NAME", "REFERENCE", "TARGETS", "MINPODS", "MAXPODS", "REPLICAS", "AGE"]
    assert row.split()[:-1] == ["web", "Deployment/web", "cpu:", "<unknown>/50%", "1", "5", "0"]


async def test_long_lists_come_in_chunks(cloud: Cloud, kubectl: Kubectl) -> None:
    await cloud.apply(*(a_config_map(f"c{n:02}") for n in range(25)))
    out = await kubectl.ok("get", "configmaps", "--chunk-size=7", "-o", "name", "--field-selector=metadata.name!=zz")
    assert out.split() == [f"configmap/c{n:02}" for n in range(25)]


async def test_describe_shows_an_object(cloud: Cloud, kubectl: Kubectl) -> None:
    await cloud.apply(a_pod("a", node="n1"))
    out = await kubectl.ok("describe", "pod", "a")
    assert "Node:" in out
    assert "busybox" in out


async def test_discovery_and_versions(kubectl: Kubectl) -> None:
    assert "v1.36" in await kubectl.ok("version")
    versions = (await kubectl.ok("api-versions")).split()
    assert {"v1", "apps/v1", "compute.lichen.dev/v1"} <= set(versions)
    lines = (await kubectl.ok("api-resources", "-o", "wide")).splitlines()
    rows = {line.split()[0]: line for line in lines}
    assert "Server" in rows["servers"]
    assert "deploy" in rows["deployments"]
    assert "lichen" in rows["servers"].split()[-1]
    named = await kubectl.ok("api-resources", "--api-group=image.lichen.dev", "-o", "name")
    assert named.split() == ["images.image.lichen.dev", "imageshares.image.lichen.dev"]


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("pod.spec.containers", "List of containers"),
        ("server.spec.power", "Wanted power state"),
        ("deployment.spec.strategy.rollingUpdate.maxSurge", "maximum number of pods"),
        ("flavor", "VERSION:    v1"),
    ],
)
async def test_explain(kubectl: Kubectl, what: str, said: str) -> None:
    assert said in await kubectl.ok("explain", what)


async def test_explain_recursive(kubectl: Kubectl) -> None:
    out = await kubectl.ok("explain", "service", "--recursive")
    assert "targetPort" in out
    out = await kubectl.ok("explain", "server", "--recursive")
    assert "configDrive" in out


async def test_the_old_openapi_document_is_understood(kubectl: Kubectl) -> None:
    out = await kubectl.ok("explain", "server.spec.flavor", "--output=plaintext-openapiv2")
    assert "Size." in out
    out = await kubectl.ok("explain", "deployment.spec.template.spec.containers.ports", "--output=plaintext-openapiv2")
    assert "containerPort" in out
    definitions = json.loads(await kubectl.ok("get", "--raw", "/openapi/v2"))["definitions"]
    assert (
        definitions["io.k8s.api.core.v1.Pod"]["properties"]["spec"]["$ref"]
        == "#/definitions/io.k8s.api.core.v1.PodSpec"
    )


async def test_what_is_not_there_is_said_as_upstream_says_it(kubectl: Kubectl) -> None:
    assert 'Error from server (NotFound): pods "x" not found' in await kubectl.fails("get", "pod", "x")
    assert 'servers.compute.lichen.dev "x" not found' in await kubectl.fails("get", "server", "x")
    assert "doesn't have a resource type" in await kubectl.fails("get", "nonsense")


async def test_who_may_not_is_told_so(cloud: Cloud, kubectl: Kubectl) -> None:
    await kubectl.ok("create", "namespace", "team")
    member = cloud.kubectl("member-token")
    assert 'User "mia" cannot list resource "pods"' in await member.fails("get", "pods")
    assert (await member.run("get", "pods", "-n", "team")).code == 0
    assert "cannot get resource" in await member.fails("get", "secret", "x", "-n", "kube-system")
    forged = cloud.kubectl("forged")
    assert "Unauthorized" in await forged.fails("get", "--raw", "/api/v1/namespaces")
