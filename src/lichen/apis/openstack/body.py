# SPDX-License-Identifier: Apache-2.0
"""Reading a request's body: its size, its JSON, its shape; each fault a clear 400 or 413."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Annotated, Any, TypeVar

import msgspec

from lichen.model.data import MAX_DEPTH, Object, is_too_deep
from lichen.model.errors import BadRequest, TooLarge

T = TypeVar("T")
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
"""What users call things: 1 to 255 characters."""


class Disconnected(Exception):
    """The client went away while it sent its body: nobody is left to answer."""


async def chunks(receive: Receive) -> AsyncIterator[bytes]:
    """The body as it comes. Disconnected."""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        more = message.get("more_body", False)
        if message.get("body"):
            yield message["body"]


async def read_all(receive: Receive, limit: int) -> bytes:
    """The whole body, in memory. TooLarge: it is over `limit` bytes."""
    parts: list[bytes] = []
    size = 0
    async for chunk in chunks(receive):
        size += len(chunk)
        if size > limit:
            raise TooLarge(f"The request's body is over the limit of {limit} bytes.")
        parts.append(chunk)
    return b"".join(parts)


def decode(raw: bytes) -> Any:
    """Any JSON value. BadRequest: it is none, or nested too deeply."""
    try:
        value = msgspec.json.decode(raw)
    except RecursionError:
        raise _too_deep() from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"Malformed request body: {error}.") from None
    if is_too_deep(value, raw):
        raise _too_deep()
    return value


def _too_deep() -> BadRequest:
    return BadRequest(f"Malformed request body: it is nested too deeply, more than {MAX_DEPTH} levels.")


def decode_object(raw: bytes) -> Object:
    """A JSON object. BadRequest: it is none."""
    value = decode(raw)
    if not isinstance(value, dict):
        raise BadRequest("Malformed request body: a JSON object was expected.")
    return value


def pick(document: Object, key: str, shape: type[T], *, lax: bool = True) -> T:
    """`document[key]` in the given shape (a msgspec struct, dict, list…). lax: "1" is an int, "true" a bool.
    BadRequest: it is missing, or of another shape."""
    if key not in document:
        raise BadRequest(f"Invalid input: '{key}' is a required property.")
    return shaped(document[key], shape, where=key, lax=lax)


def shaped(value: Any, shape: type[T], *, where: str = "body", lax: bool = True) -> T:
    """`value` in the given shape. BadRequest names the path of what does not fit."""
    try:
        return msgspec.convert(value, shape, strict=not lax)
    except msgspec.ValidationError as error:
        message = str(error).replace("`$", f"`{where}").replace("`null`", "null")
        at = "" if "`" + where in message else f" at `{where}`"
        raise BadRequest(f"Invalid input: {message}{at}.") from None
