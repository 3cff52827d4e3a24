# SPDX-License-Identifier: Apache-2.0
"""The servers of one node: discover the guest, plan, run the steps, report."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Hashable
from pathlib import Path
from typing import cast

from lichen.agent import metadata
from lichen.agent.attachments import boots_from_volume
from lichen.agent.counting import counted
from lichen.agent.failures import Failures, Place, Told
from lichen.agent.guest_spec import config_drive, hostname_of, secret_value, user_data_of, vendor_data
from lichen.agent.networks import Networks
from lichen.agent.reporting import patch_finalizers, patch_status, refer
from lichen.agent.sources import Sources
from lichen.agent.topology import Topology
from lichen.agent.workers import Workers
from lichen.drivers.base import GuestDisk, GuestDriver, GuestNic, GuestSpec
from lichen.drivers.files.images import is_image_id
from lichen.kinds.builtin import CONFIG_MAP, NAMESPACE, SECRET
from lichen.kinds.compute.keypair import Keypair
from lichen.kinds.compute.server import Server
from lichen.model.data import Object
from lichen.model.errors import ApiError, NotFound, Permanent, Temporary
from lichen.model.meta import name_of, namespace_of, revision_of
from lichen.model.names import CLUSTER_NETWORK, NODE_FINALIZER, SYSTEM_NAMESPACE, VENDOR_DATA
from lichen.model.state import State
from lichen.model.tracing import follow
from lichen.planning import guest_steps as plan
from lichen.planning.guest import fault, plan_guest, trouble
from lichen.runtime.clock import Clock

log = logging.getLogger(__name__)

Key = tuple[str, str]
ROUNDS = 12
"""Plans in a row after which a server that does not settle is put off."""


class Servers:
    """Brings the servers of a node to life."""

    def __init__(
        self,
        node: str,
        state: State,
        driver: GuestDriver,
        networks: Networks,
        sources: Sources,
        topology: Topology,
        images: Path,
        clock: Clock,
        failures: Failures,
    ) -> None:
        self.driver = driver
        self.workers = Workers(self._reconcile, clock, failures.teller(self._place))
        self._node = node
        self._state = state
        self._networks = networks
        self._sources = sources
        self._topology = topology
        self._images = images
        self._clock = clock
        self.disks: Callable[[Object], Awaitable[tuple[GuestDisk, ...]]] = _no_disks
        """The volumes that a server is to be started with."""
        self._guests: dict[Key, str] = {}
        self._written: dict[Key, Object] = {}

    async def start(self) -> None:
        """Adopt the guests that run, remove those that belong to no server, and begin with all."""
        known = {server["spec"].get("id"): server for server in self._sources.servers_of(self._node)}
        for guest_id in await self.driver.discover():
            if guest_id in known:
                server = known[guest_id]
                self._guests[namespace_of(server), name_of(server)] = guest_id
            elif not await self._lives(guest_id):
                log.warning("guest %s belongs to no server: removed", guest_id)
                await self.driver.remove(guest_id)
        for server in known.values():
            self.told(server)

    def told(self, server: Object) -> None:
        """Something about the server changed."""
        self.workers.poke((namespace_of(server), name_of(server)))

    def guest_changed(self, guest_id: str) -> None:
        """The guest's power changed by itself."""
        server = next(iter(self._sources.servers.by_index("id", guest_id)), None)
        if server is not None and self.is_mine(server):
            self.told(server)

    def is_mine(self, server: Object) -> bool:
        """Whether the server is placed on this node."""
        return bool(server["spec"].get("node") == self._node)

    async def _reconcile(self, key: Hashable) -> float | None:
        place = cast(Key, key)
        for _ in range(ROUNDS):
            server = self._current(place)
            if server is None:
                await self._forget(place)
                return None
            follow(server)
            actual, ports = await self._gather(server)
            steps = plan_guest(Server.of(server), actual, self._clock.now())
            settled = all(isinstance(step, plan.Report | plan.Wait) for step in steps)
            await self._run(place, server, steps, ports)
            if plan.LetGo() in steps:
                return None
            if settled:
                waits = [step.until for step in steps if isinstance(step, plan.Wait)]
                return max(0.0, min(waits) - self._clock.now()) if waits else None
        raise Temporary(f"Server {place[1]} does not settle.", delay=5.0)

    def _current(self, key: Key) -> Object | None:
        """The newest we know: what was watched, or what the last write answered."""
        watched = self._sources.servers.get(key[1], key[0])
        if watched is None or not self.is_mine(watched):
            self._written.pop(key, None)
            return None
        written = self._written.get(key)
        if written is None or revision_of(watched) >= revision_of(written):
            self._written.pop(key, None)
            return watched
        return written

    def _place(self, key: Hashable) -> Place:
        namespace, name = cast(Key, key)
        return Place(Server.KIND, namespace, name, self._current((namespace, name)))

    async def _gather(self, server: Object) -> tuple[plan.GuestActual, dict[str, Object]]:
        spec = server["spec"]
        guest_id = spec.get("id") or ""
        state = (await self.driver.discover()).get(guest_id)
        ports = {name_of(port): port for port in self._ordered_ports(server)}
        image, message = self._image(server)
        wanted = spec.get("networks")
        actual = plan.GuestActual(
            power=str(state.power) if state else "",
            has_disk=state.has_disk if state else False,
            started_at=state.started_at if state else 0.0,
            image=image,
            image_message=message,
            ports=tuple(
                plan.PortActual(name, self._networks.spec(port) is not None, port["spec"].get("mac") or "")
                for name, port in ports.items()
            ),
            nics=state.nics if state and state.power == "Running" else None,
            ports_expected=len(wanted) if wanted is not None else self._default_ports(namespace_of(server)),
        )
        return actual, ports

    def _default_ports(self, namespace: str) -> int:
        """A server that names no network joins its project's only one, else the one that all share, if it is there."""
        own = sum(1 for place, _ in self._sources.networks.items if place == namespace)
        return 1 if own == 1 or self._sources.networks.get(CLUSTER_NETWORK, SYSTEM_NAMESPACE) else 0

    def _ordered_ports(self, server: Object) -> list[Object]:
        """Its ports in the order of its interfaces."""
        name, wanted = name_of(server), server["spec"].get("networks") or []
        order = [entry.get("port") or f"{name}-{number}" for number, entry in enumerate(wanted)]
        ports = [
            port for port in self._sources.ports_of(server["spec"].get("id") or "")
            if namespace_of(port) == namespace_of(server)
        ]  # fmt: skip
        place = {port: number for number, port in enumerate(order)}
        return sorted(ports, key=lambda port: (place.get(name_of(port), len(order)), name_of(port)))

    def _image(self, server: Object) -> tuple[str, str]:
        """(ready, waiting or lost; why)"""
        rescue = server["spec"].get("rescue") or {}
        image_id = rescue.get("imageId") or server["spec"].get("imageId") or ""
        if not image_id and boots_from_volume(server):
            return "ready", ""
        if not image_id:
            return "lost", "The server has no image to boot from."
        if not is_image_id(image_id):
            return "lost", f"{image_id!r} is not an image's id."
        if (self._images / image_id).exists():
            return "ready", ""
        image = next((i for i in self._sources.images.items.values() if i["spec"].get("id") == image_id), None)
        if image is None:
            return "lost", f"Image {server['spec'].get('image')} is gone."
        phase = (image.get("status") or {}).get("phase") or "queued"
        if phase in ("killed", "deactivated"):
            return "lost", f"Image {server['spec'].get('image')} is {phase}."
        return "waiting", f"Image {server['spec'].get('image')} is {phase}; its bytes are not on node {self._node} yet."

    async def _run(self, key: Key, server: Object, steps: list[plan.Step], ports: dict[str, Object]) -> None:
        taps: dict[str, str] = {}
        try:
            for step in steps:
                with counted("server", server, step):
                    server = await self._step(key, server, step, ports, taps)
        except Permanent as error:
            log.warning("server %s/%s: %s: %s", *key, error.reason, error.message)
            typed = Server.of(server)
            await self._report(key, server, fault(typed, error.reason, error.message, self._clock.now()))
        except Temporary as error:
            typed = Server.of(server)
            await self._report(key, server, trouble(typed, error.message, self._clock.now()))
            raise Told(error.message, delay=error.delay) from error

    async def _step(
        self, key: Key, server: Object, step: plan.Step, ports: dict[str, Object], taps: dict[str, str]
    ) -> Object:
        """Carry out one step; the server as it is then."""
        guest_id = server["spec"]["id"]
        match step:
            case plan.Report():
                return await self._report(key, server, [step])
            case plan.Hold():
                finalizers = [*(server["metadata"].get("finalizers") or []), NODE_FINALIZER]
                return self._wrote(key, await patch_finalizers(self._state, Server.KIND, server, finalizers))
            case plan.LetGo():
                rest = [f for f in server["metadata"].get("finalizers") or [] if f != NODE_FINALIZER]
                self._guests.pop(key, None)
                return self._wrote(key, await patch_finalizers(self._state, Server.KIND, server, rest))
            case plan.CreateDisk():
                self._guests[key] = guest_id
                await self.driver.create_disk(await self._spec(server, ports, taps))
            case plan.PlugTap():
                taps[step.port] = await self._networks.plug_tap(ports[step.port])
            case plan.StartGuest():
                self._guests[key] = guest_id
                await self.driver.start(await self._spec(server, ports, taps))
            case plan.StopGuest():
                await self.driver.stop(guest_id, grace=step.grace)
            case plan.ResetGuest():
                await self.driver.reset(guest_id, grace=plan.STOP_GRACE if step.type == "Soft" else 0.0)
            case plan.PauseGuest():
                await self.driver.pause(guest_id)
            case plan.UnpauseGuest():
                await self.driver.unpause(guest_id)
            case plan.RemoveDisk():
                await self.driver.remove_disk(guest_id)
            case plan.GrowDisk():
                await self.driver.grow_disk(guest_id, Server.of(server).spec.resources.disk)
            case plan.AttachNic():
                nic = GuestNic(taps[step.port], ports[step.port]["spec"]["mac"])
                await self.driver.attach_nic(guest_id, nic)
            case plan.DetachNic():
                await self.driver.detach_nic(guest_id, step.mac)
                for port in [p for p in self._sources.ports.items.values() if p["spec"].get("mac") == step.mac]:
                    if port["spec"].get("deviceId") != guest_id:
                        await self._networks.unplug(port["spec"]["id"])
            case plan.RemoveGuest():
                await self.driver.remove(guest_id)
            case plan.UnplugPort():
                await self._networks.unplug(ports[step.port]["spec"]["id"])
            case plan.Wait():
                pass
        return server

    async def _report(self, key: Key, server: Object, steps: list[plan.Step]) -> Object:
        for step in steps:
            if isinstance(step, plan.Report):
                server = self._wrote(key, await patch_status(self._state, Server.KIND, server, step.status))
        return server

    def _wrote(self, key: Key, server: Object) -> Object:
        self._written[key] = server
        return server

    async def _forget(self, key: Key) -> None:
        """The server is gone from this node: remove its guest, unless the server lives on elsewhere."""
        guest_id = self._guests.get(key)
        if guest_id is None:
            return
        if not await self._lives(guest_id):
            await self.driver.remove(guest_id)
            for port in self._sources.ports_of(guest_id):
                await self._networks.unplug(port["spec"]["id"])
        self._guests.pop(key, None)

    async def _lives(self, guest_id: str) -> bool:
        """Whether there is a server with that id, on whichever node."""
        return bool((await self._state.list(Server.KIND, fields=f"spec.id={guest_id}")).items)

    async def _spec(self, server: Object, ports: dict[str, Object], taps: dict[str, str]) -> GuestSpec:
        typed = Server.of(server)
        spec = typed.spec
        plugged = [port for name, port in ports.items() if name in taps]
        return GuestSpec(
            id=spec.id,
            name=hostname_of(typed),
            vcpus=max(1, spec.resources.vcpus),
            memory=spec.resources.memory or 128,
            disk=0 if boots_from_volume(server) else spec.resources.disk,
            image=None if boots_from_volume(server) else self._images / spec.image_id,
            image_format=self._format(spec.image_id),
            nics=tuple(GuestNic(taps[name_of(port)], port["spec"]["mac"]) for port in plugged),
            files=await self._files(server, typed, list(ports.values())) if spec.config_drive else {},
            disks=await self.disks(server),
            rescue=self._images / spec.rescue.image_id if spec.rescue else None,
            rescue_format=self._format(spec.rescue.image_id) if spec.rescue else "qcow2",
        )

    def _format(self, image_id: str) -> str:
        image = next((i for i in self._sources.images.items.values() if i["spec"].get("id") == image_id), None)
        return ((image or {}).get("spec") or {}).get("diskFormat") or "qcow2"

    async def _files(self, server: Object, typed: Server, ports: list[Object]) -> dict[str, bytes]:
        namespace = namespace_of(server)
        specs = [spec for port in ports if (spec := self._networks.spec(port)) is not None]
        known = {spec.network_id: self._topology.network(spec.network_id) for spec in specs}
        keypair = user_data = password = None
        if typed.spec.keypair:
            keypair = await self._read(Keypair, *refer(typed.spec.keypair, namespace))
        if typed.spec.user_data_secret:
            try:
                secret = await self._state.get(SECRET, typed.spec.user_data_secret, namespace)
            except NotFound as error:
                raise Temporary(f"Secret {typed.spec.user_data_secret} with the user data is missing.") from error
            user_data = user_data_of(secret)
            password = secret_value(secret, "adminpass")
        try:
            project: Object | None = await self._state.get(NAMESPACE, namespace)
        except ApiError:
            project = None
        subnets = {network_id: spec.subnets for network_id, spec in known.items() if spec is not None}
        vendor = await self._vendor()
        return config_drive(typed, project, keypair, user_data, specs, subnets, password, vendor)

    async def _vendor(self) -> dict[str, bytes]:
        """What the cloud tells every guest: ConfigMap `vendor-data` of the system's namespace."""
        try:
            return vendor_data(await self._state.get(CONFIG_MAP, VENDOR_DATA, SYSTEM_NAMESPACE))
        except NotFound:
            return {}

    async def metadata(self, network_id: str, address: str) -> tuple[metadata.Tree, tuple[str, ...]] | None:
        """What the guest at that address may read, and the names of its keys; None: no server of this node has it."""
        port = next((p for p in self._sources.ports.by_index("network", network_id) if _has(p, address)), None)
        servers = self._sources.servers.by_index("id", port["spec"].get("deviceId") or "-") if port else ()
        server = next((s for s in servers if port and namespace_of(s) == namespace_of(port)), None)
        if server is None or not self.is_mine(server):
            return None
        typed = Server.of(server)
        files = await self._files(server, typed, self._ordered_ports(server))
        outside = [a["ip"] for a in (server.get("status") or {}).get("addresses") or () if a.get("type") == "floating"]
        content = metadata.tree(typed, files, address, next(iter(outside), ""))
        return content, (typed.spec.keypair,) if typed.spec.keypair else ()

    async def _read(self, kind: type[Keypair], name: str, namespace: str) -> Object:
        try:
            return await self._state.get(kind.KIND, name, namespace)
        except NotFound as error:
            raise Temporary(f"{kind.__name__} {name} is missing.") from error


async def _no_disks(_server: Object) -> tuple[GuestDisk, ...]:
    return ()


def _has(port: Object, address: str) -> bool:
    return any(fixed.get("ipAddress") == address for fixed in port["spec"].get("fixedIps") or ())
