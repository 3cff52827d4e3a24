# SPDX-License-Identifier: Apache-2.0
"""An ISO 9660 image with Rock Ridge names, made in memory: a config drive whose secrets reach no argv."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

BLOCK = 2048
_SYSTEM_BLOCKS = 16
_STAMP = bytes([100, 1, 1, 0, 0, 0, 0])  # 2000-01-01: the content alone decides the bytes


@dataclass(eq=False)
class _Node:
    """A folder or, with content, a file. `block` and `size` are its place on the disk."""

    name: str
    content: bytes | None = None
    children: dict[str, _Node] = field(default_factory=dict)
    parent: _Node | None = None
    block: int = 0
    size: int = 0


def iso9660(files: Mapping[str, bytes], label: str) -> bytes:
    """The image's bytes: `files` maps relative paths to contents, `label` is the volume's name (`config-2`)."""
    root = _tree(files)
    folders = list(_walk(root))
    tables = _SYSTEM_BLOCKS + 2
    block = tables + 2
    for folder in folders:
        folder.size = len(_directory(folder))
        folder.block = block
        block += folder.size // BLOCK
    for node in _files(folders):
        content = node.content or b""
        node.block, node.size = block, len(content)
        block += _blocks(len(content))
    path_tables = (_path_table(folders, "<"), _path_table(folders, ">"))
    parts = [
        bytes(_SYSTEM_BLOCKS * BLOCK),
        _volume(root, label, block, len(path_tables[0]), tables),
        _full(b"\xffCD001\x01"),
        *(_full(table) for table in path_tables),
        *(_directory(folder) for folder in folders),
        *(_full(node.content or b"") for node in _files(folders)),
    ]
    return b"".join(parts)


def _tree(files: Mapping[str, bytes]) -> _Node:
    root = _Node("")
    for path, content in files.items():
        *folders, name = [part for part in path.split("/") if part not in ("", ".", "..")]
        at = root
        for part in folders:
            at = at.children.setdefault(part, _Node(part, parent=at))
        at.children[name] = _Node(name, content, parent=at)
    return root


def _walk(folder: _Node) -> Iterator[_Node]:
    """Folders, parents first and level by level, as the path table wants them."""
    level = [folder]
    while level:
        yield from level
        level = [c for node in level for c in _sorted(node) if c.content is None]


def _sorted(folder: _Node) -> list[_Node]:
    return sorted(folder.children.values(), key=lambda node: node.name)


def _files(folders: list[_Node]) -> Iterator[_Node]:
    return (child for folder in folders for child in _sorted(folder) if child.content is not None)


def _directory(folder: _Node) -> bytes:
    """Records of a folder; none crosses the end of a block."""
    here = _record(b"\0", folder, _RRIP_START if folder.parent is None else b"")
    out = here + _record(b"\1", folder.parent or folder)
    for child in _sorted(folder):
        record = _record(_short_name(child), child, _rock_ridge(child))
        if len(out) % BLOCK + len(record) > BLOCK:
            out = _full(out)
        out += record
    return _full(out)


def _record(identifier: bytes, node: _Node, extra: bytes = b"") -> bytes:
    padding = b"" if len(identifier) % 2 else b"\0"
    folder = node.content is None
    body = (
        _both32(node.block)
        + _both32(node.size)
        + _STAMP
        + bytes([2 if folder else 0, 0, 0])
        + _both16(1)
        + bytes([len(identifier)])
    )
    length = 2 + len(body) + len(identifier) + len(padding) + len(extra)
    return bytes([length, 0]) + body + identifier + padding + extra


def _short_name(node: _Node) -> bytes:
    """A level-1-like name for readers without Rock Ridge; those show it in lower case, and most match it so."""
    stem, _, extension = node.name.upper().rpartition(".")
    if node.content is None:
        return _plain(node.name).encode()[:31]
    if not stem:
        stem, extension = extension, ""
    return f"{_plain(stem)[:24]}.{_plain(extension)[:5]};1".encode()


def _plain(text: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in text.upper())


def _rock_ridge(node: _Node) -> bytes:
    name = node.name.encode()[:120]
    mode, links = (0o40500, 2) if node.content is None else (0o100400, 1)
    attributes = b"PX\x24\x01" + b"".join(map(_both32, (mode, links, 0, 0)))
    alternate = b"NM" + bytes([5 + len(name), 1, 0]) + name
    extra = attributes + alternate
    return extra + b"\0" * (len(extra) % 2)


_RRIP_START = b"SP\x07\x01\xbe\xef\0" + b"\0"


def _path_table(folders: list[_Node], order: str) -> bytes:
    numbers = {id(folder): number for number, folder in enumerate(folders, 1)}
    out = b""
    for folder in folders:
        name = _short_name(folder) if folder.parent else b"\0"
        above = numbers[id(folder.parent)] if folder.parent else 1
        out += struct.pack(f"{order}BBIH", len(name), 0, folder.block, above) + name + b"\0" * (len(name) % 2)
    return out


def _volume(root: _Node, label: str, blocks: int, table_size: int, tables: int) -> bytes:
    never = b"0" * 16 + b"\0"
    out = b"\x01CD001\x01\0" + b" " * 32 + label.encode().ljust(32)[:32] + bytes(8) + _both32(blocks) + bytes(32)
    out += _both16(1) + _both16(1) + _both16(BLOCK) + _both32(table_size)
    out += struct.pack("<II", tables, 0) + struct.pack(">II", tables + 1, 0)
    out += _record(b"\0", root) + b" " * 128 * 4 + b" " * 37 * 3 + never * 4 + b"\x01\0"
    return _full(out)


def _blocks(size: int) -> int:
    return -(-size // BLOCK)


def _full(data: bytes) -> bytes:
    return data + bytes(_blocks(len(data)) * BLOCK - len(data))


def _both32(number: int) -> bytes:
    return struct.pack("<I", number) + struct.pack(">I", number)


def _both16(number: int) -> bytes:
    return struct.pack("<H", number) + struct.pack(">H", number)
