
"use strict";
// Marks, moves, searches and sorts what the page has already. Texts of packages come in by textContent alone.
(() => {
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const items = [...data.lines.map((line) => ({ ...line, kind: "line", label: line.text })),
    ...data.packages.map((one) => ({ ...one, kind: one.image ? "image" : "overlay", label: one.name }))];
  const board = byId("board");
  const picture = board.querySelector("svg");
  const boxes = [...board.querySelectorAll(".box")];
  const wires = [...board.querySelectorAll(".wire")];
  const panel = byId("panel");
  const rows = new Map([...document.querySelectorAll("tbody tr")].map((row) => [Number(row.dataset.box), row]));
  const below = items.map((item) => item.needs);
  const above = items.map(() => []);
  below.forEach((needs, number) => needs.forEach((needed) => above[needed].push(number)));
  let chosen = -1;

  // -- what is needed, and by whom

  const reached = (arcs, from) => {
    const seen = new Set();
    const waiting = [from];
    while (waiting.length) {
      for (const next of arcs[waiting.pop()]) {
        if (!seen.has(next)) { seen.add(next); waiting.push(next); }
      }
    }
    return seen;
  };

  const choose = (number) => {
    chosen = number;
    const up = number < 0 ? new Set() : reached(above, number);
    const down = number < 0 ? new Set() : reached(below, number);
    board.classList.toggle("choosing", number >= 0);
    boxes.forEach((box, at) => {
      box.classList.toggle("chosen", at === number);
      box.classList.toggle("up", up.has(at) && at !== number);
      box.classList.toggle("down", down.has(at) && at !== number);
      if (at === number) box.setAttribute("aria-current", "true"); else box.removeAttribute("aria-current");
    });
    wires.forEach((wire) => {
      const from = Number(wire.dataset.from), to = Number(wire.dataset.to);
      wire.classList.toggle("up", up.has(from) && (to === number || up.has(to)));
      wire.classList.toggle("down", down.has(to) && (from === number || down.has(from)));
    });
    // What is marked is drawn last, so that nothing lies over it.
    wires.filter((wire) => wire.matches(".up, .down")).forEach((wire) => wire.parentNode.append(wire));
    rows.forEach((row, at) => row.classList.toggle("chosen", at === number));
    panel.classList.toggle("filled", number >= 0);
    byId("overview").hidden = number >= 0;
    byId("chosen").hidden = number < 0;
    byId("chosen").replaceChildren(...(number < 0 ? [] : described(number)));
    panel.scrollTop = 0;
    const row = rows.get(number);
    try {
      history.replaceState(null, "", row ? `#${row.id}` : location.pathname + location.search);
    } catch { /* where a page has no history, its address stays */ }
  };

  const show = (number) => {
    const box = boxes[number].getBoundingClientRect(), frame = board.getBoundingClientRect();
    board.scrollLeft += box.left - frame.left - (frame.width - box.width) / 2;
    board.scrollTop += box.top - frame.top - (frame.height - box.height) / 2;
  };

  // -- the panel

  const make = (name, text, attributes = {}) => {
    const element = document.createElement(name);
    if (text !== undefined) element.textContent = text;
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };

  const choice = (number) => {
    const button = make("button", items[number].label, { type: "button", class: items[number].kind });
    button.addEventListener("click", () => { choose(number); show(number); });
    return button;
  };

  const choices = (title, numbers) => {
    if (!numbers.length) return [];
    const list = make("div", undefined, { class: "choices" });
    const sorted = [...numbers].sort((a, b) => (items[a].kind === "line" ? 0 : 1) - (items[b].kind === "line" ? 0 : 1)
      || (items[a].label < items[b].label ? -1 : 1));
    list.append(...sorted.map(choice));
    return [make("h3", `${title} (${numbers.length})`), list];
  };

  const sized = (bytes) => bytes < 1e6 ? `${(bytes / 1e3).toFixed(0)} kB`
    : bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;

  const weight = (numbers) => {
    const overlay = [...numbers].filter((number) => items[number].kind === "overlay");
    const bytes = overlay.reduce((sum, number) => sum + (items[number].size || 0), 0);
    return `${overlay.length} of the overlay` + (bytes ? `, ${sized(bytes)}` : "");
  };

  const facts = (pairs) => {
    const list = make("dl");
    for (const [what, value] of pairs) {
      if (value) { const dd = make("dd"); dd.append(make("bdi", value)); list.append(make("dt", what), dd); }
    }
    return list;
  };

  const described = (number) => {
    const item = items[number];
    const close = make("button", "\u00d7", { type: "button", class: "close", "aria-label": "choose nothing" });
    close.addEventListener("click", () => { choose(-1); boxes[number].focus({ preventScroll: true }); });
    const title = make("h2");
    title.append(make("bdi", item.label));
    return [close, title, ...(item.kind === "line" ? ofLine(number, item) : ofPackage(number, item))];
  };

  const ofLine = (number, line) => {
    const all = reached(below, number);
    const others = new Set(data.lines.flatMap((_, at) => at === number ? [] : [...reached(below, at)]));
    return [
      facts([["where", line.where], ["group", line.group], ["met by", line.standsFor && items[line.needs[0]].label],
        ["brings in", weight(all)], ["alone", weight([...all].filter((one) => !others.has(one)))]]),
      ...choices("leads to", line.needs),
    ];
  };

  const ofPackage = (number, one) => {
    const from = one.image ? ["the image", one.installer && `by ${one.installer}`, one.source] : [one.source];
    const why = one.chains.map((chain) => {
      const row = make("li", undefined, { class: "chain" });
      chain.forEach((at, step) => row.append(...(step ? [make("span", "\u2192", { class: "to" })] : []), choice(at)));
      return row;
    });
    const list = make("ul");
    list.append(...why);
    if (one.ways > why.length) list.append(make("li", `and ${one.ways - why.length} more`));
    const rest = reached(below, number);
    rest.delete(number);
    return [
      facts([["version", one.version], ["newer", one.latest], ["origin", one.image ? "image" : "overlay"],
        ["replaces", one.replaces && `the image's ${one.replaces}`], ["groups", one.groups.join(", ")],
        ["size", one.size && !one.image ? `${sized(one.size)} to download` : ""],
        ["from", from.filter(Boolean).join(", ")], ["brings in", rest.size ? weight(rest) : ""]]),
      ...(why.length ? [make("h3", "Why it is there"), list] : []),
      ...choices("Needed by", above[number]), ...choices("Needs", below[number]),
    ];
  };

  // -- choosing, by mouse, finger and keyboard

  const placed = boxes.map((box) => {
    const rect = box.querySelector("rect");
    return { x: Number(rect.getAttribute("x")), y: Number(rect.getAttribute("y")) };
  });
  const nearest = (numbers, from) => [...numbers].sort((a, b) => Math.abs(placed[a].y - placed[from].y)
    - Math.abs(placed[b].y - placed[from].y) || a - b)[0];
  const column = (from, down) => placed.map((_, at) => at).filter((at) => placed[at].x === placed[from].x
    && (down ? placed[at].y > placed[from].y : placed[at].y < placed[from].y));
  const steps = { ArrowRight: (at) => below[at], ArrowLeft: (at) => above[at],
    ArrowDown: (at) => column(at, true), ArrowUp: (at) => column(at, false) };

  boxes.forEach((box, number) => {
    box.addEventListener("click", (event) => {
      event.preventDefault();
      if (!dragged) choose(chosen === number ? -1 : number);
    });
    box.addEventListener("keydown", (event) => {
      const to = steps[event.key] && nearest(steps[event.key](number), number);
      if (to !== undefined) { event.preventDefault(); boxes[to].focus({ preventScroll: true }); show(to); }
    });
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { choose(-1); search.value = ""; look(); }
    if (event.key === "/" && event.target !== search) { event.preventDefault(); search.focus(); }
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#package-']");
    if (!link || link.closest("svg")) return;
    const row = byId(link.getAttribute("href").slice(1));
    if (row && link.closest("aside")) { event.preventDefault(); choose(Number(row.dataset.box)); show(chosen); }
  });
  rows.forEach((row, number) => row.cells[0].addEventListener("click", () => { choose(number); show(number); }));

  // -- the size of the picture, and what of it is seen

  const natural = { width: picture.viewBox.baseVal.width, height: picture.viewBox.baseVal.height };
  let scale = 1;
  const zoom = (wanted, at = { x: board.clientWidth / 2, y: board.clientHeight / 2 }) => {
    const next = Math.min(Math.max(wanted, 0.1), 3), change = next / scale;
    const x = (board.scrollLeft + at.x) * change - at.x, y = (board.scrollTop + at.y) * change - at.y;
    scale = next;
    picture.setAttribute("width", natural.width * scale);
    picture.setAttribute("height", natural.height * scale);
    board.scrollTo(x, y);
  };
  const fitting = () => Math.min(board.clientWidth / natural.width,
    Math.max(board.clientHeight, 0.7 * innerHeight) / natural.height, 1.25);
  byId("larger").addEventListener("click", () => zoom(scale * 1.25));
  byId("smaller").addEventListener("click", () => zoom(scale / 1.25));
  byId("natural").addEventListener("click", () => zoom(1));
  byId("fit").addEventListener("click", () => zoom(fitting()));
  board.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const frame = board.getBoundingClientRect();
    zoom(scale * Math.exp(-event.deltaY / 400), { x: event.clientX - frame.left, y: event.clientY - frame.top });
  }, { passive: false });

  let held = null, dragged = false;
  board.addEventListener("pointerdown", (event) => {
    dragged = false;
    if (event.pointerType === "mouse" && event.button === 0) {
      held = { x: event.clientX, y: event.clientY, left: board.scrollLeft, top: board.scrollTop };
    }
  });
  addEventListener("pointermove", (event) => {
    if (!held) return;
    const x = event.clientX - held.x, y = event.clientY - held.y;
    if (!dragged && Math.hypot(x, y) < 5) return;
    dragged = true;
    board.classList.add("held");
    board.scrollTo(held.left - x, held.top - y);
  });
  addEventListener("pointerup", () => { held = null; board.classList.remove("held"); });
  board.addEventListener("dragstart", (event) => event.preventDefault());

  // -- search

  const search = byId("search");
  let matches = [];
  const look = () => {
    const asked = search.value.trim().toLowerCase();
    const fits = (item) => `${item.label} ${item.version || ""}`.toLowerCase().includes(asked);
    matches = asked ? items.map((_, at) => at).filter((at) => fits(items[at])) : [];
    board.classList.toggle("searching", asked !== "");
    boxes.forEach((box, at) => box.classList.toggle("found", matches.includes(at)));
    rows.forEach((row, at) => { row.hidden = asked !== "" && !matches.includes(at); });
    byId("found").textContent = asked ? `${matches.length} of ${items.length}` : "";
    if (matches.length) show(matches[0]);
  };
  search.addEventListener("input", look);
  search.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !matches.length) return;
    const next = matches[(matches.indexOf(chosen) + 1) % matches.length];
    board.classList.remove("searching");
    choose(next);
    show(next);
  });

  // -- the table

  const body = document.querySelector("tbody");
  const numeric = new Set(["size", "needed-by"]);
  document.querySelectorAll("thead th").forEach((head, at) => {
    const button = make("button", head.textContent, { type: "button" });
    head.replaceChildren(button);
    const key = head.dataset.sort;
    const value = (row) => row.cells[at].dataset.value ?? row.cells[at].textContent;
    const compared = numeric.has(key) ? (a, b) => Number(value(a)) - Number(value(b))
      : (a, b) => value(a).localeCompare(value(b), "en", { numeric: key === "version" || key === "newer" });
    button.addEventListener("click", () => {
      const before = head.getAttribute("aria-sort");
      const ascending = before ? before === "descending" : !numeric.has(key);
      document.querySelectorAll("thead th").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      body.append(...[...rows.values()].sort((a, b) => (ascending ? 1 : -1) * compared(a, b)));
    });
  });
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    folded.forEach((one) => { one.open = true; });
    zoom(1);
  });
  addEventListener("afterprint", () => folded.forEach((one) => { one.open = false; }));

  // -- begin

  document.documentElement.classList.add("scripted");
  byId("tools").hidden = false;
  byId("hint").hidden = false;
  zoom(Math.min(Math.max(fitting(), 0.75), 1));
  board.scrollTo(0, 0);
  const asked = location.hash.startsWith("#package-") ? byId(location.hash.slice(1)) : null;
  if (asked) addEventListener("load", () => { choose(Number(asked.dataset.box)); board.scrollIntoView(); show(chosen); });
})();
