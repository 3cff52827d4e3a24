# SPDX-License-Identifier: Apache-2.0
"""What must hold between the fields of a pod's spec, after defaults."""

from __future__ import annotations

import re

from lichen.kinds.core.common import LABEL_HINT, check_port, check_unique, one_of
from lichen.kinds.core.poddns import check_names
from lichen.kinds.faults import Faults
from lichen.model.data import Object
from lichen.model.names import is_dns_label, is_dns_subdomain
from lichen.model.quantity import parse

_ENV = re.compile(r"[^=\x00-\x1f\x7f]+")
_PORT_NAME = re.compile(r"(?=.*[a-z])(?!.*--)[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
MAX_CONTAINERS = 512


def check_pod_spec(spec: Object, path: str, faults: Faults, also: frozenset[str] = frozenset()) -> None:
    """also: names of volumes that come from elsewhere (a StatefulSet's claim templates)."""
    containers = spec.get("containers") or []
    if not containers:
        faults.required(f"{path}.containers")
    one_of(spec, "restartPolicy", ("Always", "OnFailure", "Never"), path, faults)
    one_of(spec, "dnsPolicy", ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"), path, faults)
    if spec.get("terminationGracePeriodSeconds", 0) < 0:
        faults.invalid(
            f"{path}.terminationGracePeriodSeconds",
            spec["terminationGracePeriodSeconds"],
            "must be greater than or equal to 0",
        )
    if "activeDeadlineSeconds" in spec and spec["activeDeadlineSeconds"] < 1:
        faults.invalid(f"{path}.activeDeadlineSeconds", spec["activeDeadlineSeconds"], "must be greater than 0")
    for field in ("hostname", "subdomain"):
        if spec.get(field) and not is_dns_label(spec[field]):
            faults.invalid(f"{path}.{field}", spec[field], LABEL_HINT)
    for field in ("nodeName", "serviceAccountName", "runtimeClassName"):
        if spec.get(field) and not is_dns_subdomain(spec[field]):
            faults.invalid(f"{path}.{field}", spec[field], "must be a DNS subdomain name")
    check_names(spec, path, faults)
    volumes = _check_volumes(spec.get("volumes") or [], f"{path}.volumes", faults)
    volumes |= also
    names: set[str] = set()
    for part in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in enumerate((spec.get(part) or [])[:MAX_CONTAINERS]):
            _check_container(container, f"{path}.{part}[{index}]", names, volumes, faults)
    if len(containers) > MAX_CONTAINERS:
        faults.invalid(f"{path}.containers", len(containers), f"must have at most {MAX_CONTAINERS} items")
    for index, toleration in enumerate(spec.get("tolerations") or ()):
        _check_toleration(toleration, f"{path}.tolerations[{index}]", faults)


def _check_volumes(volumes: list[Object], path: str, faults: Faults) -> set[str]:
    names: set[str] = set()
    for index, volume in enumerate(volumes):
        here = f"{path}[{index}]"
        name = volume.get("name", "")
        if not is_dns_label(name):
            faults.invalid(f"{here}.name", name, LABEL_HINT)
        check_unique(name, names, f"{here}.name", faults)
        if len(volume) > 2:
            faults.forbidden(f"{here}.{sorted(set(volume) - {'name'})[-1]}", "may not specify more than 1 volume type")
        if parse(str((volume.get("emptyDir") or {}).get("sizeLimit") or "0")) < 0:
            faults.forbidden(f"{here}.emptyDir.sizeLimit", "SizeLimit field must be a valid resource quantity")
        for source in ("secret", "configMap", "downwardAPI", "projected"):
            _check_modes(volume.get(source) or {}, f"{here}.{source}", faults)
    return names


def _check_modes(source: Object, path: str, faults: Faults) -> None:
    """No bit beyond those of owner, group and others: a file of root's that runs as root is nobody's to make."""
    for field in ("defaultMode", "mode"):
        if not 0 <= source.get(field, 0) <= 0o777:
            said = "must be a number between 0 and 0777 (octal), both inclusive"
            faults.invalid(f"{path}.{field}", source[field], said)
    for index, item in enumerate(source.get("items") or ()):
        _check_modes(item, f"{path}.items[{index}]", faults)
    for index, inner in enumerate(source.get("sources") or ()):
        for name in ("secret", "configMap", "downwardAPI"):
            _check_modes(inner.get(name) or {}, f"{path}.sources[{index}].{name}", faults)


def _check_container(container: Object, path: str, names: set[str], volumes: set[str], faults: Faults) -> None:
    name = container.get("name", "")
    if name and not is_dns_label(name):
        faults.invalid(f"{path}.name", name, LABEL_HINT)
    if name:
        check_unique(name, names, f"{path}.name", faults)
    image = container.get("image", "")
    if not image:
        faults.required(f"{path}.image")
    elif image != image.strip():
        faults.invalid(f"{path}.image", image, "must not have leading or trailing whitespace")
    one_of(container, "imagePullPolicy", ("Always", "IfNotPresent", "Never"), path, faults)
    one_of(container, "terminationMessagePolicy", ("File", "FallbackToLogsOnError"), path, faults)
    _check_ports(container.get("ports") or [], f"{path}.ports", faults)
    for index, variable in enumerate(container.get("env") or ()):
        _check_env(variable, f"{path}.env[{index}]", faults)
    _check_mounts(container.get("volumeMounts") or [], f"{path}.volumeMounts", volumes, faults)
    _check_resources(container.get("resources") or {}, f"{path}.resources", faults)
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if probe in container:
            _check_probe(container[probe], f"{path}.{probe}", readiness=probe == "readinessProbe", faults=faults)


def _check_ports(ports: list[Object], path: str, faults: Faults) -> None:
    names: set[str] = set()
    for index, port in enumerate(ports):
        here = f"{path}[{index}]"
        check_port(port.get("containerPort", 0), f"{here}.containerPort", faults)
        if port.get("hostPort"):
            check_port(port["hostPort"], f"{here}.hostPort", faults)
        one_of(port, "protocol", _PROTOCOLS, here, faults)
        name = port.get("name")
        if name:
            if _PORT_NAME.fullmatch(name) is None:
                faults.invalid(f"{here}.name", name, "must be up to 15 of a-z, 0-9 and -, with at least one letter")
            check_unique(name, names, f"{here}.name", faults)


def _check_env(variable: Object, path: str, faults: Faults) -> None:
    name = variable.get("name", "")
    if not name:
        faults.required(f"{path}.name")
    elif _ENV.fullmatch(name) is None:
        faults.invalid(f"{path}.name", name, "must be printable characters without =")
    source = variable.get("valueFrom")
    if source is not None:
        if variable.get("value"):
            faults.invalid(f"{path}.valueFrom", "", "may not be specified when `value` is not empty")
        if len(source) != 1:
            faults.invalid(f"{path}.valueFrom", "", "must specify exactly one source")


def _check_mounts(mounts: list[Object], path: str, volumes: set[str], faults: Faults) -> None:
    paths: set[str] = set()
    for index, mount in enumerate(mounts):
        here = f"{path}[{index}]"
        if mount.get("name") not in volumes:
            faults.not_found(f"{here}.name", mount.get("name", ""))
        target = mount.get("mountPath", "")
        if target in paths:
            faults.invalid(f"{here}.mountPath", target, "must be unique")
        paths.add(target)


def _check_resources(resources: Object, path: str, faults: Faults) -> None:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for part, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            if parse(amount) < 0:
                faults.invalid(f"{path}.{part}[{name}]", amount, "must be greater than or equal to 0")
    for name, amount in requests.items():
        if name in limits and parse(amount) > parse(limits[name]):
            faults.invalid(f"{path}.requests", amount, f"must be less than or equal to {name} limit of {limits[name]}")


def _check_probe(probe: Object, path: str, *, readiness: bool, faults: Faults) -> None:
    handlers = [name for name in _HANDLERS if name in probe]
    if not handlers:
        faults.required(path, "must specify a handler type")
    elif len(handlers) > 1:
        faults.forbidden(f"{path}.{handlers[1]}", "may not specify more than 1 handler type")
    for field in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"):
        if probe.get(field, 0) < 0:
            faults.invalid(f"{path}.{field}", probe[field], "must be greater than or equal to 0")
    if not readiness and probe.get("successThreshold", 1) != 1:
        faults.invalid(f"{path}.successThreshold", probe["successThreshold"], "must be 1")


def _check_toleration(toleration: Object, path: str, faults: Faults) -> None:
    one_of(toleration, "operator", ("Equal", "Exists", "Lt", "Gt"), path, faults)
    one_of(toleration, "effect", ("", "NoSchedule", "PreferNoSchedule", "NoExecute"), path, faults)
    if not toleration.get("key") and toleration.get("operator", "Equal") != "Exists":
        faults.invalid(
            f"{path}.operator", toleration.get("operator", ""), "operator must be Exists when `key` is empty"
        )
    if toleration.get("operator") == "Exists" and toleration.get("value"):
        faults.invalid(f"{path}.operator", toleration, "value must be empty when `operator` is 'Exists'")
