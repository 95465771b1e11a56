"""Boolean functions of Liberty cells: read once, written as Verilog, evaluated.

References
----------
*Liberty User Guide*, Volume 1, ``function``: ``'`` after and ``!`` before a term invert; then in
falling precedence ``^`` exclusive or, ``*``, ``&`` or nothing between terms and, ``+`` or ``|`` or.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from hwgen.errors import HwgenError

__all__ = ["Function", "parse_function"]

_TOKEN = re.compile(r"\s*(?:([A-Za-z_][\w.\[\]]*|\"[^\"]*\")|([01])|([!'^*&+|()]))")
_AND, _XOR, _OR = ("*", "&"), ("^",), ("+", "|")


@dataclass(frozen=True, slots=True)
class Function:
    """A node of a Boolean function.

    Attributes
    ----------
    operator : str
        "pin", "0", "1", "~", "&", "^" or "|".
    pin : str
        The name, for "pin".
    terms : tuple of Function
    """

    operator: str
    pin: str = ""
    terms: tuple[Function, ...] = ()

    @property
    def pins(self) -> tuple[str, ...]:
        """Names that occur, each once, in the order in which they do."""
        names = [self.pin] if self.pin else [name for term in self.terms for name in term.pins]
        return tuple(dict.fromkeys(names))

    def verilog(self, nets: Mapping[str, str]) -> str:
        """Return the function as a Verilog expression over the nets at its pins."""
        if self.operator == "pin":
            return nets[self.pin]
        if self.operator in "01":
            return f"1'b{self.operator}"
        if self.operator == "~":
            return f"~{self.terms[0].verilog(nets)}"
        return f"({f' {self.operator} '.join(term.verilog(nets) for term in self.terms)})"

    def evaluate(self, values: Mapping[str, bool]) -> bool:
        """Return the function's value."""
        if self.operator == "pin":
            return values[self.pin]
        if self.operator in "01":
            return self.operator == "1"
        terms = [term.evaluate(values) for term in self.terms]
        if self.operator == "~":
            return not terms[0]
        if self.operator == "&":
            return all(terms)
        if self.operator == "|":
            return any(terms)
        return sum(terms) % 2 == 1


def parse_function(text: str) -> Function:
    """Parse a function.

    Raises
    ------
    HwgenError
        If the text is none.
    """
    reader = _Reader(text)
    function = reader.either()
    reader.end()
    return function


class _Reader:
    """Recursive descent over the tokens of a function."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[str] = []
        position = 0
        while position < len(text.rstrip()):
            match = _TOKEN.match(text, position)
            if match is None:
                raise HwgenError(f"{text!r} is no Boolean function: {text[position:].strip()!r}")
            self._tokens.append(match[0].strip().strip('"'))
            position = match.end()

    def either(self) -> Function:
        return self._joined("|", _OR, self._both)

    def end(self) -> None:
        if self._tokens:
            raise self._error(f"{self._tokens[0]!r} is left over")

    def _both(self) -> Function:
        terms = [self._exclusive()]
        while self._tokens and self._tokens[0] not in (*_OR, ")"):
            if self._tokens[0] in _AND:
                self._tokens.pop(0)
            terms.append(self._exclusive())
        return terms[0] if len(terms) == 1 else Function("&", terms=tuple(terms))

    def _exclusive(self) -> Function:
        return self._joined("^", _XOR, self._inverted)

    def _joined(self, operator: str, marks: tuple[str, ...], part) -> Function:
        terms = [part()]
        while self._tokens and self._tokens[0] in marks:
            self._tokens.pop(0)
            terms.append(part())
        return terms[0] if len(terms) == 1 else Function(operator, terms=tuple(terms))

    def _inverted(self) -> Function:
        if not self._tokens:
            raise self._error("it ends where a term is due")
        token = self._tokens.pop(0)
        if token == "!":
            return Function("~", terms=(self._inverted(),))
        if token == "(":
            term = self.either()
            if not self._tokens or self._tokens.pop(0) != ")":
                raise self._error("a parenthesis is not closed")
        elif token in ("0", "1"):
            term = Function(token)
        elif token[0].isalpha() or token[0] == "_":
            term = Function("pin", pin=token)
        else:
            raise self._error(f"{token!r} where a term is due")
        while self._tokens and self._tokens[0] == "'":
            self._tokens.pop(0)
            term = Function("~", terms=(term,))
        return term

    def _error(self, what: str) -> HwgenError:
        return HwgenError(f"{self._text!r} is no Boolean function: {what}")
