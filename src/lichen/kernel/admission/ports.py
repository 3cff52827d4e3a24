# SPDX-License-Identifier: Apache-2.0
"""Ports: network and subnets pinned, a MAC address made, addresses claimed before the answer and let go at the end."""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable
from ipaddress import ip_network

from lichen.kernel.admission import Request, faulty, missing, refused
from lichen.kernel.admission.addresses import Addresses
from lichen.kernel.admission.refs import canonical, resolve
from lichen.kinds.faults import show
from lichen.kinds.network.network import Network
from lichen.kinds.network.port import Port
from lichen.kinds.network.ranges import address_of
from lichen.kinds.network.subnet import Subnet
from lichen.model.data import Object
from lichen.model.errors import Cause, Conflict
from lichen.model.kind import Kind
from lichen.model.meta import name_of
from lichen.model.names import CONTROLLERS
from lichen.model.state import State
from lichen.planning.ports import SERVER_OWNER

_MAC = re.compile(r"[0-9a-f][02468ace](:[0-9a-f]{2}){5}")
MAX_FIXED_IPS = 16


class Ports:
    """Fills and claims."""

    kinds: tuple[Kind, ...] | None = (Port.KIND,)
    verbs: tuple[str, ...] = ("create", "update")

    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses

    async def admit(self, request: Request) -> None:
        """A server's networks were judged with the server: its ports are on them, whoever the controllers are."""
        if request.subresource:
            return
        spec = request.object["spec"]
        old = request.old["spec"] if request.old else {}
        if request.verb == "create":
            settled = request.caller.name == CONTROLLERS and spec.get("deviceOwner") == SERVER_OWNER
            network = await resolve(request, Network.KIND, spec.get("network", ""), "spec.network", settled=settled)
            await self.admit_on(request, network)
            return
        await self._fill_mac(request, spec, old)
        if (spec.get("fixedIps") or []) != (old.get("fixedIps") or []):
            await self._fill_addresses(request, spec, old)

    async def admit_on(self, request: Request, network: Object) -> None:
        """Fill a new port on this network."""
        spec = request.object["spec"]
        spec["network"], spec["networkId"] = canonical(network, request.namespace), network["spec"]["id"]
        await self._fill_mac(request, spec, {})
        await self._fill_addresses(request, spec, {})

    async def removed(self, kind: Kind, obj: Object, state: State) -> None:
        """Let its addresses go."""
        spec = obj["spec"]
        for fixed in spec.get("fixedIps") or ():
            await self._addresses.release(state, fixed["subnetId"], fixed["ipAddress"], spec["id"])

    async def _fill_mac(self, request: Request, spec: Object, old: Object) -> None:
        mac = spec.get("mac")
        if not mac:
            spec["mac"] = old.get("mac") or new_mac()
        elif mac != old.get("mac"):
            if not request.caller.is_cloud and (old or is_foreign(spec)):
                raise refused(request, "only the network's owner may choose spec.mac, and only the admin change it")
            spec["mac"] = mac = mac.lower().replace("-", ":")
            if _MAC.fullmatch(mac) is None:
                raise faulty(request, Cause("spec.mac", f"Invalid value: {show(mac)}: must be a unicast MAC address"))
            taken = await request.state.list(
                Port.KIND, fields=f"spec.mac={mac},spec.networkId={spec['networkId']}", limit=1
            )
            if taken.items:
                raise Conflict(
                    f"Unable to complete operation for network {spec['networkId']}. The mac address {mac} is in use.",
                    kind="ports",
                    name=request.name,
                )

    async def _fill_addresses(self, request: Request, spec: Object, old: Object) -> None:
        wanted = spec.get("fixedIps") or []
        if len(wanted) > MAX_FIXED_IPS:
            raise faulty(request, Cause("spec.fixedIps", f"Too many: {len(wanted)}: at most {MAX_FIXED_IPS}"))
        subnets = await _subnets_of(request, spec)
        before = {(f["subnetId"], f["ipAddress"]): f for f in old.get("fixedIps") or []}
        fixed = []
        for index, want in enumerate(wanted if wanted or request.old else _default(subnets)):
            kept = before.pop((want.get("subnetId") or "", want.get("ipAddress") or ""), None)
            fixed.append(kept or await self._take(request, spec, subnets, want, f"spec.fixedIps[{index}]"))
        spec["fixedIps"] = fixed
        for subnet_id, address in before:
            request.done.append(self._releasing(request.state, subnet_id, address, spec["id"]))

    async def _take(self, request: Request, spec: Object, subnets: list[Object], want: Object, path: str) -> Object:
        candidates = _candidates(request, subnets, want, path)
        port = f"{request.namespace}/{request.object['metadata']['name']}"
        address = want.get("ipAddress") or None
        if address is not None and is_foreign(spec) and not request.caller.is_cloud:
            raise refused(request, f"only the network's owner may choose {path}.ipAddress")
        for subnet in candidates:
            if address is not None:
                taken = (
                    address if await self._addresses.take(request.state, subnet, address, port, spec["id"]) else None
                )
            else:
                taken = await self._addresses.take_any(request.state, subnet, port, spec["id"])
            if taken is not None:
                subnet_id = subnet["spec"]["id"]
                request.undo.append(self._releasing(request.state, subnet_id, taken, spec["id"]))
                return {"subnet": name_of(subnet), "subnetId": subnet_id, "ipAddress": taken}
        raise _none_left(spec["networkId"], address, request.name)

    def _releasing(self, state: State, subnet_id: str, address: str, port_id: str) -> Callable[[], Awaitable[None]]:
        return lambda: self._addresses.release(state, subnet_id, address, port_id)


def is_foreign(spec: Object) -> bool:
    """The port is on another project's network, which that shares."""
    return "/" in str(spec.get("network", ""))


def new_mac() -> str:
    """A locally made unicast address, with OpenStack's prefix."""
    return "fa:16:3e:" + ":".join(f"{byte:02x}" for byte in secrets.token_bytes(3))


async def _subnets_of(request: Request, spec: Object) -> list[Object]:
    namespace = spec["network"].rpartition("/")[0] or request.namespace
    page = await request.state.list(Subnet.KIND, namespace)
    mine = [s for s in page.items if s["spec"].get("networkId") == spec["networkId"]]
    return sorted(mine, key=lambda s: (s["metadata"]["creationTimestamp"], int(s["metadata"]["resourceVersion"])))


def _default(subnets: list[Object]) -> list[Object]:
    """One address of any IPv4 subnet; without one, of any IPv6 subnet; none without subnets."""
    return [{}] if subnets else []


def _candidates(request: Request, subnets: list[Object], want: Object, path: str) -> list[Object]:
    """The subnets that a wanted entry may be served from."""
    named, subnet_id, address = want.get("subnet"), want.get("subnetId"), want.get("ipAddress")
    found = subnets
    if subnet_id:
        found = [s for s in subnets if s["spec"]["id"] == subnet_id]
        if not found:
            raise faulty(request, missing(f"{path}.subnetId", subnet_id, "the network has no such subnet"))
    elif named:
        found = [s for s in subnets if name_of(s) == named.rpartition("/")[2]]
        if not found:
            raise faulty(request, missing(f"{path}.subnet", named, "the network has no such subnet"))
    if not address:
        return sorted(found, key=lambda s: ip_network(s["spec"]["cidr"]).version)
    number = address_of(address)
    if number is None:
        raise faulty(request, Cause(f"{path}.ipAddress", f"Invalid value: {show(address)}: not an address"))
    fitting = [s for s in found if number in ip_network(s["spec"]["cidr"])]
    is_router = str(request.object["spec"].get("deviceOwner", "")).startswith("network:")
    if not fitting or str(number) in _unusable(fitting[0], gateway_too=not is_router):
        why = "is not a valid IP address for the network's subnets"
        raise faulty(request, Cause(f"{path}.ipAddress", f"Invalid value: {show(address)}: {why}"))
    want["ipAddress"] = str(number)
    return fitting


def _unusable(subnet: Object, *, gateway_too: bool) -> tuple[str, ...]:
    network = ip_network(subnet["spec"]["cidr"])
    gateway = (subnet["spec"].get("gatewayIp") or "") if gateway_too else ""
    if network.version == 6 or network.num_addresses <= 2:
        return (gateway,)
    return str(network.network_address), str(network.broadcast_address), gateway


def _none_left(network_id: str, address: str | None, name: str) -> Conflict:
    if address is not None:
        return Conflict(f"IP address {address} already allocated in subnet of network {network_id}", name=name)
    return Conflict(f"No more IP addresses available on network {network_id}.", kind="ports", name=name)
