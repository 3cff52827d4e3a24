# SPDX-License-Identifier: Apache-2.0
"""`format.dns1123Label().validate(self)` and its like: nothing where a text is of the format, else what is wrong.

In CEL the answer is an optional list. The library cannot make one in Python: it is a map with a tag, on which
`hasValue` and `value` do the same; other functions of optionals do not compile.
"""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from collections.abc import Callable
from datetime import date, datetime
from typing import Any
from urllib.parse import urlsplit

Test = Callable[[str], bool]
_LABEL, _OLD_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", r"[a-z]([-a-z0-9]*[a-z0-9])?"
_NAME = r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?"
_STAMP = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def _like(pattern: str, most: int) -> Test:
    known = re.compile(pattern)
    return lambda text: len(text) <= most and known.fullmatch(text) is not None


def _prefix(test: Test) -> Test:
    """What a generated name begins with: a `-` at its end is followed by more."""
    return lambda text: test(text[:-1] + "a" if text.endswith("-") else text)


def _is_qualified(text: str) -> bool:
    prefix, slash, name = text.rpartition("/")
    return _like(_NAME, 63)(name) and (not slash or _SUBDOMAIN(prefix))


def _is_uri(text: str) -> bool:
    parts = urlsplit(text)
    return bool(parts.scheme) or text.startswith("/")


def _is_datetime(text: str) -> bool:
    return _STAMP.fullmatch(text) is not None and datetime.fromisoformat(text.upper()) is not None


def _is_date(text: str) -> bool:
    return re.fullmatch(r"\d{4}-\d\d-\d\d", text) is not None and date.fromisoformat(text) is not None


_SUBDOMAIN = _like(rf"{_LABEL}(\.{_LABEL})*", 253)
FORMATS: dict[str, Test] = {
    "dns1123Label": _like(_LABEL, 63),
    "dns1123Subdomain": _SUBDOMAIN,
    "dns1035Label": _like(_OLD_LABEL, 63),
    "dns1123LabelPrefix": _prefix(_like(_LABEL, 63)),
    "dns1123SubdomainPrefix": _prefix(_SUBDOMAIN),
    "dns1035LabelPrefix": _prefix(_like(_OLD_LABEL, 63)),
    "qualifiedName": _is_qualified,
    "labelValue": _like(f"({_NAME})?", 63),
    "uri": _is_uri,
    "uuid": lambda text: len(text) == 36 and bool(uuid.UUID(text)),
    "byte": lambda text: base64.b64decode(text, validate=True) is not None,
    "date": _is_date,
    "datetime": _is_datetime,
}


def faults(name: str, text: str) -> list[str]:
    """What is wrong with a text that is to be of a format."""
    try:
        fine = FORMATS[name](text)
    except (ValueError, binascii.Error):
        fine = False
    return [] if fine else [f"must be a valid {name}"]


def add_formats(add: Any, cel: Any) -> None:
    """Declare the functions. add: (name, parameters, returns, impl, member=True)."""
    made, said = cel.Type.MAP, cel.Type.LIST
    for name in FORMATS:
        add(f"format.{name}", [], made, lambda name=name: {"format": name}, member=False)
    add("validate", [made, cel.Type.STRING], made, lambda kind, text: {"faults": faults(kind["format"], text)})
    add("hasValue", [made], cel.Type.BOOL, lambda answer: bool(answer["faults"]))
    add("value", [made], said, _value)


def _value(answer: dict[str, Any]) -> list[str]:
    if not answer["faults"]:
        raise ValueError("optional.none() dereference")
    found: list[str] = answer["faults"]
    return found
