"""Symbols for products lose and add nothing."""

from __future__ import annotations

import pytest

pytest.importorskip("z3", reason="needs the solver z3: pip install z3-solver")

import z3

from hwgen.flow.proof_products import Products

A, B = z3.BitVecs("a b", 4)
SHIFT = z3.BitVec("shift", 2)
CHOICE = z3.Bool("choice")


def wide(value, bits):
    return z3.ZeroExt(bits - value.size(), value)


def nothing(bits):
    return z3.BitVecVal(0, bits)


TERMS = {
    "plain": wide(A, 8) * wide(B, 8),
    "as a value": wide(A, 8) * wide(B, 8) + 3,
    "signed": z3.SignExt(4, A) * z3.SignExt(4, B),
    "wrapping": A * B,
    "cut": z3.Extract(5, 2, wide(A, 8) * wide(B, 8)),
    "moved": (wide(A, 16) << wide(SHIFT, 16)) * wide(B, 16),
    "moved and cut": wide(wide(A, 5) << wide(SHIFT, 5), 12) * wide(B, 12),
    "moved both": wide(wide(A, 7) << wide(SHIFT, 7), 14) * (wide(B, 14) << wide(SHIFT, 14)),
    "moved by a constant": z3.Concat(nothing(4), A, nothing(2)) * wide(B, 10),
    "at times": wide(z3.If(CHOICE, A, nothing(4)), 8) * z3.If(CHOICE, nothing(8), wide(B, 8)),
    "moved at times": z3.If(CHOICE, wide(A, 12) << wide(SHIFT, 12), nothing(12)) * wide(B, 12),
    "nested": wide(wide(A, 8) * wide(B, 8), 12) * wide(B, 12),
    "by a number": wide(A, 8) * 5,
}


def holds(condition, premises=()) -> bool:
    solver = z3.SolverFor("QF_BV")
    solver.add(z3.Not(condition), *premises)
    return solver.check() == z3.unsat


def has_product(term) -> bool:
    parts = term.children()
    here = term.decl().kind() == z3.Z3_OP_BMUL and not any(map(z3.is_bv_value, parts))
    return here or any(map(has_product, parts))


@pytest.mark.parametrize("term", TERMS.values(), ids=TERMS)
def test_a_term_with_symbols_is_the_term(term):
    products = Products()
    replaced = products.replaced(term)
    assert holds(replaced == term, products.definitions(replaced))
    # The symbols can take their values for every input: what they stand for is no restriction.
    values = [(side.arg(0), side.arg(1)) for side in reversed(products.definitions(replaced))]
    for symbol, value in values:
        replaced = z3.substitute(replaced, (symbol, value))
    assert holds(replaced == term)


@pytest.mark.parametrize("name", [name for name in TERMS if name != "by a number"])
def test_no_product_of_variables_is_left(name):
    assert not has_product(Products().replaced(TERMS[name]))


def test_products_of_factors_that_are_the_same_share_a_symbol():
    products = Products()
    one = products.replaced(wide(A & B, 8) * wide(z3.If(CHOICE, A, B), 8))
    other = products.replaced(
        wide(z3.If(z3.Not(CHOICE), B, A), 16) * (wide(~(~A | ~B), 16) << wide(SHIFT, 16))
    )
    symbols = [products.symbols(term) for term in (one, other)]
    assert len({name for name in symbols[0] | symbols[1] if "product" in name}) == 1


def test_products_of_factors_that_differ_do_not():
    products = Products()
    terms = [wide(A, 8) * wide(B, 8), wide(A, 8) * wide(A, 8), wide(B, 8) * wide(A, 8)]
    first, second, third = (products.replaced(term) for term in terms)
    assert z3.eq(first, third)
    assert not z3.eq(first, second)
