# SPDX-License-Identifier: Apache-2.0
"""Why a server, and what it is made of (image, port, network, volume, node), is not as wanted. Pure."""

from __future__ import annotations

from lichen.model.data import Object
from lichen.model.meta import find_condition, name_of, namespace_of
from lichen.model.names import STALLED
from lichen.planning.causes import (
    Cause,
    World,
    called,
    kubectl,
    one_line,
    openstack_name,
    phase_of,
    placing,
    refused,
    said,
    unseen,
)

AT_REST = {"Off": "Stopped", "Paused": "Paused", "Suspended": "Suspended"}


def of_server(server: Object, world: World) -> Cause | None:
    spec, status = server["spec"], server.get("status") or {}
    phase, ready = phase_of(server), refused(server, "Ready")
    if AT_REST.get(spec.get("power", "On")) == phase:
        return None
    if phase == "Error":
        return _in_error(server, world, one_line(status.get("fault") or said(ready)))
    placed = refused(server, "Scheduled")
    if placed is not None and not spec.get("node"):
        return Cause(f"has no node: {said(placed)}{_asks(spec)}", mend=placing(server, said(placed)))
    if (node := _silent_node(spec.get("node", ""), world)) is not None:
        return Cause(f"is {phase} on node {name_of(node)}, which is not ready", node)
    if ready is None:
        return _begins(server, phase, find_condition(server, "Ready") is not None, world)
    words = f"is {phase}: {said(ready)}"
    match ready.get("reason"):
        case "ImageNotReady" | "ImageMissing":
            return _lacks_image(server, world, words)
        case "NetworkNotReady":
            return _lacks_port(server, world, words)
        case "GuestPoweredOff" | "GuestCrashed":
            return Cause(words, mend=f"openstack server reboot --hard {openstack_name(server)}")
        case "CrashLoopBackOff":
            return Cause(words, mend=f"openstack console log show {openstack_name(server)}")
    return Cause(words, _unready_volume(server, world) or _unready_attachment(server, world), _look(server))


def _begins(server: Object, phase: str, told: bool, world: World) -> Cause | None:
    """Of a server of which nothing is wrong: whom it waits for, before it runs. told: its node has told of it."""
    if phase != "Pending" and told:
        return None
    node = server["spec"].get("node")
    return _tried(server, world) or unseen(f"node {node}" if node else "the scheduler")


def _tried(obj: Object, world: World) -> Cause | None:
    """What an Event tells of a thing whose node cannot write into it."""
    why = world.warning(obj) if obj["spec"].get("node") else ""
    return Cause(f"is {phase_of(obj)}: {why}", mend=_look(obj)) if why else None


def _in_error(server: Object, world: World, fault: str) -> Cause:
    ready = find_condition(server, "Ready") or {}
    if ready.get("reason") == "ImageMissing":
        return _lacks_image(server, world, f"is in Error: {fault}")
    volume = _unready_volume(server, world)
    again = f"openstack server reboot --hard {openstack_name(server)}"
    return Cause(
        f"is in Error: {fault or 'its node does not say why'}", volume, f"{again} (starts it again)", known=bool(fault)
    )


def _lacks_image(server: Object, world: World, words: str) -> Cause:
    reference = server["spec"].get("image", "")
    image = world.referred("Image", reference, namespace_of(server))
    if image is None:
        mend = f"openstack server rebuild --image IMAGE {openstack_name(server)}"
        return Cause(f"{words}: image {reference} is not there", mend=mend)
    return Cause(words, image if of_image(image, world) else None, _look(server))


def _lacks_port(server: Object, world: World, words: str) -> Cause:
    namespace, spec = namespace_of(server), server["spec"]
    for wish in spec.get("networks") or []:
        port, network = wish.get("port", ""), wish.get("network", "")
        if port and world.referred("Port", port, namespace) is None:
            mend = f"openstack port create --network NETWORK {port}"
            return Cause(f"{words}: port {port} is not there", mend=mend)
        if network and world.referred("Network", network, namespace) is None:
            mend = f"openstack network create {network.rpartition('/')[2]}"
            return Cause(f"{words}: network {network} is not there", mend=mend)
    ports = [p for p in world.of("Port", namespace) if p["spec"].get("deviceId") == spec.get("id", name_of(server))]
    return Cause(words, next((p for p in ports if of_port(p, world)), None), _look(server))


def _unready_volume(server: Object, world: World) -> Object | None:
    namespace = namespace_of(server)
    wanted = [v.get("volume", "") for v in server["spec"].get("volumes") or []]
    found = (world.referred("Volume", name, namespace) for name in wanted)
    return next((volume for volume in found if volume is not None and of_volume(volume, world)), None)


def _unready_attachment(server: Object, world: World) -> Object | None:
    """One whose node says why its volume does not come."""
    held = (a for a in world.of("VolumeAttachment", namespace_of(server)) if a["spec"].get("server") == name_of(server))
    return next((a for a in held if (a.get("status") or {}).get("fault") or find_condition(a, STALLED)), None)


def _silent_node(name: str, world: World) -> Object | None:
    node = world.find("Node", name) if name else None
    return node if node is not None and refused(node, "Ready") else None


def of_image(image: Object, world: World) -> Cause | None:
    phase = (image.get("status") or {}).get("phase") or "queued"
    look = f"openstack image show {openstack_name(image)}"
    node = image["spec"].get("node", "")
    match phase:
        case "active":
            return None
        case "queued" | "saving" if node:
            source = f"server {image['spec']['server']}" if image["spec"].get("server") else "a volume"
            words = f"is {phase}: node {node} takes its bytes from {source}"
            return Cause(words, _silent_node(node, world), look)
        case "killed" if image["status"].get("fault"):
            return Cause(
                f"is killed: {image['status']['fault'].rstrip('.')}",
                mend=f"openstack image delete {openstack_name(image)}",
            )
        case "queued":
            again = f"openstack image delete {openstack_name(image)} && openstack image create --file FILE"
            return Cause("is queued: its bytes were never uploaded", mend=f"{again} --disk-format qcow2 NAME")
        case "deactivated":
            return Cause("is deactivated", mend=f"openstack image set --activate {openstack_name(image)}")
        case "saving":
            return Cause("is saving: its bytes are being uploaded", mend=look)
    return Cause(f"is {phase}", mend=look)


def of_port(port: Object, world: World) -> Cause | None:
    reference, namespace = port["spec"].get("network", ""), namespace_of(port)
    network = world.referred("Network", reference, namespace)
    if network is None:
        return Cause(
            f"is on network {reference}, which is not there", mend=f"openstack port delete {openstack_name(port)}"
        )
    if not port["spec"].get("adminStateUp", True):
        return Cause("is switched off", mend=f"openstack port set --enable {openstack_name(port)}")
    if not (port.get("status") or {}).get("addresses") and not port["spec"].get("fixedIps"):
        return Cause(f"has no address on network {reference}", network if of_network(network, world) else None,
                     f"openstack port show {openstack_name(port)}")  # fmt: skip
    return None


def of_network(network: Object, world: World) -> Cause | None:
    if (network.get("spec") or {}).get("adminStateUp") is False:
        return Cause("is switched off", mend=f"openstack network set --enable {openstack_name(network)}")
    subnets = (s for s in world.of("Subnet", namespace_of(network)) if s["spec"].get("network") == name_of(network))
    if next(subnets, None) is None:
        create = f"openstack subnet create --network {openstack_name(network)} --subnet-range 10.0.0.0/24 NAME"
        return Cause("has no subnet, so that nothing on it gets an address", mend=create)
    return None


def of_volume(volume: Object, world: World) -> Cause | None:
    """Of a Volume or a VolumeSnapshot."""
    phase, ready = phase_of(volume), refused(volume, "Ready")
    if phase == "Available":
        return None
    spec = volume.get("spec") or {}
    noun = "volume" if volume["kind"] == "Volume" else "volume snapshot"
    fault = one_line((volume.get("status") or {}).get("fault") or said(ready))
    words = f"is {'in ' if phase == 'Error' else ''}{phase}{f': {fault}' if fault else ''}"
    if (node := _silent_node(spec.get("node", ""), world)) is not None:
        return Cause(f"{words}; its node {name_of(node)} is not ready", node)
    for key, kind in (("image", "Image"), ("snapshot", "VolumeSnapshot"), ("source", "Volume"), ("volume", "Volume")):
        source = world.referred(kind, spec[key], namespace_of(volume)) if spec.get(key) else None
        if source is None and spec.get(key):
            mend = f"openstack {noun} delete {openstack_name(volume)}"
            return Cause(f"{words}; it is copied from {kind.lower()} {spec[key]}, which is not there", mend=mend)
        if source is not None and phase_of(source) not in ("active", "Available") and not _waits_for_copies(source):
            return Cause(f"{words}; it is copied from {called(source)}", source)
    if phase == "Error":
        again = f"openstack {noun} delete {openstack_name(volume)}, then make it again"
        return Cause(words, mend=again, known=bool(fault))
    if not fault and phase in ("Pending", "Creating"):
        return _tried(volume, world) or unseen(f"node {spec['node']}" if spec.get("node") else "the controllers")
    return Cause(words, mend=_look(volume))


def _waits_for_copies(source: Object) -> bool:
    """It is to go, and stays until what is copied from it is made."""
    return (find_condition(source, "Ready") or {}).get("reason") == "Copying"


def of_node(node: Object, world: World) -> Cause | None:
    ready = find_condition(node, "Ready")
    if ready is None or ready["status"] != "True":
        words = said(ready) or "its agent has not said yet that it is ready"
        return Cause(f"is not ready: {words}", mend="sudo lichen status (on that host; lichen up starts what is down)")
    stalled = find_condition(node, STALLED)
    if stalled is not None and stalled["status"] == "True":
        return Cause(f"does not get on with all it is to do: {said(stalled)}", mend=_look(node))
    if (node.get("spec") or {}).get("unschedulable"):
        return Cause("is cordoned: nothing new is placed on it", mend=f"kubectl uncordon {name_of(node)}")
    return None


def _asks(spec: Object) -> str:
    size = spec.get("resources") or {}
    if not size.get("memory"):
        return ""
    return f" (it asks for {size.get('vcpus', 0)} CPU and {size['memory'] / 1024:g} GiB of memory)"


def _look(obj: Object) -> str:
    return f"{kubectl('describe', obj)} (shows its events)"
