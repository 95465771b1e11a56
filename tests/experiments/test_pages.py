"""Pages of experiments need nothing but themselves and show any name as text."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from hwgen.errors import HwgenError

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

from pages import LARGEST, Page

HOSTILE = "<script>alert(1)</script> & $x^2$"


def elements(page: Page) -> ElementTree.Element:
    """A page is well-formed but for its void tags and its style."""
    body = "<main>" + page.html().split("<main>")[1].split("</main>")[0] + "</main>"
    return ElementTree.fromstring(body)


def sample() -> Page:
    return Page(HOSTILE, "in one line", source="scripts/x.py")


def test_names_are_text_and_nothing_is_loaded():
    page = sample()
    page.section(HOSTILE)
    page.text(HOSTILE)
    page.table(HOSTILE, ["method", HOSTILE], [[HOSTILE, 1]])
    page.plot(HOSTILE, {HOSTILE: ([1, 2], [3, 4])}, x="n", y="bits")
    text = page.html()
    assert "<script" not in text
    assert "default-src 'none'" in text
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org", "")


def test_numbers_stand_right_and_words_left():
    page = sample()
    rows = [["a", 1234, -2, None, "52.3 ± 0.1", "text"], ["b", 0.00001, 5, 1.5, "–", "7 words"]]
    page.table("t", ["name", "n", "i", "x", "y", "words"], rows)
    cells = list(elements(page).iter("td"))
    assert [cell.text for cell in cells[:4]] == [
        "1,234",
        "\N{MINUS SIGN}2",
        "not measured",
        rows[0][4],
    ]
    assert [cell.get("class") for cell in cells[:5]] == [None, None, None, None, "words"]


def test_a_plot_has_its_caption_for_those_who_do_not_see_it():
    page = sample()
    page.plot("bits fall", {"a": ([1, 2], [3, 4])}, x="numbers", y="bits")
    plots = list(elements(page).iter("svg"))
    assert len(plots) == 2
    assert all("bits fall" in node.get("aria-label") for node in plots)


def test_zero_has_a_tick_on_a_logarithmic_axis():
    page = sample()
    page.plot("c", {"a": ([1, 10], [0, 1e-3])}, x="n", y="rsd", log_y=True)
    ticks = [node.text for node in elements(page).iter("text")]
    assert "0" in ticks
    page = sample()
    page.plot("c", {"a": ([1, 10], [1e-9, 1e-3])}, x="n", y="rsd", log_y=True)
    assert "0" not in [node.text for node in elements(page).iter("text")]


def test_what_is_shared_or_too_exact_is_written_once_and_short():
    page = sample()
    page.plot("0.123456", {"a": ([1, 2, 3], [1 / 3, 1 / 7, 0.1])}, x="n 0.123456 m", y="bits")
    main = elements(page)
    assert not any("style" in node.attrib for node in main.iter())
    places = [node.get(key, "") for node in main.iter() for key in ("d", "x", "y", "transform")]
    assert not any(re.search(r"\.\d{3}", place) for place in places)
    assert "n 0.123456 m" in [node.text for node in main.iter("text")]
    assert "0.123456" in main.find(".//svg").get("aria-label")


def test_names_stand_along_an_axis():
    page = sample()
    page.plot("c", {"a": (["one", "two"], [1, 2]), "b": (["two"], [3])}, x="", y="bits")
    words = [node.text for node in elements(page).iter("text")]
    assert words.count("one") == words.count("two") == 2


@pytest.mark.parametrize(
    ("series", "more"),
    [
        ({}, {}),
        ({"a": ([], [])}, {}),
        ({"a": ([1, 2], [1])}, {}),
        ({"a": ([1, 2], [1, -1])}, {"log_y": True}),
        ({"a": ([1, 2], [1, 2])}, {"bars": {"b": ([1, 1], [2, 2])}}),
        ({"a": ([1, 2], [1, 2])}, {"bars": {"a": ([1], [2])}}),
    ],
)
def test_what_cannot_be_drawn_is_refused(series, more):
    with pytest.raises(ValueError, match="series|negative"):
        sample().plot("c", series, x="n", y="bits", **more)


def test_rows_are_as_long_as_the_head():
    with pytest.raises(ValueError, match="3 cells under 2"):
        sample().table("t", ["a", "b"], [["x", 1, 2]])


def test_a_page_that_grows_too_large_is_refused(tmp_path):
    page = sample()
    page.text("x" * LARGEST)
    with pytest.raises(HwgenError, match="allowed are"):
        page.write(tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()
