# SPDX-License-Identifier: Apache-2.0
"""`lichen console SERVER`: talk to a server on its serial console, in this terminal."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import termios
import tty
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from lichen.cli.access import require_local
from lichen.cli.explain import list_all, the_one
from lichen.cli.output import CommandError
from lichen.cli.owner import as_owner
from lichen.client.channels import Channels
from lichen.client.local import LocalCloud
from lichen.client.paths import object_path
from lichen.kinds.compute.server import Server
from lichen.model.errors import ApiError
from lichen.model.meta import name_of, namespace_of

LEAVE = b"\x1d"
"""Ctrl-]: no guest needs it."""
CHUNK = 4096
MOST = 1 << 16


def console(arguments: argparse.Namespace) -> int:
    cloud = require_local(arguments)
    try:
        asyncio.run(_console(cloud, arguments.server, arguments.namespace))
    except PermissionError:
        raise CommandError("only the cloud's owner may do that: run it with sudo") from None
    except (ApiError, OSError) as error:
        raise CommandError(str(error)) from None
    return 0


async def _console(cloud: LocalCloud, name: str, namespace: str) -> None:
    async with as_owner(cloud) as remote:
        found = await list_all(remote.state, Server.KIND, namespace or None)
        server = the_one(found, Server.KIND, name, namespace)
        path = object_path(Server.KIND, name_of(server), namespace_of(server), "attach")
        async with remote.attach(path) as channels:
            with _raw_terminal():
                print(
                    f"Console of {name}: Enter for a prompt, Ctrl-] to leave.", end="\r\n", file=sys.stderr, flush=True
                )
                await _talk(channels)
            print("\nThe console is closed.", file=sys.stderr)


async def _talk(channels: Channels) -> None:
    """Until the server is off or the user leaves. A pipe's end is no reason to leave: the answer is yet to come."""
    tasks = [asyncio.create_task(_show(channels)), asyncio.create_task(_type(channels))]
    done, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    for task in done:
        task.result()


async def _show(channels: Channels) -> None:
    async for said in channels:
        sys.stdout.buffer.write(said)
        sys.stdout.buffer.flush()


async def _type(channels: Channels) -> None:
    async for keys in _keys(sys.stdin.fileno()):
        before, leave, _ = keys.partition(LEAVE)
        if before:
            await channels.type(before)
        if leave:
            return
    await asyncio.Event().wait()


async def _keys(descriptor: int) -> AsyncIterator[bytes]:
    """What can be read, until its end. A file, unlike a terminal or a pipe, never makes anybody wait."""
    loop, read = asyncio.get_running_loop(), asyncio.Queue[bytes]()
    try:
        loop.add_reader(descriptor, lambda: read.put_nowait(os.read(descriptor, CHUNK)))
    except PermissionError:
        yield os.read(descriptor, MOST)
        return
    try:
        while keys := await read.get():
            yield keys
    finally:
        loop.remove_reader(descriptor)


@contextmanager
def _raw_terminal() -> Iterator[None]:
    """Every key goes to the guest, which echoes what it likes."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setraw(sys.stdin)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
