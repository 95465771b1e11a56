"""Which calls of a program are served: rules on sizes and precisions."""

from __future__ import annotations

import re

from hwgen.errors import SpecError

__all__ = ["PRECISIONS", "parse_precisions", "parse_rule"]

# BLAS's letters, and h for entry points with 16-bit operands (bf16, fp16).
PRECISIONS = "sdczh"
_SIZES = ("m", "n", "k", "mnk")
_OPERATORS = (">=", "<=", "==", ">", "<")
_TERM = re.compile(r"([a-z]+)(>=|<=|==|>|<)([0-9]+)")
_LARGEST = 2**63 - 1


def parse_rule(text: str) -> str:
    """Return a rule in the form that the BLAS library reads: without blanks.

    A rule is comparisons joined by commas, all of which must hold: ``k>=64,m<512``, over the sizes
    m, n, k of a product and their product mnk.

    Raises
    ------
    SpecError
        If it is none; says which comparison is at fault.
    """
    terms = [term.strip() for term in "".join(text.split()).split(",")]
    for term in terms:
        match = _TERM.fullmatch(term)
        if match is None or match[1] not in _SIZES or int(match[3]) > _LARGEST:
            raise SpecError(
                f"the rule {text!r} has {term!r}; a comparison is one of {', '.join(_SIZES)}, one"
                f" of {' '.join(_OPERATORS)} and a whole number, as in k>=64,m<512"
            )
    return ",".join(terms)


def parse_precisions(text: str) -> str:
    """Return letters of precisions in their usual order, each once.

    Raises
    ------
    SpecError
        If there is none, or one that BLAS does not have.
    """
    letters = set(text.replace(",", "").replace(" ", ""))
    unknown = letters - set(PRECISIONS)
    if unknown or not letters:
        raise SpecError(
            f"precisions is {text!r}; give letters of {PRECISIONS}: s single, d double, c and z"
            " complex, h 16-bit operands"
        )
    return "".join(letter for letter in PRECISIONS if letter in letters)
