# SPDX-License-Identifier: Apache-2.0
"""Where pods of processes lie on the disk, and what can be read there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lichen.drivers.base import ContainerPhase, ContainerState, PodSpec, PodState
from lichen.drivers.process.orders import read_ended, read_started

LOST = 137  # the exit code of a process whose host was killed: it is killed with it


@cache
def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@dataclass(frozen=True, slots=True)
class Places:
    """`pods/<uid>/pod.json`, `pods/<uid>/containers/<name>/<attempt>/…` and `logs/<uid>/<name>/<attempt>.log`."""

    root: Path

    def pod(self, uid: str) -> Path:
        return self.root / "pods" / uid

    def container(self, uid: str, name: str) -> Path:
        return self.pod(uid) / "containers" / name

    def attempt(self, uid: str, name: str, attempt: int) -> Path:
        return self.container(uid, name) / str(attempt)

    def log(self, uid: str, name: str, attempt: int) -> Path:
        return self.root / "logs" / uid / name / f"{attempt}.log"

    def logs(self, uid: str) -> Path:
        return self.root / "logs" / uid

    def uids(self) -> list[str]:
        return sorted(path.parent.name for path in self.root.glob("pods/*/pod.json"))

    def names(self, uid: str) -> list[str]:
        return sorted(path.name for path in (self.pod(uid) / "containers").glob("*"))

    def attempts(self, uid: str, name: str) -> list[int]:
        """Numbers of the attempts on record, the newest last."""
        return sorted(int(path.parent.name) for path in self.container(uid, name).glob("*/image"))

    def write_pod(self, pod: PodSpec) -> None:
        path = self.pod(pod.uid) / "pod.json"
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = path.with_suffix(".new")
        new.write_text(json.dumps({"namespace": pod.namespace, "name": pod.name, "boot": boot_id()}))
        new.rename(path)

    def read_pod(self, uid: str, address: str) -> PodState | None:
        """A pod as it is now; None if there is none. It is not ready once the machine has booted anew, or the host of
        its processes has ended: that was no failure of theirs."""
        try:
            record = json.loads((self.pod(uid) / "pod.json").read_text())
        except OSError:
            return None
        names = [name for name in self.names(uid) if self.attempts(uid, name)]
        ready = record["boot"] == boot_id() and all(self._has_host(uid, name) for name in names)
        return PodState(
            uid=uid,
            namespace=record["namespace"],
            name=record["name"],
            ready=ready,
            sandbox_id=uid,
            ips=(address,) if ready and address else (),
            containers=tuple(self.read_container(uid, name) for name in names),
        )

    def _has_host(self, uid: str, name: str) -> bool:
        started = read_started(self.attempt(uid, name, self.attempts(uid, name)[-1]))
        return started is None or started.host.alive() or started.process.alive()

    def read_container(self, uid: str, name: str) -> ContainerState:
        """Its newest attempt."""
        attempt = self.attempts(uid, name)[-1]
        folder = self.attempt(uid, name, attempt)
        image = (folder / "image").read_text()
        started = read_started(folder)
        # In this order: what is gone has been recorded before.
        running = started is not None and (started.host.alive() or started.process.alive())
        ended = read_ended(folder)
        phase = ContainerPhase.RUNNING if running and ended is None else ContainerPhase.EXITED
        return ContainerState(
            id=f"{uid}/{name}/{attempt}",
            name=name,
            attempt=attempt,
            phase=phase,
            image=image,
            image_id=image,
            created_at=(folder / "image").stat().st_mtime,
            started_at=started.at if started else 0.0,
            finished_at=ended.at if ended else (folder.stat().st_mtime if phase is ContainerPhase.EXITED else 0.0),
            exit_code=ended.code if ended else (LOST if phase is ContainerPhase.EXITED else 0),
            reason=_reason(phase, ended.code if ended else LOST, bool(ended and ended.reason)),
            message=ended.reason if ended else "",
        )


def _reason(phase: ContainerPhase, code: int, failed_to_start: bool) -> str:
    if phase is not ContainerPhase.EXITED:
        return ""
    return "StartError" if failed_to_start else ("Completed" if code == 0 else "Error")
