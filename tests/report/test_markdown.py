"""The summary in Markdown: the page's tables, in the words of the page."""

from __future__ import annotations

import re
from dataclasses import replace

from explorations import call_site, exploration

from hwgen.report import markdown_summary


def tables(text: str) -> list[list[list[str]]]:
    """The cells of each table, by line."""
    blocks = re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE)
    split = re.compile(r"(?<!\\)\|")
    return [[split.split(line)[1:-1] for line in block.splitlines()] for block in blocks]


def test_every_table_is_one_for_markdown():
    found = tables(markdown_summary(exploration(windows=8, sites=2)))
    assert [len(table) for table in found] == [2 + 6, 2 + 4, 2 + 10]
    for head, rule, *rows in found:
        assert all(re.fullmatch(r"-+:?", cell) for cell in rule)
        assert {len(line) for line in (head, rule, *rows)} == {len(head)}


def test_it_says_what_the_page_says():
    text = markdown_summary(exploration(windows=10, sites=2))
    assert "is recommended, a register of 36 bits." in text
    assert "Energy: not measured for 1 of 12 designs (w28)." in text
    assert "## All 2 call sites together" in text
    assert "* msb 5 holds the largest product" in text
    assert "* Yosys: 0.70" in text
    assert "    hwgen generate --a bf16" in text
    assert "* w26: range events in 3 of 400 calls" in text


def test_no_program_of_the_browser_and_no_plots_are_needed(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert markdown_summary(exploration(windows=1, sites=1)).startswith("# Shallow-water")


def test_hostile_names_are_text():
    name = "<script>alert(1)</script> | *b* `c` [x](y) _d_ 1_000"
    found = exploration(windows=1, sites=0)
    found = replace(
        found,
        title=name,
        points=[replace(found.points[0], name=name, chosen=True, notes=[name]), *found.points[1:]],
        call_sites=[call_site(name=name)],
        versions={name: name},
    )
    text = markdown_summary(found)
    bare = re.sub(r"(`+).*?\1", "", re.sub(r"\\.", "", re.sub(r"^    .*$", "", text, flags=re.M)))
    assert not re.search(r"<script|\*b\*|\[x\]", bare)
    assert "1_000" in text
    for head, rule, *rows in tables(text):
        assert {len(line) for line in (head, rule, *rows)} == {len(head)}


def test_a_name_that_looks_like_a_list_is_none():
    found = exploration(windows=1, sites=0)
    text = markdown_summary(
        replace(found, points=[replace(found.points[0], name="- 1. x", chosen=True)])
    )
    assert r"\- 1. x is recommended" in text


def test_an_empty_exploration_is_a_summary():
    found = replace(
        exploration(windows=0, sites=0), points=[], versions={}, commands=[], command=[]
    )
    text = markdown_summary(found)
    assert "No design was explored." in text
    assert "0" not in text.split("## How")[0].replace("512", "")
