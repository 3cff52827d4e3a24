# SPDX-License-Identifier: Apache-2.0
"""JSON and YAML in and out. Faults in what a caller sent become BadRequest."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
import yaml

from lichen.apis.kubernetes.protobuf import decode_protobuf
from lichen.model.data import MAX_DEPTH, Object, is_deeper, is_too_deep
from lichen.model.errors import BadRequest, UnsupportedMediaType

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()
encode = _encoder.encode

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def decode_json(raw: bytes) -> Any:
    """Any JSON value. BadRequest."""
    try:
        value = _decoder.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as fault:
        raise BadRequest(f"the body cannot be read as JSON: {fault}") from None
    return _shallow(value, too_deep=is_too_deep(value, raw))


def _shallow(value: Any, *, too_deep: bool) -> Any:
    if too_deep:
        raise BadRequest(f"the body is nested deeper than {MAX_DEPTH}")
    return value


def decode_yaml(raw: bytes) -> Any:
    """Any YAML value that JSON can hold too; aliases are refused, as they can blow a small body up. BadRequest.

    Clients mostly send JSON, which YAML includes, and which is read 20 times as fast."""
    if raw.lstrip().startswith(b"{"):
        with suppress(msgspec.DecodeError, RecursionError, UnicodeDecodeError):  # YAML's own braces, or no YAML either
            value = _decoder.decode(raw)
            return _shallow(value, too_deep=is_too_deep(value, raw))
    try:
        _check_shape(raw)
        value = yaml.load(raw, Loader=_JsonLoader)  # noqa: S506  a SafeLoader
        return _decoder.decode(_encoder.encode(value))
    except (yaml.YAMLError, ValueError, TypeError, RecursionError, msgspec.MsgspecError) as fault:
        raise BadRequest(f"the body cannot be read as YAML: {fault}") from None


def _check_shape(raw: bytes) -> None:
    """Refuse, event by event, what the loader would multiply or recurse into until its stack ends. BadRequest."""
    depth = 0
    for event in yaml.parse(raw, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            raise BadRequest("the body cannot be read as YAML: aliases are not supported")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise BadRequest(f"the body cannot be read as YAML: it is nested deeper than {MAX_DEPTH}")


def media_type(header: str) -> str:
    """`application/json; charset=utf-8` → `application/json`; JSON where nothing is said."""
    return header.partition(";")[0].strip().lower() or JSON


def decode_body(raw: bytes, content_type: str) -> Any:
    """A request's body by its media type. UnsupportedMediaType, BadRequest."""
    media = media_type(content_type)
    if media == JSON or media.endswith("+json"):
        return decode_json(raw)
    if media in (YAML, "application/x-yaml", "text/yaml") or media.endswith("+yaml"):
        return decode_yaml(raw)
    if media == PROTOBUF:
        value = decode_protobuf(raw)
        return _shallow(value, too_deep=is_deeper(value, MAX_DEPTH))
    raise UnsupportedMediaType(
        "the body of the request was in an unknown format - accepted media types include: "
        "application/json, application/yaml, application/vnd.kubernetes.protobuf"
    )


def decode_object(raw: bytes, content_type: str) -> Object:
    """A request's body that must be an object (a mapping)."""
    if not raw:
        raise BadRequest("the request has no body: an object is expected")
    value = decode_body(raw, content_type)
    if not isinstance(value, dict):
        raise BadRequest("the body must be an object with apiVersion, kind and metadata")
    return value


def encode_yaml(value: Any) -> bytes:
    text: bytes = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, encoding="utf-8")
    return text


class _JsonLoader(_Loader):  # type: ignore[misc, valid-type]
    """YAML's JSON types: a time stays the text it was written as."""


_JsonLoader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}
