# SPDX-License-Identifier: Apache-2.0
"""Pod Security: what of a pod's spec reaches beyond its container (level baseline), or leaves it more rights than it
needs (level restricted, which wants all of baseline, too). Pure."""

from __future__ import annotations

from lichen.model.data import Object

_CAPABILITIES = frozenset((
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
    "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
))  # fmt: skip
_SYSCTLS = frozenset((
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem",
))  # fmt: skip
_VOLUMES = frozenset((
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret",
))  # fmt: skip
_ESCALATION = "allowPrivilegeEscalation"
_PROFILES = ("RuntimeDefault", "Localhost")
_PARTS = ("initContainers", "containers", "ephemeralContainers")
_SELINUX = ("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")


def violations(spec: Object, level: str = "baseline") -> list[str]:
    """What breaks the level, in words; empty if nothing does."""
    return [*_baseline(spec), *(_restricted(spec) if level == "restricted" else ())]


def _baseline(spec: Object) -> list[str]:
    found = [f"host namespaces ({field}=true)" for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field)]
    for volume in spec.get("volumes") or ():
        if "hostPath" in volume:
            found.append(f'hostPath volumes (volume "{volume["name"]}")')
    context = spec.get("securityContext") or {}
    found.extend(_of_context(context, "pod"))
    for sysctl in context.get("sysctls") or ():
        if sysctl.get("name") not in _SYSCTLS:
            found.append(f"forbidden sysctls ({sysctl.get('name')})")
    for container in _containers(spec):
        found.extend(_of_container(container))
    return found


def _containers(spec: Object) -> list[Object]:
    return [container for part in _PARTS for container in spec.get(part) or ()]


def _restricted(spec: Object) -> list[str]:
    pod = spec.get("securityContext") or {}
    found = []
    for volume in spec.get("volumes") or ():
        for kind in sorted(set(volume) - {"name"} - _VOLUMES):
            found.append(f'restricted volume types (volume "{volume["name"]}" uses restricted volume type "{kind}")')
    if pod.get("runAsUser") == 0:
        found.append("runAsUser=0 (pod must not set runAsUser=0)")
    for container in _containers(spec):
        found.extend(_restricted_container(container, pod))
    return found


def _restricted_container(container: Object, pod: Object) -> list[str]:
    where, own = f'container "{container.get("name")}"', container.get("securityContext") or {}
    context, capabilities, found = {**pod, **own}, own.get("capabilities") or {}, []
    if own.get("allowPrivilegeEscalation") is not False:
        found.append(f"allowPrivilegeEscalation != false ({where} must set securityContext.{_ESCALATION}=false)")
    if "ALL" not in (capabilities.get("drop") or ()):
        found.append(f'unrestricted capabilities ({where} must set securityContext.capabilities.drop=["ALL"])')
    if set(capabilities.get("add") or ()) - {"NET_BIND_SERVICE"}:
        found.append(f"unrestricted capabilities ({where} must not add any but NET_BIND_SERVICE)")
    if context.get("runAsNonRoot") is not True:
        found.append(f"runAsNonRoot != true (pod or {where} must set securityContext.runAsNonRoot=true)")
    if own.get("runAsUser") == 0:
        found.append(f"runAsUser=0 ({where} must not set runAsUser=0)")
    if (context.get("seccompProfile") or {}).get("type") not in _PROFILES:
        said = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
        found.append(f"seccompProfile (pod or {where} {said})")
    return found


def _of_container(container: Object) -> list[str]:
    where = f'container "{container.get("name")}"'
    context = container.get("securityContext") or {}
    found = _of_context(context, where)
    if context.get("privileged"):
        found.append(f"privileged ({where} must not set securityContext.privileged=true)")
    added = set((context.get("capabilities") or {}).get("add") or ()) - _CAPABILITIES
    if added:
        found.append(f"non-default capabilities ({where} must not include {', '.join(sorted(added))})")
    if context.get("procMount", "Default") != "Default":
        found.append(f"procMount ({where} must not set it to {context['procMount']})")
    if any(port.get("hostPort") for port in container.get("ports") or ()):
        found.append(f"hostPort ({where} uses a hostPort)")
    return found


def _of_context(context: Object, where: str) -> list[str]:
    found = []
    if (context.get("seccompProfile") or {}).get("type") == "Unconfined":
        found.append(f"seccompProfile ({where} must not set it to Unconfined)")
    if (context.get("appArmorProfile") or {}).get("type") == "Unconfined":
        found.append(f"appArmorProfile ({where} must not set it to Unconfined)")
    if (context.get("windowsOptions") or {}).get("hostProcess"):
        found.append(f"hostProcess ({where} must not set windowsOptions.hostProcess=true)")
    linux = context.get("seLinuxOptions") or {}
    if linux.get("type", "") not in _SELINUX or linux.get("user") or linux.get("role"):
        found.append(f"seLinuxOptions ({where} sets forbidden values)")
    return found
