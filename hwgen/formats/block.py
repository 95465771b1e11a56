"""Block-scaled formats: small elements that share a scale a block (OCP MX v1.0, NVFP4).

A pattern holds one element together with its block's scale, ``(scale << element.width) | element``,
and its value is the product of the two. So every element can be read by itself, in any order, and
blocks may begin anywhere; memory that stores a scale once a block is :meth:`BlockScaled.split`,
:meth:`BlockScaled.block_scales` and :meth:`BlockScaled.join`.

There is no way to round one number to such a format by itself, so it is no result format.

References
----------
Open Compute Project, *OCP Microscaling Formats (MX) Specification*, version 1.0, sections 5 and 6.
NVIDIA, *PTX ISA*, block scaling ``.scale_vec::4X`` with ``ue4m3`` scales, for NVFP4.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from hwgen.errors import FormatError
from hwgen.formats.arrays import as_float64, as_patterns
from hwgen.formats.base import Encoding, Format, Kind, Number, Packed, Unpacked
from hwgen.formats.exact import check_pattern
from hwgen.formats.fixed import FixedPoint
from hwgen.formats.ieee import Float, Specials
from hwgen.formats.scale import (
    POWER_BIAS,
    POWER_NAN,
    SCALE_BITS,
    SCALE_FLOAT,
    Scale,
    decode_scale,
    quantise,
    unpack_scales,
)

__all__ = ["NAMED_BLOCKS", "BlockScaled", "NamedBlock"]

MAX_BLOCK = 1 << 16


@dataclass(frozen=True, slots=True)
class NamedBlock:
    """A block-scaled format that has a name: its scale, block size and elements (default first)."""

    name: str
    scale: Scale
    block: int
    elements: tuple[Format, ...]
    description: str


def _small(exponent_bits: int, fraction_bits: int, specials: Specials) -> Float:
    return Float(exponent_bits=exponent_bits, fraction_bits=fraction_bits, specials=specials)


_E4M3 = SCALE_FLOAT
_E5M2 = _small(5, 2, Specials.IEEE)
_E3M2 = _small(3, 2, Specials.NONE)
_E2M3 = _small(2, 3, Specials.NONE)
_E2M1 = _small(2, 1, Specials.NONE)
_MXINT8 = FixedPoint(integer_bits=2, fraction_bits=6)

NAMED_BLOCKS = (
    NamedBlock(
        "mxfp8", Scale.E8M0, 32, (_E4M3, _E5M2), "OCP MX: e4m3 (or element=e5m2), scale 2^n a block"
    ),
    NamedBlock(
        "mxfp6", Scale.E8M0, 32, (_E3M2, _E2M3), "OCP MX: e3m2 (or element=e2m3), scale 2^n a block"
    ),
    NamedBlock("mxfp4", Scale.E8M0, 32, (_E2M1,), "OCP MX: e2m1, scale 2^n a block of 32"),
    NamedBlock("mxint8", Scale.E8M0, 32, (_MXINT8,), "OCP MX: fixed:2,6, scale 2^n a block of 32"),
    NamedBlock("nvfp4", Scale.E4M3, 16, (_E2M1,), "NVFP4: e2m1, scale in e4m3 a block of 16"),
)
_NAMED = {(named.scale, element): named for named in NAMED_BLOCKS for element in named.elements}


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockScaled(Format):
    """A block-scaled format: ``value = element * scale``.

    NaN is an element or a scale that is NaN; infinity an element that is, under a scale that is
    none. A scale in e4m3 has a sign, which counts; quantisation never sets it.

    Parameters
    ----------
    element : Format
        With scale E8M0: e4m3, e5m2, e3m2, e2m3, e2m1 or fixed:2,6. With scale E4M3: e2m1.
    scale : Scale
    block : int
        Elements that :meth:`from_float` gives one scale.

    Raises
    ------
    FormatError
        If the element does not go with the scale, or the block size is out of range.
    """

    element: Format
    scale: Scale = Scale.E8M0
    block: int = 32

    def __post_init__(self) -> None:
        if (self.scale, self.element) not in _NAMED:
            allowed = ", ".join(element.name for scale, element in _NAMED if scale is self.scale)
            raise FormatError(
                f"blocks with scale {self.scale.value} have element {self.element.name};"
                f" allowed is {allowed}"
            )
        if isinstance(self.block, bool) or not isinstance(self.block, int):
            raise FormatError(f"a block has {self.block!r} elements; it must be an integer")
        if not 1 <= self.block <= MAX_BLOCK:
            raise FormatError(f"a block has {self.block} elements; allowed is 1 to {MAX_BLOCK}")

    @property
    def name(self) -> str:
        named = _NAMED[self.scale, self.element]
        options = []
        if self.element != named.elements[0]:
            options.append(f"element={self.element.name}")
        if self.block != named.block:
            options.append(f"block={self.block}")
        return named.name + (":" if options else "") + ",".join(options)

    @property
    def width(self) -> int:
        return self.element.width + SCALE_BITS

    @property
    def signed(self) -> bool:
        return True

    @property
    def has_inf(self) -> bool:
        return self.element.has_inf

    @property
    def has_nan(self) -> bool:
        return True

    @property
    def is_result_format(self) -> bool:
        return False

    @property
    def precision(self) -> int:
        # The significands of element and scale multiply; a power of two has none to speak of.
        factor = 0 if self.scale is Scale.E8M0 else SCALE_FLOAT.precision
        return self.element.precision + factor

    @property
    def min_exponent(self) -> int:
        least = -POWER_BIAS if self.scale is Scale.E8M0 else SCALE_FLOAT.min_exponent
        return self.element.min_exponent + least

    @property
    def max_finite(self) -> Fraction:
        largest = (
            Fraction(2) ** (POWER_NAN - 1 - POWER_BIAS)
            if self.scale is Scale.E8M0
            else SCALE_FLOAT.max_finite
        )
        return self.element.max_finite * largest

    @property
    def nan_bits(self) -> int:
        return self._nan_scale << self.element.width

    @property
    def _nan_scale(self) -> int:
        return POWER_NAN if self.scale is Scale.E8M0 else SCALE_FLOAT.nan_bits

    def infinity_bits(self, negative: bool) -> int:
        if not self.has_inf:
            return self.nan_bits
        return self.element.infinity_bits(negative) | POWER_BIAS << self.element.width

    @property
    def _no_result(self) -> str:
        return (
            f"{self.name} shares scales between elements, so that one number cannot be rounded to"
            " it by itself; use from_float on a whole matrix"
        )

    # The exact route.

    def decode(self, bits: int) -> Number:
        check_pattern(bits, self)
        element = self.element.decode(bits & ((1 << self.element.width) - 1))
        scale = decode_scale(self.scale, bits >> self.element.width)
        sign = element.sign ^ scale.sign
        if Kind.NAN in (element.kind, scale.kind):
            return Number(Kind.NAN, sign)
        if element.kind is Kind.INFINITE:
            return Number(Kind.INFINITE, sign)
        return Number(
            Kind.FINITE,
            sign,
            element.significand * scale.significand,
            element.exponent + scale.exponent,
        )

    def encode(self, value: Number | Fraction | int | float) -> Encoding:
        """Raise FormatError: see :attr:`is_result_format`."""
        raise FormatError(self._no_result)

    # The array route.

    def unpack(self, bits: np.ndarray) -> Unpacked:
        elements, scales = self.split(bits)
        parts = self.element.unpack(elements)
        factor = unpack_scales(self.scale, scales)
        nan = parts.nan | factor.nan
        inf = parts.inf & ~nan
        special = nan | inf
        return Unpacked(
            nan=np.asarray(nan),
            inf=np.asarray(inf),
            sign=np.asarray(parts.sign ^ factor.sign),
            significand=np.where(special, np.uint64(0), parts.significand * factor.significand),
            exponent=np.where(special, np.int64(0), parts.exponent + factor.exponent),
        )

    def pack(
        self,
        sign: np.ndarray,
        significand: np.ndarray,
        exponent: np.ndarray,
        sticky: np.ndarray | None = None,
    ) -> Packed:
        """Raise FormatError: see :attr:`is_result_format`."""
        raise FormatError(self._no_result)

    def split(self, bits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the patterns of the elements and, as uint8, each one's scale."""
        patterns = as_patterns(bits, self)
        elements = patterns & np.uint64((1 << self.element.width) - 1)
        scales = patterns >> np.uint64(self.element.width)
        return elements.astype(self.element.dtype), scales.astype(np.uint8)

    def join(self, elements: np.ndarray, scales: np.ndarray) -> np.ndarray:
        """Return patterns of elements and their scales, broadcast against each other.

        Scales that stand once a block go through ``np.repeat(scales, block, axis)`` first.
        """
        elements = as_patterns(elements, self.element)
        scales = np.asarray(scales)
        if scales.dtype != np.uint8:
            raise FormatError(f"scales have dtype {scales.dtype}; they must be uint8")
        return (elements | scales.astype(np.uint64) << np.uint64(self.element.width)).astype(
            self.dtype
        )

    def block_scales(self, bits: np.ndarray, *, axis: int = -1) -> np.ndarray:
        """Return one scale a block along ``axis``; the last block may be shorter.

        Raises
        ------
        FormatError
            If the elements of a block do not have the same scale.
        """
        _, scales = self.split(bits)
        scales = np.moveaxis(scales, _checked_axis(scales, axis), -1)
        first = scales[..., :: self.block]
        spread = np.repeat(first, self.block, axis=-1)[..., : scales.shape[-1]]
        if np.any(spread != scales):
            raise FormatError(
                f"elements of one block of {self.block} have different scales;"
                f" were they quantised along another axis than {axis}?"
            )
        return np.moveaxis(first, -1, axis)

    def from_float(self, values: np.ndarray, *, axis: int = -1) -> np.ndarray:
        """Quantise float64 values, a scale for every block along ``axis``.

        Parameters
        ----------
        values : array of real numbers
        axis : int
            The axis that blocks extend along; its last block may be shorter.

        Notes
        -----
        With scale E8M0 the scale is the power of two of OCP MX section 6.3: the largest
        magnitude's exponent less that of the element's largest number, within -127 to 127. With
        scale E4M3 it is the largest magnitude divided by the element's largest number, rounded to
        e4m3, at least e4m3's smallest number and at most its largest. Elements are the values
        divided by the scale, rounded to nearest, ties to even, saturating; mxint8 does not use its
        least element, -2, so that negation changes signs only. A block of zeros has the scale
        pattern 0. A NaN or an infinity makes its whole block NaN.
        """
        values = as_float64(values, self)
        shape = values.shape
        values = np.atleast_1d(values)
        if values.size == 0:
            return np.zeros(shape, dtype=self.dtype)
        axis = _checked_axis(values, axis)
        lines = np.moveaxis(values, axis, -1)
        length = lines.shape[-1]
        spare = -length % self.block
        padded = np.pad(lines, [(0, 0)] * (lines.ndim - 1) + [(0, spare)])
        blocks = padded.reshape(*lines.shape[:-1], -1, self.block)
        bad = ~np.isfinite(blocks).all(axis=-1, keepdims=True)
        blocks = np.where(bad, 0.0, blocks)
        elements, scales = quantise(blocks, self.element, self.scale)
        scales = np.where(bad, np.uint8(self._nan_scale), scales)
        patterns = self.join(elements, scales).reshape(padded.shape)[..., :length]
        return np.ascontiguousarray(np.moveaxis(patterns, -1, axis)).reshape(shape)

    def to_float(self, bits: np.ndarray) -> np.ndarray:
        """Return patterns as float64; exact for every format of this family."""
        parts = self.unpack(bits)
        magnitude = np.ldexp(parts.significand.astype(np.float64), parts.exponent.astype(np.int32))
        magnitude = np.where(parts.inf, np.inf, np.where(parts.nan, np.nan, magnitude))
        return np.asarray(np.copysign(magnitude, np.where(parts.sign, -1.0, 1.0)))


def _checked_axis(values: np.ndarray, axis: int) -> int:
    if not -values.ndim <= axis < values.ndim:
        raise FormatError(
            f"blocks along axis {axis} of an array of shape {values.shape};"
            f" allowed is {-values.ndim} to {values.ndim - 1}"
        )
    return axis % values.ndim
