# SPDX-License-Identifier: Apache-2.0
import asyncio

from tests.apis.kubernetes.conftest import Cloud
from tests.apis.kubernetes.objects import a_flavor, a_pod, a_server
from tests.conformance.kubectl import Kubectl


async def test_logs_come_from_the_pods_node(cloud: Cloud, kubectl: Kubectl) -> None:
    await cloud.apply(a_pod("p", node="n7"))
    assert await kubectl.ok("logs", "p", "--tail=3", "--timestamps") == "line 0\nline 1\nline 2\n"
    node, path, query, headers = cloud.node.calls[-1]
    assert (node, path) == ("n7", "/pods/default/p/c0/log")
    assert query == "tailLines=3&timestamps=true"
    assert "authorization" not in headers
    assert await kubectl.ok("logs", "-f", "p") == "line 0\nline 1\nline 2\n"


async def test_the_container_is_the_one_asked_for_or_annotated(cloud: Cloud, kubectl: Kubectl) -> None:
    both = a_pod("q", node="n", containers=2)
    both["metadata"]["annotations"] = {"kubectl.kubernetes.io/default-container": "c1"}
    await cloud.apply(a_pod("p", node="n", containers=2), both)
    raw = "/api/v1/namespaces/default/pods/{}/log"
    assert "a container name must be specified for pod p" in await kubectl.fails("get", "--raw", raw.format("p"))
    await kubectl.ok("get", "--raw", raw.format("q"))
    assert cloud.node.calls[-1][1] == "/pods/default/q/c1/log"
    await kubectl.ok("logs", "p", "-c", "c1")
    assert cloud.node.calls[-1][1] == "/pods/default/p/c1/log"
    assert "container zz is not valid for pod p" in await kubectl.fails("logs", "p", "-c", "zz")


async def test_logs_of_what_has_no_node_yet(cloud: Cloud, kubectl: Kubectl) -> None:
    await cloud.apply(a_pod("p"))
    assert "does not have a host assigned" in await kubectl.fails("logs", "p")
    assert 'pods "x" not found' in await kubectl.fails("logs", "x")


async def test_a_servers_console(cloud: Cloud, kubectl: Kubectl) -> None:
    await cloud.apply(a_flavor(), a_server("s", node="n3"))
    path = "/apis/compute.lichen.dev/v1/namespaces/default/servers/s/log?tail=2"
    assert await kubectl.ok("get", "--raw", path) == "line 0\nline 1\nline 2\n"
    assert cloud.node.calls[-1][:3] == ("n3", "/servers/default/s/log", "tail=2")


async def test_exec_over_a_websocket(cloud: Cloud, kubectl: Kubectl) -> None:
    await cloud.apply(a_pod("p", node="n"))
    out = await kubectl.ok("exec", "p", "--", "echo", "a b")
    assert out == "command=echo&command=a+b&stderr=true&stdout=true\n"
    assert cloud.node.calls[-1][1] == "/pods/default/p/c0/exec"
    assert cloud.node.calls[-1][3]["sec-websocket-protocol"] == "v5.channel.k8s.io"


async def test_exec_gives_the_exit_code(cloud: Cloud, kubectl: Kubectl) -> None:
    await cloud.apply(a_pod("p", node="n"))
    result = await kubectl.run("exec", "p", "--", "false")
    assert result.code == 7


async def test_exec_carries_standard_input(cloud: Cloud, kubectl: Kubectl) -> None:
    await cloud.apply(a_pod("p", node="n"))
    result = await kubectl.run("exec", "-i", "p", "--", "cat", input="hello\n")
    assert result.out.splitlines()[-1] == "HELLO"


async def test_attach(cloud: Cloud, kubectl: Kubectl) -> None:
    pod = a_pod("p", node="n")
    await cloud.apply(pod)
    assert "stdout=true" in await kubectl.ok("attach", "p")
    assert cloud.node.calls[-1][1] == "/pods/default/p/c0/attach"


async def test_exec_is_refused_in_words(cloud: Cloud, kubectl: Kubectl) -> None:
    await cloud.apply(a_pod("p", node="n"))
    assert 'pods "x" not found' in await kubectl.fails("exec", "x", "--", "ls")
    member = cloud.kubectl("member-token")
    assert 'cannot create resource "pods/exec"' in await member.fails("exec", "p", "--", "ls")
    assert cloud.node.calls == []


async def test_spdy_is_refused_in_words(cloud: Cloud, kubectl: Kubectl) -> None:
    await cloud.apply(a_pod("p", node="n"))
    kubectl.env["KUBECTL_REMOTE_COMMAND_WEBSOCKETS"] = "false"
    assert "SPDY is not supported" in await kubectl.fails("exec", "p", "--", "ls")


async def test_port_forward_over_plain_spdy_is_refused_in_words(cloud: Cloud, kubectl: Kubectl) -> None:
    await cloud.apply(a_pod("p", node="n"))
    await kubectl.ok("patch", "pod", "p", "--subresource=status", "-p", '{"status":{"phase":"Running"}}')
    kubectl.env["KUBECTL_PORT_FORWARD_WEBSOCKETS"] = "false"
    forwarding = await kubectl.start("port-forward", "p", ":80")
    try:
        assert forwarding.stderr is not None
        err = (await asyncio.wait_for(forwarding.stderr.read(), 30)).decode()
    finally:
        if forwarding.returncode is None:
            forwarding.kill()
        await forwarding.wait()
    assert "SPDY is not supported" in err
