# SPDX-License-Identifier: Apache-2.0
"""The functions that Kubernetes adds to CEL: quantities, URLs, addresses, versions, regular expressions, lists, and
`authorizer`. A value of a type of their own is a map with a tag: `{"quantity": "1/2"}`."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, urlsplit

from lichen.kernel.cel.budget import counted
from lichen.kernel.cel.costly import add_costly, pattern_of, searched
from lichen.kernel.cel.formats import add_formats
from lichen.kernel.cel.metering import add_meters
from lichen.model.caller import account_user
from lichen.model.quantity import parse

Value = dict[str, Any]
May = Callable[[dict[str, Any]], str | None]
_VERSION = re.compile(r"v?(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?")


def functions(cel: Any, may: May | None) -> tuple[list[Any], frozenset[str]]:
    """Their declarations, for an environment of `cel`, and the names of those that count what they cost."""
    dyn, text, number, flag = cel.Type.DYN, cel.Type.STRING, cel.Type.INT, cel.Type.BOOL
    values = cel.Type.LIST
    made: dict[str, list[Any]] = {}

    def declare(name: str, parameters: list[Any], returns: Any, impl: Callable[..., Any], member: bool) -> None:
        overloads = made.setdefault(name, [])
        id_ = f"lichen_{name}_{len(overloads)}"
        overloads.append(cel.Overload(id=id_, return_type=returns, parameters=parameters, is_member=member, impl=impl))

    def add(
        name: str,
        parameters: list[Any],
        returns: Any,
        impl: Callable[..., Any],
        *,
        member: bool = True,
        price: Callable[..., int] | None = None,
    ) -> None:
        declare(name, parameters, returns, counted(impl, price), member)

    add("made", [text, dyn], dyn, _made, member=False)
    add("jsonpatch.escapeKey", [text], text, lambda key: key.replace("~", "~0").replace("/", "~1"), member=False)
    for name, make in (("quantity", _quantity), ("url", _url), ("ip", _ip), ("cidr", _cidr), ("semver", _semver)):
        add(name, [text], dyn, make, member=False)
        add(f"is{_TITLES[name]}", [text], flag, _holds(make), member=False)
    add("ip", [dyn], dyn, lambda net: _tagged(ipaddress.ip_interface(net["cidr"]).ip))
    for name in ("isLessThan", "isGreaterThan", "compareTo"):
        add(name, [dyn, dyn], number if name == "compareTo" else flag, _COMPARE[name])
    for name, returns, impl in _ON_QUANTITIES:
        add(name, [dyn], {"b": flag, "i": number, "f": cel.Type.DOUBLE}[returns], impl)
    add("add", [dyn, dyn], dyn, lambda a, b: _amount(_number(a) + _number(b)))
    add("sub", [dyn, dyn], dyn, lambda a, b: _amount(_number(a) - _number(b)))
    for name, impl in _ON_URLS.items():
        add(name, [dyn], dyn, impl)
    for name, impl in _ON_ADDRESSES.items():
        add(name, [dyn], dyn, impl)
    add("containsIP", [dyn, dyn], flag, lambda net, ip: ipaddress.ip_address(_word(ip, "ip")) in _network(net))
    add("containsCIDR", [dyn, dyn], flag, _contains_network)
    for index, name in enumerate(("major", "minor", "patch")):
        add(name, [dyn], number, lambda value, index=index: value["semver"][index])
    add(
        "find",
        [text, text],
        text,
        lambda value, pattern: ((m := pattern_of(pattern).search(value)) and m[0]) or "",
        price=searched,
    )
    add(
        "findAll",
        [text, text],
        dyn,
        lambda value, pattern: [m[0] for m in pattern_of(pattern).finditer(value)],
        price=searched,
    )
    add("findAll", [text, text, number], dyn, _find_some, price=searched)
    add("isSorted", [values], flag, lambda items: all(a <= b for a, b in pairwise(items)))
    add("sum", [values], dyn, lambda items: sum(items))
    add("min", [values], dyn, lambda items: min(items))
    add("max", [values], dyn, lambda items: max(items))
    add("indexOf", [values, dyn], number, lambda items, item: items.index(item) if item in items else -1)
    add("lastIndexOf", [values, dyn], number, _last_index)
    add("sets.contains", [dyn, dyn], flag, lambda a, b: _set(a) >= _set(b), member=False)
    add("sets.intersects", [dyn, dyn], flag, lambda a, b: not _set(a).isdisjoint(_set(b)), member=False)
    add("sets.equivalent", [dyn, dyn], flag, lambda a, b: _set(a) == _set(b), member=False)
    add("ip.isCanonical", [text], flag, lambda value: _ip(value)["ip"] == value, member=False)
    add_formats(add, cel)
    _add_authorizer(add, dyn, text, flag, may)
    add_costly(add, cel)
    names = frozenset(made)
    add_meters(lambda name, parameters, returns, impl: declare(name, parameters, returns, impl, False), cel)
    return [cel.FunctionDecl(name, overloads) for name, overloads in made.items()], names


_TITLES = {"quantity": "Quantity", "url": "URL", "ip": "IP", "cidr": "CIDR", "semver": "Semver"}


def _made(kind: str, fields: Value) -> Value:
    if kind == "JSONPatch" and set(fields) - {"op", "path", "from", "value"}:
        raise ValueError(f"no such field: {sorted(set(fields) - {'op', 'path', 'from', 'value'})[0]}")
    return fields


def _holds(make: Callable[[str], Value]) -> Callable[[str], bool]:
    def holds(text: str) -> bool:
        try:
            make(text)
        except ValueError:
            return False
        return True

    return holds


def _quantity(text: str) -> Value:
    return _amount(parse(text))


def _amount(value: Fraction) -> Value:
    return {"quantity": str(value)}


def _number(value: Any) -> Fraction:
    return Fraction(value["quantity"]) if isinstance(value, dict) else Fraction(value)


def _semver(text: str) -> Value:
    match = _VERSION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a semantic version")
    return {"semver": [int(match[1]), int(match[2]), int(match[3]), match[4] or ""]}


def _rank(value: Any) -> Any:
    """What an amount or a version is compared by."""
    if isinstance(value, dict) and "semver" in value:
        *numbers, early = value["semver"]
        parts = [(not p.isdigit(), int(p) if p.isdigit() else 0, p) for p in early.split(".")] if early else []
        return numbers, not early, parts
    return _number(value)


_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "isLessThan": lambda a, b: _rank(a) < _rank(b),
    "isGreaterThan": lambda a, b: _rank(a) > _rank(b),
    "compareTo": lambda a, b: (_rank(a) > _rank(b)) - (_rank(a) < _rank(b)),
}
_ON_QUANTITIES: tuple[tuple[str, str, Callable[[Any], Any]], ...] = (
    ("isInteger", "b", lambda value: _number(value).denominator == 1),
    ("asInteger", "i", lambda value: _whole(_number(value))),
    ("asApproximateFloat", "f", lambda value: float(_number(value))),
    ("sign", "i", lambda value: (_number(value) > 0) - (_number(value) < 0)),
)


def _whole(value: Fraction) -> int:
    if value.denominator != 1:
        raise ValueError("the quantity is not an integer")
    return value.numerator


def _url(text: str) -> Value:
    parts = urlsplit(text)
    if not parts.scheme and not text.startswith("/"):
        raise ValueError(f"{text!r} is not an absolute URL")
    return {"url": text}


_ON_URLS: dict[str, Callable[[Any], Any]] = {
    "getScheme": lambda value: urlsplit(value["url"]).scheme,
    "getHost": lambda value: urlsplit(value["url"]).netloc.rpartition("@")[2],
    "getHostname": lambda value: urlsplit(value["url"]).hostname or "",
    "getPort": lambda value: str(urlsplit(value["url"]).port or ""),
    "getEscapedPath": lambda value: urlsplit(value["url"]).path,
    "getQuery": lambda value: _query(urlsplit(value["url"]).query),
}


def _query(text: str) -> Value:
    return parse_qs(text, keep_blank_values=True)


def _tagged(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> Value:
    return {"ip": str(address)}


def _ip(text: str) -> Value:
    if "%" in text:
        raise ValueError(f"{text!r} has a zone")
    return _tagged(ipaddress.ip_address(text))


def _cidr(text: str) -> Value:
    if "/" not in text or "%" in text:
        raise ValueError(f"{text!r} has no prefix, or a zone")
    return {"cidr": str(ipaddress.ip_interface(text))}


def _word(value: Any, tag: str) -> str:
    return str(value[tag]) if isinstance(value, dict) else str(value)


def _network(value: Any) -> Any:
    return ipaddress.ip_interface(_word(value, "cidr")).network


def _contains_network(outer: Any, inner: Any) -> bool:
    a, b = _network(outer), _network(inner)
    return a.version == b.version and bool(b.subnet_of(a))


def _address(value: Any) -> Any:
    return ipaddress.ip_address(value["ip"])


_ON_ADDRESSES: dict[str, Callable[[Any], Any]] = {
    "family": lambda value: _address(value).version,
    "isUnspecified": lambda value: _address(value).is_unspecified,
    "isLoopback": lambda value: _address(value).is_loopback,
    "isLinkLocalMulticast": lambda value: _address(value).is_multicast and str(_address(value)).startswith("224.0.0."),
    "isLinkLocalUnicast": lambda value: _address(value).is_link_local,
    "isGlobalUnicast": lambda value: (
        not any((_address(value).is_multicast, _address(value).is_loopback, _address(value).is_link_local))
    ),
    "prefixLength": lambda value: _network(value).prefixlen,
    "masked": lambda value: {"cidr": str(_network(value))},
}


def _find_some(value: str, pattern: str, most: int) -> list[str]:
    found = [match[0] for match in pattern_of(pattern).finditer(value)]
    return found if most < 0 else found[:most]


def _last_index(items: list[Any], item: Any) -> int:
    return len(items) - 1 - items[::-1].index(item) if item in items else -1


def _set(items: list[Any]) -> frozenset[Any]:
    return frozenset(map(_frozen, items))


def _frozen(value: Any) -> Any:
    """What is equal to that of an equal value, and can be in a set."""
    if isinstance(value, dict):
        return frozenset((key, _frozen(item)) for key, item in value.items())
    return tuple(map(_frozen, value)) if isinstance(value, list) else (type(value) is bool, value)


def _add_authorizer(add: Any, dyn: Any, text: Any, flag: Any, may: May | None) -> None:
    """`authorizer.group("apps").resource("deployments").namespace("x").check("create").allowed()`."""

    def noted(key: str) -> Callable[[Value, str], Value]:
        return lambda value, word: {**value, key: word}

    def check(value: Value, verb: str) -> Value:
        refusal = "nobody answers" if may is None else may({**value, "verb": verb})
        return {"allowed": refusal is None, "reason": refusal or ""}

    def account(value: Value, namespace: str, name: str) -> Value:
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]
        return {"caller": {"username": account_user(namespace, name), "groups": groups}}

    for key in ("group", "resource", "subresource", "namespace", "name", "path"):
        add(key, [dyn, text], dyn, noted(key))
    add("check", [dyn, text], dyn, check)
    add("serviceAccount", [dyn, text, text], dyn, account)
    add("allowed", [dyn], flag, lambda decision: decision["allowed"])
    add("reason", [dyn], text, lambda decision: decision["reason"])
    add("errored", [dyn], flag, lambda decision: False)
    add("error", [dyn], text, lambda decision: "")
