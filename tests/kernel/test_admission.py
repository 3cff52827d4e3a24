# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lichen.kernel.admission.compute import fingerprint_of
from lichen.kernel.kernel import SYSTEM, Kernel
from lichen.kernel.session import Session
from lichen.kinds.builtin import NAMESPACE, POD, RESOURCE_QUOTA, RUNTIME_CLASS, SERVICE
from lichen.kinds.compute.flavor import Flavor
from lichen.kinds.compute.server import Server, ServerNetwork
from lichen.kinds.image.image import Image
from lichen.kinds.network.address import Address
from lichen.kinds.network.network import Network
from lichen.kinds.network.port import FixedIP, Port
from lichen.kinds.network.subnet import Subnet
from lichen.kinds.resources import builtin
from lichen.model.data import Object
from lichen.model.errors import Conflict, Forbidden, Invalid, NotFound
from lichen.model.kind import new_object
from lichen.model.names import PROJECT_ID
from lichen.model.state import Caller
from tests.kernel.helpers import AllowAll

NS = "default"


async def a_network(session: Session, name: str = "net", cidr: str = "10.0.0.0/29", **subnet: Any) -> None:
    await session.create(Network.KIND, new_object(Network.KIND, name, NS, Network.Spec()))
    spec = Subnet.Spec(network=name, cidr=cidr, **subnet)
    await session.create(Subnet.KIND, new_object(Subnet.KIND, name, NS, spec))


async def a_port(session: Session, name: str, network: str = "net", **spec: Any) -> Object:
    return await session.create(Port.KIND, new_object(Port.KIND, name, NS, Port.Spec(network=network, **spec)))


def ips(port: Object) -> list[str]:
    return [fixed["ipAddress"] for fixed in port["spec"]["fixedIps"]]


async def test_a_namespace_becomes_a_project(session: Session) -> None:
    made = await session.create(NAMESPACE, new_object(NAMESPACE, "web"))
    assert len(made["metadata"]["labels"][PROJECT_ID]) == 32
    assert made["metadata"]["annotations"]["lichen.dev/name"] == "web"


async def test_only_the_admin_chooses_a_projects_id(kernel: Kernel) -> None:
    obj = new_object(NAMESPACE, "web", labels={PROJECT_ID: "0" * 32})
    with pytest.raises(Forbidden, match="only the admin"):
        await kernel.acting(Caller(name="jane")).create(NAMESPACE, obj)
    await kernel.acting(SYSTEM).create(NAMESPACE, obj)


async def test_system_namespaces_stay(session: Session) -> None:
    with pytest.raises(Forbidden, match="may not be deleted"):
        await session.delete(NAMESPACE, "kube-system")


async def test_a_subnet_gets_gateway_and_pools(session: Session) -> None:
    await a_network(session)
    spec = (await session.get(Subnet.KIND, "net", NS))["spec"]
    assert spec["gatewayIp"] == "10.0.0.1"
    assert spec["allocationPools"] == [{"start": "10.0.0.2", "end": "10.0.0.6"}]


async def test_a_subnet_without_gateway_gives_out_all_addresses(session: Session) -> None:
    await a_network(session, gateway_ip=None)
    spec = (await session.get(Subnet.KIND, "net", NS))["spec"]
    assert (spec["gatewayIp"], spec["allocationPools"]) == (None, [{"start": "10.0.0.1", "end": "10.0.0.6"}])


async def test_overlapping_subnets_of_one_network_are_refused_even_at_once(session: Session) -> None:
    await session.create(Network.KIND, new_object(Network.KIND, "net", NS, Network.Spec()))
    many = [
        session.create(Subnet.KIND, new_object(Subnet.KIND, f"s{i}", NS, Subnet.Spec(network="net", cidr=cidr)))
        for i, cidr in enumerate(["10.0.0.0/24", "10.0.0.128/25", "10.0.0.0/16"])
    ]
    results = await asyncio.gather(*many, return_exceptions=True)
    refused = [r for r in results if isinstance(r, Invalid)]
    assert len(refused) == 2
    assert "overlaps with" in refused[0].message


@pytest.mark.parametrize("cidr", ["10.0.0.1/24", "nonsense", "", "10.0.0.0/33", "300.0.0.0/8"])
async def test_what_is_no_range_is_refused(session: Session, cidr: str) -> None:
    await session.create(Network.KIND, new_object(Network.KIND, "net", NS, Network.Spec()))
    obj = new_object(Subnet.KIND, "s", NS)
    obj["spec"] = {"network": "net", "cidr": cidr}
    with pytest.raises(Invalid, match=r"spec\.cidr"):
        await session.create(Subnet.KIND, obj)


@pytest.mark.parametrize(
    "spec",
    [
        {"gatewayIp": "10.1.0.1"},
        {"gatewayIp": "10.0.0.255"},
        {"allocationPools": [{"start": "10.0.0.9", "end": "10.0.0.5"}]},
        {"allocationPools": [{"start": "10.0.0.1", "end": "10.0.0.5"}]},
        {"allocationPools": [{"start": "10.0.0.5", "end": "10.0.0.9"}, {"start": "10.0.0.9", "end": "10.0.0.12"}]},
        {"allocationPools": [{"start": "x", "end": "10.0.0.9"}]},
        {"dnsNameservers": ["x"]},
        {"hostRoutes": [{"destination": "10.9.0.0/16", "nexthop": "y"}]},
    ],
)
async def test_what_does_not_fit_the_range_is_refused(session: Session, spec: Object) -> None:
    await session.create(Network.KIND, new_object(Network.KIND, "net", NS, Network.Spec()))
    obj = new_object(Subnet.KIND, "s", NS)
    obj["spec"] = {"network": "net", "cidr": "10.0.0.0/24", **spec}
    with pytest.raises(Invalid):
        await session.create(Subnet.KIND, obj)


async def test_a_port_is_answered_with_its_addresses(session: Session) -> None:
    await a_network(session)
    port = await a_port(session, "p")
    assert ips(port) == ["10.0.0.2"]
    assert port["spec"]["mac"].startswith("fa:16:3e:")
    claim = (await session.list(Address.KIND, fields="spec.ipAddress=10.0.0.2")).items[0]
    assert claim["spec"]["portId"] == port["spec"]["id"]


async def test_a_full_subnet_says_so_and_a_deleted_ports_address_returns(session: Session) -> None:
    await a_network(session)
    ports = await asyncio.gather(*(a_port(session, f"p{i}") for i in range(5)))
    assert sorted(ip for port in ports for ip in ips(port)) == [f"10.0.0.{i}" for i in range(2, 7)]
    with pytest.raises(Conflict, match="No more IP addresses available"):
        await a_port(session, "p5")
    await session.delete(Port.KIND, "p3", NS)
    assert ips(await a_port(session, "p5")) == ips(ports[3])


async def taken(session: Session) -> list[str]:
    """The network's addresses that are claimed."""
    claimed = [c["spec"]["ipAddress"] for c in (await session.list(Address.KIND)).items]
    return [address for address in claimed if address.startswith("10.0.0.")]


async def test_a_taken_address_is_refused_and_a_failed_port_leaves_no_claim(session: Session) -> None:
    await a_network(session)
    await a_port(session, "a", fixed_ips=[FixedIP(ip_address="10.0.0.4")])
    with pytest.raises(Conflict, match=r"10\.0\.0\.4 already allocated"):
        await a_port(session, "b", fixed_ips=[FixedIP(ip_address="10.0.0.5"), FixedIP(ip_address="10.0.0.4")])
    assert await taken(session) == ["10.0.0.4"]
    with pytest.raises(Invalid, match="not a valid IP address for the network"):
        await a_port(session, "c", fixed_ips=[FixedIP(ip_address="10.9.0.4")])


async def test_a_changed_port_lets_its_old_address_go(session: Session) -> None:
    await a_network(session)
    port = await a_port(session, "a")
    port["spec"]["fixedIps"] = [{"ipAddress": "10.0.0.6"}]
    assert ips(await session.update(Port.KIND, port)) == ["10.0.0.6"]
    assert await taken(session) == ["10.0.0.6"]


async def test_a_mac_address_is_taken_once_per_network(session: Session) -> None:
    await a_network(session)
    await a_port(session, "a", mac="FA-16-3E-00-00-01")
    with pytest.raises(Conflict, match="fa:16:3e:00:00:01 is in use"):
        await a_port(session, "b", mac="fa:16:3e:00:00:01")
    with pytest.raises(Invalid, match=r"spec\.mac"):
        await a_port(session, "c", mac="01:00:00:00:00:00:zz")


async def test_what_is_used_stays_and_a_network_takes_its_subnets_along(session: Session) -> None:
    await a_network(session)
    await a_port(session, "p")
    with pytest.raises(Conflict, match="One or more ports have an IP allocation"):
        await session.delete(Subnet.KIND, "net", NS)
    with pytest.raises(Conflict, match="one or more ports still in use"):
        await session.delete(Network.KIND, "net", NS)
    await session.delete(Port.KIND, "p", NS)
    await session.delete(Network.KIND, "net", NS)
    with pytest.raises(NotFound):
        await session.get(Subnet.KIND, "net", NS)


async def test_ports_reach_the_shared_network_and_no_other_projects(session: Session, kernel: Kernel) -> None:
    await session.create(NAMESPACE, new_object(NAMESPACE, "other"))
    await a_network(session)
    jane = kernel.acting(Caller(name="jane"))
    port = new_object(Port.KIND, "p", "other", Port.Spec(network="cluster"))
    assert (await jane.create(Port.KIND, port))["spec"]["network"] == "lichen-system/cluster"
    with pytest.raises(Invalid, match="no Network of that name"):
        await jane.create(Port.KIND, new_object(Port.KIND, "q", "other", Port.Spec(network="default/net")))


async def test_a_restarted_kernel_knows_what_is_taken_and_drops_what_a_crash_left(kernel: Kernel) -> None:
    session = kernel.acting(SYSTEM)
    await a_network(session)
    await a_port(session, "p")
    subnet = (await session.get(Subnet.KIND, "net", NS))["spec"]["id"]
    stray = Address.Spec(ip_address="10.0.0.3", subnet_id=subnet, port="default/gone", port_id="x")
    await kernel.store.create(Address.KIND, new_object(Address.KIND, f"{subnet}.10-0-0-3", spec=stray))
    again = Kernel(kernel.store, AllowAll())
    assert ips(await a_port(again.acting(SYSTEM), "q")) == ["10.0.0.3"]


def a_service(name: str, **spec: Any) -> Object:
    return {**new_object(SERVICE, name, NS), "spec": {"ports": [{"port": 80}], **spec}}


async def test_a_service_has_its_address_in_the_answer_and_lets_it_go(session: Session) -> None:
    made = await session.create(SERVICE, a_service("a"))
    address = made["spec"]["clusterIP"]
    claim = await session.get(builtin("networking.k8s.io", "ipaddresses"), address)
    assert claim["spec"]["parentRef"]["name"] == "a"
    with pytest.raises(Invalid, match="provided IP is already allocated"):
        await session.create(SERVICE, a_service("b", clusterIP=address))
    await session.delete(SERVICE, "a", NS)
    await session.create(SERVICE, a_service("b", clusterIP=address))


async def test_headless_and_external_services_have_no_address(session: Session) -> None:
    assert (await session.create(SERVICE, a_service("a", clusterIP="None")))["spec"]["clusterIPs"] == ["None"]
    external = a_service("b", type="ExternalName", externalName="example.org")
    assert "clusterIP" not in (await session.create(SERVICE, external))["spec"]


async def test_node_ports_are_given_kept_and_returned(session: Session) -> None:
    made = await session.create(SERVICE, a_service("a", type="NodePort"))
    port = made["spec"]["ports"][0]["nodePort"]
    assert 30000 <= port <= 32767
    replaced = await session.update(SERVICE, a_service("a", type="NodePort"))
    assert (replaced["spec"]["ports"][0]["nodePort"], replaced["spec"]["clusterIP"]) == (
        port,
        made["spec"]["clusterIP"],
    )
    wanted = [{"port": 80, "nodePort": port}]
    with pytest.raises(Invalid, match="provided port is already allocated"):
        await session.create(SERVICE, a_service("b", type="NodePort", ports=wanted))
    await session.patch(SERVICE, "a", NS, {"spec": {"type": "ClusterIP"}})
    await session.create(SERVICE, a_service("b", type="NodePort", ports=wanted))


def a_pod(name: str = "p", namespace: str = NS, **spec: Any) -> Object:
    return {**new_object(POD, name, namespace), "spec": {"containers": [{"name": "c", "image": "b"}], **spec}}


async def test_a_pod_gets_account_priority_and_tolerations(session: Session) -> None:
    spec = (await session.create(POD, a_pod(priorityClassName="system-node-critical")))["spec"]
    assert (spec["serviceAccountName"], spec["priority"]) == ("default", 2_000_001_000)
    assert [t["key"].partition("/")[2] for t in spec["tolerations"]] == ["not-ready", "unreachable"]


async def test_host_processes_run_only_for_the_system(session: Session) -> None:
    await session.create(POD, a_pod(namespace="lichen-system", runtimeClassName="process"))
    with pytest.raises(Forbidden, match="only lichen-system may use it"):
        await session.create(POD, a_pod(runtimeClassName="process"))
    await session.create(RUNTIME_CLASS, {**new_object(RUNTIME_CLASS, "sly"), "handler": "process"})
    with pytest.raises(Forbidden, match="only lichen-system may use it"):
        await session.create(POD, a_pod(runtimeClassName="sly"))
    with pytest.raises(Forbidden, match='RuntimeClass "none" not found'):
        await session.create(POD, a_pod(runtimeClassName="none"))


async def test_an_empty_directory_is_of_no_negative_size(session: Session) -> None:
    with pytest.raises(Invalid, match=r"spec\.volumes\[0\]\.emptyDir\.sizeLimit: Forbidden"):
        await session.create(POD, a_pod(volumes=[{"name": "v", "emptyDir": {"sizeLimit": "-1Mi"}}]))
    for limit in ("1Mi", "0", None):
        await session.create(
            POD, a_pod(f"p-{limit}".lower(), volumes=[{"name": "v", "emptyDir": {"sizeLimit": limit}}])
        )


@pytest.mark.parametrize(
    "spec",
    [
        {"hostNetwork": True},
        {"hostPID": True},
        {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]},
        {"containers": [{"name": "c", "image": "b", "securityContext": {"privileged": True}}]},
        {"containers": [{"name": "c", "image": "b", "ports": [{"containerPort": 80, "hostPort": 80}]}]},
        {"initContainers": [{"name": "i", "image": "b", "securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}]},
    ],
)
async def test_projects_enforce_pod_security_baseline(session: Session, spec: Object) -> None:
    with pytest.raises(Forbidden, match='violates PodSecurity "baseline:latest"'):
        await session.create(POD, a_pod(**spec))
    await session.create(POD, a_pod(namespace="kube-system", **spec))


@pytest.mark.parametrize(
    "context", [{"privileged": True}, {"capabilities": {"add": ["SYS_MODULE"]}}, {"procMount": "Unmasked"}]
)
async def test_what_is_added_to_a_running_pod_is_held_to_pod_security(session: Session, context: Object) -> None:
    await session.create(POD, a_pod(nodeName="n"))
    added = [{"name": "debug", "image": "b", "securityContext": context}]
    patch = {"spec": {"ephemeralContainers": added}}
    with pytest.raises(Forbidden, match='violates PodSecurity "baseline:latest"'):
        await session.patch(POD, "p", NS, patch, subresource="ephemeralcontainers")
    added[0]["securityContext"] = {"capabilities": {"drop": ["ALL"]}}
    made = await session.patch(POD, "p", NS, patch, subresource="ephemeralcontainers")
    assert [c["name"] for c in made["spec"]["ephemeralContainers"]] == ["debug"]


@pytest.mark.parametrize(
    "source",
    [
        {"configMap": {"name": "c", "defaultMode": 0o4755}},
        {"secret": {"secretName": "s", "items": [{"key": "k", "path": "p", "mode": 0o2755}]}},
        {"downwardAPI": {"defaultMode": -1}},
        {"projected": {"defaultMode": 0o1000}},
        {"projected": {"sources": [{"configMap": {"name": "c", "items": [{"key": "k", "path": "p", "mode": 512}]}}]}},
    ],
)
async def test_files_of_volumes_get_no_more_than_permissions(session: Session, source: Object) -> None:
    with pytest.raises(Invalid, match="between 0 and 0777"):
        await session.create(POD, a_pod(volumes=[{"name": "v", **source}]))


async def test_a_restricted_project_wants_all_rights_given_up(session: Session) -> None:
    label = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    await session.patch(NAMESPACE, NS, "", label)
    own = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}}
    whole = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    container = {"name": "c", "image": "b", "securityContext": own}
    await session.create(POD, a_pod("good", containers=[container], securityContext=whole))
    spoilt = [
        ({}, whole, "allowPrivilegeEscalation != false"),
        ({**own, "capabilities": {"drop": ["NET_RAW"]}}, whole, "unrestricted capabilities"),
        ({**own, "capabilities": {"drop": ["ALL"], "add": ["CHOWN"]}}, whole, "unrestricted capabilities"),
        (own, {**whole, "runAsNonRoot": False}, "runAsNonRoot != true"),
        ({**own, "runAsNonRoot": False}, whole, "runAsNonRoot != true"),
        ({**own, "runAsUser": 0}, whole, "runAsUser=0"),
        (own, {"runAsNonRoot": True}, "seccompProfile"),
        ({**own, "privileged": True}, whole, "privileged"),
    ]
    for context, pod, said in spoilt:
        spec = {"containers": [{**container, "securityContext": context}], "securityContext": pod}
        with pytest.raises(Forbidden, match=f'violates PodSecurity "restricted:latest": .*{said}'):
            await session.create(POD, a_pod(**spec))
    nfs = [{"name": "v", "nfs": {"server": "s", "path": "/"}}]
    with pytest.raises(Forbidden, match='uses restricted volume type "nfs"'):
        await session.create(POD, a_pod(containers=[container], securityContext=whole, volumes=nfs))


async def test_only_the_admin_relaxes_pod_security(kernel: Kernel) -> None:
    relaxed = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}}
    with pytest.raises(Forbidden, match="only the admin of the cloud may relax"):
        await kernel.acting(Caller(name="jane")).patch(NAMESPACE, NS, "", relaxed)
    await kernel.acting(SYSTEM).patch(NAMESPACE, NS, "", relaxed)
    await kernel.acting(Caller(name="jane")).create(POD, a_pod(hostNetwork=True))


async def a_flavor(session: Session, name: str = "small", **spec: Any) -> Object:
    values = {"vcpus": 2, "memory": 512, **spec}
    return await session.create(Flavor.KIND, new_object(Flavor.KIND, name, spec=Flavor.Spec(**values)))


async def test_a_server_copies_its_flavor_and_outlives_it(session: Session) -> None:
    flavor = await a_flavor(session)
    image = await session.create(Image.KIND, new_object(Image.KIND, "i", NS, Image.Spec()))
    wanted = Server.Spec(flavor="small", image="i", networks=[ServerNetwork(network="cluster")])
    spec = (await session.create(Server.KIND, new_object(Server.KIND, "s", NS, wanted)))["spec"]
    assert (spec["resources"]["vcpus"], spec["resources"]["memory"]) == (2, 512)
    assert (spec["flavorId"], spec["imageId"]) == (flavor["spec"]["id"], image["spec"]["id"])
    assert spec["networks"] == [{"network": "lichen-system/cluster"}]
    await session.delete(Flavor.KIND, "small")
    stopped = await session.patch(Server.KIND, "s", NS, {"spec": {"power": "Off", "resources": {"vcpus": 64}}})
    assert stopped["spec"]["resources"]["vcpus"] == 2


async def test_a_server_refers_to_things_that_are_there(session: Session) -> None:
    with pytest.raises(Invalid, match=r'spec\.flavor: Not found: "none"'):
        await session.create(Server.KIND, new_object(Server.KIND, "s", NS, Server.Spec(flavor="none")))
    await a_flavor(session)
    for field in ("image", "keypair"):
        wanted = Server.Spec(flavor="small", **{field: "none"})
        with pytest.raises(Invalid, match=rf'spec\.{field}: Not found: "none"'):
            await session.create(Server.KIND, new_object(Server.KIND, "s", NS, wanted))


async def test_a_private_flavor_is_for_its_projects(session: Session, kernel: Kernel) -> None:
    project = (await session.get(NAMESPACE, NS))["metadata"]["labels"][PROJECT_ID]
    await a_flavor(session, "mine", public=False, projects=[project])
    await a_flavor(session, "theirs", public=False)
    jane = kernel.acting(Caller(name="jane"))
    await jane.create(Server.KIND, new_object(Server.KIND, "a", NS, Server.Spec(flavor="mine")))
    with pytest.raises(Invalid, match="no Flavor of that name can be used here"):
        await jane.create(Server.KIND, new_object(Server.KIND, "b", NS, Server.Spec(flavor="theirs")))


async def test_an_id_is_taken_once(session: Session) -> None:
    await a_flavor(session, "a", id="1")
    with pytest.raises(Conflict, match="id 1 is taken"):
        await a_flavor(session, "b", id="1")


def test_a_keypairs_fingerprint_is_that_of_its_key() -> None:
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5aXDcZ1V2fD6cT0kY0m0u5Qn3e4r5t6y7u8i9o0p1a me@here"
    assert fingerprint_of(key, "ssh") == "a2:2e:d8:fb:73:b5:5b:28:68:84:ad:15:d2:21:15:e5"  # as ssh-keygen -E md5 -l
    assert fingerprint_of("ssh-rsa notbase64!", "ssh") is None
    assert fingerprint_of("nonsense", "ssh") is None


async def a_quota(session: Session, **hard: str) -> None:
    limits = {key.replace("__", "/").replace("_", "."): value for key, value in hard.items()}
    await session.create(RESOURCE_QUOTA, {**new_object(RESOURCE_QUOTA, "q", NS), "spec": {"hard": limits}})


def sized(name: str, cpu: str) -> Object:
    return a_pod(name, containers=[{"name": "c", "image": "b", "resources": {"requests": {"cpu": cpu}}}])


async def test_pods_and_servers_share_one_quota(session: Session) -> None:
    await a_flavor(session, vcpus=2)
    await a_quota(session, requests_cpu="3")
    await session.create(POD, sized("a", "750m"))
    await session.create(Server.KIND, new_object(Server.KIND, "s", NS, Server.Spec(flavor="small")))
    said = r"exceeded quota: q, requested: requests\.cpu=500m, used: requests\.cpu=2750m, limited: requests\.cpu=3"
    with pytest.raises(Forbidden, match=said):
        await session.create(POD, sized("b", "500m"))
    await session.create(POD, sized("b", "250m"))


async def test_a_count_holds_against_many_at_once_and_frees_with_deletion(session: Session) -> None:
    await a_quota(session, pods="2")
    results = await asyncio.gather(*(session.create(POD, a_pod(f"p{i}")) for i in range(5)), return_exceptions=True)
    assert sum(isinstance(result, Forbidden) for result in results) == 3
    made = [result for result in results if isinstance(result, dict)]
    await session.delete(POD, made[0]["metadata"]["name"], NS)
    await session.create(POD, a_pod("again"))


async def test_own_kinds_are_counted_too(session: Session) -> None:
    await a_quota(session, count__networks_network_lichen_dev="1")
    await a_network(session)
    with pytest.raises(Forbidden, match="exceeded quota"):
        await a_network(session, "other")
