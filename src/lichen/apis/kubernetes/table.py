# SPDX-License-Identifier: Apache-2.0
"""Objects as meta.k8s.io/v1 Tables, from the columns that the catalog declares."""

from __future__ import annotations

import logging
import time
from typing import Any

from lichen.apis.kubernetes.metadata import META_VERSION, partial_metadata
from lichen.kinds.columns import Column
from lichen.model.data import Object

log = logging.getLogger(__name__)

Columns = tuple[Column, ...]


class Rows:
    """Rows under these columns. include: what each row carries of its object (None, Metadata or Object)."""

    def __init__(self, columns: Columns, include: str) -> None:
        self._columns = columns
        self._include = include

    def table(self, objects: list[Object], meta: Object | None = None, *, definitions: bool = True) -> Object:
        now = time.time()
        return {
            "kind": "Table",
            "apiVersion": META_VERSION,
            "metadata": meta if meta is not None else _meta_of(objects),
            "columnDefinitions": [_definition(column) for column in self._columns] if definitions else None,
            "rows": [self._row(obj, now) for obj in objects],
        }

    def _row(self, obj: Object, now: float) -> Object:
        row: Object = {"cells": [_cell(column, obj, now) for column in self._columns]}
        if self._include == "Metadata":
            row["object"] = partial_metadata(obj)
        elif self._include == "Object":
            row["object"] = obj
        return row


def table_of(
    columns: Columns, objects: list[Object], meta: Object | None = None, *, include: str = "Metadata"
) -> Object:
    """One Table of all objects."""
    return Rows(columns, include).table(objects, meta)


def _cell(column: Column, obj: Object, now: float) -> Any:
    """A cell; what cannot be computed from a strange object is shown as unknown, and logged."""
    try:
        return column.cell(obj, now)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        log.warning("column %s of %s %s failed", column.name, obj.get("kind"), obj["metadata"].get("name"))
        return "<unknown>"


def _definition(column: Column) -> Object:
    return {
        "name": column.name,
        "type": column.type,
        "format": column.format,
        "description": column.description,
        "priority": column.priority,
    }


def _meta_of(objects: list[Object]) -> Object:
    return {"resourceVersion": objects[0]["metadata"].get("resourceVersion", "")} if len(objects) == 1 else {}
