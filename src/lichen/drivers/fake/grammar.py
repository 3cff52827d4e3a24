# SPDX-License-Identifier: Apache-2.0
"""The grammar of the simulated shell: text to a tree. Lists, `&&`, `||`, pipes, redirections, while, for and if."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"""[ \t]*(?:(?P<op>\n|;|&&|\|\||\||2>&1|1?>&2|2>>|2>|1?>>|1?>|<|&|\(|\))|(?P<comment>\#[^\n]*)"""
    r"""|(?P<word>(?:[^\s;&|<>()'"\\]|\\.|'[^']*'|"(?:\\.|[^"\\])*")+))""",
    re.DOTALL,
)
_REDIRECTIONS = {">", ">>", "1>", "1>>", "2>", "2>>", "<"}
_END = {"do", "done", "then", "else", "elif", "fi", "}", ")"}


class ShellSyntaxError(ValueError):
    """The text is nothing this shell understands."""


@dataclass(frozen=True, slots=True)
class Simple:
    words: tuple[str, ...]
    redirections: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Pipe:
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """`first`, then each (operator, node): `&&`, `||` or `;`."""

    first: Node
    rest: tuple[tuple[str, Node], ...] = ()


@dataclass(frozen=True, slots=True)
class While:
    condition: Node
    body: Node
    until: bool = False


@dataclass(frozen=True, slots=True)
class If:
    condition: Node
    then: Node
    otherwise: Node | None = None


@dataclass(frozen=True, slots=True)
class For:
    name: str
    words: tuple[str, ...]
    body: Node


Node = Simple | Pipe | Chain | While | If | For


def parse(text: str) -> Node:
    """The tree of a script. ShellSyntaxError."""
    parser = _Parser(_tokens(text))
    tree = parser.chain()
    if parser.tokens:
        raise ShellSyntaxError(f"syntax error: unexpected {parser.tokens[0]!r}")
    return tree


def _tokens(text: str) -> list[str]:
    tokens, at = [], 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ShellSyntaxError("syntax error: unterminated quoted string")
        at = match.end()
        if match["comment"] is None:
            tokens.append(match["op"] or match["word"])
    return tokens


@dataclass(slots=True)
class _Parser:
    tokens: list[str] = field(default_factory=list)

    def chain(self) -> Node:
        """A list of commands up to a closing word."""
        self._skip()
        first: Node = Simple(())
        rest: list[tuple[str, Node]] = []
        if self.tokens and self.tokens[0] not in _END:
            first = self._pipe()
        while self.tokens and self.tokens[0] in (";", "\n", "&", "&&", "||"):
            operator = self.tokens.pop(0)
            self._skip()
            if not self.tokens or self.tokens[0] in _END:
                break
            rest.append((operator if operator in ("&&", "||") else ";", self._pipe()))
        return Chain(first, tuple(rest)) if rest else first

    def _pipe(self) -> Node:
        parts = [self._command()]
        while self.tokens and self.tokens[0] == "|":
            self.tokens.pop(0)
            parts.append(self._command())
        return parts[0] if len(parts) == 1 else Pipe(tuple(parts))

    def _command(self) -> Node:
        word = self.tokens[0] if self.tokens else ""
        if word in ("while", "until"):
            return self._while()
        if word == "if":
            return self._if()
        if word == "for":
            return self._for()
        if word in ("{", "("):
            self.tokens.pop(0)
            body = self.chain()
            self._expect("}" if word == "{" else ")")
            return body
        return self._simple()

    def _simple(self) -> Node:
        words: list[str] = []
        redirections: list[tuple[str, str]] = []
        while self.tokens and self.tokens[0] not in (";", "\n", "&", "&&", "||", "|", ")"):
            token = self.tokens.pop(0)
            if token in _REDIRECTIONS:
                if not self.tokens:
                    raise ShellSyntaxError("syntax error: unexpected end of file")
                redirections.append((token, self.tokens.pop(0)))
            elif token in ("2>&1", ">&2", "1>&2"):
                redirections.append((token, ""))
            else:
                words.append(token)
        if not words and not redirections:
            raise ShellSyntaxError(f"syntax error: unexpected {(self.tokens or ['end of file'])[0]!r}")
        return Simple(tuple(words), tuple(redirections))

    def _while(self) -> Node:
        until = self.tokens.pop(0) == "until"
        condition = self.chain()
        self._expect("do")
        body = self.chain()
        self._expect("done")
        return While(condition, body, until)

    def _if(self) -> Node:
        self.tokens.pop(0)
        condition = self.chain()
        self._expect("then")
        then = self.chain()
        if self.tokens[:1] == ["elif"]:
            return If(condition, then, self._if())
        otherwise = None
        if self.tokens[:1] == ["else"]:
            self.tokens.pop(0)
            otherwise = self.chain()
        self._expect("fi")
        return If(condition, then, otherwise)

    def _for(self) -> Node:
        self.tokens.pop(0)
        name = self.tokens.pop(0) if self.tokens else ""
        self._expect("in")
        words: list[str] = []
        while self.tokens and self.tokens[0] not in (";", "\n"):
            words.append(self.tokens.pop(0))
        self._skip()
        self._expect("do")
        body = self.chain()
        self._expect("done")
        return For(name, tuple(words), body)

    def _skip(self) -> None:
        while self.tokens and self.tokens[0] in (";", "\n"):
            self.tokens.pop(0)

    def _expect(self, word: str) -> None:
        self._skip()
        if not self.tokens or self.tokens.pop(0) != word:
            raise ShellSyntaxError(f"syntax error: expected {word!r}")
