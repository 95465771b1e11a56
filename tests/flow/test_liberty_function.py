"""Boolean functions as Liberty writes them."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from hwgen.errors import HwgenError
from hwgen.flow.cell_function import parse_function

Truth = Callable[[int, int, int], object]
FUNCTIONS: list[tuple[str, Truth]] = [
    ("A", lambda a, b, c: a),
    ("!A", lambda a, b, c: not a),
    ("A'", lambda a, b, c: not a),
    ("!A'", lambda a, b, c: a),
    ("(A B)'", lambda a, b, c: not (a and b)),
    ("A B + C", lambda a, b, c: (a and b) or c),
    ("A+B C", lambda a, b, c: a or (b and c)),
    ("A*B|C", lambda a, b, c: (a and b) or c),
    ("A ^ B C", lambda a, b, c: (a ^ b) and c),
    ("A & B ^ C", lambda a, b, c: a and (b ^ c)),
    ("A^B^C", lambda a, b, c: a ^ b ^ c),
    ("A B' + !C A", lambda a, b, c: (a and not b) or (not c and a)),
    ("!(A+B)C", lambda a, b, c: not (a or b) and c),
    ("((A B)+(B C))+(C A)", lambda a, b, c: a + b + c >= 2),
    ("0", lambda a, b, c: 0),
    ("1 A", lambda a, b, c: a),
]


@pytest.mark.parametrize(("text", "truth"), FUNCTIONS, ids=[text for text, _ in FUNCTIONS])
def test_a_function_has_its_truth_table(text, truth):
    function = parse_function(text)
    for a, b, c in itertools.product((0, 1), repeat=3):
        expected = bool(truth(a, b, c))
        assert function.evaluate({"A": bool(a), "B": bool(b), "C": bool(c)}) == expected
        verilog = function.verilog({"A": str(a), "B": str(b), "C": str(c)})
        # Verilog's operators on single bits are Python's.
        assert bool(eval(verilog.replace("1'b", "")) & 1) == expected


def test_pins_are_named_once_each():
    assert parse_function("(A B)+(B Cin1)").pins == ("A", "B", "Cin1")


@pytest.mark.parametrize("text", ["", "A +", "(A B", "A)", "A ? B", "+ A", "A !"])
def test_what_is_no_function_is_refused(text):
    with pytest.raises(HwgenError, match="is no Boolean function"):
        parse_function(text)
