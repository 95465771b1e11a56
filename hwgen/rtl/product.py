"""The product of two significands, in as many multipliers and stages as its width takes."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwgen.spec.pipeline import limbs, product_stages

__all__ = ["Product"]


class Product(wiring.Component):
    """Multiply two unsigned numbers.

    Members
    -------
    a, b : In
    product : Out(a bits + b bits)

    Notes
    -----
    Factors wider than a hardware multiplier are split; every partial product is registered, and
    then every sum of two rows of them, so that no stage holds more than one multiplier or adder.
    Partial products of equal distance from the diagonal do not overlap and make one row.
    Latency: ``stages``. Throughput: one product a cycle.
    """

    def __init__(self, a_bits: int, b_bits: int, stages: int, *, multiplier_bits: int = 18) -> None:
        assert stages == product_stages(a_bits, b_bits, multiplier_bits), stages
        self._multiplier_bits = multiplier_bits
        self._stages = stages
        super().__init__({"a": In(a_bits), "b": In(b_bits), "product": Out(a_bits + b_bits)})

    @property
    def latency(self) -> int:
        """Cycles from the factors to the product."""
        return self._stages

    def elaborate(self, platform: object) -> Module:
        m = Module()
        rows = self._partial_products(m)
        stages = 1
        while len(rows) > 1:
            rows = self._added(m, rows, stages)
            stages += 1
        assert stages == self._stages
        low, row = rows[0]
        m.d.comb += self.product.eq(Cat(Const(0, low), row))
        return m

    def _partial_products(self, m: Module) -> list[tuple[int, Value]]:
        """Rows of registered partial products: the place of each one's lowest bit, and its bits."""
        a, b = self._parts(self.a), self._parts(self.b)
        rows = []
        for diagonal in range(1 - len(a), len(b)):
            row: list[Value] = []
            for i in range(len(a)):
                j = i + diagonal
                if 0 <= j < len(b):
                    partial = Signal(
                        len(a[i]) + len(b[j]), name=f"partial_{i}_{j}", reset_less=True
                    )
                    m.d.sync += partial.eq(a[i] * b[j])
                    row.append(partial)
            rows.append((abs(diagonal) * self._multiplier_bits, Cat(row)))
        return rows

    def _added(
        self, m: Module, rows: list[tuple[int, Value]], stage: int
    ) -> list[tuple[int, Value]]:
        """Add rows two by two, those far from the diagonal first."""
        rows = sorted(rows, key=lambda row: -row[0])
        result = []
        for index in range(0, len(rows) - 1, 2):
            (high, x), (low, y) = rows[index : index + 2]
            # Bits of y under x pass by the adder.
            under = high - low
            bits = min(max(under + len(x), len(y)) + 1, len(self.product) - low)
            total = Signal(bits, name=f"sum_{stage}_{index}", reset_less=True)
            m.d.sync += total.eq(Cat(y[:under], x + y[under:]))
            result.append((low, total))
        if len(rows) % 2:
            low, row = rows[-1]
            kept = Signal(len(row), name=f"row_{stage}", reset_less=True)
            m.d.sync += kept.eq(row)
            result.append((low, kept))
        return result

    def _parts(self, factor: Value) -> list[Value]:
        """Cut a factor to the width of a hardware multiplier."""
        count = limbs(len(factor), self._multiplier_bits)
        size = self._multiplier_bits or len(factor)
        return [factor[size * i : size * (i + 1)] for i in range(count)]
