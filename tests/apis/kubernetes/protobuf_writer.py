# SPDX-License-Identifier: Apache-2.0
"""Protobuf as Kubernetes' typed clients send it, written field by field."""

from __future__ import annotations

MAGIC = b"k8s\0"


def varint(value: int) -> bytes:
    head = b""
    while value > 0x7F:
        head, value = head + bytes((value & 0x7F | 0x80,)), value >> 7
    return head + bytes((value,))


def field(number: int, value: bytes | str | int) -> bytes:
    """A number, a text or a message, under its field's number."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    body = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(body)) + body


def enveloped(api_version: str, kind: str, body: bytes) -> bytes:
    return MAGIC + field(1, field(1, api_version) + field(2, kind)) + field(2, body)
