"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const make = (tag, text, name) => {
    const node = document.createElement(tag);
    if (text !== undefined) node.textContent = text;
    if (name) node.className = name;
    return node;
  };
  document.documentElement.classList.add("js");
  all("[hidden]").forEach((node) => { node.hidden = false; });
  all(".no-script").forEach((node) => { node.hidden = true; });

  // One part at a time of what a script-less reader sees in a row.
  const show = (box, name) => all(":scope > [data-part]", box)
    .forEach((part) => { part.hidden = part.dataset.part !== name; });
  all(".tabs").forEach((tabs) => {
    const box = document.getElementById(tabs.dataset.for), buttons = all("button", tabs);
    const choose = (chosen) => {
      buttons.forEach((button) => button.setAttribute("aria-pressed", button === chosen));
      show(box, chosen.dataset.show);
    };
    buttons.forEach((button) => button.addEventListener("click", () => choose(button)));
    choose(buttons[0]);
  });
  all("select[data-for]").forEach((select) => {
    const box = document.getElementById(select.dataset.for);
    select.addEventListener("change", () => show(box, select.value));
    show(box, select.value);
  });

  const copy = async (button, text) => {
    let done = false;
    try { await navigator.clipboard.writeText(text); done = true; } catch {
      const area = make("textarea", text);
      document.body.append(area);
      area.select();
      done = document.execCommand("copy");
      area.remove();
    }
    button.textContent = done ? "Copied" : "Not allowed";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  };
  all(".copy").forEach((button) => button.addEventListener("click", () =>
    copy(button, button.parentElement.querySelector("code").textContent)));

  // Sorting and ratios.
  const table = document.getElementById("table");
  const cell = (body, key) => body.querySelector(`td[data-key="${key}"]`);
  const valueOf = (body, key) => {
    const found = cell(body, key), text = found ? found.dataset.value : undefined;
    return text === undefined || !Number.isFinite(Number(text)) ? null : Number(text);
  };
  const nameOf = (body) => body.querySelector("th a").textContent;
  const order = (key, sign) => (one, two) => {
    if (key === "name") return sign * nameOf(one).localeCompare(nameOf(two), undefined, {numeric: true});
    const left = valueOf(one, key), right = valueOf(two, key);
    if (left === null || right === null) return (left === null) - (right === null);
    return sign * (left - right);
  };
  if (table) all("th[data-sort]", table).forEach((head) => {
    const button = make("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      all("th[aria-sort]", table).forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      table.append(...[...table.tBodies].sort(order(head.dataset.sort, down ? -1 : 1)));
    });
  });
  const fold = document.getElementById("fold");
  if (fold) {
    const texts = [fold.textContent, fold.dataset.other];
    const unfold = (open) => {
      table.classList.toggle("folded", !open);
      fold.setAttribute("aria-expanded", open);
      fold.textContent = texts[Number(open)];
    };
    fold.addEventListener("click", () => unfold(table.classList.contains("folded")));
    unfold(false);
  }
  const ratio = (value) => value < 0.001 ? "under 0.001×"
    : value < 1e5 ? `${Number(value.toPrecision(3))}×` : "over 100000×";
  const baseline = document.getElementById("baseline");
  if (baseline) baseline.addEventListener("change", () => {
    const base = document.getElementById(baseline.value);
    all("td", table).forEach((found) => {
      const part = found.querySelector(".ratio");
      if (!part) return;
      const value = valueOf(found.closest("tbody"), found.dataset.key);
      const other = valueOf(base, found.dataset.key);
      part.textContent = value === null || !other ? "" : ratio(value / other);
    });
  });

  const baseName = () => baseline ? baseline.selectedOptions[0].textContent : "";

  // The facts of a spot in the plot.
  const panel = document.getElementById("facts");
  const heads = table ? all("th[data-sort]", table) : [];
  let described = null;
  const describe = (anchor) => {
    described = anchor;
    const body = document.getElementById(anchor);
    const list = make("dl", undefined, "pairs");
    heads.slice(1).forEach((head) => {
      const found = cell(body, head.dataset.sort), pair = make("div"), value = make("dd");
      const [text] = found.childNodes, part = found.querySelector(".ratio");
      const unit = head.querySelector(".unit");
      value.textContent = text.textContent;
      if (found.classList.contains("unknown")) value.className = "unknown";
      else {
        if (unit) value.append(` ${unit.textContent}`);
        if (part && part.textContent) value.append(make("span", `${part.textContent} ${baseName()}`, "ratio"));
      }
      pair.append(make("dt", head.querySelector("button").firstChild.textContent), value);
      list.append(pair);
    });
    const title = make("h3", nameOf(body));
    const kind = make("p", undefined, body.className);
    kind.append(body.querySelector(".kind").cloneNode(true));
    const notes = all(".note", body).map((note) => note.cloneNode(true));
    const more = make("p"), link = make("a", "Row and command of this design");
    link.href = `#${anchor}`;
    more.append(link);
    panel.replaceChildren(title, kind, list, ...notes, more);
  };
  const centre = (spot) => {
    const box = spot.getBoundingClientRect();
    return [box.x + box.width / 2, box.y + box.height / 2];
  };
  all(".spots .plot").forEach((plot) => {
    const spots = all("a", plot).sort((one, two) => Number(one.querySelector("use").getAttribute("x"))
      - Number(two.querySelector("use").getAttribute("x")));
    if (!spots.length) return;
    let current = null;
    const pick = (spot) => {
      if (spot === current) return;
      if (current) current.classList.remove("on");
      spots.forEach((other) => other.setAttribute("tabindex", other === spot ? 0 : -1));
      spot.classList.add("on");
      current = spot;
      describe(spot.getAttribute("href").slice(1));
    };
    const near = (event, reach) => {
      let best = null, least = reach;
      spots.forEach((spot) => {
        const [x, y] = centre(spot), far = Math.hypot(x - event.clientX, y - event.clientY);
        if (far < least) { best = spot; least = far; }
      });
      return best;
    };
    const first = spots.find((spot) => spot.getAttribute("href") === `#${table.tBodies[0].id}`);
    pick(first || spots[0]);
    plot.addEventListener("pointermove", (event) => {
      const spot = event.pointerType === "mouse" && near(event, 26);
      if (spot) pick(spot);
    });
    let touched = false;
    plot.addEventListener("pointerdown", (event) => { touched = event.pointerType !== "mouse"; });
    plot.addEventListener("click", (event) => {
      // A keyboard's click has no place; a finger's shows facts, whose link leads on.
      if (!event.detail) return;
      const spot = near(event, touched ? 32 : 14);
      event.preventDefault();
      if (!spot) return;
      pick(spot);
      if (!touched) location.hash = spot.getAttribute("href");
    });
    plot.addEventListener("focusin", (event) => {
      const spot = event.target.closest("a");
      if (spot) pick(spot);
    });
    plot.addEventListener("keydown", (event) => {
      const step = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key];
      const place = spots.indexOf(event.target.closest("a"));
      if (!step || place < 0) return;
      event.preventDefault();
      spots[(place + step + spots.length) % spots.length].focus({preventScroll: true});
    });
  });
  if (panel) describe(table.tBodies[0].id);
  if (panel && baseline) baseline.addEventListener("change", () => describe(described));
})();
