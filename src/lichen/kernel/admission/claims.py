# SPDX-License-Identifier: Apache-2.0
"""Claims that name no storage class take the default one; a claim that pods mount outlives its deletion."""

from __future__ import annotations

from lichen.kernel.admission import Request
from lichen.kinds.builtin import PERSISTENT_VOLUME_CLAIM, STORAGE_CLASS
from lichen.model.kind import Kind
from lichen.model.meta import annotations_of, name_of

IS_DEFAULT = "storageclass.kubernetes.io/is-default-class"
PROTECTION = "kubernetes.io/pvc-protection"


class Claims:
    """Fills in what Kubernetes' own admission does."""

    kinds: tuple[Kind, ...] | None = (PERSISTENT_VOLUME_CLAIM,)
    verbs: tuple[str, ...] = ("create",)

    async def admit(self, request: Request) -> None:
        metadata, spec = request.object["metadata"], request.object.setdefault("spec", {})
        finalizers = metadata.get("finalizers") or []
        if PROTECTION not in finalizers:
            metadata["finalizers"] = [*finalizers, PROTECTION]
        if spec.get("storageClassName") is None:
            classes = (await request.state.list(STORAGE_CLASS)).items
            default = [name_of(c) for c in classes if annotations_of(c).get(IS_DEFAULT) == "true"]
            if default:
                spec["storageClassName"] = max(default)
