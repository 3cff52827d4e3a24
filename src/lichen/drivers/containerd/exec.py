# SPDX-License-Identifier: Apache-2.0
"""Commands in running containers, by containerd's task service: three named pipes and a process in the container.

CRI's own way (a streaming server that speaks SPDY) cannot close stdin over websockets; this one can.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

from lichen.drivers.base import Exec
from lichen.drivers.containerd import cri_pb2 as pb
from lichen.drivers.containerd import rpc
from lichen.drivers.pipes import END_OF_INPUT, PipeReader, PipeWriter, merged
from lichen.model.errors import Permanent, Temporary

_PROCESS = "types.containerd.io/opencontainers/runtime-spec/1/Process"
_DRAIN = 1.0  # seconds that output may outlive its command: a child in the background may hold the pipes


async def start_exec(
    client: rpc.Client, folder: Path, container_id: str, command: tuple[str, ...], *, tty: bool, stdin: bool
) -> Exec:
    """Run a command with the container's environment, user and limits. folder: where the pipes may be made."""
    session = _Session(client, folder, container_id, secrets.token_hex(8))
    try:
        await session.start(command, tty=tty, stdin=stdin)
    except BaseException:
        session.release()
        raise
    return Exec(session.write, session.output(), session.resize, session.wait, session.kill, session.room)


async def process_of(client: rpc.Client, container_id: str) -> dict[str, Any]:
    """The container's first process as its OCI specification says it."""
    answer = await client.call(rpc.GET_CONTAINER, pb.GetContainerRequest(id=container_id))
    process: dict[str, Any] = json.loads(answer.container.spec.value)["process"]
    return process


async def end_strays(client: rpc.Client, folder: Path) -> None:
    """End the commands of an agent that was killed: nobody reads what they say."""
    for pipes in folder.glob("*.*"):
        container_id, _, exec_id = pipes.name.partition(".")
        with contextlib.suppress(Temporary):
            killed = pb.KillRequest(container_id=container_id, exec_id=exec_id, signal=signal.SIGKILL)
            await client.call(rpc.KILL_PROCESS, killed)
            process = pb.ProcessRequest(container_id=container_id, exec_id=exec_id)
            await client.call(rpc.WAIT_PROCESS, process)
            await client.call(rpc.DELETE_PROCESS, process)
        await asyncio.to_thread(shutil.rmtree, pipes, ignore_errors=True)


class _Session:
    def __init__(self, client: rpc.Client, folder: Path, container_id: str, exec_id: str) -> None:
        self._client = client
        self._folder = folder / f"{container_id}.{exec_id}"
        self._ids = {"container_id": container_id, "exec_id": exec_id}
        self._readers: list[tuple[int, PipeReader]] = []
        self._stdin: PipeWriter | None = None
        self._ended: asyncio.Task[int] | None = None
        self._later: set[asyncio.Task[None]] = set()
        self._input_closed = False

    async def start(self, command: tuple[str, ...], *, tty: bool, stdin: bool) -> None:
        process = await process_of(self._client, self._ids["container_id"])
        process |= {"args": list(command), "terminal": tty}
        if tty:
            process["env"] = [*(e for e in process.get("env", ()) if not e.startswith("TERM=")), "TERM=xterm"]
        paths = self._make_pipes(tty=tty, stdin=stdin)
        spec = pb.Any(type_url=_PROCESS, value=json.dumps(process).encode())
        await self._client.call(rpc.EXEC, pb.ExecProcessRequest(terminal=tty, spec=spec, **self._ids, **paths))
        try:
            await self._client.call(rpc.START_PROCESS, self._process())
        except rpc.Refused as error:
            await self._delete()
            raise Permanent("CannotExec", f"{command[0]} cannot be run: {error.message}") from error
        self._ended = asyncio.create_task(self._run(), name=f"exec {command[0]}")

    def _make_pipes(self, *, tty: bool, stdin: bool) -> dict[str, str]:
        self._folder.mkdir(mode=0o700)
        paths = {"stdout": str(self._folder / "1")}
        if not tty:
            paths["stderr"] = str(self._folder / "2")
        for number, name in ((1, "stdout"), (2, "stderr")):
            if name in paths:
                os.mkfifo(paths[name], 0o600)
                descriptor = os.open(paths[name], os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
                self._readers.append((number, PipeReader(descriptor)))
        if stdin:
            paths["stdin"] = str(self._folder / "0")
            os.mkfifo(paths["stdin"], 0o600)
            # Open for both: a pipe opened so never waits for the other side, nor breaks without it.
            self._stdin = PipeWriter(os.open(paths["stdin"], os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))
        return paths

    async def _run(self) -> int:
        """The command's life: its exit code, once its output has been read."""
        try:
            code = (await self._client.call(rpc.WAIT_PROCESS, self._process(), timeout=None)).exit_status
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_DRAIN):
                    for _, reader in self._readers:
                        await reader.ended.wait()
            await self._delete()
            return int(code)
        finally:
            self.release()

    async def _delete(self) -> None:
        with contextlib.suppress(Temporary):
            await self._client.call(rpc.DELETE_PROCESS, self._process())

    def release(self) -> None:
        """Close the pipes and take them off the disk; what was read can still be had from `output`."""
        for _, reader in self._readers:
            reader.close()
        if self._stdin is not None:
            self._stdin.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def write(self, data: bytes | None) -> None:
        if self._stdin is None or self._input_closed:
            return
        if data is not None:
            self._stdin.write(data)
            return
        self._input_closed = True
        if len(self._readers) == 1:
            self._stdin.write(END_OF_INPUT)
            return
        self._soon(self._close_input(self._stdin))

    async def _close_input(self, pipe: PipeWriter) -> None:
        """The shim holds the pipe open too: both ends have to be let go before the command reads its end."""
        await pipe.drained()
        await self._client.call(rpc.CLOSE_IO, pb.CloseIORequest(stdin=True, **self._ids))
        pipe.close()

    async def room(self) -> None:
        if self._stdin is not None:
            await self._stdin.room()

    def resize(self, columns: int, rows: int) -> None:
        size = pb.ResizePtyRequest(width=columns, height=rows, **self._ids)
        self._soon(self._client.call(rpc.RESIZE, size))

    def kill(self) -> None:
        self._soon(self._client.call(rpc.KILL_PROCESS, pb.KillRequest(signal=signal.SIGKILL, all=False, **self._ids)))

    async def wait(self) -> int:
        assert self._ended is not None
        return await asyncio.shield(self._ended)

    def output(self) -> AsyncIterator[tuple[int, bytes]]:
        return merged(self._readers)

    def _process(self) -> pb.ProcessRequest:
        return pb.ProcessRequest(**self._ids)

    def _soon(self, call: Coroutine[Any, Any, Any]) -> None:
        """Do it without waiting; a command that has ended meanwhile refuses, which is no fault."""

        async def quietly() -> None:
            with contextlib.suppress(Temporary):
                await call

        task = asyncio.create_task(quietly())
        self._later.add(task)
        done: Callable[[asyncio.Task[None]], None] = self._later.discard
        task.add_done_callback(done)
