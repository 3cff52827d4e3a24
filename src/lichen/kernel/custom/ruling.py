# SPDX-License-Identifier: Apache-2.0
"""Holds what is written of installed kinds to the rules of their definitions."""

from __future__ import annotations

from lichen.kernel.admission import Request
from lichen.kernel.admission.chain import Chain
from lichen.kernel.cel.language import Pace, apart, size_of
from lichen.kernel.custom.rules import VALIDATIONS, Ruled, compile_rules, judge, nothing
from lichen.kinds.catalog import Catalog
from lichen.kinds.faults import Faults
from lichen.model.kind import Kind


class CustomRules:
    """Looks only at kinds that have rules: `kinds` follows the catalog."""

    verbs: tuple[str, ...] = ("create", "update")

    def __init__(self, catalog: Catalog, chain: Chain) -> None:
        self.kinds: tuple[Kind, ...] | None = ()
        self._catalog = catalog
        self._chain = chain
        self._compiled: dict[Kind, Ruled | None] = {}
        self._paces: dict[Kind, Pace] = {}
        catalog.follow(self._changed)

    def _changed(self) -> None:
        self._compiled.clear()
        self._paces.clear()
        installed = [kind for kind in self._catalog.all_kinds() if kind.installed]
        self.kinds = tuple(kind for kind in installed if _has_rules(self._catalog.schema_of(kind)))
        self._chain.forget()

    async def admit(self, request: Request) -> None:
        """Invalid."""
        size = size_of(request.object, request.old)
        pace = self._paces.setdefault(request.kind, Pace())
        faults = await apart(size, lambda: self._faults(request), pace)
        faults.raise_any(request.kind, request.name)

    def _faults(self, request: Request) -> Faults:
        faults, kind = Faults(), request.kind
        if kind not in self._compiled:
            self._compiled[kind] = compile_rules(self._catalog.schema_of(kind))
        ruled = self._compiled[kind]
        if ruled is not None:
            judge(ruled, request.object, nothing() if request.old is None else request.old, faults)
        return faults


def _has_rules(schema: object) -> bool:
    if isinstance(schema, dict):
        return bool(schema.get(VALIDATIONS)) or any(_has_rules(value) for value in schema.values())
    return isinstance(schema, list) and any(_has_rules(item) for item in schema)
