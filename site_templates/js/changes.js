// @ts-check
"use strict";
/* A scene of differences in, a section of the panel out: how far two models differ in all, by layer and slot, and where most. */

/** @param {number} x @param {string} [unit] */
mwv.decibels = (x, unit = " dB") => `${x.toFixed(1).replace("-", "−")}${unit}`;

/** What a cell of the chart may show: field, title, whether more is further apart, and how it is written. */
mwv.CHANGES = [
  ["relative", "Relative change", true, (/** @type {number} */ x) => `${mwv.text.number(100 * x, 3)} %`],
  ["snr", "SNR in dB", false, (/** @type {number} */ x) => mwv.decibels(x)],
  ["rms", "RMS Δ", true, (/** @type {number} */ x) => mwv.text.number(x, 3)],
  ["max", "Largest |Δ|", true, (/** @type {number} */ x) => mwv.text.number(x, 3)],
  ["share", "Changed elements", true, (/** @type {number} */ x) => `${mwv.text.number(100 * x, 3)} %`],
];

/** From little to much. */
mwv.HEAT = ["1d3b2f", "1f6b4a", "3c9a5f", "8fbf4d", "e3c63f", "f08c2e", "d8432f"];

/** What is told of a placement in the difference that a page shows; nothing elsewhere. @param {any} scene @param {number} placement */
mwv.changeOf = function (scene, placement) {
  const told = scene.folder.scenes[0].difference;
  if (!told) return {};
  const of = (/** @type {string} */ key) => (placement < 0 ? null : told.columns[key][placement]);
  const numbers = { share: of("share"), changeRms: of("rms"), relative: of("relative"), max: of("max"), cosine: of("cosine"), snr: of("snr") };
  const names = told.names[placement]?.join(" → ") ?? "";
  return { ...numbers, match: placement < 0 ? "" : told.how[placement], names };
};

/** Rows of the panel about a placement. @param {any} scene @param {number} placement @returns {[string, string][]} */
mwv.changeFacts = function (scene, placement) {
  const told = scene.folder.scenes[0].difference;
  if (!told) return [];
  const { number, thousands, visible } = mwv.text;
  const side = told.alone[placement];
  if (side) return [["Only in", visible(told[side])]];
  const { share, changeRms, relative, max, cosine, snr } = mwv.changeOf(scene, placement);
  const odd = told.columns.odd[placement];
  const names = told.names[placement];
  /** @type {[string, string][]} */
  const rows = [];
  if (names) rows.push([`In ${visible(told.a)}`, visible(names[0])], [`In ${visible(told.b)}`, visible(names[1])]);
  rows.push(["Matched by", told.how[placement]]);
  const grown = told.rows[placement];
  if (grown) rows.push(["Rows", `${thousands(grown[0])} → ${thousands(grown[1])}`]);
  if (!told.columns.changed[placement]) return [...rows, ["Difference", grown ? "identical in the rows of both" : "identical"]];
  rows.push(["Changed", `${number(100 * share, 3)} %`], ["RMS Δ", number(changeRms)]);
  if (relative !== null) rows.push(["Relative change", `${number(100 * relative, 3)} %`]);
  rows.push(["Largest |Δ|", number(max)]);
  if (cosine !== null) rows.push(["Cosine", cosine.toFixed(6)]);
  if (snr !== null) rows.push(["SNR", mwv.decibels(snr)]);
  if (odd) rows.push(["NaN or Inf on one side", thousands(odd)]);
  return rows;
};

/** The side that alone has an element under the pointer, by its name; "" where both have it. @param {any} scene @param {any} element */
mwv.sideOf = function (scene, { placement, rows }) {
  const told = scene.facts.difference;
  if (!told) return "";
  const [a, b] = told.rows[placement] ?? [0, 0];
  const [whole] = scene.grid(placement);
  const beyond = a !== b && rows[0] >= (whole / Math.max(a, b)) * Math.min(a, b);
  return beyond ? told[a > b ? "a" : "b"] : (told[told.alone[placement]] ?? "");
};

/**
 * Add to a reading the values of both sides, or the exact one of what only one side has, where the server reads them out.
 * @param {any} exact see `mwv.Exact`
 * @param {any} reading
 * @param {any} element
 */
mwv.readSides = async function (exact, reading, { placement, rows, cols }) {
  if (!(await exact.offered())) return;
  exact.sides ??= [1, 2].map((index) => mwv.sceneOf(reading.scene.folder, index));
  const found = await Promise.all(
    exact.sides.map((/** @type {any} */ side) => {
      const has = !side.missing(placement) && rows[0] < side.grid(placement)[0];
      return has ? exact.served(side, placement, rows[0], cols[0]) : null;
    })
  );
  if (found.includes(null)) reading.exact = found.find((text) => text !== null) ?? null;
  else reading.sides = found;
};

/** "before 0.25 → after 0.5" of a reading. @param {any} reading @returns {(Node | string)[]} */
mwv.sidesText = function ({ scene, sides }) {
  const told = scene.facts.difference;
  const [a, b] = sides.map((/** @type {string} */ text) => mwv.element("b", {}, text));
  return [`${mwv.text.visible(told.a)} `, a, ` → ${mwv.text.visible(told.b)} `, b];
};

/**
 * What a code of a difference means, in words; "" where it is no difference.
 * @param {any} reading see `Readout.tell`
 * @param {number} exponent the unit is 2^exponent
 */
mwv.deltaText = function ({ scene, level, elements, code }, exponent) {
  const told = scene.facts.difference;
  if (!told || mwv.sideOf(scene, elements[0])) return "";
  const sign = mwv.colours.signs[code];
  const some = level > 0 ? "somewhere " : "";
  if (code === 1) return level > 0 ? "all identical" : "identical";
  if (code === 255) return `${some}NaN on one side`;
  if (code === 254) return `${some}infinite on one side`;
  if (told.metric === "exact" && level === 0) return sign < 0 ? "fell" : "rose";
  const words = mwv.codeText(code, level, exponent);
  if (level === 0) return `Δ ${sign > 0 ? words.replace(/^≈ /, "≈ +") : words}`;
  return `Δ ${words.replace("balanced", "both ways").replace("positive", "risen").replace("negative", "fallen")}`;
};

/** Sides of a comparison that have something which the other lacks; none elsewhere. @param {any} told @returns {("a" | "b")[]} */
mwv.sidesAlone = function (told) {
  if (!told) return [];
  const longer = Object.values(told.rows).map(([a, b]) => (a > b ? "a" : "b"));
  return /** @type {("a" | "b")[]} */ (["a", "b"]).filter((side) => [...Object.values(told.alone), ...longer].includes(side));
};

/** Colour of the hatching over what one side alone has. @param {any} told @param {"a" | "b"} side */
mwv.hatchOf = (told, side) =>
  side === "b" ? "rgba(110, 235, 160, 0.75)" : told.finetune ? "rgba(190, 198, 210, 0.6)" : "rgba(255, 120, 115, 0.75)";

/** Boxes of what one side alone has, with the colour of their hatching. @param {any} scene @returns {{box: number[], colour: string}[]} */
mwv.alone = function (scene) {
  const told = scene.facts.difference;
  if (!told) return [];
  const of = (/** @type {number} */ placement, /** @type {"a" | "b"} */ side, /** @type {number} */ from) =>
    scene.pieces(placement).flatMap((/** @type {any} */ { x, y, w, h, row, rows, high }) => {
      const above = Math.min(Math.max(from - row, 0), rows) * high;
      return above < h ? [{ box: [x, y + above, w, h - above], colour: mwv.hatchOf(told, side) }] : [];
    });
  return [
    ...Object.entries(told.alone).flatMap(([placement, side]) => of(Number(placement), side, 0)),
    ...Object.entries(told.rows).flatMap(([placement, [a, b]]) => {
      const [whole] = scene.grid(Number(placement));
      return of(Number(placement), a > b ? "a" : "b", (whole / Math.max(a, b)) * Math.min(a, b));
    }),
  ];
};

/** A slot's name over a column: of a long one the end, which tells more. @param {string} name */
mwv.slotHead = function (name) {
  const parts = name.split(".");
  while (parts.length > 1 && parts.join(".").length > mwv.SLOT_LETTERS) parts.shift();
  const short = parts.join(".");
  return mwv.element("span", { class: "slot", title: name }, short === name ? name : `…${short}`);
};
mwv.SLOT_LETTERS = 20;

mwv.Changes = class {
  /** How many of the most changed are listed. */
  static MOST = 12;
  static HINT = "A square is a tensor: point at it for its number, click to go there.";

  /**
   * @param {HTMLElement} section
   * @param {any} view
   */
  constructor(section, view) {
    this.section = section;
    this.view = view;
    this.scene = view.scene;
    this.told = this.scene.facts.difference;
    if (!this.told) return;
    section.hidden = false;
    this.metric = mwv.CHANGES[0];
    this.heat = mwv.element("div", { class: "heats" });
    this.line = mwv.element("p", { class: "told", role: "status" });
    section.replaceChildren(
      mwv.element("h2", {}, "Difference"),
      ...this.summary(),
      ...this.chart(),
      ...this.odd(),
      ...this.most(),
      ...this.lonely()
    );
    this.draw();
    view.addEventListener("select", () => this.mark());
    // Beside bytes of other files, `mwv.ByteChanges` tells about these.
    view.addEventListener("scene", () => (section.hidden = Boolean(view.scene.facts.curve)));
  }

  summary() {
    const { told } = this;
    const { number, thousands, visible } = mwv.text;
    const { total } = told;
    const rest = told.compared - told.identical;
    const words = rest
      ? `Of ${thousands(told.compared)} tensors that both have, ${thousands(rest)} ${rest === 1 ? "differs" : "differ"}.`
      : `All ${thousands(told.compared)} tensors that both have are identical.`;
    const colours = "Green: values rose. Red: they fell. Yellow, far out: both. Black: identical.";
    const means = {
      rms: "Bright: far apart, for each difference is drawn over the RMS of the original tensor (rounded to a power of two).",
      "abs-log": "Bright: far apart; drawn are absolute differences, in units of 1/1024.",
      exact: "How far they moved is not drawn.",
    }[told.metric];
    /** @type {[string, string, string?][]} */
    const rows = [
      ["Changed", `${number(100 * total.share, 3)} %`, "Share of the elements that are not equal"],
      ["RMS Δ", number(total.rms), "Root mean square of the differences"],
      ["Relative", total.relative === null ? "∞" : `${number(100 * total.relative, 3)} %`, "Norm of the difference over the norm of the original"],
      ["Largest |Δ|", number(total.max), "The largest difference of one element"],
      ["Cosine", total.cosine === null ? "–" : total.cosine.toFixed(6), "Of the angle between both, as vectors: 1 is the same direction"],
      ["SNR", total.snr === null ? "–" : mwv.decibels(total.snr), "Signal to noise: 20·log10 of 1 over the relative change; more is closer"],
    ];
    const list = mwv.element("dl", { class: "numbers" });
    for (const [term, text, title] of rows) list.append(mwv.element("div", { title }, mwv.element("dt", {}, term), mwv.element("dd", {}, text)));
    const sides = mwv.element("p", { class: "sides" }, mwv.element("b", {}, visible(told.a)), " → ", mwv.element("b", {}, visible(told.b)));
    const notes = [words, `${colours} ${means}`];
    if (told.finetune) notes.push(`${visible(told.b)} is taken for a finetune: what only ${visible(told.a)} has is hatched in gray.`);
    return [sides, list, ...notes.map((text) => mwv.element("p", { class: "quiet" }, text))];
  }

  /** The head of the chart by layer and slot. */
  chart() {
    const stacks = new Set(this.scene.facts.placements.layer.map((/** @type {number} */ n, /** @type {number} */ i) => (n < 0 ? -1 : this.scene.facts.placements.stack[i])));
    stacks.delete(-1);
    this.stacks = [...stacks];
    if (!this.stacks.length) return [this.line];
    const choice = mwv.element("select", { "aria-label": "What the chart shows" });
    choice.append(...mwv.CHANGES.map(([key, title]) => mwv.element("option", { value: key }, title)));
    choice.addEventListener("change", () => {
      this.metric = mwv.CHANGES.find(([key]) => key === choice.value);
      this.draw();
    });
    const head = mwv.element("div", { class: "heat-head" }, mwv.element("h3", {}, "By layer and slot"), choice);
    this.scale = mwv.element("div", { class: "scale" });
    this.line.textContent = mwv.Changes.HINT;
    return [head, this.heat, this.scale, this.line];
  }

  /** A value of the chart for a placement; null where there is none. @param {number} placement */
  value(placement) {
    return this.told.columns[this.metric[0]][placement];
  }

  /** How far apart a placement is by what the chart shows: what has no number, by which it would be endless, most. @param {number} placement */
  rank(placement) {
    if (!this.told.columns.changed[placement]) return -Infinity;
    const value = this.value(placement);
    return value === null ? Infinity : this.metric[2] ? value : -value;
  }

  draw() {
    const { placements } = this.scene.facts;
    const [, , upward, write] = this.metric;
    const all = placements.tensor.map((/** @type {number} */ _, /** @type {number} */ i) => this.value(i)).filter((/** @type {any} */ x) => x !== null && (x > 0 || !upward));
    const place = (/** @type {number} */ x) => (upward ? Math.log(x) : -x);
    const ends = all.map(place);
    const [low, high] = [Math.min(...ends), Math.max(...ends)];
    const part = (/** @type {number} */ x) => (high > low ? (place(x) - low) / (high - low) : 1);
    this.heat.replaceChildren(...this.stacks.map((stack) => this.grid(stack, part)));
    if (!this.scale) return;
    const text = (/** @type {number} */ end) => write(upward ? Math.exp(end) : -end);
    const bar = mwv.element("i", { style: `background: linear-gradient(to right, ${mwv.HEAT.map((c) => `#${c}`).join()})` });
    this.scale.replaceChildren(...(all.length ? [mwv.element("span", {}, text(low)), bar, mwv.element("span", {}, text(high))] : []));
    this.mark();
  }

  /** The layers of a stack, one under the other. @param {number} stack @param {(x: number) => number} part */
  grid(stack, part) {
    const { placements } = this.scene.facts;
    const layers = new Map();
    const slots = new Map();
    placements.stack.forEach((/** @type {number} */ of, /** @type {number} */ i) => {
      if (of !== stack || placements.layer[i] < 0) return;
      const row = layers.get(placements.layer[i]) ?? new Map();
      const known = row.get(placements.slot[i]);
      // Of experts the one that changed most.
      if (known === undefined || this.rank(i) > this.rank(known)) row.set(placements.slot[i], i);
      layers.set(placements.layer[i], row);
      slots.set(placements.slot[i], i);
    });
    // As they are read on the map.
    const corner = (/** @type {number} */ i) => this.scene.shapes[i].box;
    const read = [...slots].sort(([, i], [, j]) => corner(i)[0] - corner(j)[0] || corner(i)[1] - corner(j)[1]);
    const heads = read.map(([, i]) => mwv.slotHead(mwv.text.visible(this.scene.shortNames[i])));
    const cells = [...layers].sort((a, b) => a[0] - b[0]).flatMap(([layer, row]) => [
      mwv.element("span", { class: "layer" }, String(layer)),
      ...read.map(([slot]) => (row.has(slot) ? this.cell(row.get(slot), part) : mwv.element("span", {}))),
    ]);
    const name = mwv.text.visible(placements.stacks[stack]);
    const grid = mwv.element("div", { class: "heat", role: "group", "aria-label": name }, mwv.element("span", {}), ...heads, ...cells);
    grid.style.gridTemplateColumns = `auto repeat(${slots.size}, minmax(10px, 1fr))`;
    return grid;
  }

  /** @param {number} placement @param {(x: number) => number} part */
  cell(placement, part) {
    const value = this.value(placement);
    const words = this.words(placement);
    const button = mwv.element("button", { type: "button", "data-placement": placement, "aria-label": words });
    const { changed } = this.told.columns;
    button.classList.toggle("same", changed[placement] === 0);
    if (changed[placement]) {
      const at = Math.min(Math.max(value === null ? 1 : part(value), 0), 1) * (mwv.HEAT.length - 1);
      const [left, right] = [Math.floor(at), Math.ceil(at)];
      button.style.setProperty("--heat", `color-mix(in srgb, #${mwv.HEAT[right]} ${100 * (at - left)}%, #${mwv.HEAT[left]})`);
    }
    button.addEventListener("click", () => this.go(placement));
    for (const event of ["pointerenter", "focus"]) button.addEventListener(event, () => (this.line.textContent = words));
    for (const event of ["pointerleave", "blur"]) button.addEventListener(event, () => (this.line.textContent = mwv.Changes.HINT));
    return button;
  }

  /** A placement in words. @param {number} placement */
  words(placement) {
    const [, title, , write] = this.metric;
    const side = this.told.alone[placement];
    const value = this.value(placement);
    const what = side
      ? `only in ${this.told[side]}`
      : this.told.columns.changed[placement]
        ? `${title.toLowerCase()} ${value === null ? "–" : write(value)}`
        : "identical";
    return mwv.text.visible(`${this.scene.name(placement)}: ${what}`);
  }

  /** @param {number} placement */
  go(placement) {
    this.view.select(placement);
    this.view.fly(this.scene.shapes[placement].box);
  }

  /** A list of placements. @param {string} tag @param {number[]} placements @param {(placement: number) => string} what */
  list(tag, placements, what) {
    const list = mwv.element(tag, { class: tag === "ul" ? "alone" : "" });
    for (const placement of placements) {
      const name = mwv.element("span", { class: "name" }, ...mwv.breakable(mwv.text.visible(this.scene.name(placement))));
      const button = mwv.element("button", { type: "button", "data-placement": placement }, name, mwv.element("span", { class: "what" }, what(placement)));
      button.addEventListener("click", () => this.go(placement));
      list.append(mwv.element("li", {}, button));
    }
    return list;
  }

  /** Where one side alone has NaN or infinities: those of most first. */
  odd() {
    const { odd } = this.told.columns;
    const found = [...odd.keys()].filter((i) => odd[i]).sort((a, b) => odd[b] - odd[a]);
    if (!found.length) return [];
    const nodes = [mwv.element("h3", { class: "odd" }, "NaN or infinite on one side"), this.list("ol", found.slice(0, mwv.Changes.MOST), (i) => mwv.text.thousands(odd[i]))];
    const rest = found.length - mwv.Changes.MOST;
    if (rest > 0) nodes.push(mwv.element("p", { class: "quiet" }, `and ${mwv.text.thousands(rest)} more tensor${mwv.text.plural(rest)}`));
    return nodes;
  }

  /** What changed most. */
  most() {
    const { relative, changed, odd } = this.told.columns;
    const order = (/** @type {number} */ i) => relative[i] ?? Infinity;
    const found = [...changed.keys()].filter((i) => changed[i]).sort((a, b) => order(b) - order(a)).slice(0, mwv.Changes.MOST);
    if (!found.length) return [];
    const what = (/** @type {number} */ i) => (relative[i] === null ? (odd[i] ? "not finite" : "from zero") : `${mwv.text.number(100 * relative[i], 3)} %`);
    return [mwv.element("h3", {}, "Changed most"), this.list("ol", found, what)];
  }

  /** What only one side has, and what nothing says where it belongs. */
  lonely() {
    const { told } = this;
    const alone = Object.keys(told.alone).map(Number);
    const rows = Object.keys(told.rows).map(Number);
    const what = (/** @type {number} */ i) => (told.rows[i] ? `rows ${told.rows[i].map(mwv.text.thousands).join(" → ")}` : `only in ${mwv.text.visible(told[told.alone[i]])}`);
    const nodes = [];
    if (alone.length + rows.length) {
      nodes.push(mwv.element("h3", {}, "Not on both sides"), this.list("ul", [...rows, ...alone].slice(0, 200), what));
      if (alone.length + rows.length > 200) nodes.push(mwv.element("p", { class: "quiet" }, `and ${mwv.text.thousands(alone.length + rows.length - 200)} more`));
    }
    if (told.ambiguous.length) {
      nodes.push(mwv.element("h3", {}, "Not compared, since nothing says what belongs together"));
      nodes.push(...told.ambiguous.slice(0, 50).map((/** @type {string} */ text) => mwv.element("p", { class: "quiet" }, mwv.text.visible(text))));
    }
    return nodes;
  }

  /** Mark the chosen placement. */
  mark() {
    for (const button of this.section.querySelectorAll("[data-placement]")) {
      button.toggleAttribute("aria-current", button.getAttribute("data-placement") === String(this.view.selected));
    }
  }
};
