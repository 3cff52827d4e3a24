# SPDX-License-Identifier: Apache-2.0
"""Lichen's objects have an id of their own, and the name as their user wrote it."""

from __future__ import annotations

import re
import uuid

from lichen.kernel.admission import Request, faulty
from lichen.kinds.catalog import own_kinds
from lichen.kinds.faults import show
from lichen.kinds.image.image import Image
from lichen.model.errors import Cause, Conflict
from lichen.model.kind import Kind

_IDENTITY = "identity.lichen.dev"
_ID = re.compile(r"[0-9A-Za-z_-]([0-9A-Za-z ._-]{0,253}[0-9A-Za-z._-])?")
"""As nova has it for flavors. Nodes name files by ids, so that none may lead elsewhere."""
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Ids:
    """Fills spec.id and spec.displayName. Identity's kinds are looked after by identity."""

    verbs: tuple[str, ...] = ("create", "update")

    def __init__(self) -> None:
        kinds = [kind for kind in own_kinds() if kind.group != _IDENTITY]
        self._with_id = frozenset(kind for kind in kinds if "id" in _fields(kind))
        self._with_name = frozenset(kind for kind in kinds if "display_name" in _fields(kind))
        self.kinds: tuple[Kind, ...] | None = tuple(self._with_id | self._with_name)

    async def admit(self, request: Request) -> None:
        spec = request.object.setdefault("spec", {})
        if request.kind in self._with_name and not spec.get("displayName"):
            old = ((request.old or {}).get("spec") or {}).get("displayName")
            spec["displayName"] = old or request.object["metadata"].get("name", "")
        if request.verb == "create" and request.kind in self._with_id:
            if spec.get("id"):
                await _check_free(request, spec["id"])
            else:
                spec["id"] = str(uuid.uuid4())


def _fields(kind: Kind) -> frozenset[str]:
    spec = getattr(kind.model, "Spec", None)
    return frozenset(spec.declared_fields if spec is not None else ())


def _check(request: Request, chosen: str) -> None:
    form, what = (_UUID, "a UUID") if request.kind == Image.KIND else (_ID, "letters, digits, - and _")
    if form.fullmatch(chosen) is None:
        raise faulty(request, Cause("spec.id", f"Invalid value: {show(chosen)}: an id is {what}"))


async def _check_free(request: Request, chosen: str) -> None:
    _check(request, chosen)
    same = await request.state.list(request.kind, fields=f"spec.id={chosen}", limit=1)
    if same.items:
        raise Conflict(
            f'{request.kind.resource} "{request.name}" cannot be created: id {chosen} is taken',
            kind=request.kind.plural,
            group=request.kind.group,
            name=request.name,
        )
