# SPDX-License-Identifier: Apache-2.0
"""Pods: account, priority, tolerations; RuntimeClasses that exist; Pod Security as the namespace enforces it."""

from __future__ import annotations

from lichen.kernel.admission import Request, refused
from lichen.kernel.admission.namespaces import POD_SECURITY
from lichen.kernel.admission.podsecurity import violations
from lichen.kernel.admission.podtokens import mount_token
from lichen.kinds.builtin import NAMESPACE, POD, PRIORITY_CLASS, RUNTIME_CLASS, SERVICE_ACCOUNT
from lichen.model.data import Object
from lichen.model.errors import NotFound
from lichen.model.kind import Kind
from lichen.model.names import SYSTEM_NAMESPACE

_SYSTEM = (SYSTEM_NAMESPACE, "kube-system")
_TOLERATED = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_TOLERATION_SECONDS = 300
_CHECKED = ("", "ephemeralcontainers")
"""What changes a pod in a way that Pod Security looks at. Binding one that was let in before is none."""
PROCESS = "process"


class Pods:
    """What a pod gets, and what it may not be."""

    kinds: tuple[Kind, ...] | None = (POD,)
    verbs: tuple[str, ...] = ("create", "update")

    async def admit(self, request: Request) -> None:
        spec = request.object["spec"]
        if request.verb == "create":
            await self._fill_account(request, spec)
            await self._fill_priority(request, spec)
            _fill_tolerations(spec)
            await self._check_runtime(request, spec)
            await self._fill_token(request, spec)
            await self._check_security(request, spec)
        elif request.subresource in _CHECKED and request.old is not None and spec != request.old["spec"]:
            await self._check_security(request, spec)

    async def _fill_account(self, request: Request, spec: Object) -> None:
        account = spec.get("serviceAccountName") or "default"
        spec["serviceAccountName"] = spec["serviceAccount"] = account
        if account != "default":
            try:
                await request.state.get(SERVICE_ACCOUNT, account, request.namespace)
            except NotFound:
                said = f"error looking up service account {request.namespace}/{account}"
                raise refused(request, f'{said}: serviceaccount "{account}" not found') from None

    async def _fill_token(self, request: Request, spec: Object) -> None:
        """Mount a token of the account into every container, unless pod or account say no; host processes have none."""
        automount = spec.get("automountServiceAccountToken")
        if automount is None:
            try:
                account = await request.state.get(SERVICE_ACCOUNT, spec["serviceAccountName"], request.namespace)
                automount = account.get("automountServiceAccountToken")
            except NotFound:
                automount = None
        if automount is not False and spec.get("runtimeClassName") != PROCESS:
            mount_token(spec)

    async def _fill_priority(self, request: Request, spec: Object) -> None:
        name = spec.get("priorityClassName")
        spec["priority"], spec["preemptionPolicy"] = 0, "PreemptLowerPriority"
        if not name:
            return
        try:
            found = await request.state.get(PRIORITY_CLASS, name)
        except NotFound:
            raise refused(request, f"no PriorityClass with name {name} was found") from None
        if name.startswith("system-") and request.namespace not in _SYSTEM and not request.caller.is_admin:
            raise refused(request, f"pods with {name} priorityClass is not permitted in {request.namespace} namespace")
        spec["priority"] = found["value"]
        spec["preemptionPolicy"] = found.get("preemptionPolicy", "PreemptLowerPriority")

    async def _check_runtime(self, request: Request, spec: Object) -> None:
        name = spec.get("runtimeClassName")
        if not name:
            return
        try:
            found = await request.state.get(RUNTIME_CLASS, name)
        except NotFound:
            raise refused(request, f'pod rejected: RuntimeClass "{name}" not found') from None
        if PROCESS in (name, found.get("handler")) and request.namespace != SYSTEM_NAMESPACE:
            raise refused(request, f"RuntimeClass {name} runs host processes: only {SYSTEM_NAMESPACE} may use it")

    async def _check_security(self, request: Request, spec: Object) -> None:
        if request.namespace in _SYSTEM:
            return
        namespace = await request.state.get(NAMESPACE, request.namespace)
        level = (namespace["metadata"].get("labels") or {}).get(POD_SECURITY, "baseline")
        if level == "privileged":
            return
        found = violations(spec, level)
        if found:
            raise refused(request, f'violates PodSecurity "{level}:latest": {", ".join(found)}')


def _fill_tolerations(spec: Object) -> None:
    """A pod stays a while on a node that is away."""
    tolerations = spec.setdefault("tolerations", [])
    for key in _TOLERATED:
        if not any(t.get("key") in (key, None, "") and t.get("effect") in ("NoExecute", None, "") for t in tolerations):
            tolerations.append(
                {
                    "key": key,
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": _TOLERATION_SECONDS,
                }
            )
