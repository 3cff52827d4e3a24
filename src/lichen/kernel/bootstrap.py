# SPDX-License-Identifier: Apache-2.0
"""What every cloud has from its first start."""

from __future__ import annotations

import asyncio
import contextlib
from ipaddress import ip_network
from typing import TYPE_CHECKING

from lichen.kernel.admission.services import SERVICE_RANGE
from lichen.kinds.builtin import NAMESPACE, PRIORITY_CLASS, RUNTIME_CLASS, SERVICE, SERVICE_CIDR, STORAGE_CLASS
from lichen.kinds.core.small import DEFAULT_CIDR
from lichen.kinds.network.network import Network
from lichen.kinds.network.port import FixedIP, Port
from lichen.kinds.network.router import ROUTER_INTERFACE, ExternalGateway, Router
from lichen.kinds.network.subnet import Subnet
from lichen.kinds.volume.volume_type import VolumeType
from lichen.model.data import Object
from lichen.model.errors import AlreadyExists, NotFound
from lichen.model.kind import Kind, new_object
from lichen.model.meta import annotations_of, name_of, namespace_of
from lichen.model.names import CLUSTER_NETWORK, OFFERED, SYSTEM_NAMESPACE

if TYPE_CHECKING:
    from lichen.kernel.session import Session

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease", SYSTEM_NAMESPACE)
RUNTIMES = ("runc", "crun", "process")
POD_RANGE = "10.244.0.0/16"
PUBLIC_NETWORK = "public"
PUBLIC_RANGE = "172.24.4.0/24"
"""What DevStack gives out, too: it is on no network but the host's own bridge."""
ROUTER = "cluster"
"""The way out of the network that all projects share."""
API_PORT = 6443
VOLUME_TYPE = "standard"
PRIORITIES = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}


async def bootstrap(session: Session) -> None:
    """Create what is missing; change nothing that is there."""
    await asyncio.gather(
        *(_ensure(session, NAMESPACE, {"metadata": {"name": name}}) for name in NAMESPACES),
        *(_ensure(session, RUNTIME_CLASS, {"metadata": {"name": name}, "handler": name}) for name in RUNTIMES),
        _ensure(session, STORAGE_CLASS, _storage_class()),
        *(_ensure(session, PRIORITY_CLASS, {"metadata": {"name": n}, "value": v}) for n, v in PRIORITIES.items()),
    )
    await asyncio.gather(
        _ensure(session, Network.KIND, _cluster_network()),
        _ensure(session, VolumeType.KIND, _volume_type()),
        _ensure(session, SERVICE, _api_service()),
        _ensure(session, SERVICE_CIDR, {"metadata": {"name": DEFAULT_CIDR}, "spec": {"cidrs": [SERVICE_RANGE]}}),
    )
    await _ensure(session, Subnet.KIND, _cluster_subnet())
    await _offer(session)


async def _offer(session: Session) -> None:
    """Once in a cloud's life, be it one of an earlier release: an admin may do without any of it for good."""
    cluster = await session.get(Network.KIND, CLUSTER_NETWORK, SYSTEM_NAMESPACE)
    before = [name for name in annotations_of(cluster).get(OFFERED, "").split(",") if name]
    offers = {PUBLIC_NETWORK: _offer_public, f"{ROUTER}-router": _offer_router}
    for name, offer in offers.items():
        if name not in before:
            await offer(session)
    if offered := [name for name in offers if name not in before]:
        annotations = {OFFERED: ",".join([*before, *offered])}
        await session.patch(Network.KIND, CLUSTER_NETWORK, SYSTEM_NAMESPACE, {"metadata": {"annotations": annotations}})


async def _offer_public(session: Session) -> None:
    if not await _is_taken(session):
        await _ensure(session, Network.KIND, _public_network())
        await _ensure(session, Subnet.KIND, _public_subnet())


async def _offer_router(session: Session) -> None:
    """Unless there is nowhere to lead to, or somebody's router leads out of the network already."""
    subnet = await session.get(Subnet.KIND, CLUSTER_NETWORK, SYSTEM_NAMESPACE)
    ports = (await session.list(Port.KIND, fields=f"spec.networkId={subnet['spec']['networkId']}")).items
    public = [n for n in (await session.list(Network.KIND, SYSTEM_NAMESPACE)).items if _is_public(n)]
    if not public or any(port["spec"].get("deviceOwner") == ROUTER_INTERFACE for port in ports):
        return
    await _ensure(session, Router.KIND, _router())
    router = await session.get(Router.KIND, ROUTER, SYSTEM_NAMESPACE)
    await _ensure(session, Port.KIND, _router_port(router, subnet))


async def _is_taken(session: Session) -> bool:
    """Another external network has the name, by which people mean it, or addresses of its range."""
    networks = (await session.list(Network.KIND)).items
    others = {n["spec"]["id"]: n for n in networks if n["spec"].get("external") and not _is_public(n)}
    subnets = (await session.list(Subnet.KIND)).items
    ranges = (ip_network(s["spec"]["cidr"]) for s in subnets if s["spec"].get("networkId") in others)
    return any(n["spec"].get("displayName") == PUBLIC_NETWORK for n in others.values()) or any(
        r.version == 4 and r.overlaps(ip_network(PUBLIC_RANGE)) for r in ranges
    )


def _is_public(network: Object) -> bool:
    return (namespace_of(network), name_of(network)) == (SYSTEM_NAMESPACE, PUBLIC_NETWORK)


async def _ensure(session: Session, kind: Kind, obj: Object) -> None:
    obj = {"apiVersion": kind.api_version, "kind": kind.kind, **obj}
    try:
        await session.get(kind, obj["metadata"]["name"], obj["metadata"].get("namespace", ""))
    except NotFound:
        with contextlib.suppress(AlreadyExists):
            await session.create(kind, obj)


def _storage_class() -> Object:
    return {
        "metadata": {"name": "lichen", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": "volume.lichen.dev",
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowVolumeExpansion": True,
    }


def _volume_type() -> Object:
    spec = VolumeType.Spec(display_name=VOLUME_TYPE, is_default=True, description="Files on a node's own disks.")
    return new_object(VolumeType.KIND, VOLUME_TYPE, spec=spec)


def _cluster_network() -> Object:
    spec = Network.Spec(display_name=CLUSTER_NETWORK, shared=True, description="Pods and shared servers.")
    return new_object(Network.KIND, CLUSTER_NETWORK, SYSTEM_NAMESPACE, spec)


def _cluster_subnet() -> Object:
    spec = Subnet.Spec(display_name=CLUSTER_NETWORK, network=CLUSTER_NETWORK, cidr=POD_RANGE)
    return new_object(Subnet.KIND, CLUSTER_NETWORK, SYSTEM_NAMESPACE, spec)


def _public_network() -> Object:
    spec = Network.Spec(display_name=PUBLIC_NETWORK, external=True, description="Floating IPs and ways out of routers.")
    return new_object(Network.KIND, PUBLIC_NETWORK, SYSTEM_NAMESPACE, spec)


def _public_subnet() -> Object:
    spec = Subnet.Spec(display_name=PUBLIC_NETWORK, network=PUBLIC_NETWORK, cidr=PUBLIC_RANGE, dhcp=False)
    return new_object(Subnet.KIND, PUBLIC_NETWORK, SYSTEM_NAMESPACE, spec)


def _router() -> Object:
    gateway = ExternalGateway(network=PUBLIC_NETWORK)
    spec = Router.Spec(display_name=ROUTER, external_gateway=gateway, description="The way out of pods and servers.")
    return new_object(Router.KIND, ROUTER, SYSTEM_NAMESPACE, spec)


def _router_port(router: Object, subnet: Object) -> Object:
    spec = Port.Spec(
        network=CLUSTER_NETWORK,
        fixed_ips=[FixedIP(subnet=CLUSTER_NETWORK, ip_address=subnet["spec"]["gatewayIp"])],
        device_owner=ROUTER_INTERFACE,
        device_id=router["spec"]["id"],
    )
    return new_object(Port.KIND, f"{ROUTER}-router", SYSTEM_NAMESPACE, spec)


def _api_service() -> Object:
    labels = {"component": "apiserver", "provider": "kubernetes"}
    ports = [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": API_PORT}]
    return {
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": labels},
        "spec": {"ports": ports, "clusterIP": "10.96.0.1"},
    }
