"""Random numbers for stochastic rounding, made once a side at the edge of the array."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwgen.spec.alignment import Alignment
from hwgen.spec.dither import FEEDBACK, STATE_BITS, Side, initial_state, lane_masks

__all__ = ["RandomWords"]


class RandomWords(wiring.Component):
    """Random words of one side's lanes, a new one with every pair of beats.

    Parameters
    ----------
    alignment : Alignment
    side : Side
    lanes : int

    Members
    -------
    admitted : In(1)
        A pair of beats enters the array.
    last : In(1)
        A block ends with this pair, or without one after a reset.
    words : Out(random bits * lanes)
        The words of the pair that is admitted, lane 0 in the low bits; where a beat holds several
        terms, of all of them. Of each word the upper bits that the alignment has a use for.

    Notes
    -----
    Latency 0. The numbers are defined in :mod:`hwgen.spec.dither`. No reset: the array is cleared
    after one by an end of a block, which starts the numbers anew.
    """

    has_reset = False

    def __init__(self, alignment: Alignment, side: Side, lanes: int) -> None:
        window = alignment.window
        unused = window.random_bits - alignment.random_bits
        self._side = side
        self._start = initial_state(window.seed, side)
        self._terms = alignment.dot
        self._masks = [
            (term, mask)
            for lane in range(lanes)
            for term in range(self._terms)
            for mask in lane_masks(side, lane, window.random_bits)[unused:]
        ]
        super().__init__({"admitted": In(1), "last": In(1), "words": Out(len(self._masks))})

    @property
    def definition(self) -> str:
        """Name of the emitted module."""
        return f"random_words_{self._side.name.lower()}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        state = Signal(STATE_BITS, reset_less=True)
        states = [state]  # of the beat's terms
        for term in range(1, self._terms):
            later = Signal(STATE_BITS, name=f"state_{term}")
            m.d.comb += later.eq(_stepped(states[-1]))
            states.append(later)
        with m.If(self.last):
            m.d.sync += state.eq(self._start)
        with m.Elif(self.admitted):
            m.d.sync += state.eq(_stepped(states[-1]))
        taps = [
            [states[term][j] for j in range(STATE_BITS) if mask >> j & 1]
            for term, mask in self._masks
        ]
        m.d.comb += self.words.eq(Cat(Cat(bits).xor() for bits in taps))
        return m


def _stepped(state: Signal) -> Value:
    """The state of the next term (:func:`hwgen.spec.dither.step`)."""
    return state[1:] ^ Mux(state[0], Const(FEEDBACK, STATE_BITS), 0)
