# SPDX-License-Identifier: Apache-2.0
"""From a Pod to what a pod driver wants: everything resolved. Pure; what it refers to is handed in."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from lichen.agent.netspecs import CLUSTER_DOMAIN
from lichen.drivers.base import ContainerSpec, Mount, PodSpec
from lichen.model.data import Object
from lichen.model.errors import Permanent
from lichen.model.meta import annotations_of, labels_of, name_of, namespace_of, uid_of
from lichen.model.names import LISTEN, SYSTEM_NAMESPACE
from lichen.planning.pod_restart import container_specs
from lichen.planning.qos import millis, oom_score, whole

Find = Callable[[str, str], Object | None]
"""("ConfigMap" or "Secret", name) → the object in the pod's namespace, or None."""

CONFIG_ERROR = "CreateContainerConfigError"
_REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_.\-][\w.\-]*)\)")
_FIELD_KEY = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")


def pod_spec(pod: Object, port_id: str, runtime: str, name_server: str = "") -> PodSpec:
    """The sandbox. name_server: the one of its network, "" if it has none."""
    spec = pod["spec"]
    dns = spec.get("dnsConfig") or {}
    servers, searches = list(dns.get("nameservers") or ()), list(dns.get("searches") or ())
    if name_server and (spec.get("dnsPolicy") or "ClusterFirst").startswith("ClusterFirst"):
        cluster = f"svc.{CLUSTER_DOMAIN}"
        servers = [name_server, *servers]
        searches = [f"{namespace_of(pod)}.{cluster}", cluster, CLUSTER_DOMAIN, *searches]
    return PodSpec(
        uid=uid_of(pod),
        namespace=namespace_of(pod),
        name=name_of(pod),
        hostname=(spec.get("hostname") or name_of(pod))[:63].rstrip("-."),
        host_network=bool(spec.get("hostNetwork")),
        port_id=port_id,
        dns_nameservers=tuple(servers),
        dns_searches=tuple(searches),
        labels=labels_of(pod),
        runtime=runtime,
        privileged=any((c.get("securityContext") or {}).get("privileged") for c in container_specs(pod)),
        sysctls={s["name"]: s["value"] for s in (spec.get("securityContext") or {}).get("sysctls") or ()},
    )


def container_spec(
    pod: Object,
    container: Object,
    mounts: Iterable[Mount],
    env: Mapping[str, str],
    *,
    machine_bytes: int = 1 << 40,
) -> ContainerSpec:
    """One container. env: as `environment` makes it. machine_bytes: memory of the node. Permanent
    (CreateContainerConfigError): it may not run as whom it says."""
    resources = container.get("resources") or {}
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    security = {**(pod["spec"].get("securityContext") or {}), **(container.get("securityContext") or {})}
    capabilities = security.get("capabilities") or {}
    user = security.get("runAsUser")
    if security.get("runAsNonRoot") and user == 0:
        raise Permanent(CONFIG_ERROR, "container's runAsUser breaks non-root policy")
    return ContainerSpec(
        name=container["name"],
        image=container.get("image") or "",
        command=tuple(expand(word, env) for word in container.get("command") or ()),
        args=tuple(expand(word, env) for word in container.get("args") or ()),
        env=dict(env),
        working_dir=container.get("workingDir") or "",
        tty=bool(container.get("tty")),
        stdin=bool(container.get("stdin")),
        stdin_once=bool(container.get("stdinOnce")),
        cpu_millis=millis(limits.get("cpu", 0)),
        cpu_request_millis=millis(requests.get("cpu", limits.get("cpu", 0))),
        memory_bytes=whole(limits.get("memory", 0)),
        oom_score=oom_score(pod, container, machine_bytes),
        mounts=tuple(mounts),
        run_as_user=user,
        run_as_group=security.get("runAsGroup"),
        groups=_groups(pod["spec"].get("securityContext") or {}),
        privileged=bool(security.get("privileged")),
        not_root=bool(security.get("runAsNonRoot")),
        no_new_privileges=security.get("allowPrivilegeEscalation") is False,
        read_only_root=bool(security.get("readOnlyRootFilesystem")),
        capabilities_add=tuple(capabilities.get("add") or ()),
        capabilities_drop=tuple(capabilities.get("drop") or ()),
        listen=annotations_of(pod).get(LISTEN, "") if namespace_of(pod) == SYSTEM_NAMESPACE else "",
    )


def _groups(security: Object) -> tuple[int, ...]:
    own = security.get("fsGroup")
    return tuple(dict.fromkeys([*(security.get("supplementalGroups") or ()), *([own] if own is not None else [])]))


def environment(
    pod: Object,
    container: Object,
    find: Find,
    host_ip: str,
    ips: tuple[str, ...],
    links: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Variables, later ones over earlier, `$(NAME)` expanded by what is defined before."""
    env: dict[str, str] = dict(links or {})
    for source in container.get("envFrom") or []:
        prefix = source.get("prefix") or ""
        env |= {prefix + key: value for key, value in _all_pairs(source, find).items()}
    for entry in container.get("env") or []:
        name, source = entry["name"], entry.get("valueFrom")
        if source is None:
            env[name] = expand(entry.get("value") or "", env)
            continue
        value = _value_from(pod, container, source, find, host_ip, ips)
        if value is not None:
            env[name] = value
    return env


def expand(text: str, env: Mapping[str, str]) -> str:
    """`$(NAME)` by its value where it has one; `$$` stands for `$`."""

    def value(match: re.Match[str]) -> str:
        return "$" if match[0] == "$$" else env.get(match[1], match[0])

    return _REFERENCE.sub(value, text)


def expanded_path(text: str, env: Mapping[str, str]) -> str:
    """`subPathExpr` with its variables' values. Permanent (CreateContainerConfigError): one has none."""
    for match in _REFERENCE.finditer(text):
        if match[1] is not None and match[1] not in env:
            raise Permanent(CONFIG_ERROR, f'failed to expand subPathExpr "{text}": missing value for "{match[1]}"')
    return expand(text, env)


def field_value(pod: Object, path: str, host_ip: str = "", ips: tuple[str, ...] = ()) -> str | None:
    """The downward API's value of a field; None: it offers no such field."""
    keyed = _FIELD_KEY.fullmatch(path)
    if keyed is not None:
        pairs = labels_of(pod) if keyed[1] == "labels" else annotations_of(pod)
        return pairs.get(keyed[2], "")
    status = pod.get("status") or {}
    values: dict[str, Callable[[], str]] = {
        "metadata.name": lambda: name_of(pod),
        "metadata.namespace": lambda: namespace_of(pod),
        "metadata.uid": lambda: uid_of(pod),
        "metadata.labels": lambda: _lines(labels_of(pod)),
        "metadata.annotations": lambda: _lines(annotations_of(pod)),
        "spec.nodeName": lambda: pod["spec"].get("nodeName") or "",
        "spec.serviceAccountName": lambda: pod["spec"].get("serviceAccountName") or "default",
        "status.hostIP": lambda: host_ip or status.get("hostIP") or "",
        "status.hostIPs": lambda: host_ip or status.get("hostIP") or "",
        "status.podIP": lambda: ips[0] if ips else status.get("podIP") or "",
        "status.podIPs": lambda: ",".join(ips) or status.get("podIP") or "",
    }
    return values[path]() if path in values else None


def pairs_of(obj: Object) -> dict[str, bytes]:
    """The content of a ConfigMap or a Secret."""
    if obj.get("kind") == "Secret":
        data = {key: base64.b64decode(value) for key, value in (obj.get("data") or {}).items()}
        return data | {key: value.encode() for key, value in (obj.get("stringData") or {}).items()}
    binary = {key: base64.b64decode(value) for key, value in (obj.get("binaryData") or {}).items()}
    return binary | {key: value.encode() for key, value in (obj.get("data") or {}).items()}


def _all_pairs(source: Object, find: Find) -> dict[str, str]:
    for field, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
        reference = source.get(field)
        if reference is not None:
            found = find(kind, reference.get("name") or "")
            if found is None and not reference.get("optional"):
                raise Permanent(CONFIG_ERROR, f'{kind.lower()} "{reference.get("name")}" not found')
            return {key: value.decode(errors="replace") for key, value in pairs_of(found or {}).items()}
    return {}


def _value_from(
    pod: Object, container: Object, source: Object, find: Find, host_ip: str, ips: tuple[str, ...]
) -> str | None:
    if (field := source.get("fieldRef")) is not None:
        value = field_value(pod, field["fieldPath"], host_ip, ips)
        if value is None:
            raise Permanent(CONFIG_ERROR, f"fieldPath {field['fieldPath']} is not offered to containers")
        return value
    if (field := source.get("resourceFieldRef")) is not None:
        return resource_value(pod, container, field)
    for name, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
        if (reference := source.get(name)) is not None:
            return _keyed(reference, kind, find)
    return None


def resource_value(pod: Object, container: Object, reference: Object) -> str:
    """The downward API's value of a container's request or limit, in units of its divisor, rounded up."""
    wanted = reference.get("containerName") or container.get("name")
    owner = next((c for c in pod["spec"]["containers"] if c["name"] == wanted), container)
    part, _, resource = reference["resource"].partition(".")
    amount = ((owner.get("resources") or {}).get(part) or {}).get(resource, 0)
    divisor = reference.get("divisor") or "1"
    divisor = "1" if str(divisor) == "0" else str(divisor)
    return str(-(-millis(amount) // max(1, millis(divisor))))


def _keyed(reference: Object, kind: str, find: Find) -> str | None:
    name, key = reference.get("name") or "", reference["key"]
    found = find(kind, name)
    value = pairs_of(found).get(key) if found is not None else None
    if value is not None:
        return value.decode(errors="replace")
    if reference.get("optional"):
        return None
    if found is None:
        raise Permanent(CONFIG_ERROR, f'{kind.lower()} "{name}" not found')
    raise Permanent(CONFIG_ERROR, f"couldn't find key {key} in {kind} {name}")


def _lines(pairs: dict[str, Any]) -> str:
    return "\n".join(f'{key}="{value}"' for key, value in sorted(pairs.items()))
