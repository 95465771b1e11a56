"""Reserved words: none may name a module."""

from __future__ import annotations

import pytest

from hwgen.errors import SpecError
from hwgen.spec.datapath import Datapath
from hwgen.spec.design import Design
from hwgen.spec.keywords import KEYWORDS

DATAPATH = Datapath.parse(a="bf16", acc="window:msb=5,lsb=-30,ovf=9")


def test_a_reserved_word_is_no_name():
    for word in KEYWORDS:
        with pytest.raises(SpecError, match=f"'{word}', a reserved word"):
            Design(datapath=DATAPATH, rows=1, cols=1, name=word)


@pytest.mark.parametrize("word", ["Module", "modules", "gemm", "rows"])
def test_a_word_that_is_not_reserved_is_a_name(word):
    assert Design(datapath=DATAPATH, rows=1, cols=1, name=word).name == word


def test_the_standards_counts():
    # IEEE 1364-2001 annex B has 123 words, IEEE 1800-2017 annex B 248 in all.
    assert len(KEYWORDS) == 248
