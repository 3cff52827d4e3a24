# SPDX-License-Identifier: Apache-2.0
"""A pod's volumes as directories of its node: emptyDir, configMap, secret, downwardAPI, projected; hostPath for
Lichen's own pods."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from lichen.agent.atomic_files import write_files
from lichen.agent.file_sources import MOUNT_ERROR, Tokens, files_of
from lichen.agent.ownership import belongs_to, give_to
from lichen.agent.pod_spec import Find, expanded_path
from lichen.drivers.base import MemoryMounts, Mount
from lichen.model.data import Object
from lichen.model.errors import Permanent, Temporary
from lichen.model.meta import namespace_of, uid_of
from lichen.model.names import SYSTEM_NAMESPACE
from lichen.planning.pod_storage import is_in_memory, memory_size
from lichen.planning.volume_files import WITH_FILES

MACHINE_BYTES = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
Claims = Mapping[str, Path]
"""Where claims are mounted, by name."""
_NONE: Tokens = {}
_OWN = ("emptyDir", *WITH_FILES)


class Volumes:
    """Volumes below `root`, one directory a pod."""

    def __init__(self, root: Path, memory: MemoryMounts | None = None) -> None:
        """memory: what mounts emptyDirs of medium Memory; None: they are folders like others."""
        self._root = root
        self._memory = memory
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

    async def refill(self, pod: Object, volumes: Iterable[Object], find: Find, tokens: Tokens) -> dict[str, str]:
        """Have volumes that running containers mount hold what they are made of now; what could not be, by their names:
        those stay as they are. OSError."""
        return await asyncio.to_thread(self._refill, pod, volumes, find, tokens)

    def folder(self, pod_uid: str, name: str) -> Path:
        """Where a volume of the pod's own is, or would be."""
        return self._root / pod_uid / name

    async def remove(self, pod_uid: str) -> None:
        self._shared = {known for known in self._shared if known[0] != pod_uid}
        if self._memory is not None:
            await asyncio.to_thread(self._memory.unmount_memory, self._root / pod_uid)
        # shutil.rmtree ends at a thousand folders in folders, and whoever made them would keep them
        removing = await asyncio.create_subprocess_exec("rm", "-rf", "--", str(self._root / pod_uid))
        await removing.wait()

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
        path = self.folder(uid_of(pod), str(volume["name"]))
        path.mkdir(parents=True, exist_ok=True)
        if "emptyDir" in volume:
            if is_in_memory(volume) and self._memory is not None:
                self._memory.mount_memory(path, memory_size(pod, volume, MACHINE_BYTES))
            path.chmod(stat.S_IMODE(path.stat().st_mode) | 0o777)  # and still its group's, if it was given to one
            return path
        self._fill(pod, volume, path, find, tokens)
        return path

    def _fill(self, pod: Object, volume: Object, path: Path, find: Find, tokens: Tokens) -> None:
        files = files_of(pod, volume, find, tokens)
        if tokens:
            path.parent.chmod(0o700)  # a token is for the pod, which does not come by this way, and for nobody else
        write_files(path, files, lambda made: self._share(pod, volume, made, writable=False))

    def _refill(self, pod: Object, volumes: Iterable[Object], find: Find, tokens: Tokens) -> dict[str, str]:
        faults = {}
        for volume in volumes:
            try:
                self._fill(pod, volume, self.folder(uid_of(pod), str(volume["name"])), find, tokens)
            except Permanent as error:
                faults[str(volume["name"])] = error.message
        return faults


def _claimed(claim: Object, claims: Claims) -> Path:
    """Temporary: it is not mounted on this node."""
    if claim["claimName"] not in claims:
        raise Temporary(f"persistentvolumeclaim {claim['claimName']} is not mounted on this node yet", delay=1.0)
    return claims[claim["claimName"]]


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
