"""The scales that the elements of a block share, and how a block of numbers gets one."""

from __future__ import annotations

import enum
from dataclasses import replace

import numpy as np

from hwgen.formats.arrays import split_float64
from hwgen.formats.base import Format, Kind, Number, Unpacked
from hwgen.formats.exact import floor_log2
from hwgen.formats.fixed import FixedPoint
from hwgen.formats.ieee import Float, FloatOverflow, Specials

__all__ = [
    "POWER_BIAS",
    "POWER_NAN",
    "SCALE_BITS",
    "SCALE_FLOAT",
    "Scale",
    "decode_scale",
    "quantise",
    "unpack_scales",
]

SCALE_BITS = 8
POWER_BIAS = 127  # of E8M0
POWER_NAN = 0xFF
SCALE_FLOAT = Float(exponent_bits=4, fraction_bits=3, specials=Specials.NAN_ONLY)


class Scale(enum.Enum):
    """What a block's scale is: a power of two (OCP's E8M0), or a number in e4m3."""

    E8M0 = "e8m0"
    E4M3 = "e4m3"


def decode_scale(scale: Scale, bits: int) -> Number:
    """Decode one scale exactly."""
    if scale is Scale.E4M3:
        return SCALE_FLOAT.decode(bits)
    if bits == POWER_NAN:
        return Number(Kind.NAN)
    return Number(Kind.FINITE, 0, 1, bits - POWER_BIAS)


def unpack_scales(scale: Scale, bits: np.ndarray) -> Unpacked:
    """Decode an array of scales."""
    if scale is Scale.E4M3:
        return SCALE_FLOAT.unpack(bits)
    nan = bits == POWER_NAN
    nothing = np.zeros_like(nan)
    return Unpacked(
        nan=nan,
        inf=nothing,
        sign=nothing,
        significand=np.ones(bits.shape, dtype=np.uint64),
        exponent=bits.astype(np.int64) - POWER_BIAS,
    )


def quantise(blocks: np.ndarray, element: Format, scale: Scale) -> tuple[np.ndarray, np.ndarray]:
    """Choose scales and round elements, as :meth:`BlockScaled.from_float` describes it.

    Parameters
    ----------
    blocks : (.., block) array of finite float64
    element : Format
    scale : Scale

    Returns
    -------
    elements : (.., block) array of patterns
    scales : (.., 1) array of uint8
    """
    return (_by_power if scale is Scale.E8M0 else _by_float)(blocks, element)


def _by_power(blocks: np.ndarray, element: Format) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(element, Float):
        element = replace(element, overflow=FloatOverflow.SATURATE)
        largest = element.max_finite
    else:
        largest = element.decode(element.infinity_bits(False)).fraction
    peak = np.abs(blocks).max(axis=-1, keepdims=True)
    _, above = np.frexp(peak)  # the exponent of the leading one, plus one
    shared = np.clip(above.astype(np.int64) - 1 - floor_log2(largest), -POWER_BIAS, POWER_BIAS)
    shared = np.where(peak == 0, -POWER_BIAS, shared)
    parts = split_float64(blocks)
    bits = element.pack(parts.sign, parts.significand, parts.exponent - shared).bits
    if isinstance(element, FixedPoint):
        least = 1 << (element.width - 1)
        bits = np.where(bits == least, bits.dtype.type(least + 1), bits)
    return bits, (shared + POWER_BIAS).astype(np.uint8)


def _by_float(blocks: np.ndarray, element: Float) -> tuple[np.ndarray, np.ndarray]:
    # Nothing is divided: a quotient is compared with a tie by comparing products, which are exact.
    numbers = SCALE_FLOAT.to_float(np.arange(SCALE_FLOAT.max_finite_bits + 1))
    peak = np.abs(blocks).max(axis=-1, keepdims=True)
    scales = np.maximum(_nearest(peak, numbers, np.float64(element.max_finite)), 1)
    numbers_of_element = element.to_float(np.arange(element.max_finite_bits + 1))
    magnitudes = _nearest(np.abs(blocks), numbers_of_element, numbers[scales])
    signs = np.signbit(blocks).astype(np.uint64) << np.uint64(element.width - 1)
    return magnitudes.astype(np.uint64) | signs, np.where(peak == 0, 0, scales).astype(np.uint8)


def _nearest(values: np.ndarray, numbers: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Return the index of the one of ``numbers * factor`` nearest to each value, ties to even.

    The numbers ascend from 0 and have few enough bits for the products to be exact.
    """
    index = np.zeros(values.shape, dtype=np.int64)
    for upper, tie in enumerate((numbers[:-1] + numbers[1:]) / 2, start=1):
        bound = tie * factor
        index += (values > bound) | ((values == bound) & (upper % 2 == 0))
    return index
