"""The page: it needs nothing but itself, says what is unknown, and shows any name as text."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from explorations import call_site, exploration

from hwgen.explore.records import Exploration, Point, SiteDesign
from hwgen.report import draw_plots, html_page, markdown_summary

pytest.importorskip("matplotlib")

HOSTILE = "</script><script>alert(1)</script> <b>&\" onload='x' $a^{b}$ \N{SNOWMAN}層"
VOID = {"meta", "link", "br", "input", "img"}


class Tree(HTMLParser):
    """What a page holds: its tags with their attributes, its text, and whether tags match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def page(found: Exploration) -> str:
    return html_page(found, draw_plots(found))


@pytest.fixture(scope="module")
def sample() -> str:
    return page(exploration(windows=8, sites=2))


@pytest.fixture(scope="module")
def large() -> str:
    return page(exploration(windows=500, sites=30))


def test_every_tag_is_closed(sample):
    assert Tree(sample).open == []


def test_nothing_is_loaded_from_elsewhere(sample):
    assert re.findall(r"https?:|//[a-z]|@import|url\((?!#)", sample.replace("</", "<")) == []
    links = [
        value
        for _, attributes in Tree(sample).tags
        for name, value in attributes.items()
        if name in ("href", "src", "action", "data")
    ]
    assert {link[0] for link in links if link != "data:,"} == {"#"}


def test_ids_are_unique_and_links_lead_somewhere(sample):
    tags = Tree(sample).tags
    ids = Counter(attributes["id"] for _, attributes in tags if "id" in attributes)
    assert [name for name, count in ids.items() if count > 1] == []
    links = {attributes["href"] for _, attributes in tags if "href" in attributes} - {"data:,"}
    links |= set(re.findall(r"url\((#[^)]+)\)", sample))
    assert {link.removeprefix("#") for link in links} - set(ids) == set()


def test_every_picture_says_what_it_shows(sample):
    labels = [attributes.get("aria-label") for tag, attributes in Tree(sample).tags if tag == "svg"]
    assert len(labels) == 2 * (2 + 3 + 2)  # fronts, sites with all together, errors; two sizes each
    assert all(labels)
    assert [tag for tag, _ in Tree(sample).tags if tag == "img"] == []


def test_the_policy_allows_this_script_alone(sample):
    (script,) = re.findall(r"<script>(.*?)</script>", sample, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = next(a["content"] for t, a in Tree(sample).tags if a.get("http-equiv"))
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}';" in policy


def test_the_same_exploration_gives_the_same_bytes(sample):
    assert page(exploration(windows=8, sites=2)) == sample


@pytest.mark.slow
def test_five_hundred_points_fit_into_three_megabytes(large):
    assert len(large.encode()) <= 3_000_000
    rows = [a for t, a in Tree(large).tags if t == "tbody" and a.get("id")]
    assert len(rows) == 502
    assert "the 12 with the most MACs of 30 are drawn" in Tree(large).text


@pytest.mark.slow
def test_thousands_of_points_are_cut_and_it_is_said():
    some = exploration(windows=2, sites=0)
    many = replace(some, points=some.points + [replace(some.points[0], front=False)] * 4000)
    text = page(many)
    assert len(text.encode()) <= 3_000_000
    assert "Designs: 600 of 4004 are shown" in Tree(text).text


def test_hostile_names_are_text_everywhere():
    found = exploration(windows=3, sites=1)
    point = replace(
        found.points[0], name=HOSTILE, notes=[HOSTILE], acc=HOSTILE, chosen=True, front=True
    )
    found = replace(
        found,
        title=HOSTILE,
        command=[HOSTILE],
        commands=[HOSTILE],
        metric_name=HOSTILE,
        library=HOSTILE,
        versions={HOSTILE: HOSTILE},
        points=[point, *found.points[1:]],
        call_sites=[call_site(0, name=HOSTILE), call_site(1, name=HOSTILE)],
    )
    tree = Tree(page(found))
    assert [tag for tag, _ in tree.tags].count("script") == 1
    assert [tag for tag, _ in tree.tags if tag == "b"] == ["b"] * len(
        [1 for tag, attributes in tree.tags if tag == "b" and not attributes]
    )
    assert not any("onload" in attributes for _, attributes in tree.tags)
    assert tree.open == []
    assert " ".join(HOSTILE.split()) in tree.text


def test_what_is_unknown_is_said_and_is_no_zero():
    bare = Point(name="bare", a="fp16", b="fp16", acc="fma:fp16", out="fp16")
    known = replace(bare, name="known", width=16, error=0.0, energy_pj=2.0, area_um2=3.0)
    found = replace(exploration(windows=2, sites=0), points=[bare, known])
    tree = Tree(page(found))
    body = tree.text[tree.text.index("All designs") :]
    row = body[body.index("bare") :]
    row = row[: row.index("hwgen generate")]
    assert row.count("not measured") == 4  # width, energy, area, error
    assert "Energy: not measured for 1 of 2 designs (bare)." in body
    assert "fmax: not measured." in body
    assert "Baseline: none was explored" in body
    values = [a.get("data-value") for t, a in tree.tags if t == "td" and "data-key" in a]
    assert values.count(None) == 4
    assert sorted(value for value in values if value) == ["0.0", "16", "2.0", "3.0"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"points": []}, "No design was explored."),
        ({"points": [Point(name="p", a="fp16", b="fp16", acc="exact", out="fp32")]}, "none is rec"),
        ({"call_sites": []}, "Exponents of the data: not measured."),
        ({"tolerance": None}, "neither a tolerance nor a metric was given"),
        ({"library": None}, "Cell library: none is named"),
        ({"seconds": None}, "Time of the exploration: not measured"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_an_exploration_may_lack_parts(changes, says):
    tree = Tree(page(replace(exploration(windows=2, sites=1), **changes)))
    assert says in tree.text
    assert tree.open == []


def test_one_point_is_a_page():
    found = exploration(windows=1, sites=1)
    text = page(replace(found, points=[replace(found.points[0], chosen=True)]))
    assert "w26 is recommended, a register of 26 bits." in Tree(text).text


def test_where_elements_take_several_products_area_is_told_by_product():
    found = exploration(windows=1, sites=1)
    assert "µm² a MAC" not in page(found)
    several = replace(found.points[0], acc=f"{found.points[0].acc},dot=2")
    assert "µm² a MAC" in page(replace(found, points=[several, *found.points[1:]]))


def test_if_nothing_is_accurate_enough_it_is_said():
    found = exploration(windows=2, sites=0)
    points = [replace(p, acceptable=False, chosen=False, front=False) for p in found.points]
    assert "Of 4 designs explored, none is accurate enough." in page(replace(found, points=points))


def test_numbers_that_are_not_finite_are_shown_and_not_drawn():
    found = exploration(windows=3, sites=0)
    points = [replace(found.points[0], error=float("inf"), energy_pj=1e308), *found.points[1:]]
    text = page(replace(found, points=points))
    assert "beyond all bounds" in text
    assert "Energy against error seen: 3 designs; 2 not drawn" in text


EXTREMES = {
    "tiny": (1e-320, {"error": 1e-320, "energy_pj": 1e-320, "bound": 5e-324}),
    "huge": (1e308, {"error": 1e308, "energy_pj": 1e308, "bound": 1.7e308}),
    "apart": (1e-6, {"error": 1e249, "energy_pj": 1e-249}),
    "zero": (0.0, {"error": 0.0, "energy_pj": 0.0, "width": 0, "bound": 0.0}),
    "negative": (-1.0, {"error": -1.0, "energy_pj": -1.0, "width": -5}),
    "beyond float64": (None, {"metric": -1e200, "width": 10**400}),
}


@pytest.mark.parametrize(("tolerance", "changes"), EXTREMES.values(), ids=EXTREMES)
@pytest.mark.parametrize("others", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_any_number_can_be_drawn_or_left_out(tolerance, changes, others):
    found = exploration(windows=2, sites=0)
    points = [replace(found.points[0], **changes), *found.points[1 : 1 + others]]
    draw_plots(replace(found, points=points, tolerance=tolerance))


def sites_apart(saving: float) -> Exploration:
    designs = [
        SiteDesign(
            name=HOSTILE, share=0.75, acc="window:msb=2,lsb=-3,ovf=2", width=8, energy_pj=2.5
        ),
        SiteDesign(name="x", share=0.25, acc="window:msb=2,lsb=-9,ovf=2", width=14, energy_pj=3.5),
    ]
    return replace(exploration(windows=2, sites=2), site_designs=designs, site_saving=saving)


@pytest.mark.parametrize(
    ("saving", "says"),
    [(0.123, "would save about 12 % of the energy"), (0.0001, "would save next to nothing")],
)
def test_what_designs_for_call_sites_would_save_is_told_as_an_estimate(saving, says):
    tree = Tree(page(sites_apart(saving)))
    assert says in tree.text
    assert "This is an estimate" in tree.text
    assert "75 % 8 2.50" in tree.text
    assert tree.open == []


def test_energies_by_stimulus_are_told_beside_their_mean():
    found = exploration(windows=2, sites=0)
    energies = {"gaussian": 1.25, "recorded": 0.75}
    points = [replace(found.points[0], energies=energies), *found.points[1:]]
    found = replace(found, points=points)
    says = "pJ a MAC: gaussian 1.25, recorded 0.750"
    assert says in Tree(page(found)).text
    assert says in markdown_summary(found)


def test_the_command_has_the_arrays_size(sample):
    assert "--rows 16 --cols 4" in Tree(sample).text
    assert (
        "--rows 8 --cols 8"
        in Tree(page(replace(exploration(windows=1), rows=None, cols=None))).text
    )


def test_a_metric_may_be_better_the_smaller_it_is():
    found = exploration(windows=3, sites=0)
    points = [replace(p, metric=float(i)) for i, p in enumerate(found.points)]
    found = replace(found, points=points, metric_name="loss")
    text = Tree(page(replace(found, metric_smaller_is_better=True))).text
    assert "← Loss (less is better)" in text
    assert "Loss (more is better) →" in Tree(page(found)).text


def test_the_sentence_states_ratios_to_the_baseline():
    found = exploration(windows=0, sites=0)
    base = replace(found.points[0], energy_pj=4.0, area_um2=1000.0, fmax_mhz=100.0)
    best = replace(base, name="mine", baseline=False, chosen=True, energy_pj=1.0, area_um2=300.0)
    text = Tree(page(replace(found, points=[base, best]))).text
    assert "It has 0.25× the energy, 0.3× the area and 1× the fmax of fma fp32." in text
