# SPDX-License-Identifier: Apache-2.0
"""A pod's volumes as directories of its node: emptyDir, configMap, secret, downwardAPI, projected; hostPath for
Lichen's own pods. Files with content are replaced whole."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from lichen.agent.ownership import belongs_to, give_to
from lichen.agent.pod_spec import Find, expanded_path, field_value, pairs_of, resource_value
from lichen.agent.references import token_key
from lichen.drivers.base import Mount
from lichen.model.data import Object
from lichen.model.errors import Permanent, Temporary
from lichen.model.meta import namespace_of, uid_of
from lichen.model.names import SYSTEM_NAMESPACE

Claims = Mapping[str, Path]
"""Where claims are mounted, by name."""
MOUNT_ERROR = "FailedMount"
Tokens = Mapping[str, str]
_NONE: Tokens = {}
_OWN = ("emptyDir", "configMap", "secret", "downwardAPI", "projected")


class Volumes:
    """Volumes below `root`, one directory a pod."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._shared: set[tuple[str, str]] = set()
        """Volumes, by their pods' uids, whose content is their pod's group's already."""

    async def mounts(
        self,
        pod: Object,
        container: Object,
        find: Find,
        tokens: Tokens = _NONE,
        claims: Claims | None = None,
        env: Mapping[str, str] | None = None,
    ) -> list[Mount]:
        """Make what the container mounts. tokens: by `token_key`, for serviceAccountToken projections; claims: where
        they are mounted; env: its variables, of which `subPathExpr` may speak. Permanent (FailedMount)."""
        return await asyncio.to_thread(self._mounts, pod, container, find, tokens, claims or {}, env or {})

    async def remove(self, pod_uid: str) -> None:
        self._shared = {known for known in self._shared if known[0] != pod_uid}
        await asyncio.to_thread(shutil.rmtree, self._root / pod_uid, True)

    async def known(self) -> list[str]:
        """Uids of the pods that have volumes here."""
        return await asyncio.to_thread(
            lambda: [path.name for path in self._root.iterdir()] if self._root.is_dir() else []
        )

    def _mounts(
        self, pod: Object, container: Object, find: Find, tokens: Tokens, claims: Claims, env: Mapping[str, str]
    ) -> list[Mount]:
        volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes") or []}
        mounts = []
        for mount in container.get("volumeMounts") or []:
            volume = volumes.get(mount["name"])
            if volume is None:
                raise Permanent(MOUNT_ERROR, f"volume {mount['name']} is not declared")
            claim = volume.get("persistentVolumeClaim")
            source = _claimed(claim, claims) if claim else self._make(pod, volume, find, tokens)
            place = mount.get("subPath") or expanded_path(mount.get("subPathExpr") or "", env)
            if place:
                _sub_path(source, place)
            writable = "emptyDir" in volume or "hostPath" in volume or bool(claim and not claim.get("readOnly"))
            if "hostPath" not in volume:
                self._share(pod, volume, source, writable=writable)
            read_only = bool(mount.get("readOnly")) or not writable
            mounts.append(Mount(str(source), mount["mountPath"], read_only, place))
        return mounts

    def _share(self, pod: Object, volume: Object, source: Path, *, writable: bool) -> None:
        """Hand the volume to the pod's `fsGroup`. What is written afresh for each container is, each time."""
        security = pod["spec"].get("securityContext") or {}
        group, key = security.get("fsGroup"), (uid_of(pod), str(volume["name"]))
        if group is None or os.geteuid() != 0:  # who is not root simulates containers, which are all of its own user
            return
        if key in self._shared or (not writable and "persistentVolumeClaim" in volume):
            return
        enough = writable and security.get("fsGroupChangePolicy") == "OnRootMismatch"
        if not (enough and belongs_to(source, group)):
            give_to(source, group, writable=writable)
        if writable:
            self._shared.add(key)

    def _make(self, pod: Object, volume: Object, find: Find, tokens: Tokens) -> Path:
        if "hostPath" in volume:
            return _host_path(pod, volume["hostPath"])
        if not any(source in volume for source in _OWN):
            kinds = ", ".join(key for key in volume if key != "name")
            raise Permanent(MOUNT_ERROR, f"volume {volume['name']}: {kinds or 'an empty source'} is not supported yet")
        path = self._root / uid_of(pod) / str(volume["name"])
        path.mkdir(parents=True, exist_ok=True)
        if "emptyDir" in volume:
            path.chmod(stat.S_IMODE(path.stat().st_mode) | 0o777)  # and still its group's, if it was given to one
            return path
        files = _files(pod, volume, find, tokens)
        if tokens:
            path.parent.chmod(0o700)  # a token is for the pod, which does not come by this way, and for nobody else
        mode = _default_mode(volume)
        for name, (content, own_mode) in files.items():
            _write(path, name, content, own_mode if own_mode is not None else mode)
        return path


def _claimed(claim: Object, claims: Claims) -> Path:
    """Temporary: it is not mounted on this node."""
    if claim["claimName"] not in claims:
        raise Temporary(f"persistentvolumeclaim {claim['claimName']} is not mounted on this node yet", delay=1.0)
    return claims[claim["claimName"]]


def _files(pod: Object, volume: Object, find: Find, tokens: Tokens) -> dict[str, tuple[bytes, int | None]]:
    if "projected" in volume:
        files: dict[str, tuple[bytes, int | None]] = {}
        for source in volume["projected"].get("sources") or []:
            files |= _source_files(pod, source, find, tokens)
        return files
    return _source_files(pod, volume, find, tokens)


def _source_files(pod: Object, source: Object, find: Find, tokens: Tokens) -> dict[str, tuple[bytes, int | None]]:
    for key, kind in (("configMap", "ConfigMap"), ("secret", "Secret")):
        if key in source:
            return _content(source[key], kind, find)
    if "downwardAPI" in source:
        return {item["path"]: (_downward(pod, item), item.get("mode")) for item in source["downwardAPI"]["items"]}
    if "serviceAccountToken" in source:
        projection = source["serviceAccountToken"]
        return {projection["path"]: (tokens[token_key(projection)].encode(), None)}
    raise Permanent(MOUNT_ERROR, f"volume source {', '.join(source)} is not supported yet")


def _content(source: Object, kind: str, find: Find) -> dict[str, tuple[bytes, int | None]]:
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
    for key in ("configMap", "secret", "downwardAPI", "projected"):
        if key in volume:
            mode = (volume[key] or {}).get("defaultMode")
            return int(mode) if mode is not None else 0o644
    return 0o644


def _write(root: Path, name: str, content: bytes, mode: int) -> None:
    path = _sub_path(root, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_bytes(content)
    temporary.chmod(mode)
    os.replace(temporary, path)


def _sub_path(root: Path, name: str) -> Path:
    relative = PurePosixPath(name)
    if relative.is_absolute() or ".." in relative.parts:
        raise Permanent(MOUNT_ERROR, f"path {name!r} must be relative and stay inside its volume")
    path = root / relative
    if not path.resolve().is_relative_to(root.resolve()):
        raise Permanent(MOUNT_ERROR, f"path {name!r} leads out of its volume")
    return path


def _host_path(pod: Object, source: Object) -> Path:
    """A directory of the host itself: for Lichen's own pods only, whatever admission let pass."""
    if namespace_of(pod) != SYSTEM_NAMESPACE:
        raise Permanent(MOUNT_ERROR, f"hostPath volumes are allowed in namespace {SYSTEM_NAMESPACE} only")
    path = Path(source["path"])
    if source.get("type") == "DirectoryOrCreate":
        path.mkdir(parents=True, exist_ok=True)
    if source.get("type") in ("Directory", "File") and not path.exists():
        raise Permanent(MOUNT_ERROR, f"hostPath {path} does not exist")
    return path
