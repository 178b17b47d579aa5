"""The grammar of dialog scripts, and nothing of their meaning: lines of words, strings, brackets and blocks.

file      := comment* block
block     := "{" line* "}"              may stand on one line
line      := argument+ end of line      a block may follow on the next line
argument  := WORD | STRING | "[" argument* "]" | block
comment   := "#" to the end, only as the first thing of a line; or /* ... */
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

_TOKEN = re.compile(
    r"""(?P<blank>[ \t\r\f]+)|(?P<end>\n)|(?P<string>"(?:[^"\\]|\\.)*")|(?P<mark>[{}\[\]])|(?P<word>[^\s{}\[\]"]+)""",
    re.DOTALL,
)
_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}


class ScriptError(ValueError):
    """Text that is no dialog script. The message begins with the line."""


@dataclass(frozen=True)
class Text:
    """A word, or a string without its quotes."""

    value: str
    quoted: bool
    line: int


@dataclass(frozen=True)
class Bracket:
    """`[ "$FF" hscript-expr ]`: texts that belong together."""

    items: tuple[Text, ...]
    line: int


@dataclass
class Block:
    """`{ ... }`: lines of arguments."""

    line: int
    lines: list[list[Argument]] = field(default_factory=list)

    def arguments(self) -> list[Argument]:
        """All arguments, whatever line they stand on."""
        return [argument for line in self.lines for argument in line]

    def texts(self) -> list[str]:
        """The words and strings directly in it."""
        return [argument.value for argument in self.arguments() if isinstance(argument, Text)]


Argument: TypeAlias = "Text | Bracket | Block"


def parse_script(text: str) -> Block:
    """The one block of a dialog script. Raises ScriptError naming the line."""
    tokens = list(_tokens(text))
    parser = _Parser(tokens)
    parser.skip_ends()
    if not tokens:
        raise ScriptError("line 1: nothing here")
    block = parser.block()
    parser.skip_ends()
    if parser.at < len(tokens):
        raise ScriptError(f"line {parser.line()}: something after the closing brace")
    return block


@dataclass(frozen=True)
class _Token:
    kind: str
    value: str
    line: int


def _tokens(text: str) -> Iterator[_Token]:
    line, at, fresh = 1, 0, True
    while at < len(text):
        if fresh and text[at] == "#":
            end = text.find("\n", at)
            at = len(text) if end < 0 else end
            continue
        if text.startswith("/*", at):
            end = text.find("*/", at)
            if end < 0:
                raise ScriptError(f"line {line}: a comment that is not closed")
            line, at = line + text.count("\n", at, end), end + 2
            continue
        match = _TOKEN.match(text, at)
        if match is None:
            raise ScriptError(f"line {line}: a quote that is not closed")
        kind = str(match.lastgroup)
        if kind != "blank":
            yield _Token(kind, match[0], line)
            fresh = kind == "end"
        line, at = line + match[0].count("\n"), match.end()


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self.tokens, self.at = tokens, 0

    def line(self) -> int:
        return self.tokens[min(self.at, len(self.tokens) - 1)].line if self.tokens else 1

    def take(self) -> _Token:
        if self.at >= len(self.tokens):
            raise ScriptError(f"line {self.line()}: the script ends inside a block; a closing brace is missing")
        self.at += 1
        return self.tokens[self.at - 1]

    def skip_ends(self) -> None:
        while self.at < len(self.tokens) and self.tokens[self.at].kind == "end":
            self.at += 1

    def block(self) -> Block:
        opening = self.take()
        if opening.value != "{" or opening.kind != "mark":
            raise ScriptError(f"line {opening.line}: {opening.value!r} where a block should begin")
        block, current = Block(opening.line), list[Argument]()
        while True:
            token = self.take()
            if token.kind == "end" or (token.kind == "mark" and token.value == "}"):
                if current:
                    block.lines.append(current)
                    current = []
                if token.kind == "mark":
                    return block
                continue
            self.at -= 1
            argument = self.argument()
            if isinstance(argument, Block) and not current and block.lines:
                block.lines[-1].append(argument)
            else:
                current.append(argument)

    def argument(self) -> Argument:
        token = self.take()
        if token.kind in ("word", "string"):
            return _text(token)
        if token.value == "{":
            self.at -= 1
            return self.block()
        if token.value == "[":
            return self.bracket(token.line)
        raise ScriptError(f"line {token.line}: {token.value!r} closes nothing")

    def bracket(self, line: int) -> Bracket:
        items: list[Text] = []
        while True:
            token = self.take()
            if token.kind in ("word", "string"):
                items.append(_text(token))
            elif token.value == "]":
                return Bracket(tuple(items), line)
            elif token.kind == "mark":
                raise ScriptError(f"line {token.line}: {token.value!r} inside brackets")


def _text(token: _Token) -> Text:
    if token.kind == "word":
        return Text(token.value, False, token.line)
    plain = re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[0]), token.value[1:-1], flags=re.DOTALL)
    return Text(plain, True, token.line)
