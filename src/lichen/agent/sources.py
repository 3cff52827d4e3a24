# SPDX-License-Identifier: Apache-2.0
"""What agents watch. A real node has a `Sources` of its own; simulated nodes of one process share one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from lichen.agent.followed import Followed
from lichen.kinds.builtin import (
    ENDPOINT_SLICE,
    NAMESPACE,
    NETWORK_POLICY,
    PERSISTENT_VOLUME,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    SERVICE,
)
from lichen.kinds.compute.server import Server
from lichen.kinds.image.image import Image
from lichen.kinds.network.floatingip import FloatingIP
from lichen.kinds.network.network import Network
from lichen.kinds.network.port import Port
from lichen.kinds.network.router import Router
from lichen.kinds.network.securitygroup import SecurityGroup
from lichen.kinds.network.subnet import Subnet
from lichen.kinds.volume.attachment import VolumeAttachment
from lichen.kinds.volume.snapshot import VolumeSnapshot
from lichen.kinds.volume.volume import Volume
from lichen.model.data import Object
from lichen.model.kind import Kind
from lichen.model.meta import name_of, namespace_of, uid_of
from lichen.model.state import State
from lichen.runtime.informer import Informer

Listener = Callable[[Object], None]


class Sources:
    """Informers on what nodes need. node: watch only the pods and servers of that node; "" for those of all."""

    def __init__(self, state: State, node: str = "") -> None:
        def informer(kind: Kind, fields: str = "") -> Informer:
            return Informer(state, kind, fields=fields)

        self.pods = informer(POD, f"spec.nodeName={node}" if node else "")
        self.servers = informer(Server.KIND, f"spec.node={node}" if node else "")
        self.ports = informer(Port.KIND)
        self.networks = informer(Network.KIND)
        self.subnets = informer(Subnet.KIND)
        self.groups = informer(SecurityGroup.KIND)
        self.policies = informer(NETWORK_POLICY)
        self.namespaces = informer(NAMESPACE)
        self.routers = informer(Router.KIND)
        self.floating = informer(FloatingIP.KIND)
        self.images = informer(Image.KIND)
        self.services = informer(SERVICE)
        self.slices = informer(ENDPOINT_SLICE)
        here = f"spec.node={node}" if node else ""
        self.volumes = informer(Volume.KIND, here)
        self.snapshots = informer(VolumeSnapshot.KIND, here)
        self.attachments = informer(VolumeAttachment.KIND, here)
        self.claims = informer(PERSISTENT_VOLUME_CLAIM)
        self.persistent = informer(PERSISTENT_VOLUME)
        self.followed = Followed(state)
        """What pods refer to."""
        self._index()
        self._pods: dict[str, Listener] = {}
        self._servers: dict[str, Listener] = {}
        self._volumes: dict[str, Listener] = {}
        self._captured: dict[str, Listener] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self.pods.subscribe(self._told(self._pods, "nodeName"))
        self.servers.subscribe(self._told(self._servers, "node"))
        for informer_ in (self.volumes, self.snapshots, self.attachments):
            informer_.subscribe(self._told(self._volumes, "node"))
        self.attachments.subscribe(self._attachment_event)
        self.volumes.subscribe(self._volume_event)
        self.claims.subscribe(self._claim_event)
        self.ports.subscribe(self._port_event)
        self.images.subscribe(self._image_event)
        self.networks.subscribe(self._network_event)
        self.subnets.subscribe(self._network_event)

    async def start(self) -> None:
        """Begin to watch; returns when all is known. Starting twice is starting once."""
        if not self._tasks:
            self._tasks = [asyncio.create_task(informer.run()) for informer in self._all()]
        await asyncio.gather(*(informer.synced() for informer in self._all()))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        await self.followed.close()

    def listen(
        self,
        node: str,
        *,
        pod: Listener,
        server: Listener,
        volume: Listener | None = None,
        image: Listener | None = None,
    ) -> None:
        """Have what happens to a node's pods, servers and volumes (snapshots, attachments), and to images that it is to
        take from disks, told."""
        if image is not None:
            self._captured[node] = image
        self._pods[node], self._servers[node] = pod, server
        if volume is not None:
            self._volumes[node] = volume

    def forget(self, node: str) -> None:
        self._volumes.pop(node, None)
        self._captured.pop(node, None)
        self._pods.pop(node, None)
        self._servers.pop(node, None)

    def pods_of(self, node: str) -> list[Object]:
        return list(self.pods.by_index("node", node))

    def servers_of(self, node: str) -> list[Object]:
        return list(self.servers.by_index("node", node))

    def ports_of(self, device_id: str) -> list[Object]:
        """Ports of a server (by its id) or a pod (by its uid)."""
        return list(self.ports.by_index("device", device_id))

    def is_user_on(self, node: str, device_id: str) -> bool:
        """Whether a server or pod of that id is on the node."""
        pods, servers = self.pods.by_index("uid", device_id), self.servers.by_index("id", device_id)
        return any(pod["spec"].get("nodeName") == node for pod in pods) or any(
            server["spec"].get("node") == node for server in servers
        )

    def image(self, image_id: str) -> Object | None:
        """The image of that id."""
        return next(iter(self.images.by_index("id", image_id)), None)

    def attachments_of(self, server_id: str) -> list[Object]:
        """Volumes that a server has or is to have, by its id."""
        return list(self.attachments.by_index("server", server_id))

    def _all(self) -> tuple[Informer, ...]:
        return (
            self.networks, self.subnets, self.groups, self.namespaces, self.policies, self.routers, self.floating,
            self.ports, self.images, self.services, self.slices, self.volumes, self.snapshots, self.attachments,
            self.claims, self.persistent, self.pods, self.servers,
        )  # fmt: skip

    def _index(self) -> None:
        self.pods.add_index("node", lambda pod: _value(pod, "nodeName"))
        self.pods.add_index("claim", _claims)
        self.pods.add_index("uid", lambda pod: [uid_of(pod)])
        self.servers.add_index("node", lambda server: _value(server, "node"))
        self.servers.add_index("image", lambda server: _value(server, "imageId"))
        self.servers.add_index("id", lambda server: _value(server, "id"))
        self.ports.add_index("device", lambda port: _value(port, "deviceId"))
        self.ports.add_index("network", lambda port: _value(port, "networkId"))
        self.ports.add_index("id", lambda port: _value(port, "id"))
        self.ports.add_index("group", lambda port: port["spec"].get("securityGroupIds") or [])
        self.ports.add_index("pods", lambda port: [namespace_of(port)] if is_pods(port) else [])
        self.ports.add_index("naming", lambda port: ["yes"] if port["spec"].get("podPorts") else [])
        self.policies.add_index("namespace", lambda policy: [namespace_of(policy)])
        self.ports.add_index("open", lambda port: [namespace_of(port)] if is_open(port) else [])
        self.groups.add_index("id", lambda group: _value(group, "id"))
        self.routers.add_index("id", lambda router: _value(router, "id"))
        self.floating.add_index("router", lambda floating: _value(floating, "routerId"))
        self.networks.add_index("id", lambda network: _value(network, "id"))
        self.images.add_index("id", lambda image: _value(image, "id"))
        self.volumes.add_index("image", lambda volume: _value(volume, "imageId"))
        self.attachments.add_index("server", lambda attachment: _value(attachment, "serverId"))
        self.subnets.add_index("network", lambda subnet: _value(subnet, "networkId"))

    def _port_event(self, event: Any, port: Object, old: Object | None) -> None:
        """A port is what its server or pod waits for, or is to let go of."""
        if old is not None and event == "MODIFIED" and old["spec"] == port["spec"]:
            return
        for device in {each["spec"].get("deviceId") or "" for each in (port, old) if each is not None}:
            for pod in self.pods.by_index("uid", device):
                self._tell(self._pods, pod, "nodeName")
            for server in self.servers.by_index("id", device):
                self._tell(self._servers, server, "node")

    def _image_event(self, event: Any, image: Object, old: Object | None) -> None:
        self._tell(self._captured, image, "node")
        if old is None or (old.get("status") or {}).get("phase") != (image.get("status") or {}).get("phase"):
            for server in self.servers.by_index("image", image["spec"].get("id") or ""):
                self._tell(self._servers, server, "node")
            for volume in self.volumes.by_index("image", image["spec"].get("id") or ""):
                self._tell(self._volumes, volume, "node")

    def _attachment_event(self, event: Any, attachment: Object, old: Object | None) -> None:
        """A volume that a server is to have, or not to have any longer."""
        for server in self.servers.by_index("id", attachment["spec"].get("serverId") or ""):
            self._tell(self._servers, server, "node")
        volume = self.volumes.get(attachment["spec"]["volume"], namespace_of(attachment))
        if volume is not None and volume["spec"].get("node") != attachment["spec"].get("node"):
            self._tell(self._volumes, volume, "node")
        if attachment["spec"].get("pods"):
            for pod in self.pods.by_index("node", attachment["spec"].get("node") or ""):
                if any("persistentVolumeClaim" in volume for volume in pod["spec"].get("volumes") or []):
                    self._tell(self._pods, pod, "nodeName")

    def _volume_event(self, event: Any, volume: Object, old: Object | None) -> None:
        """A volume that a user on another node waits for."""
        attachment = self.attachments.get(name_of(volume), namespace_of(volume))
        if attachment is not None and attachment["spec"].get("node") != volume["spec"].get("node"):
            self._tell(self._volumes, attachment, "node")

    def _claim_event(self, event: Any, claim: Object, old: Object | None) -> None:
        """A claim that a pod waits for."""
        for pod in self.pods.by_index("claim", f"{namespace_of(claim)}/{name_of(claim)}"):
            self._tell(self._pods, pod, "nodeName")

    def _network_event(self, event: Any, obj: Object, old: Object | None) -> None:
        """A network or a subnet that was not known before: its ports may be plugged now."""
        if event == "ADDED":
            network_id = obj["spec"].get("networkId") or obj["spec"].get("id") or ""
            for port in self.ports.by_index("network", network_id):
                self._port_event(event, port, None)

    @staticmethod
    def _tell(listeners: dict[str, Listener], obj: Object, field: str) -> None:
        listener = listeners.get(obj["spec"].get(field) or "")
        if listener is not None:
            listener(obj)

    def _told(self, listeners: dict[str, Listener], field: str) -> Callable[[Any, Object, Object | None], None]:
        def tell(event: Any, obj: Object, old: Object | None) -> None:
            for node in {(o["spec"].get(field) or "") for o in (obj, old) if o is not None}:
                listener = listeners.get(node)
                if listener is not None:
                    listener(obj)

        return tell


def is_pods(port: Object) -> bool:
    """A pod's port."""
    return bool(port["spec"].get("deviceOwner") == "pod")


def is_open(port: Object) -> bool:
    """A pod's port that is in no security group: the project's `default` group takes it for one of its own."""
    return is_pods(port) and port["spec"].get("securityGroupIds") is None


def _value(obj: Object, field: str) -> list[str]:
    """What an index files the object under: nothing if the field is empty."""
    value = obj["spec"].get(field)
    return [value] if value else []


def _claims(pod: Object) -> list[str]:
    """The claims that a pod mounts, with their namespace."""
    sources = [volume.get("persistentVolumeClaim") for volume in pod["spec"].get("volumes") or []]
    return [f"{namespace_of(pod)}/{source['claimName']}" for source in sources if source]
