"""Colours: text and marks stand out from what is behind them, on light and dark screens."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hwgen.report import palette

CSS = (Path(palette.__file__).parent / "page.css").read_text(encoding="utf-8")
SETS = {"light": palette.LIGHT, "dark": palette.DARK}


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, two: str) -> float:
    light, dark = sorted((luminance(one), luminance(two)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_contrast_of_black_and_white_is_21():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("colours", SETS.values(), ids=SETS)
@pytest.mark.parametrize("ground", ["page", "panel"])
def test_text_has_a_contrast_of_four_and_a_half(colours, ground):
    measured = {name: contrast(colours[name], colours[ground]) for name in palette.TEXTS}
    assert {name: value for name, value in measured.items() if value < 4.5} == {}


@pytest.mark.parametrize("colours", SETS.values(), ids=SETS)
def test_marks_have_a_contrast_of_three(colours):
    measured = {name: contrast(colours[name], colours["page"]) for name in palette.MARKS}
    assert {name: value for name, value in measured.items() if value < 3} == {}


@pytest.mark.parametrize("colours", SETS.values(), ids=SETS)
def test_a_pressed_button_can_be_read(colours):
    assert contrast(colours["page"], colours["link"]) >= 4.5


def test_both_screens_have_the_same_names_and_light_colours_differ():
    assert list(palette.LIGHT) == list(palette.DARK)
    assert len(set(palette.LIGHT.values())) == len(palette.LIGHT)


def test_the_style_sheet_names_no_colour_of_its_own():
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b|rgb|hsl", CSS) == []
    assert set(re.findall(r"var\(--(\w+)\)", CSS)) <= set(palette.LIGHT)


def test_text_is_written_in_colours_that_are_checked():
    written = set(re.findall(r"[;{\s]color:var\(--(\w+)\)", CSS))
    assert written - {"page"} <= set(palette.TEXTS)
