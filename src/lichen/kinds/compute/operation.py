# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from lichen.model.data import Data, field
from lichen.model.kind import Resource, kind


@kind("operations", group="compute", short=("op",))
class Operation(Resource):
    """One thing that was asked of a server, and what became of it: its history, in either language. Written by
    admission when a server's intent changes; it goes with the server."""

    class Spec(Data):
        id: str = field("Request's id, as instance actions show it.", default="", selectable=True)
        server: str = field("Server, by name.", to="Server", column="Server", selectable=True)
        server_id: str = field("Server's id.", default="", selectable=True)
        type: str = field(
            "start, stop, reboot, pause, unpause, suspend, resume, shelve, unshelve, rescue, unrescue, rebuild, "
            "resize, confirmResize, revertResize, lock, unlock, attach_interface, detach_interface.",
            column="Type",
        )
        user_id: str = field("User who asked.", default="")
        project_id: str = field("Project of the asking token.", default="")
        generation: int = field("The server's generation that carries the intent.", default=0)
        message: str = field("Details.", default="")

    class Status(Data):
        phase: str = field("Running, Succeeded or Failed.", default="Running", column="Status")
        finished_at: str = field("When it ended, RFC 3339.", default="")
        message: str = field("Why it failed, in words.", default="")

    spec: Spec = field("What was asked.")
    status: Status = field("What became of it.", default_factory=Status)
