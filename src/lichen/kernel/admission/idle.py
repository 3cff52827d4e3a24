# SPDX-License-Identifier: Apache-2.0
"""Whoever makes what nothing here acts on yet is told so with the answer."""

from __future__ import annotations

from lichen.kernel.admission import Request
from lichen.kinds.builtin import SERVICE
from lichen.kinds.idle import IDLE, idle_words
from lichen.kinds.resources import builtin
from lichen.model.kind import Kind


class Idle:
    """Warns; refuses nothing."""

    kinds: tuple[Kind, ...] | None = (SERVICE, *(builtin(*each) for each in IDLE))
    verbs: tuple[str, ...] = ("create", "update")

    async def admit(self, request: Request) -> None:
        if request.subresource:
            return
        said = idle_words(request.object)
        if said and (request.old is None or said != idle_words(request.old)):
            request.warnings.append(said)
