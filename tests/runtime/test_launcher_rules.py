"""Rules on which calls are served, as users type them."""

from __future__ import annotations

import pytest

from hwgen.errors import SpecError
from hwgen.runtime.rules import parse_precisions, parse_rule


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("k>=64", "k>=64"),
        (" k >= 64 , m<512", "k>=64,m<512"),
        ("mnk>1000000,n==8,m<=3", "mnk>1000000,n==8,m<=3"),
    ],
)
def test_a_rule_loses_its_blanks(text, rule):
    assert parse_rule(text) == rule


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", ""),
        ("k>=64,", ""),
        ("q<3", "q<3"),
        ("k>=64,m=3", "m=3"),
        ("k>=-1", "k>=-1"),
        ("k>=1e3", "k>=1e3"),
        ("64<k", "64<k"),
        (f"k<{2**63}", f"k<{2**63}"),
    ],
)
def test_what_is_no_rule_is_refused_with_the_part_at_fault(text, wrong):
    with pytest.raises(SpecError, match="a comparison is one of m, n, k, mnk") as caught:
        parse_rule(text)
    assert f"has {wrong!r};" in str(caught.value)


def test_precisions_come_in_one_order_and_once():
    assert parse_precisions("z,s s") == "sz"


@pytest.mark.parametrize("text", ["", "x", "sq"])
def test_other_precisions_are_refused(text):
    with pytest.raises(SpecError, match="give letters of sdczh"):
        parse_precisions(text)
