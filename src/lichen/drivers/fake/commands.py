# SPDX-License-Identifier: Apache-2.0
"""The commands of the simulated shell."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lichen.drivers.fake.shell import Shell


@dataclass(frozen=True, slots=True)
class Io:
    """Where a command writes and reads. stdin: chunks, None at its end; absent: empty."""

    write: Callable[[bytes], object]
    error: Callable[[bytes], object]
    stdin: asyncio.Queue[bytes | None] | None = None
    tty: bool = False

    async def chunks(self) -> AsyncIterator[bytes]:
        while self.stdin is not None and (chunk := await self.stdin.get()) is not None:
            yield chunk

    async def lines(self) -> AsyncIterator[bytes]:
        rest = b""
        async for chunk in self.chunks():
            *whole, rest = (rest + chunk.replace(b"\r", b"\n")).split(b"\n")
            for line in whole:
                yield line + b"\n"
        if rest:
            yield rest

    def fed(self, data: bytes, write: Callable[[bytes], object]) -> Io:
        """The same, reading `data`."""
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        queue.put_nowait(data)
        queue.put_nowait(None)
        return Io(write, self.error, queue)


async def _echo(shell: Shell, args: tuple[str, ...], io: Io) -> int:
    end = "" if args[:1] == ("-n",) else "\n"
    io.write((" ".join(args[1:] if args[:1] in (("-n",), ("-e",)) else args) + end).encode())
    return 0


async def _printf(shell: Shell, args: tuple[str, ...], io: Io) -> int:
    text = (args[0] if args else "").replace("\\n", "\n").replace("\\t", "\t")
    for arg in args[1:]:
        text = text.replace("%s", arg, 1).replace("%d", arg, 1)
    io.write(text.encode())
    return 0


async def _hostname(shell: Shell, args: tuple[str, ...], io: Io) -> int:
    io.write(f"{shell.hostname}\n".encode())
    return 0


async def _cat(shell: Shell, args: tuple[str, ...], io: Io) -> int:
    if not args or args == ("-",):
        async for chunk in io.chunks():
            io.write(chunk)
        return 0
    code = 0
    for path in args:
        found = shell.read(path)
        if found is None:
            io.error(f"cat: can't open '{path}': No such file or directory\n".encode())
            code = 1
        else:
            io.write(found)
    return code


async def _sleep(shell: Shell, args: tuple[str, ...], io: Io) -> int:
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    for arg in args:
        if arg in ("infinity", "inf"):
            await _forever(shell, args, io)
        try:
            await shell.clock.sleep(float(arg.rstrip("smhd")) * units.get(arg[-1], 1))
        except ValueError:
            io.error(f"sleep: invalid number '{arg}'\n".encode())
            return 1
    return 0


async def _env(shell: Shell, args: tuple[str, ...], io: Io) -> int:
    if args:
        value = shell.env.get(args[0])
        io.write(f"{value}\n".encode() if value is not None else b"")
        return 0 if value is not None else 1
    io.write("".join(f"{key}={value}\n" for key, value in shell.env.items()).encode())
    return 0


async def _date(shell: Shell, args: tuple[str, ...], io: Io) -> int:
    now = datetime.fromtimestamp(shell.clock.now(), UTC)
    form = next((arg[1:] for arg in args if arg.startswith("+")), "%a %b %d %H:%M:%S UTC %Y")
    io.write(f"{now.strftime(form.replace('%s', str(int(shell.clock.now()))))}\n".encode())
    return 0


async def _test(shell: Shell, args: tuple[str, ...], io: Io) -> int:
    words = args[:-1] if args[-1:] == ("]",) else args
    match words:
        case ("-f" | "-e" | "-s" | "-r", path):
            return 0 if shell.read(path) is not None or _exists(shell, path) else 1
        case ("-d", path):
            real = shell.path(path)
            return 0 if path == "/" or (real is not None and real.is_dir()) else 1
        case ("-n", text):
            return 0 if text else 1
        case ("-z", text):
            return 1 if text else 0
        case (left, "=" | "==", right):
            return 0 if left == right else 1
        case (left, "!=", right):
            return 0 if left != right else 1
        case ("!", *rest):
            return 0 if await _test(shell, tuple(rest), io) else 1
        case (text,):
            return 0 if text else 1
    return 2


async def _ls(shell: Shell, args: tuple[str, ...], io: Io) -> int:
    for path in [arg for arg in args if not arg.startswith("-")] or [shell.cwd]:
        real = shell.path(path)
        if real is None or not real.exists():
            io.error(f"ls: {path}: No such file or directory\n".encode())
            return 1
        names = sorted(p.name for p in real.iterdir() if not p.name.startswith(".")) if real.is_dir() else [path]
        io.write("".join(f"{name}\n" for name in names).encode())
    return 0


async def _touch(shell: Shell, args: tuple[str, ...], io: Io) -> int:
    for path in args:
        real = shell.path(path)
        if real is None or shell.read_only(path):
            io.error(f"touch: {path}: Read-only file system\n".encode())
            return 1
        real.touch()
    return 0


async def _rm(shell: Shell, args: tuple[str, ...], io: Io) -> int:
    for path in [arg for arg in args if not arg.startswith("-")]:
        real = shell.path(path)
        if real is not None and real.is_file() and not shell.read_only(path):
            real.unlink()
        elif "-f" not in args:
            io.error(f"rm: can't remove '{path}': No such file or directory\n".encode())
            return 1
    return 0


async def _forever(shell: Shell, args: tuple[str, ...], io: Io) -> int:
    """A server: it runs until it is stopped."""
    await asyncio.Event().wait()
    return 0


def _says(text: str) -> Callable[[Shell, tuple[str, ...], Io], Awaitable[int]]:
    async def say(shell: Shell, args: tuple[str, ...], io: Io) -> int:
        io.write(text.encode())
        return 0

    return say


def _gives(code: int) -> Callable[[Shell, tuple[str, ...], Io], Awaitable[int]]:
    async def give(shell: Shell, args: tuple[str, ...], io: Io) -> int:
        return code

    return give


async def _pwd(shell: Shell, args: tuple[str, ...], io: Io) -> int:
    io.write(f"{shell.cwd}\n".encode())
    return 0


def _exists(shell: Shell, path: str) -> bool:
    real = shell.path(path)
    return real is not None and real.exists()


COMMANDS: dict[str, Callable[[Shell, tuple[str, ...], Io], Awaitable[int]]] = {
    "echo": _echo, "printf": _printf, "hostname": _hostname, "cat": _cat, "sleep": _sleep, "env": _env,
    "printenv": _env, "date": _date, "test": _test, "[": _test, "ls": _ls, "touch": _touch, "rm": _rm, "pwd": _pwd,
    "true": _gives(0), ":": _gives(0), "false": _gives(1), "trap": _gives(0), "set": _gives(0), "sync": _gives(0),
    "mkdir": _gives(0), "whoami": _says("root\n"), "id": _says("uid=0(root) gid=0(root)\n"),
    "uname": _says("Linux\n"), "tail": _forever, "httpd": _forever, "nginx": _forever, "nc": _forever,
    "wait": _gives(0), "pause": _forever, "tty": _says("/dev/pts/0\n"),
}  # fmt: skip
