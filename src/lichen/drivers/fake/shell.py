# SPDX-License-Identifier: Apache-2.0
"""A simulated shell: runs the commands that tests and demos use, in simulated time, inside a simulated container.

What it does not know it says so about (`not found`, exit code 127), as a shell in a real container would.
"""

from __future__ import annotations

import asyncio
import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lichen.drivers.base import Mount
from lichen.drivers.fake.commands import COMMANDS, Io
from lichen.drivers.fake.grammar import Chain, For, If, Node, Pipe, ShellSyntaxError, Simple, While, parse
from lichen.drivers.fake.machine import Clock

_SHELLS = {"sh", "bash", "ash", "dash"}
_WORD = re.compile(r"""'(?P<single>[^']*)'|"(?P<double>(?:\\.|[^"\\])*)"|\\(?P<escaped>.)|(?P<plain>[^'"\\]+)""", re.S)
_VARIABLE = re.compile(
    r"\$(?:\((?P<command>[^()]*)\)|\{(?P<braced>\w+)(?::-(?P<default>[^}]*))?\}|(?P<name>\w+|[?$@#]))"
)


class Exit(Exception):
    """The script ends with this code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass(slots=True)
class Shell:
    """One process tree. `files`: paths that exist by being simulated; `mounts`: paths that are real."""

    clock: Clock
    hostname: str
    env: dict[str, str]
    mounts: tuple[Mount, ...] = ()
    files: Mapping[str, str] | None = None
    cwd: str = "/"
    last: int = 0
    arguments: tuple[str, ...] = ()

    async def run(self, argv: tuple[str, ...], io: Io) -> int:
        """Run a command to its end; its exit code."""
        try:
            return await self.command(argv, io)
        except Exit as exit:
            return exit.code

    async def command(self, argv: tuple[str, ...], io: Io) -> int:
        name = argv[0].rpartition("/")[2] if argv else "true"
        args = argv[1:]
        if name == "busybox" and args:
            return await self.command(args, io)
        if name in _SHELLS:
            return await self._shell(args, io)
        if name in ("exit", "return"):
            raise Exit(int(args[0]) if args and args[0].isdigit() else self.last)
        if name == "exec" and args:
            raise Exit(await self.command(args, io))
        if name == "export":
            self.env.update({key: value for key, sep, value in (arg.partition("=") for arg in args) if sep})
            return 0
        known = COMMANDS.get(name)
        if known is None:
            io.error(f"sh: {name}: not found\n".encode())
            return 127
        return await known(self, args, io)

    async def script(self, text: str, io: Io) -> int:
        try:
            tree = parse(text)
        except ShellSyntaxError as error:
            io.error(f"sh: {error}\n".encode())
            return 2
        return await self._run(tree, io)

    def path(self, path: str) -> Path | None:
        """The real file behind a path of the container, if a mount holds it. No path leads out of its mount: what is
        outside is the machine's own."""
        full, best = self._mount_of(path)
        if best is None:
            return None
        found = best.source / full[len(best.container_path.rstrip("/")) :].lstrip("/")
        return found if found.resolve().is_relative_to(best.source.resolve()) else None

    def read_only(self, path: str) -> bool:
        _, best = self._mount_of(path)
        return best is not None and best.read_only

    def _mount_of(self, path: str) -> tuple[str, Mount | None]:
        """The whole path, and the innermost mount that it is in."""
        full = "/" + posixpath.normpath(posixpath.join(self.cwd, path)).lstrip("/")
        held = [m for m in self.mounts if f"{full}/".startswith(m.container_path.rstrip("/") + "/")]
        return full, max(held, key=lambda m: len(m.container_path), default=None)

    async def _shell(self, args: tuple[str, ...], io: Io) -> int:
        flags = [arg for arg in args if arg.startswith("-")]
        rest = [arg for arg in args if not arg.startswith("-")]
        if any("c" in flag for flag in flags) and rest:
            self.arguments = tuple(rest[1:])
            try:
                return await self.script(rest[0], io)
            except Exit as exit:
                return exit.code
        return await self._interactive(io)

    async def _interactive(self, io: Io) -> int:
        """Each line of stdin is a script; a terminal sees a prompt and its own typing."""
        prompt = f"{self.cwd} # ".encode() if io.tty else b""
        try:
            io.write(prompt)
            async for line in io.lines():
                if io.tty:
                    io.write(line.rstrip(b"\r\n") + b"\r\n")
                self.last = await self.script(line.decode(errors="replace").strip("\r\n"), io)
                io.write(prompt)
        except Exit as exit:
            return exit.code
        return self.last

    async def _run(self, node: Node, io: Io) -> int:
        match node:
            case Simple():
                self.last = await self._simple(node, io)
            case Pipe():
                await self._pipe(node, io)
            case Chain():
                await self._chain(node, io)
            case While():
                while (await self._run(node.condition, io) == 0) is not node.until:
                    await self._run(node.body, io)
                    await asyncio.sleep(0)
            case If():
                if await self._run(node.condition, io) == 0:
                    await self._run(node.then, io)
                elif node.otherwise is not None:
                    await self._run(node.otherwise, io)
            case For():
                for word in node.words:
                    self.env[node.name] = await self._expand(word)
                    await self._run(node.body, io)
        return self.last

    async def _chain(self, node: Chain, io: Io) -> None:
        await self._run(node.first, io)
        for operator, part in node.rest:
            if operator == ";" or (self.last == 0) is (operator == "&&"):
                await self._run(part, io)

    async def _pipe(self, node: Pipe, io: Io) -> None:
        """Stage by stage: each runs to its end, and the next reads what it wrote."""
        data: bytes | None = None
        for part in node.parts[:-1]:
            written: list[bytes] = []
            stage = replace(io, write=written.append) if data is None else io.fed(data, written.append)
            await self._run(part, stage)
            data = b"".join(written)
        await self._run(node.parts[-1], io.fed(data or b"", io.write))

    async def _simple(self, node: Simple, io: Io) -> int:
        words = [await self._expand(word) for word in node.words]
        while words and re.match(r"\w+=", node.words[len(node.words) - len(words)]):
            name, _, value = words.pop(0).partition("=")
            self.env[name] = value
        for operator, target in node.redirections:
            redirected = self._redirect(io, operator, await self._expand(target))
            if redirected is None:
                return 1
            io = redirected
        return await self.command(tuple(words), io) if words else 0

    def _redirect(self, io: Io, operator: str, target: str) -> Io | None:
        if operator == "2>&1":
            return replace(io, error=io.write)
        if operator.endswith(">&2"):
            return replace(io, write=io.error)
        if operator == "<":
            found = self.read(target)
            if found is None:
                io.error(f"sh: can't open {target}: no such file\n".encode())
                return None
            return io.fed(found, io.write)
        write = self._writer(target, append=operator.endswith(">>"))
        if write is None:
            io.error(f"sh: can't create {target}: Read-only file system\n".encode())
            return None
        return replace(io, error=write) if operator.startswith("2") else replace(io, write=write)

    def _writer(self, target: str, *, append: bool) -> Callable[[bytes], object] | None:
        if target in ("/dev/null", "/dev/stdout"):
            return lambda data: None
        real = self.path(target)
        if real is None or self.read_only(target):
            return None
        if not append:
            real.write_bytes(b"")

        def write(data: bytes) -> None:
            with real.open("ab") as file:
                file.write(data)

        return write

    def read(self, path: str) -> bytes | None:
        """A file's content; None if there is none."""
        if path == "/dev/null":
            return b""
        real = self.path(path)
        if real is not None:
            return real.read_bytes() if real.is_file() else None
        known = (self.files or {}).get(path)
        return known.encode() if known is not None else None

    async def _expand(self, word: str) -> str:
        parts = []
        for match in _WORD.finditer(word):
            if match["single"] is not None:
                parts.append(match["single"])
            elif match["escaped"] is not None:
                parts.append(match["escaped"])
            elif match["double"] is not None:
                parts.append(re.sub(r'\\(["\\$`])', r"\1", await self._variables(match["double"])))
            else:
                parts.append(await self._variables(match["plain"]))
        return "".join(parts)

    async def _variables(self, text: str) -> str:
        done, at = [], 0
        for match in _VARIABLE.finditer(text):
            done.append(text[at : match.start()])
            done.append(await self._value(match))
            at = match.end()
        return "".join([*done, text[at:]])

    async def _value(self, match: re.Match[str]) -> str:
        if match["command"] is not None:
            written: list[bytes] = []
            await self.script(match["command"], Io(written.append, lambda data: None))
            return b"".join(written).decode(errors="replace").rstrip("\n")
        name = match["braced"] or match["name"]
        if name.isdigit():
            return self.arguments[int(name)] if int(name) < len(self.arguments) else ""
        special = {
            "?": str(self.last),
            "$": "1",
            "#": str(max(0, len(self.arguments) - 1)),
            "@": " ".join(self.arguments[1:]),
        }
        return special.get(name) or self.env.get(name) or match["default"] or ""
