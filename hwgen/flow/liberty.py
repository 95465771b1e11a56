"""The syntax of Liberty files: groups, attributes and lists, without their meaning.

References
----------
*Liberty User Guide*, Volume 1: a file is one ``library`` group; a group is ``name (arguments) {
... }`` and holds simple attributes ``name : value ;``, complex ones ``name (values) ;`` and groups.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hwgen.errors import HwgenError

__all__ = ["Group", "parse_liberty", "read_liberty"]

_TOKEN = re.compile(
    r"""
    (?P<skip>[ \t\r]+|\\[ \t\r]*\n|/\*.*?\*/|//[^\n]*)
    | (?P<line>\n)
    | "(?P<string>(?:[^"\\]|\\.)*)"
    | (?P<mark>[(){}:;,])
    | (?P<word>(?:[^\s(){}:;,"\\]|\\(?![ \t\r]*\n))+)
    """,
    re.VERBOSE | re.DOTALL,
)
_CONTINUATION = re.compile(r"\\\s*\n\s*")


@dataclass(slots=True)
class Group:
    """One group of a Liberty file.

    Attributes
    ----------
    name : str
        Its kind, as "cell" or "pin".
    arguments : tuple of str
        What stands in its parentheses.
    line : int
        Where it begins.
    simple : dict
        Simple attributes; of a repeated one the last.
    complex : dict
        Complex attributes: one tuple of values for each occurrence.
    groups : list of Group
    """

    name: str
    arguments: tuple[str, ...]
    line: int
    simple: dict[str, str] = field(default_factory=dict)
    complex: dict[str, list[tuple[str, ...]]] = field(default_factory=dict)
    groups: list[Group] = field(default_factory=list)

    def named(self, *names: str) -> Iterator[Group]:
        """The groups in this one that are of some kinds."""
        return (group for group in self.groups if group.name in names)

    def number(self, attribute: str, default: float) -> float:
        """A simple attribute as a number; raises HwgenError if it is none."""
        text = self.simple.get(attribute)
        if text is None:
            return default
        try:
            return float(text)
        except ValueError:
            raise HwgenError(
                f"line {self.line}: {attribute} of {self.name}({', '.join(self.arguments)})"
                f" is {text!r}; it must be a number"
            ) from None

    def numbers(self, attribute: str) -> list[list[float]]:
        """The lists of numbers of a complex attribute's last occurrence, a list a value."""
        values = self.complex.get(attribute, [()])[-1]
        try:
            return [[float(word) for word in re.split(r"[\s,]+", text.strip())] for text in values]
        except ValueError:
            raise HwgenError(
                f"line {self.line}: {attribute} of {self.name} must be lists of numbers"
            ) from None


@dataclass(frozen=True, slots=True)
class _Token:
    """One token: its kind ("string", "word", or the mark itself), its text, where it stands."""

    kind: str
    text: str
    line: int


def read_liberty(path: Path) -> Group:
    """Read the ``library`` group of a file.

    Raises
    ------
    HwgenError
        If the file cannot be read or is no Liberty file; the message names the line.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise HwgenError(
            f"cannot read the Liberty file {path}: {error.strerror}; name a .lib file"
        ) from None
    try:
        return parse_liberty(text)
    except HwgenError as error:
        raise HwgenError(f"{path} is no Liberty file that hwgen reads: {error}") from None


def parse_liberty(text: str) -> Group:
    """Parse a Liberty text; returns its ``library`` group.

    Raises
    ------
    HwgenError
        If the text does not follow the syntax; the message names the line.
    """
    top = Group("file", (), 1)
    open_groups = [top]
    tokens = _Tokens(text)
    while (token := tokens.take()) is not None:
        group = open_groups[-1]
        if token.kind == "}":
            if group is top:
                raise HwgenError(f"line {token.line}: a closing brace too many")
            open_groups.pop()
        elif token.kind == "word":
            opened = _statement(group, token, tokens)
            if opened is not None:
                open_groups.append(opened)
        elif token.kind != ";":
            raise HwgenError(f"line {token.line}: {token.text!r} where a name is due")
    if len(open_groups) > 1:
        unclosed = open_groups[-1]
        raise HwgenError(f"the group {unclosed.name} of line {unclosed.line} is not closed")
    libraries = list(top.named("library"))
    if len(libraries) != 1 or len(top.groups) != 1:
        raise HwgenError(f"it holds {len(libraries)} library groups; one is due")
    return libraries[0]


def _statement(group: Group, name: _Token, tokens: _Tokens) -> Group | None:
    """Read what follows a name into its group; returns the group that it opens, if it does."""
    mark = tokens.due(f"after {name.text}")
    if mark.kind == ":":
        group.simple[name.text] = tokens.value(name)
        return None
    if mark.kind != "(":
        raise HwgenError(f"line {mark.line}: {mark.text!r} after {name.text}; due is ':' or '('")
    arguments = tokens.arguments(name)
    following = tokens.peek()
    if following is not None and following.kind == "{":
        tokens.take()
        opened = Group(name.text, arguments, name.line)
        group.groups.append(opened)
        return opened
    group.complex.setdefault(name.text, []).append(arguments)
    return None


class _Tokens:
    """The tokens of a text, one looked at ahead."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._next: _Token | None = next(self._tokens, None)

    def peek(self) -> _Token | None:
        return self._next

    def take(self) -> _Token | None:
        token = self._next
        self._next = next(self._tokens, None)
        return token

    def due(self, where: str) -> _Token:
        token = self.take()
        if token is None:
            raise HwgenError(f"the file ends {where}")
        return token

    def value(self, name: _Token) -> str:
        """A simple attribute's value: up to the semicolon, which some files leave out at a line's
        end.
        """
        first = self.due(f"after {name.text}:")
        words = [first.text]
        while self._next is not None and self._next.line == first.line:
            if self._next.kind in ";}":
                break
            words.append(self.due("").text)
        return " ".join(words)

    def arguments(self, name: _Token) -> tuple[str, ...]:
        """What stands in parentheses: words or strings, with or without commas between them."""
        words: list[str] = []
        while (token := self.due(f"in the parentheses of {name.text}")).kind != ")":
            if token.kind in ("string", "word"):
                words.append(token.text)
            elif token.kind not in (",", ":"):
                raise HwgenError(
                    f"line {token.line}: {token.text!r} in the parentheses of {name.text}"
                )
        return tuple(words)


def _tokens(text: str) -> Iterator[_Token]:
    position, line = 0, 1
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise HwgenError(f"line {line}: cannot read {text[position : position + 20]!r}")
        kind = match.lastgroup or ""
        if kind == "string":
            yield _Token("string", _CONTINUATION.sub(" ", match["string"]), line)
        elif kind == "word":
            yield _Token("word", match["word"], line)
        elif kind == "mark":
            yield _Token(match["mark"], match["mark"], line)
        line += text.count("\n", position, match.end())
        position = match.end()
