"""The page in a browser: no error, no request, legible, and moved by mouse, finger and keys."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from chromium import DESKTOP, PHONE, Browser, running_browser
from explorations import exploration

from hwgen.report import draw_plots, html_page
from hwgen.report.numbers import ratio_text

pytest.importorskip("matplotlib")

# The least contrast of any text that is seen, with where it is. Grounds are opaque or none.
CONTRAST = """(() => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map((part) => part / 255)
      .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const colour = getComputedStyle(node).backgroundColor;
      if (!/^rgba\\(.*, 0\\)$/.test(colour)) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const text = walk.currentNode.textContent.trim(), node = walk.currentNode.parentElement;
    if (!text || !node.getClientRects().length || node.closest("script,option")) continue;
    const style = getComputedStyle(node);
    const ink = light(node.closest("svg") ? style.fill : style.color), back = light(ground(node));
    const contrast = (Math.max(ink, back) + 0.05) / (Math.min(ink, back) + 0.05);
    found.push([contrast, text.slice(0, 40), node.closest("svg") ? "plot" : node.tagName]);
  }
  return JSON.stringify([found.length, found.sort((one, two) => one[0] - two[0]).slice(0, 3)]);
})()"""
FACTS = 'document.getElementById("facts").querySelector("h3").textContent'


@pytest.fixture(scope="module")
def sample():
    return exploration(windows=10, sites=3)


@pytest.fixture(scope="module")
def page(sample, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(html_page(sample, draw_plots(sample)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with running_browser(tmp_path_factory.mktemp("browser")) as found:
        yield found


@pytest.fixture(autouse=True)
def clean(browser):
    browser.errors.clear()
    browser.requests.clear()
    yield
    assert browser.errors == []


def shown(selector: str) -> str:
    """The elements that a reader sees, as a JavaScript expression."""
    return f"[...document.querySelectorAll(`{selector}`)].filter((n) => n.getClientRects().length)"


def spot(browser: Browser, name: str) -> tuple[float, float]:
    """Where a design is drawn, in the window; scrolls there."""
    found = f'{shown(".spots a")}.find((n) => n.ariaLabel.startsWith("{name},"))'
    browser.run(f'{found}.scrollIntoView({{block: "center", behavior: "instant"}})')
    box = json.loads(browser.run(f"JSON.stringify({found}.getBoundingClientRect())"))
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("screen", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_it_opens_without_error_or_request_and_can_be_read(browser, page, screen, dark, tmp_path):
    browser.open(page, screen, dark=dark)
    assert browser.requests == [page.as_uri()]
    count, worst = json.loads(browser.run(CONTRAST))
    assert count > 100
    assert worst[0][0] >= 4.5, worst
    # Nothing is wider than the screen, but for tables that scroll by themselves.
    assert browser.run("document.documentElement.scrollWidth") == screen[0]
    sizes = browser.run(
        f"{shown('body *')}.map((n) => parseFloat(getComputedStyle(n).fontSize))"
        ".reduce((one, two) => Math.min(one, two))"
    )
    assert sizes >= 11
    browser.screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 50_000


@pytest.mark.parametrize("screen", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_one_size_of_each_plot_is_shown_at_a_legible_scale(browser, page, screen):
    browser.open(page, screen)
    scale = "n.clientWidth / n.viewBox.baseVal.width"
    seen = browser.run(f"{shown('svg')}.map((n) => [n.classList[1], {scale}])")
    assert len(seen) == 4  # a front, a site, errors, cancellation
    assert {size for size, _ in seen} == {"narrow" if screen == PHONE else "wide"}
    assert min(scale for _, scale in seen) > 0.9


def test_whatever_is_drawn_or_can_be_used_has_a_name(browser, page):
    browser.open(page, DESKTOP)
    nodes = browser.send("Accessibility.getFullAXTree")["nodes"]
    roles = ("image", "button", "link", "combobox", "region", "group")
    named = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node["ignored"] and node["role"]["value"] in roles
    ]
    assert sum(role == "image" for role, _ in named) == 3
    assert sum(role == "link" for role, _ in named) > 20
    assert [role for role, name in named if not name] == []


def test_the_mouse_shows_facts_and_a_click_leads_to_the_row(browser, page):
    browser.open(page, DESKTOP)
    assert browser.run(FACTS) == "w36"
    browser.mouse(*spot(browser, "w42"))
    assert browser.run(FACTS) == "w42"
    browser.mouse(*spot(browser, "w42"), click=True)
    row = "document.querySelector('tbody:target')"
    assert browser.run(f"{row}.querySelector('th a').textContent") == "w42"
    command = browser.run(f"{row}.querySelector('.command code').innerText")
    assert command == (
        "hwgen generate --a bf16 --b bf16 --acc window:msb=5,lsb=-27,ovf=9 --out fp32"
        " --rows 16 --cols 4 -o build/w42"
    )


def test_a_tap_shows_facts_and_stays(browser, page):
    browser.open(page, PHONE)
    browser.tap(*spot(browser, "fma fp64"))
    assert browser.run(FACTS) == "fma fp64"
    assert browser.run("location.hash") == ""
    link = browser.run("document.querySelector('#facts a').getAttribute('href')")
    name = browser.run(f"document.querySelector('{link} th a').textContent")
    assert name == "fma fp64"


def test_arrow_keys_walk_along_the_front_and_enter_leads_to_the_row(browser, page, sample):
    browser.open(page, DESKTOP)
    browser.run("document.querySelector('.spots a[tabindex=\"0\"]').focus()")
    seen = [browser.run(FACTS)]
    drawn = sum(point.energy_pj is not None for point in sample.points)
    for _ in range(drawn):
        browser.key("ArrowRight")
        seen.append(browser.run(FACTS))
    assert seen[0] == seen[-1] == "w36"
    assert len(set(seen)) == drawn
    browser.key("ArrowLeft")
    name = browser.run(FACTS)
    browser.key("Enter")
    assert browser.run("document.querySelector('tbody:target th a').textContent") == name


def test_one_spot_of_a_plot_is_a_stop_of_the_tab_key(browser, page):
    browser.open(page, DESKTOP)
    stops = shown(".spots a[tabindex='0']")
    assert browser.run(f"{stops}.length") == 1


def test_unknown_facts_are_said(browser, page):
    browser.open(page, DESKTOP)
    browser.run("document.querySelector('[data-show=width]').click()")
    browser.mouse(*spot(browser, "w28"))
    text = browser.run("document.getElementById('facts').innerText")
    assert text.startswith("w28")
    assert text.count("not measured") == 3


def test_choosers_show_one_plot_at_a_time(browser, page):
    browser.open(page, DESKTOP)
    titles = f"{shown('#sites h3, #fronts figcaption')}.map((n) => n.textContent)"
    front, site = browser.run(titles)
    assert front.startswith("Energy against error seen")
    assert site == "All 3 call sites together"
    browser.run("document.querySelector('[data-show=width]').click()")
    browser.run(
        "(() => { const s = document.querySelector('select[data-for=sites]');"
        " s.selectedIndex = 2; s.dispatchEvent(new Event('change')); })()"
    )
    front, site = browser.run(titles)
    assert front.startswith("Width against error seen")
    assert site == "dgemm 64x512x64"


def test_columns_are_sorted_with_the_unknown_last(browser, page, sample):
    browser.open(page, DESKTOP)
    names = "[...document.querySelectorAll('#table th a')].map((n) => n.textContent)"
    button = "document.querySelector('th[data-sort=energy_pj] button').click()"
    known = [point for point in sample.points if point.energy_pj is not None]
    known.sort(key=lambda point: point.energy_pj)
    browser.run(button)
    assert browser.run(names) == [*(point.name for point in known), "w28"]
    browser.run(button)
    assert browser.run(names) == [*(point.name for point in reversed(known)), "w28"]
    heads = "[...document.querySelectorAll('th[aria-sort]')].map((n) => n.ariaSort)"
    assert browser.run(heads) == ["descending"]


def test_ratios_follow_the_baseline_and_are_written_as_before(browser, page, sample):
    browser.open(page, DESKTOP)
    ratios = "[...document.querySelectorAll('.ratio')].map((n) => n.textContent).join()"
    before = browser.run(ratios)
    choose = (
        "(() => {{ const s = document.getElementById('baseline'); s.selectedIndex = {};"
        " s.dispatchEvent(new Event('change')); }})()"
    )
    browser.run(choose.format(1))
    after = browser.run(ratios)
    cell = "document.querySelector('tbody.chosen td[data-key=energy_pj] .ratio').textContent"
    chosen = next(point for point in sample.points if point.chosen)
    assert browser.run(cell) == ratio_text(chosen.energy_pj / 11.9)
    assert before != after
    browser.run(choose.format(0))
    assert browser.run(ratios) == before


def test_a_long_table_is_folded_and_a_spot_opens_its_row(browser, tmp_path):
    found = replace(exploration(windows=60, sites=0), call_sites=[])
    path = tmp_path / "long.html"
    path.write_text(html_page(found, draw_plots(found)), encoding="utf-8")
    browser.open(path, DESKTOP)
    rows = f"{shown('#table tbody')}.length"
    folded = browser.run(rows)
    hidden = browser.run("document.querySelector('#table tbody.refused').id")
    browser.run(f"location.hash = '{hidden}'")
    assert browser.run(rows) == folded + 1
    browser.run("document.getElementById('fold').click()")
    assert browser.run(rows) == 62


def test_a_command_can_be_copied(browser, page):
    browser.open(page, DESKTOP)
    browser.send("Browser.grantPermissions", permissions=["clipboardReadWrite"])
    browser.run("document.querySelector('#made .copy').scrollIntoView({behavior: 'instant'})")
    box = json.loads(
        browser.run("JSON.stringify(document.querySelector('#made .copy').getBoundingClientRect())")
    )
    browser.mouse(box["x"] + 5, box["y"] + 5, click=True)
    answer = browser.send(
        "Runtime.evaluate",
        expression="navigator.clipboard.readText()",
        awaitPromise=True,
        returnByValue=True,
        userGesture=True,
    )
    assert answer["result"]["value"].startswith("hwgen tailor --tolerance 1e-6")
    assert browser.run("document.querySelector('#made .copy').textContent") == "Copied"


def test_without_its_program_the_page_still_shows_everything(browser, page):
    browser.send("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(page, DESKTOP)
        plots = browser.run(f"{shown('svg')}.length")
        unusable = browser.run(f"{shown('button, select')}.length")
    finally:
        browser.send("Emulation.setScriptExecutionDisabled", value=False)
    assert plots == 2 + 4 + 2
    assert unusable == 0
