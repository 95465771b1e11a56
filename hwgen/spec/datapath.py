"""A datapath: operand formats, accumulator and result format, checked against each other."""

from __future__ import annotations

from dataclasses import dataclass, field

from hwgen.formats import Format, parse_format
from hwgen.formats.fixed import FixedPoint
from hwgen.spec.accumulator import Accumulator, Window, parse_accumulator

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

    Attributes
    ----------
    window : Window
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
    window: Window = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "window", self.acc.resolve(self.a, self.b))

    @classmethod
    def parse(cls, *, a: str, acc: str, b: str | None = None, out: str | None = None) -> Datapath:
        """Build a datapath from the names that users type; ``b`` defaults to ``a``.

        ``out`` defaults to the natural choice: for integer operands the register as ``int:W`` (its
        value, unchanged), for fixed point the register raw, else fp32, or the wider of the operand
        formats where one is wider than fp32.
        """
        operand_a = parse_format(a)
        operand_b = operand_a if b is None else parse_format(b)
        accumulator = parse_accumulator(acc)
        if out is None:
            out = _natural_output(operand_a, operand_b, accumulator.resolve(operand_a, operand_b))
        return cls(
            a=operand_a,
            b=operand_b,
            acc=accumulator,
            out=None if out == RAW else parse_format(out),
        )

    @property
    def out_name(self) -> str:
        """The result format's name, or ``raw``."""
        return RAW if self.out is None else self.out.name

    @property
    def out_width(self) -> int:
        """Bits of one result element."""
        return self.window.width if self.out is None else self.out.width

    @property
    def integer_operands(self) -> bool:
        """Whether both operands are fixed point, so that products need no alignment."""
        return isinstance(self.a, FixedPoint) and isinstance(self.b, FixedPoint)

    def __str__(self) -> str:
        return f"a={self.a.name} b={self.b.name} acc={self.acc} out={self.out_name}"


def _natural_output(a: Format, b: Format, window: Window) -> str:
    if isinstance(a, FixedPoint) and isinstance(b, FixedPoint):
        if window.lsb == 0 and window.width <= 64:
            return f"int:{window.width}"
        return RAW
    widest = max((a, b), key=lambda fmt: (not isinstance(fmt, FixedPoint), fmt.precision))
    return widest.name if widest.precision > 24 else "fp32"
