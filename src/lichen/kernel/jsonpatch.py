# SPDX-License-Identifier: Apache-2.0
"""JSON patch (RFC 6902), as a pure function."""

from __future__ import annotations

import copy
from typing import Any

import msgspec

from lichen.model.data import MAX_DEPTH, is_deeper
from lichen.model.errors import BadRequest, Invalid

MAX_OPERATIONS = 10_000
MAX_COPIED = 3 * 1024 * 1024
"""Bytes that all `copy` of a patch may bring about: each may double the object, and thirty fill any memory."""
_encode = msgspec.json.Encoder().encode


def json_patch(target: Any, operations: Any) -> Any:
    """A changed copy of `target`. BadRequest: not a patch. Invalid: it does not fit, or a test in it fails."""
    if not isinstance(operations, list):
        raise BadRequest("a JSON patch must be an array of operations")
    if len(operations) > MAX_OPERATIONS:
        raise Invalid(f"a JSON patch may have {MAX_OPERATIONS} operations, not {len(operations)}")
    root = [copy.deepcopy(target)]
    copied = 0
    for operation in operations:
        copied += _do(root, operation, MAX_COPIED - copied)
    return root[0]


def _do(root: list[Any], operation: Any, room: int) -> int:
    """Bytes that were copied; no more than `room`."""
    if not isinstance(operation, dict) or not isinstance(operation.get("path"), str):
        raise BadRequest("each operation of a JSON patch must be an object with op and path")
    path = _steps(operation["path"])
    match operation.get("op"):
        case "add":
            _add(root, path, copy.deepcopy(_value(operation)))
        case "remove":
            _remove(root, path)
        case "replace":
            _replace(root, path, copy.deepcopy(_value(operation)))
        case "move":
            _add(root, path, _remove(root, _from(operation)))
        case "copy":
            return _copy(root, path, _get(root, _from(operation)), room)
        case "test":
            _test(root, path, _value(operation), operation["path"])
        case other:
            raise BadRequest(f"unknown operation {str(other)[:64]!r} in a JSON patch")
    return 0


def _copy(root: list[Any], path: list[str], value: Any, room: int) -> int:
    _check_depth(path, value)
    size = len(_encode(value))
    if size > room:
        raise Invalid(f"the copies of a JSON patch may come to {MAX_COPIED} bytes, all in all")
    _add(root, path, copy.deepcopy(value))
    return size


def _test(root: list[Any], path: list[str], value: Any, text: str) -> None:
    have = _get(root, path)
    if have != value or isinstance(have, bool) is not isinstance(value, bool):
        raise Invalid(f"testing value {text} failed")


def _value(operation: dict[str, Any]) -> Any:
    if "value" not in operation:
        raise BadRequest(f"operation {operation.get('op')} of a JSON patch needs a value")
    return operation["value"]


def _from(operation: dict[str, Any]) -> list[str]:
    source = operation.get("from")
    if not isinstance(source, str):
        raise BadRequest(f"operation {operation.get('op')} of a JSON patch needs from")
    return _steps(source)


def _steps(pointer: str) -> list[str]:
    """A JSON pointer's steps, below a root that is the one element of a list."""
    if pointer and not pointer.startswith("/"):
        raise BadRequest(f"{pointer[:64]!r} is not a JSON pointer: it must start with /")
    return ["0", *(step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])]


def _get(root: list[Any], path: list[str]) -> Any:
    node: Any = root
    for step in path:
        if isinstance(node, dict) and step in node:
            node = node[step]
        elif isinstance(node, list):
            node = node[_index(node, step, path, len(node) - 1)]
        else:
            raise _missing(path)
    return node


def _add(root: list[Any], path: list[str], value: Any) -> None:
    _check_depth(path, value)
    parent, last = _get(root, path[:-1]), path[-1]
    if parent is root:
        root[0] = value
    elif isinstance(parent, list):
        parent.insert(len(parent) if last == "-" else _index(parent, last, path, len(parent)), value)
    elif isinstance(parent, dict):
        parent[last] = value
    else:
        raise _missing(path)


def _replace(root: list[Any], path: list[str], value: Any) -> None:
    _check_depth(path, value)
    _get(root, path)
    parent, last = _get(root, path[:-1]), path[-1]
    parent[int(last) if isinstance(parent, list) else last] = value


def _check_depth(path: list[str], value: Any) -> None:
    if is_deeper(value, MAX_DEPTH + 1 - len(path)):
        raise Invalid(f"the JSON patch does not fit: it nests deeper than {MAX_DEPTH}")


def _remove(root: list[Any], path: list[str]) -> Any:
    value = _get(root, path)
    parent, last = _get(root, path[:-1]), path[-1]
    if parent is root:
        root[0] = None
    else:
        del parent[int(last) if isinstance(parent, list) else last]
    return value


def _index(node: list[Any], step: str, path: list[str], highest: int) -> int:
    if not step.isascii() or not step.isdigit() or len(step) > 9 or int(step) > highest:
        raise _missing(path)
    return int(step)


def _missing(path: list[str]) -> Invalid:
    pointer = "/" + "/".join(path[1:])
    return Invalid(f"the JSON patch does not fit: there is nothing at {pointer[:200]}")
