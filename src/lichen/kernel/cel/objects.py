# SPDX-License-Identifier: Apache-2.0
"""What policies write to make objects, in words that CEL knows: `Object.spec{replicas: 3}` becomes
`made("Object.spec", {"replicas": 3})`. Pure."""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r'(?P<text>[rRbB]{0,2}(?:"""(?:\\.|[^\\])*?"""|\'\'\'(?:\\.|[^\\])*?\'\'\'|"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'))'
    r"|(?P<space>\s+|//[^\n]*)|(?P<name>[A-Za-z_]\w*|`[^`]*`)|(?P<mark>.)",
    re.DOTALL,
)
_MADE = re.compile(r"(?:Object|JSONPatch)(?:\s*\.\s*(?:[A-Za-z_]\w*|`[^`]*`))*\s*\{")
_OPENS, _CLOSES = "([{", ")]}"


def plain(expression: str) -> str:
    """The same expression without constructors of objects."""
    if "Object" not in expression and "JSONPatch" not in expression:
        return expression
    out: list[str] = []
    frames: list[str] = []
    at, before = 0, ""
    while at < len(expression):
        made = _MADE.match(expression, at) if before != "." and not before.isidentifier() else None
        if made:
            name = "".join(made[0].rstrip("{").split())
            out.append(f'made("{name}", {{')
            frames.append("made")
            at, before = made.end(), "{"
            continue
        token = _TOKEN.match(expression, at)
        assert token is not None  # the last alternative takes anything
        at, text = token.end(), token[0]
        out.append(_rewritten(token, frames, before, expression[at:]))
        if token["space"] is None:
            before = text
    return "".join(out)


def _rewritten(token: re.Match[str], frames: list[str], before: str, rest: str) -> str:
    text = token[0]
    if token["mark"] and text in _OPENS:
        frames.append(text)
    elif token["mark"] and text in _CLOSES and frames:
        return "})" if frames.pop() == "made" else text
    elif token["name"] and frames and frames[-1] == "made" and before in ("{", ",", "?") and _is_key(rest):
        return '"' + text.strip("`") + '"'
    return text


def _is_key(rest: str) -> bool:
    return rest.lstrip().startswith(":")
