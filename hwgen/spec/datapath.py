"""A datapath: operand formats, accumulator and result format, checked against each other."""

from __future__ import annotations

from dataclasses import dataclass, field

from hwgen.errors import SpecError
from hwgen.formats import Format, parse_format
from hwgen.formats.block import BlockScaled
from hwgen.formats.fixed import FixedPoint
from hwgen.formats.ieee import Float
from hwgen.formats.posit import Posit
from hwgen.spec.accumulator import (
    Accumulator,
    Exact,
    FloatSum,
    Per,
    Window,
    parse_accumulator,
)
from hwgen.spec.pipeline import FAMILIES, Pipeline

__all__ = ["RAW", "Datapath"]

RAW = "raw"


@dataclass(frozen=True, slots=True, kw_only=True)
class Datapath:
    """What one processing element computes: ``out = round(sum of a * b in acc)``.

    Parameters
    ----------
    a, b : Format
        Operand formats.
    acc : Accumulator
        The accumulator as the user named it.
    out : Format or None
        Result format; None hands out the raw register.
    pipeline : Pipeline
        How the circuit is cut into stages; no result depends on it.

    Attributes
    ----------
    register : Window or FloatSum
        The register that is built.

    Raises
    ------
    SpecError
        If the accumulator cannot serve the operand formats.
    """

    a: Format
    b: Format
    acc: Accumulator
    out: Format | None
    pipeline: Pipeline = Pipeline()
    register: Window | FloatSum = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.out is not None and not self.out.is_result_format:
            raise SpecError(
                f"out={self.out.name} shares scales between elements, so that one result cannot be"
                f" rounded to it by itself; choose fp32 or bf16, and {self.out.name} for operands"
            )
        object.__setattr__(self, "register", self.acc.resolve(self.a, self.b))
        if isinstance(self.register, FloatSum) and not isinstance(self.out, Float):
            raise SpecError(
                f"acc={self.acc} has out={self.out_name}; its result is a float, so give a"
                f" floating-point format, such as {self.register.format.name}"
            )

    @classmethod
    def parse(
        cls,
        *,
        a: str,
        acc: str,
        b: str | None = None,
        out: str | None = None,
        target: str | None = None,
        freq: float | None = None,
    ) -> Datapath:
        """Build a datapath from the names that users type; ``b`` defaults to ``a``.

        ``out`` defaults to the natural choice: for integer operands the register as ``int:W`` (its
        value, unchanged), for fixed point the register raw, for a floating-point sum its format,
        for posits the wider of the two, else fp32, or the wider of the operand formats where one is
        wider than fp32. ``target`` and ``freq``, in MHz, choose the pipeline.
        """
        operand_a = parse_format(a)
        operand_b = operand_a if b is None else parse_format(b)
        accumulator = parse_accumulator(acc)
        register = accumulator.resolve(operand_a, operand_b)
        if out is None:
            out = _natural_output(operand_a, operand_b, register)
        return cls(
            a=operand_a,
            b=operand_b,
            acc=accumulator,
            out=None if out == RAW else parse_format(out),
            pipeline=_pipeline(target, freq, operand_a, operand_b, register),
        )

    @property
    def float_sum(self) -> FloatSum | None:
        """The sum that is rounded at every step, if that is what is built."""
        return self.register if isinstance(self.register, FloatSum) else None

    @property
    def window(self) -> Window:
        """The window that is built; only where :attr:`float_sum` is None."""
        assert isinstance(self.register, Window), self.register
        return self.register

    @property
    def dot(self) -> int:
        """D, products that an element adds in one cycle: terms of the two operands in one beat."""
        return self.register.dot

    @property
    def block_terms(self) -> int:
        """Terms of a scale block, whose exact sum is one summand; 0 where products are summands."""
        if self.float_sum is not None or self.window.per is Per.PRODUCT:
            return 0
        assert isinstance(self.a, BlockScaled), self.a
        return self.a.block

    @property
    def elements(self) -> Datapath:
        """What the processing elements compute.

        Where the sums of scale blocks are summands: the exact sum of a block's bare elements.
        """
        if not self.block_terms:
            return self
        assert isinstance(self.a, BlockScaled), self.a
        assert isinstance(self.b, BlockScaled), self.b
        return Datapath(
            a=self.a.element,
            b=self.b.element,
            acc=Exact(terms=self.block_terms),
            out=None,
            pipeline=self.pipeline,
        )

    @property
    def register_text(self) -> str:
        """The register in words."""
        unit = self.float_sum
        if unit is None:
            window = self.window
            per = f", a summand per block of {self.block_terms}" if self.block_terms else ""
            bits = f"{window.width} bits: msb {window.msb}, lsb {window.lsb}, ovf {window.ovf}"
            dot = f", {self.dot} products at once" if self.dot > 1 else ""
            return bits + per + dot
        rounding = "sum" if unit.fused else "product and sum"
        lanes = f", {unit.lanes} interleaved sums" if unit.lanes > 1 else ""
        return f"{unit.format.name}, {rounding} rounded at every step{lanes}"

    @property
    def out_name(self) -> str:
        """The result format's name, or ``raw``."""
        return RAW if self.out is None else self.out.name

    @property
    def out_width(self) -> int:
        """Bits of one result element."""
        return self.window.width if self.out is None else self.out.width

    @property
    def hands_out_register(self) -> bool:
        """Whether a result is the register as it stands: raw, or integers of the register's width.

        NaN reads zero in both.
        """
        if self.out is None:
            return True
        if not self.integer_operands or not isinstance(self.out, FixedPoint):
            return False
        same = (self.out.width, self.out.min_exponent) == (self.window.width, self.window.lsb)
        return same and self.out.signed

    @property
    def integer_operands(self) -> bool:
        """Whether both operands are fixed point, so that products need no alignment."""
        return isinstance(self.a, FixedPoint) and isinstance(self.b, FixedPoint)

    def __str__(self) -> str:
        return f"a={self.a.name} b={self.b.name} acc={self.acc} out={self.out_name}"


def _pipeline(
    target: str | None, freq: float | None, a: Format, b: Format, register: Window | FloatSum
) -> Pipeline:
    if target is not None:
        return Pipeline.of(
            target,
            freq,
            pattern_bits=max(a.width, b.width),
            precision=max(a.precision, b.precision),
            window_bits=register.width if isinstance(register, Window) else register.format.width,
            dot=register.dot,
        )
    if freq is not None:
        raise SpecError(
            f"freq={freq:g} needs a target, whose delays it is held against;"
            f" give one of {', '.join(FAMILIES)}"
        )
    return Pipeline()


def _natural_output(a: Format, b: Format, register: Window | FloatSum) -> str:
    if isinstance(register, FloatSum):
        return register.format.name
    if isinstance(a, FixedPoint) and isinstance(b, FixedPoint):
        if register.lsb == 0 and register.width <= 64:
            return f"int:{register.width}"
        return RAW
    if isinstance(a, Posit) and isinstance(b, Posit):
        return max((a, b), key=lambda fmt: (fmt.width, fmt.precision)).name
    widest = max((a, b), key=lambda fmt: (not isinstance(fmt, FixedPoint), fmt.precision))
    return widest.name if widest.precision > 24 else "fp32"
