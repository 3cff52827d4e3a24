# SPDX-License-Identifier: Apache-2.0
"""Pods and containers in CRI's words, and back. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from lichen.drivers.base import ContainerPhase, ContainerSpec, ContainerState, PodSpec
from lichen.drivers.cgroups import PERIOD
from lichen.drivers.containerd import cri_pb2 as pb
from lichen.drivers.containerd.config import Layout
from lichen.model.errors import Permanent

UID, NAME, NAMESPACE = "io.kubernetes.pod.uid", "io.kubernetes.pod.name", "io.kubernetes.pod.namespace"
CONTAINER = "io.kubernetes.container.name"

_PHASES: dict[int, ContainerPhase] = {
    pb.CONTAINER_CREATED: ContainerPhase.CREATED,
    pb.CONTAINER_RUNNING: ContainerPhase.RUNNING,
}
_REFERENCE = re.compile(
    r"(?P<name>(?:(?:[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)*(?::\d+)?|\[[0-9a-fA-F:]+\](?::\d+)?)/)?"
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*)"
    r"(?P<tag>:\w[\w.-]{0,127})?(?P<digest>@sha256:[0-9a-f]{64})?"
)


def reference(image: str) -> str:
    """An image's name in full: `busybox` → `docker.io/library/busybox:latest`. Permanent if it is no name."""
    match = _REFERENCE.fullmatch(image)
    if match is None:
        raise Permanent("InvalidImageName", f"{image!r} is not the name of an image")
    name, rest = match["name"], (match["tag"] or "") + (match["digest"] or "")
    registry, slash, path = name.partition("/")
    if not slash or not ("." in registry or ":" in registry or registry == "localhost"):
        registry, path = "docker.io", name if slash else f"library/{name}"
    return f"{registry}/{path}{rest or ':latest'}"


def sandbox_config(pod: PodSpec, layout: Layout, *, attempt: int) -> pb.PodSandboxConfig:
    """The pod's sandbox: its labels carry who it is, so that it is found again."""
    network = pb.NODE if pod.host_network else pb.POD
    return pb.PodSandboxConfig(
        metadata=pb.PodSandboxMetadata(name=pod.name, uid=pod.uid, namespace=pod.namespace, attempt=attempt),
        hostname="" if pod.host_network else (pod.hostname or pod.name)[:63].rstrip("-."),
        log_directory=str(layout.logs / pod.uid),
        dns_config=_dns(pod),
        labels={**pod.labels, UID: pod.uid, NAME: pod.name, NAMESPACE: pod.namespace},
        linux=pb.LinuxPodSandboxConfig(
            cgroup_parent=f"/{layout.pod_cgroup(pod.uid)}",
            sysctls=pod.sysctls,
            security_context=pb.LinuxSandboxSecurityContext(
                namespace_options=pb.NamespaceOption(network=network, pid=pb.CONTAINER, ipc=pb.POD),
                privileged=pod.privileged,
                seccomp=pb.SecurityProfile(profile_type=pb.SecurityProfile.RuntimeDefault),
            ),
        ),
    )


def _dns(pod: PodSpec) -> pb.DNSConfig | None:
    """None leaves the host's resolv.conf."""
    if not pod.dns_nameservers and not pod.dns_searches:
        return None
    options = ["ndots:5"] if pod.dns_searches else []
    return pb.DNSConfig(servers=pod.dns_nameservers, searches=pod.dns_searches, options=options)


def container_config(pod: PodSpec, container: ContainerSpec, layout: Layout, *, attempt: int) -> pb.ContainerConfig:
    """One attempt at a container."""
    mounts = [
        pb.Mount(container_path=mount.container_path, host_path=mount.host_path, readonly=mount.read_only)
        for mount in container.mounts
    ]
    if not pod.host_network and all(mount.container_path != "/etc/hosts" for mount in container.mounts):
        mounts.append(pb.Mount(container_path="/etc/hosts", host_path=str(layout.pods / pod.uid / "hosts")))
    return pb.ContainerConfig(
        metadata=pb.ContainerMetadata(name=container.name, attempt=attempt),
        image=pb.ImageSpec(image=reference(container.image)),
        command=container.command,
        args=container.args,
        working_dir=container.working_dir,
        envs=[pb.KeyValue(key=key, value=value.encode()) for key, value in container.env.items()],
        mounts=mounts,
        labels={UID: pod.uid, NAME: pod.name, NAMESPACE: pod.namespace, CONTAINER: container.name},
        log_path=f"{container.name}/{attempt}.log",
        stdin=container.stdin,
        stdin_once=container.stdin_once,
        tty=container.tty,
        linux=pb.LinuxContainerConfig(resources=_resources(container), security_context=_security(pod, container)),
    )


def _resources(container: ContainerSpec) -> pb.LinuxContainerResources:
    request = container.cpu_request_millis or container.cpu_millis
    return pb.LinuxContainerResources(
        cpu_period=PERIOD,
        cpu_quota=max(1000, container.cpu_millis * PERIOD // 1000) if container.cpu_millis else 0,
        cpu_shares=max(2, request * 1024 // 1000),
        memory_limit_in_bytes=container.memory_bytes,
        oom_score_adj=container.oom_score,
    )


def _security(pod: PodSpec, container: ContainerSpec) -> pb.LinuxContainerSecurityContext:
    profile = pb.SecurityProfile.Unconfined if container.privileged else pb.SecurityProfile.RuntimeDefault
    context = pb.LinuxContainerSecurityContext(
        capabilities=pb.Capability(
            add_capabilities=container.capabilities_add, drop_capabilities=container.capabilities_drop
        ),
        privileged=container.privileged,
        namespace_options=pb.NamespaceOption(
            network=pb.NODE if pod.host_network else pb.POD, pid=pb.CONTAINER, ipc=pb.POD
        ),
        no_new_privs=container.no_new_privileges,
        supplemental_groups=container.groups,
        readonly_rootfs=container.read_only_root,
        masked_paths=() if container.privileged else _MASKED,
        readonly_paths=() if container.privileged else _READ_ONLY,
        seccomp=pb.SecurityProfile(profile_type=profile),
    )
    if container.run_as_user is not None:
        context.run_as_user.value = container.run_as_user
        if container.run_as_group is not None:
            context.run_as_group.value = container.run_as_group
    return context


_MASKED = (
    "/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
    "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
)  # fmt: skip
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


def phase(state: int) -> ContainerPhase:
    """CRI's state; one that it does not know any more has ended."""
    return _PHASES.get(state, ContainerPhase.EXITED)


def container_state(status: pb.ContainerStatus) -> ContainerState:
    """What CRI says of one attempt."""
    return ContainerState(
        id=status.id,
        name=status.metadata.name,
        attempt=status.metadata.attempt,
        phase=phase(status.state),
        image=status.image.image,
        image_id=status.image_ref,
        created_at=status.created_at / 1e9,
        # CRI notes the start when it has returned; a short life may be over by then. Of what never started it says
        # year 1, far below zero.
        started_at=max(min(status.started_at, status.finished_at or status.started_at), 0) / 1e9,
        finished_at=status.finished_at / 1e9,
        exit_code=status.exit_code,
        reason=status.reason,
        message=status.message,
    )


def newest(states: Iterable[ContainerState]) -> tuple[ContainerState, ...]:
    """The last attempt at each container, by name."""
    found: dict[str, ContainerState] = {}
    for state in sorted(states, key=lambda state: state.attempt):
        found[state.name] = state
    return tuple(found[name] for name in sorted(found))


def addresses(status: pb.PodSandboxStatus) -> tuple[str, ...]:
    """The pod's own addresses."""
    ips = (status.network.ip, *(more.ip for more in status.network.additional_ips))
    return tuple(ip for ip in ips if ip and not ip.startswith("127."))


def hosts_file(pod: PodSpec, ips: Iterable[str]) -> str:
    """/etc/hosts of a pod."""
    name = pod.hostname or pod.name
    own = "".join(f"{ip}\t{name}\n" for ip in ips)
    return f"127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n{own}"
