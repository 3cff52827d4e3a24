# SPDX-License-Identifier: Apache-2.0
"""Query parameters and DeleteOptions as the kernel's options."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, NamedTuple

from lichen.apis.kubernetes.doubles import doubled_in
from lichen.apis.kubernetes.request import Request
from lichen.apis.kubernetes.wire import decode_object
from lichen.model.data import Object
from lichen.model.errors import BadRequest, Cause, Invalid
from lichen.model.state import DEFAULT_OPTIONS, Preconditions, WriteOptions

_VALIDATION = ("Ignore", "Warn", "Strict")
_PROPAGATION = ("Background", "Foreground", "Orphan")


async def options_for(request: Request, body: bytes) -> WriteOptions:
    """As `write_options`; if the caller asks for validation, also what its body (which can be read) says twice."""
    options = write_options(request)
    if options.field_validation == "Ignore" or "fieldValidation" not in request.query:
        return options
    doubled = await asyncio.to_thread(doubled_in, body, request.header(b"content-type"))
    return replace(options, doubled=doubled) if doubled else options


def write_options(request: Request) -> WriteOptions:
    """dryRun, fieldManager, fieldValidation and force of the query. BadRequest, Invalid."""
    query = request.query
    if not query:
        return WriteOptions(field_validation="Warn")
    validation = query.get("fieldValidation") or "Warn"
    if validation not in _VALIDATION:
        raise _unsupported("fieldValidation", validation, _VALIDATION)
    manager = query.get("fieldManager", "")
    if len(manager) > 128 or not manager.isprintable():
        raise BadRequest("fieldManager must be up to 128 printable characters")
    return WriteOptions(
        dry_run=is_dry_run(query.get("dryRun", "")),
        field_manager=manager,
        field_validation=validation,
        force=request.flag("force"),
    )


def is_dry_run(value: str) -> bool:
    """`All` is the only dry run there is. Invalid."""
    if value not in ("", "All"):
        raise _unsupported("dryRun", value, ("All",))
    return value == "All"


class DeleteOptions(NamedTuple):
    """How to delete."""

    preconditions: Preconditions = Preconditions()
    propagation: str = "Background"
    grace_seconds: int | None = None
    options: WriteOptions = DEFAULT_OPTIONS


def delete_options(request: Request, body: bytes) -> DeleteOptions:
    """The body's DeleteOptions, or the query's where there is no body. BadRequest, Invalid."""
    given = _from_query(request) if not body else decode_object(body, request.header(b"content-type"))
    kind = given.get("kind", "DeleteOptions")
    if kind != "DeleteOptions":
        raise BadRequest(f'the body of a deletion must be DeleteOptions, not "{kind}"')
    grace = given.get("gracePeriodSeconds")
    if grace is not None and (not isinstance(grace, int) or isinstance(grace, bool)):
        raise BadRequest("gracePeriodSeconds must be a whole number")
    preconditions = given.get("preconditions")
    if preconditions is None:
        preconditions = {}
    if not isinstance(preconditions, dict):
        raise BadRequest("preconditions must be an object")
    return DeleteOptions(
        Preconditions(_text(preconditions, "uid"), _text(preconditions, "resourceVersion")),
        _propagation(given),
        None if grace is None else max(grace, 1 if grace < 0 else 0),
        WriteOptions(dry_run=_dry_run_of(given)),
    )


def _from_query(request: Request) -> Object:
    query = request.query
    given: Object = {key: query[key] for key in ("propagationPolicy", "orphanDependents") if key in query}
    grace = request.number("gracePeriodSeconds")
    if grace is not None:
        given["gracePeriodSeconds"] = grace
    if "orphanDependents" in given:
        given["orphanDependents"] = request.flag("orphanDependents")
    if query.get("dryRun"):
        given["dryRun"] = [query["dryRun"]]
    return given


def _propagation(given: Object) -> str:
    value = given.get("propagationPolicy")
    orphan = given.get("orphanDependents")
    if value is not None and orphan is not None:
        raise _invalid("propagationPolicy", "orphanDependents and propagationPolicy cannot be both set")
    if value is None:
        return "Orphan" if orphan is True else "Background"
    if value not in _PROPAGATION:
        raise _unsupported("propagationPolicy", str(value), _PROPAGATION)
    return str(value)


def _dry_run_of(given: Object) -> bool:
    values = given.get("dryRun")
    if values is None:
        return False
    if not isinstance(values, list) or len(values) > 1:
        raise BadRequest("dryRun must be a list of at most one word")
    return bool(values) and is_dry_run(str(values[0]))


def _text(values: Object, key: str) -> str:
    value: Any = values.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadRequest(f"preconditions.{key} must be a string")
    return value


def _unsupported(field: str, value: str, supported: tuple[str, ...]) -> Invalid:
    known = ", ".join(f'"{v}"' for v in supported)
    return _invalid(field, f'Unsupported value: "{value[:64]}": supported values: {known}')


def _invalid(field: str, message: str) -> Invalid:
    return Invalid(f"{field}: {message}", causes=(Cause(field, message, "FieldValueNotSupported"),))
