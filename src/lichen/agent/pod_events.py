# SPDX-License-Identifier: Apache-2.0
"""What a node tells of its pods, in the words that kubectl's users know."""

from __future__ import annotations

from lichen.model.data import Object
from lichen.model.meta import name_of
from lichen.planning.pod_restart import container_specs
from lichen.planning.pod_storage import EVICTED
from lichen.runtime.events import Recorder

_SANDBOX = "FailedCreatePodSandBox"
_MOUNT = "FailedMount: "


class PodEvents:
    """Each method records one event about a pod."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def pulled(self, pod: Object, container: Object) -> None:
        self._recorder.note(pod, "Pulled", f'Container image "{container.get("image", "")}" is present on the machine')

    def started(self, pod: Object, container: str) -> None:
        self._recorder.note(pod, "Created", f"Created container: {container}")
        self._recorder.note(pod, "Started", f"Started container {container}")

    def stopping(self, pod: Object, container: str, why: str) -> None:
        """why: "" when the pod ends."""
        said = f"Container {container} {why}, will be restarted" if why else f"Stopping container {container}"
        self._recorder.note(pod, "Killing", said)

    def unhealthy(self, pod: Object, container: str, probe: str, words: str) -> None:
        """probe: Startup, Readiness or Liveness."""
        said = f"{probe} probe failed: {words}"
        self._recorder.note(pod, "Unhealthy", said, warning=True, story=f"{container} {probe}")

    def hook_failed(self, pod: Object, container: str, hook: str, words: str) -> None:
        """hook: PostStart or PreStop."""
        said = f"{hook} hook of container {container} failed: {words}"
        self._recorder.note(pod, f"Failed{hook}Hook", said, warning=True, story=container)

    def failed(self, pod: Object, container: str, reason: str, message: str) -> None:
        """container: "" for the sandbox."""
        if reason == "ErrImagePull":
            said = f'Failed to pull image "{_image(pod, container)}": {message}'
            self._recorder.note(pod, "Failed", said, warning=True, story=f"{container} image")
        elif container:
            self._recorder.note(
                pod, "Failed", f"Error: {reason}: {container}: {message}", warning=True, story=container
            )
        else:
            self._recorder.note(pod, _SANDBOX, f"Failed to create pod sandbox: {message}", warning=True, story="")

    def outdated(self, pod: Object, volume: str, why: str) -> None:
        """A volume of running containers that cannot follow what it is made of."""
        said = f'MountVolume.SetUp failed for volume "{volume}": {why}'
        self._recorder.note(pod, "FailedMount", said, warning=True, story=f"volume {volume}")

    def reported(self, pod: Object, status: Object) -> None:
        """Of a report, what a person should hear of: an eviction, a container held back, a volume that is not there."""
        if status.get("reason") == EVICTED:
            self._recorder.note(pod, EVICTED, status["message"], warning=True)
        before = _waiting(pod.get("status") or {})
        for name, waiting in _waiting(status).items():
            reason, held = waiting.get("reason"), before.get(name) or {}
            if reason == "CrashLoopBackOff" != held.get("reason"):
                said = f"Back-off restarting failed container {name} in pod {name_of(pod)}"
                self._recorder.note(pod, "BackOff", said, warning=True)
            message = waiting.get("message", "")
            if message.startswith(_MOUNT) and message != held.get("message"):
                self._recorder.note(pod, "FailedMount", message.removeprefix(_MOUNT), warning=True, story="")


def _image(pod: Object, container: str) -> str:
    return next((str(spec.get("image", "")) for spec in container_specs(pod) if spec["name"] == container), "")


def _waiting(status: Object) -> dict[str, Object]:
    """How containers wait that do, by their names."""
    held = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    return {c["name"]: (c.get("state") or {}).get("waiting") or {} for c in held}
