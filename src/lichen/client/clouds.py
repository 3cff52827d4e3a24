# SPDX-License-Identifier: Apache-2.0
"""The user's clouds.yaml: Lichen's entries are put in or replaced, everything else stays as it is, comments too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from lichen.client.local import write_private
from lichen.model.errors import LichenError


class CloudsError(LichenError):
    """The file is no clouds.yaml, and was left alone; the message names it."""


def cloud_entries(
    auth_url: str, ca_file: str | Path, *, admin_password: str, demo_password: str, region: str = "RegionOne"
) -> dict[str, object]:
    """The clouds `lichen` (the admin's) and `lichen-demo`. auth_url: identity v3's."""
    return {
        "lichen": _entry(auth_url, ca_file, "admin", admin_password, region),
        "lichen-demo": _entry(auth_url, ca_file, "demo", demo_password, region),
    }


def clouds_text(entries: dict[str, object]) -> str:
    """A whole clouds.yaml with nothing but `entries`."""
    return merged("", entries)


def merge_clouds(path: Path, entries: dict[str, object]) -> None:
    """Put `entries` into the file, which may not be there yet; afterwards only its owner can read it. CloudsError: the
    file cannot be read as a clouds.yaml; it stays as it is."""
    path = path.resolve()
    try:
        before = path.read_text() if path.exists() else ""
        after = merged(before, entries)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise CloudsError(f"{path} is not a clouds.yaml that can be changed: {error}") from error
    if after != before or path.stat().st_mode & 0o077:
        write_private(path, after.encode())


def merged(text: str, entries: dict[str, object]) -> str:
    """`text` with `entries` in its `clouds`. ValueError, YAMLError: it is no clouds.yaml."""
    content = yaml.safe_load(text)
    if content is None:
        content = {}
    if not isinstance(content, dict) or not isinstance(content.get("clouds") or {}, dict):
        raise ValueError("it is not a mapping with a mapping `clouds`")
    wanted = {**content, "clouds": {**(content.get("clouds") or {}), **entries}}
    if content == wanted:
        return text
    spliced = _spliced(text, entries)
    return spliced if spliced is not None and _parsed(spliced) == wanted else _dump(wanted)


def _entry(auth_url: str, ca_file: str | Path, user: str, password: str, region: str) -> dict[str, Any]:
    auth = {
        "auth_url": auth_url,
        "username": user,
        "password": password,
        "project_name": user,
        "user_domain_name": "Default",
        "project_domain_name": "Default",
    }
    return {
        "auth": auth,
        "region_name": region,
        "cacert": str(ca_file),
        "identity_api_version": 3,
        "interface": "public",
    }


def _spliced(text: str, entries: dict[str, object]) -> str | None:
    """Line surgery below a `clouds:` in block style; None: there is none."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    clouds = _value(root, "clouds")
    if root is None or (clouds is None and isinstance(root, yaml.MappingNode) and not root.flow_style):
        return _ended(text) + _dump({"clouds": entries})
    if not isinstance(clouds, yaml.MappingNode) or clouds.flow_style or not clouds.value:
        return None
    spans = [(key.value in entries, key.start_mark.line, _last_line(value) + 1) for key, value in clouds.value]
    removed = {line for replaced, start, end in spans if replaced for line in range(start, end)}
    at = max((end for replaced, _, end in spans if not replaced), default=spans[0][1])
    indent = " " * clouds.value[0][0].start_mark.column
    block = [f"{indent}{line}" for line in _dump(entries).splitlines(keepends=True)]
    lines = _ended(text).splitlines(keepends=True)
    before = [line for number, line in enumerate(lines[:at]) if number not in removed]
    after = [line for number, line in enumerate(lines[at:], at) if number not in removed]
    return "".join((*before, *block, *after))


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"


def _parsed(text: str | None) -> Any:
    try:
        return None if text is None else yaml.safe_load(text)
    except yaml.YAMLError:
        return None


def _value(node: yaml.Node | None, name: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for key, value in node.value if key.value == name), None)


def _last_line(node: yaml.Node) -> int:
    """The last line that a node has content on."""
    if isinstance(node, yaml.MappingNode | yaml.SequenceNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _last_line(last[1] if isinstance(last, tuple) else last)
    end = node.end_mark
    return int(end.line - 1 if end.column == 0 and end.line > node.start_mark.line else end.line)


def _dump(content: dict[str, Any]) -> str:
    return str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
