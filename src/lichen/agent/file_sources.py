# SPDX-License-Identifier: Apache-2.0
"""The files of configMap, secret, downwardAPI and projected volumes: from what they are made of to content. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from lichen.agent.atomic_files import File
from lichen.agent.pod_spec import Find, field_value, pairs_of, resource_value
from lichen.agent.references import token_key
from lichen.model.data import Object
from lichen.model.errors import Permanent
from lichen.planning.volume_files import WITH_FILES

MOUNT_ERROR = "FailedMount"
Tokens = Mapping[str, str]
_Found = dict[str, tuple[bytes, int | None]]
"""Content and the mode that a file is given by itself, by path."""


def files_of(pod: Object, volume: Object, find: Find, tokens: Tokens) -> dict[str, File]:
    """By their paths in the volume. tokens: by `token_key`. Permanent (FailedMount): what it is made of is missing, or
    a path leads out of it."""
    sources = volume["projected"].get("sources") or [] if "projected" in volume else [volume]
    found: _Found = {}
    for source in sources:
        found |= _source_files(pod, source, find, tokens)
    mode = _default_mode(volume)
    files = {_checked(path): File(content, mode if own is None else own) for path, (content, own) in found.items()}
    for path in files:
        if any(str(above) in files for above in PurePosixPath(path).parents):
            raise Permanent(MOUNT_ERROR, f"path {path!r} is inside of what is a file")
    return files


def _checked(path: str) -> str:
    parts = PurePosixPath(path).parts
    if path.startswith("/") or ".." in parts or not parts:
        raise Permanent(MOUNT_ERROR, f"path {path!r} must be relative and stay inside its volume")
    if parts[0].startswith(".."):
        raise Permanent(MOUNT_ERROR, f"path {path!r} must not begin with '..'")
    return str(PurePosixPath(path))


def _source_files(pod: Object, source: Object, find: Find, tokens: Tokens) -> _Found:
    for key, kind in (("configMap", "ConfigMap"), ("secret", "Secret")):
        if key in source:
            return _content(source[key], kind, find)
    if "downwardAPI" in source:
        return {item["path"]: (_downward(pod, item), item.get("mode")) for item in source["downwardAPI"]["items"]}
    if "serviceAccountToken" in source:
        projection = source["serviceAccountToken"]
        return {projection["path"]: (tokens[token_key(projection)].encode(), None)}
    raise Permanent(MOUNT_ERROR, f"volume source {', '.join(source)} is not supported yet")


def _content(source: Object, kind: str, find: Find) -> _Found:
    name = source.get("secretName") or source.get("name") or ""
    found = find(kind, name)
    if found is None:
        if source.get("optional"):
            return {}
        raise Permanent(MOUNT_ERROR, f'{kind.lower()} "{name}" not found')
    pairs = pairs_of(found)
    if not source.get("items"):
        return {key: (value, None) for key, value in pairs.items()}
    missing = [item["key"] for item in source["items"] if item["key"] not in pairs]
    if missing and not source.get("optional"):
        raise Permanent(MOUNT_ERROR, f'{kind.lower()} "{name}" references non-existent config key: {missing[0]}')
    return {item["path"]: (pairs[item["key"]], item.get("mode")) for item in source["items"] if item["key"] in pairs}


def _downward(pod: Object, item: Object) -> bytes:
    if "fieldRef" in item:
        value = field_value(pod, item["fieldRef"]["fieldPath"])
    else:
        value = resource_value(pod, {}, item["resourceFieldRef"])
    if value is None:
        raise Permanent(MOUNT_ERROR, f"fieldPath {item['fieldRef']['fieldPath']} is not offered to volumes")
    return value.encode()


def _default_mode(volume: Object) -> int:
    for key in WITH_FILES:
        if key in volume:
            mode = (volume[key] or {}).get("defaultMode")
            return int(mode) if mode is not None else 0o644
    return 0o644
