"""Products as symbols, so that a solver meets every multiplication once.

Whether two circuits agree that multiply the same numbers, one before and one after moving them, is
hard to see bit by bit. Here every product is replaced by a symbol, moved to its place, after

    (x * 2**i) * (y * 2**j) = (x * y) * 2**(i + j),

which holds for bit vectors where it cuts nothing off. Factors that a solver finds equal share one
symbol. What the symbols stand for is handed to the solver too: nothing is lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import z3

__all__ = ["Products", "concatenated"]

_SHIFT_BITS = 16  # of a sum of shifts; widths of bit vectors stay far below 2**15


class Products:
    """The products met so far."""

    def __init__(self) -> None:
        # A symbol and the two factors, which are extended by zeros to its width.
        self._known: list[tuple[z3.BitVecRef, z3.BitVecRef, z3.BitVecRef]] = []

    def replaced(self, term: z3.ExprRef) -> z3.ExprRef:
        """Return a term, simplified, with symbols for its products."""
        while (product := _lowest_product(term)) is not None:
            term = z3.substitute(term, (product, self._placed(product)))
        return z3.simplify(term)

    def definitions(self, term: z3.ExprRef) -> list[z3.BoolRef]:
        """Return what the product symbols in a term stand for, and those in these in turn."""
        names = self.symbols(term)
        return [
            symbol == _resized(x, symbol.size()) * _resized(y, symbol.size())
            for symbol, x, y in self._known
            if symbol.decl().name() in names
        ]

    def symbols(self, term: z3.ExprRef) -> set[str]:
        """Return the names of the symbols in a term, and of those in its products."""
        names = _symbols(term)
        # A product's factors can hold older products only.
        for symbol, x, y in reversed(self._known):
            if symbol.decl().name() in names:
                names |= _symbols(x) | _symbols(y)
        return names

    def _placed(self, product: z3.BitVecRef) -> z3.BitVecRef:
        """Return a product of two factors as a symbol that is moved to its place."""
        x, y = (z3.simplify(factor) for factor in product.children())
        bits = product.size()
        if _length(x) + _length(y) > bits:  # it may wrap: signed factors, say
            return self._symbol(x, y, bits)
        (x, x_shift), (y, y_shift) = _core(x), _core(y)
        symbol = self._symbol(x, y, x.size() + y.size())
        return _resized(symbol, bits) << _resized(x_shift + y_shift, bits)

    def _symbol(self, x: z3.BitVecRef, y: z3.BitVecRef, bits: int) -> z3.BitVecRef:
        for symbol, u, v in self._known:
            if symbol.size() == bits and (_same(x, u, y, v) or _same(x, v, y, u)):
                return symbol
        symbol = z3.BitVec(f"product {len(self._known)}", bits)
        self._known.append((symbol, x, y))
        return symbol


def _symbols(term: z3.ExprRef) -> set[str]:
    return {
        node.decl().name() for node in _nodes(term) if node.decl().kind() == z3.Z3_OP_UNINTERPRETED
    }


def _lowest_product(term: z3.ExprRef) -> z3.BitVecRef | None:
    """Return a product of two variable factors that has no other product in its factors."""
    for node in _nodes(term):
        if node.decl().kind() == z3.Z3_OP_BMUL and not any(map(z3.is_bv_value, node.children())):
            return node
    return None


def _nodes(term: z3.ExprRef) -> Iterator[z3.ExprRef]:
    """Walk over the different subterms of a term, parts before what they are part of."""
    seen: set[int] = set()
    stack = [(term, False)]
    while stack:
        node, ready = stack.pop()
        if ready:
            yield node
        elif node.get_id() not in seen:
            seen.add(node.get_id())
            stack.append((node, True))
            stack += [(child, False) for child in node.children()]


def _same(x: z3.BitVecRef, u: z3.BitVecRef, y: z3.BitVecRef, v: z3.BitVecRef) -> bool:
    """Whether x equals u and y equals v, whatever the symbols in them are."""
    if x.size() != u.size() or y.size() != v.size():
        return False
    if z3.eq(x, u) and z3.eq(y, v):
        return True
    if _symbols(x) != _symbols(u) or _symbols(y) != _symbols(v):
        return False
    solver = z3.SolverFor("QF_BV")
    solver.add(z3.Or(x != u, y != v))
    return solver.check() == z3.unsat


def _core(factor: z3.BitVecRef) -> tuple[z3.BitVecRef, z3.BitVecRef]:
    """Write a factor as ``core << shift``, the core as narrow as its form shows it can be."""
    kind, parts = factor.decl().kind(), factor.children()
    if kind == z3.Z3_OP_BSHL and _length(parts[0]) + _largest(parts[1]) <= factor.size():
        core, shift = _core(parts[0])
        return core, shift + _resized(parts[1], _SHIFT_BITS)
    if kind == z3.Z3_OP_CONCAT and _is_zero(parts[-1]):
        core, shift = _core(concatenated(parts[:-1]))
        return core, shift + parts[-1].size()
    if kind == z3.Z3_OP_CONCAT and _is_zero(parts[0]):
        return _core(concatenated(parts[1:]))
    if kind == z3.Z3_OP_ZERO_EXT:
        return _core(parts[0])
    if kind == z3.Z3_OP_ITE and _is_zero(parts[2]):
        core, shift = _core(parts[1])
        return z3.simplify(z3.If(parts[0], core, z3.BitVecVal(0, core.size()))), shift
    core = z3.simplify(_resized(factor, max(1, _length(factor))))
    return core, z3.BitVecVal(0, _SHIFT_BITS)


def _length(term: z3.BitVecRef) -> int:
    """Return a bound on the bits of a term's unsigned value without leading zeros."""
    kind, parts = term.decl().kind(), term.children()
    if z3.is_bv_value(term):
        return term.as_long().bit_length()
    if kind == z3.Z3_OP_CONCAT:
        rest = concatenated(parts[1:])
        high = _length(parts[0])
        return rest.size() + high if high else _length(rest)
    if kind == z3.Z3_OP_ZERO_EXT:
        return _length(parts[0])
    if kind == z3.Z3_OP_ITE:
        return max(_length(parts[1]), _length(parts[2]))
    if kind == z3.Z3_OP_BSHL:
        return min(term.size(), _length(parts[0]) + _largest(parts[1]))
    return term.size()


def _largest(term: z3.BitVecRef) -> int:
    """Return a bound on a term's unsigned value."""
    if z3.is_bv_value(term):
        return term.as_long()
    if term.decl().kind() == z3.Z3_OP_ITE:
        return max(_largest(term.arg(1)), _largest(term.arg(2)))
    return (1 << _length(term)) - 1


def _is_zero(term: z3.BitVecRef) -> bool:
    return z3.is_bv_value(term) and term.as_long() == 0


def concatenated(parts: Sequence[z3.BitVecRef]) -> z3.BitVecRef:
    """Join words, one or more, the last one in the low bits."""
    return z3.Concat(*parts) if len(parts) > 1 else parts[0]


def _resized(value: z3.BitVecRef, bits: int) -> z3.BitVecRef:
    """Extend an unsigned value by zeros, or keep its low bits."""
    if bits > value.size():
        return z3.ZeroExt(bits - value.size(), value)
    return z3.Extract(bits - 1, 0, value) if bits < value.size() else value
