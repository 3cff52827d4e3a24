# SPDX-License-Identifier: Apache-2.0
"""A Namespace is a project: it gets the project's id, domain and name. The system's own cannot be deleted."""

from __future__ import annotations

import uuid

from lichen.kernel.admission import Request, refused
from lichen.kinds.builtin import NAMESPACE
from lichen.model.data import Object
from lichen.model.errors import Conflict
from lichen.model.kind import Kind
from lichen.model.names import DISPLAY_NAME, DOMAIN_ID, PARENT_ID, PROJECT_ID, SYSTEM_NAMESPACE

NAME_LABEL = "kubernetes.io/metadata.name"
POD_SECURITY = "pod-security.kubernetes.io/enforce"
_KEPT = ("default", "kube-system", "kube-public", SYSTEM_NAMESPACE)


class Namespaces:
    """Only the cloud's admin chooses a project's id or relaxes Pod Security."""

    kinds: tuple[Kind, ...] | None = (NAMESPACE,)
    verbs: tuple[str, ...] = ("create", "update", "delete")

    async def admit(self, request: Request) -> None:
        if request.verb == "delete":
            if request.name in _KEPT:
                raise refused(request, "this namespace may not be deleted")
            return
        metadata = request.object["metadata"]
        labels = metadata["labels"] = dict(metadata.get("labels") or {})
        annotations = metadata["annotations"] = dict(metadata.get("annotations") or {})
        labels[NAME_LABEL] = metadata["name"]
        old = _labels(request.old)
        self._check_security(request, labels, old)
        if request.verb == "create":
            await self._check_id(request, labels)
            await self._check_parent(request, labels)
        elif labels.get(PARENT_ID) != old.get(PARENT_ID):
            raise refused(request, f"label {PARENT_ID} is not changed: a project stays where it is")
        for key, default in ((PROJECT_ID, uuid.uuid4().hex), (DOMAIN_ID, "default")):
            labels[key] = old.get(key) or labels.get(key) or default
        annotations.setdefault(DISPLAY_NAME, _kept_name(request.old) or metadata["name"])

    async def _check_id(self, request: Request, labels: Object) -> None:
        chosen = labels.get(PROJECT_ID)
        if not chosen:
            return
        if not request.caller.is_admin:
            raise refused(request, f"only the admin of the cloud may choose label {PROJECT_ID}")
        same = await request.state.list(NAMESPACE, labels=f"{PROJECT_ID}={chosen}", limit=1)
        if same.items:
            raise Conflict(f"a project with id {chosen} exists already", kind="namespaces", name=request.name)

    async def _check_parent(self, request: Request, labels: Object) -> None:
        if not labels.get(PARENT_ID):
            return
        found = (await request.state.list(NAMESPACE, labels=f"{PROJECT_ID}={labels[PARENT_ID]}", limit=1)).items
        if not found:
            raise refused(request, f"there is no project {labels[PARENT_ID]} for it to lie below")
        labels[DOMAIN_ID] = _labels(found[0]).get(DOMAIN_ID, "default")

    def _check_security(self, request: Request, labels: Object, old: Object) -> None:
        level = labels.get(POD_SECURITY)
        if level != old.get(POD_SECURITY) and level not in ("baseline", "restricted") and not request.caller.is_admin:
            raise refused(request, f"only the admin of the cloud may relax label {POD_SECURITY}")


def _labels(namespace: Object | None) -> Object:
    return (namespace["metadata"].get("labels") or {}) if namespace else {}


def _kept_name(namespace: Object | None) -> str:
    return str((namespace["metadata"].get("annotations") or {}).get(DISPLAY_NAME, "")) if namespace else ""
