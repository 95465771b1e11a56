"""The syntax of Liberty files."""

from __future__ import annotations

import pytest

from hwgen.errors import HwgenError
from hwgen.flow.liberty import parse_liberty, read_liberty

TEXT = """\
/* a comment
   of two lines */
library (demo) { // another
  time_unit : "1ns" ;
  capacitive_load_unit (1, pf);
  define (mine, cell, string);
  late : 1.5
  later : VDD + 0.5;
  cell ("ODD NAME") {
    area : 12.5 ;
    pin (A, B) { direction : input; }
    values ( \\
      "1, 2", \\
      "3, 4 \\
       5");
    values ("6");
    empty () {}
  }
}
"""


def test_groups_attributes_and_lists_are_read():
    library = parse_liberty(TEXT)
    assert (library.name, library.arguments) == ("library", ("demo",))
    assert library.simple["time_unit"] == "1ns"
    assert library.complex["capacitive_load_unit"] == [("1", "pf")]
    cell = next(library.named("cell"))
    assert (cell.arguments, cell.line, cell.number("area", 0.0)) == (("ODD NAME",), 9, 12.5)
    assert next(cell.named("pin")).arguments == ("A", "B")
    assert [group.name for group in cell.groups] == ["pin", "empty"]


def test_a_value_ends_with_its_line_or_semicolon():
    library = parse_liberty(TEXT)
    assert library.simple["late"] == "1.5"
    assert library.simple["later"] == "VDD + 0.5"


def test_a_list_may_go_on_behind_a_backslash_and_the_last_one_counts():
    cell = next(parse_liberty(TEXT).named("cell"))
    assert cell.complex["values"][0] == ("1, 2", "3, 4  5")
    assert cell.numbers("values") == [[6.0]]
    assert cell.numbers("index_1") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("library (a) {\n area : 1;\n", "group library of line 1 is not closed"),
        ("library (a) {\n}\n}\n", "line 3: a closing brace too many"),
        ("library (a) {\n area = 1;\n}", "line 2: '=' after area|'=' after area"),
        ('library (a) {\n area : "1;\n}', "line 2: cannot read"),
        ("library (a) {\n : 1;\n}", "line 2: ':' where a name is due"),
        ("library (a) {\n x (1, {) ;\n}", "line 2: '{' in the parentheses of x"),
        ("cell (a) { }", "it holds 0 library groups"),
        ("library (a) { }\nlibrary (b) { }", "it holds 2 library groups"),
        ("library (a) {\n area", "the file ends after area"),
    ],
)
def test_what_breaks_the_syntax_is_refused_with_its_line(text, message):
    with pytest.raises(HwgenError, match=message):
        parse_liberty(text)


def test_a_word_where_a_number_is_due_is_refused():
    cell = next(
        parse_liberty("library (a) { cell (b) { area : large;\nvalues (x); } }").named("cell")
    )
    with pytest.raises(HwgenError, match=r"line 1: area of cell\(b\) is 'large'"):
        cell.number("area", 0.0)
    with pytest.raises(HwgenError, match="values of cell must be lists of numbers"):
        cell.numbers("values")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(HwgenError, match="cannot read the Liberty file .*none.lib"):
        read_liberty(tmp_path / "none.lib")
    (tmp_path / "bad.lib").write_text("module x; endmodule\n")
    with pytest.raises(HwgenError, match=r"bad.lib is no Liberty file that hwgen reads: line 1"):
        read_liberty(tmp_path / "bad.lib")
