"""One processing element between its unpackers and its rounder, for the tests of all kinds."""

from __future__ import annotations

from amaranth.hdl import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwgen.rtl.dither import RandomWords
from hwgen.rtl.pe import ProcessingElement
from hwgen.rtl.round import STATUS_BITS, rounder_class
from hwgen.rtl.unpack import Unpacker
from hwgen.spec.alignment import align
from hwgen.spec.datapath import Datapath
from hwgen.spec.dither import Side
from hwgen.spec.rounding import rounding_stages
from hwgen.spec.timing import OPERAND_LATENCY, SUM_LATENCY, summand_stages, unpack_stages


class Element(wiring.Component):
    """From a pair of patterns to a result: everything that touches a value, once."""

    def __init__(self, datapath: Datapath) -> None:
        self._datapath = datapath
        super().__init__(
            {
                "a": In(datapath.a.width),
                "b": In(datapath.b.width),
                "present": In(1),
                "last": In(1),
                "bits": Out(datapath.out_width),
                "status": Out(STATUS_BITS),
            }
        )

    @property
    def latency(self) -> int:
        spec = align(self._datapath)
        element = OPERAND_LATENCY + summand_stages(spec) + SUM_LATENCY
        return unpack_stages(spec) + element + rounding_stages(self._datapath)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.a = a = Unpacker(self._datapath, "a")
        m.submodules.b = b = Unpacker(self._datapath, "b")
        if align(self._datapath).random_bits:
            for side, unpacker in ((Side.A, a), (Side.B, b)):
                words = RandomWords(align(self._datapath), side, lanes=1)
                m.submodules += words
                m.d.comb += [
                    words.admitted.eq(self.present),
                    words.last.eq(self.last),
                    unpacker.random.eq(words.words),
                ]
        m.submodules.pe = pe = ProcessingElement(align(self._datapath))
        m.submodules.round = rounder = rounder_class(self._datapath)(self._datapath)
        m.d.comb += [
            a.bits.eq(self.a),
            a.token.eq(Cat(self.present, self.last)),
            b.bits.eq(self.b),
            b.token.eq(self.present),
            pe.a_in.eq(a.operand),
            pe.b_in.eq(b.operand),
            pe.last_in.eq(a.last),
            rounder.partial.eq(pe.drain_out),
            self.bits.eq(rounder.bits),
            self.status.eq(rounder.status),
        ]
        return m
