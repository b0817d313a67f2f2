// @ts-check
"use strict";
/* Two compared scenes in, a section of the panel out: the chosen tensor's numbers in both, and the list of what differs. */
mwv.Differences = class {
  /** How many entries are added at a time. */
  static PAGE = 200;

  /**
   * @param {HTMLElement} section
   * @param {any} view
   * @param {any} shown `pair` and `titles`
   */
  constructor(section, view, { pair, titles }) {
    this.section = section;
    this.view = view;
    this.pair = pair;
    this.titles = titles;
    this.found = pair.alike ? pair.differences() : [];
    this.chosen = mwv.element("div", { class: "chosen", role: "status" });
    this.list = mwv.element("ol", { class: "differences" });
    this.more = mwv.element("button", { type: "button" }, "More");
    this.more.addEventListener("click", () => this.extend());
    const [count, same] = [this.found.length, pair.twins.length + pair.back.filter((of) => of < 0).length - this.found.length];
    const what = pair.scene.facts.curve ? "file" : "tensor";
    const tensors = (/** @type {number} */ n) => `${mwv.text.thousands(n)} ${what}${mwv.text.plural(n)}`;
    const apart = pair.scene.facts.curve ? "One shows how bytes differ, the other bytes: each has colours of its own." : "One shows how far values differ, the other values: each has colours and a scale of its own.";
    const summary = !pair.alike ? apart
      : pair.scene.values.facts === pair.other.values.facts ? "The same weights in two scenes." : count
      ? `${tensors(count)} differ${count === 1 ? "s" : ""}, ${mwv.text.thousands(same)} ${same === 1 ? "is" : "are"} identical.`
      : `All ${tensors(same)} are identical.`;
    const title = mwv.element("h2", {}, "Comparison");
    const names = mwv.element("p", { class: "sides" }, this.side(0), " with ", this.side(1));
    const notes = [summary, ...this.notes()].map((text) => mwv.element("p", { class: "quiet" }, text));
    section.replaceChildren(title, names, this.chosen, ...notes, this.list, this.more);
    this.list.setAttribute("aria-label", "Tensors that differ, those that changed most first");
    section.hidden = false;
    this.extend();
  }

  /** What the reader must know about the picture. @returns {string[]} */
  notes() {
    const { scene, other, together } = this.pair;
    const notes = [];
    if (scene.facts.layout !== other.facts.layout) {
      const count = Math.max(scene.count, other.count);
      notes.push(`The layouts differ: ${together} of ${count} tensors stand at the same place in the same shape.`);
    }
    [scene, other].forEach(({ facts }, which) => {
      if (!facts.tiles.picture) return;
      notes.push(`Colours are part of the tiles of ${this.titles[which]}: palette and scale do not apply to them.`);
    });
    return notes;
  }

  /** A model's name in its colour. @param {number} which */
  side(which) {
    return mwv.element("b", { class: `side ${which ? "other" : "own"}` }, this.titles[which]);
  }

  /** Add some more entries. */
  extend() {
    const from = this.list.childElementCount;
    this.list.append(...this.found.slice(from, from + mwv.Differences.PAGE).map((of) => this.row(of)));
    this.more.hidden = this.list.childElementCount >= this.found.length;
  }

  /** What changed, in a few words. */
  words({ numbers: [a, b], odd, change }) {
    const n = (/** @type {number | null} */ x) => mwv.text.number(x, 3);
    if (!a || !b) return [mwv.element("span", {}, `only in ${this.titles[a ? 0 : 1]}`)];
    const words = [];
    for (const [key, name] of [["nan", "NaN"], ["inf", "infinite"]]) {
      if (odd && a[key] !== b[key]) {
        const text = `${mwv.text.thousands(a[key])} → ${mwv.text.thousands(b[key])} ${name}`;
        words.push(mwv.element("span", { class: "odd" }, text));
      }
    }
    if (a.shape !== b.shape) words.push(mwv.element("span", {}, `${a.shape} → ${b.shape}`));
    const sign = b.rms > a.rms ? "+" : "−";
    const part = Math.abs(100 * (b.rms / a.rms - 1));
    const percent = change < 0.0005 || !a.rms ? "" : ` (${sign}${Number(part.toPrecision(2))} %)`;
    if (a.rms !== null) words.push(mwv.element("span", {}, n(a.rms) === n(b.rms) ? `RMS ${n(a.rms)}` : `RMS ${n(a.rms)} → ${n(b.rms)}${percent}`));
    return words;
  }

  row(difference) {
    const { placement, twin } = difference;
    const [scene, index] = placement < 0 ? [this.pair.other, twin] : [this.pair.scene, placement];
    const name = mwv.element("span", { class: "name" }, mwv.text.visible(scene.name(index)));
    const button = mwv.element("button", { type: "button", "data-placement": placement }, name);
    button.append(mwv.element("span", { class: "what" }, ...this.words(difference)));
    button.addEventListener("click", () => {
      this.view.select(placement);
      this.view.fly(scene.shapes[index].box);
    });
    return mwv.element("li", {}, button);
  }

  /** Tell about a placement, and mark it in the list. @param {number} placement -1 for none */
  select(placement) {
    for (const button of this.list.querySelectorAll("button")) {
      button.toggleAttribute("aria-current", button.dataset.placement === String(placement) && placement >= 0);
    }
    if (placement < 0) {
      this.chosen.replaceChildren();
      return;
    }
    const { identical, numbers } = this.pair.about(placement, this.pair.twins[placement]);
    const verdict = mwv.element("b", { class: identical ? "same" : "differs" }, identical ? "identical" : "differs");
    const name = mwv.element("span", { class: "name" }, mwv.text.visible(this.pair.scene.name(placement)));
    this.chosen.replaceChildren(mwv.element("p", {}, ...(this.pair.alike ? [verdict, " "] : []), name));
    if (identical && !numbers[0]) return;
    const { number, thousands } = mwv.text;
    const own = (/** @type {string} */ text) => text;
    const keys = [
      ["rms", "RMS", number],
      ["minimum", "Min", number],
      ["maximum", "Max", number],
      ["zeros", "Zeros", thousands],
      ["nan", "NaN", thousands],
      ["inf", "Inf", thousands],
      ["shape", "Shape", own],
    ];
    const [a, b] = numbers;
    const always = this.pair.scene.facts.curve ? 0 : 3;
    const rows = keys.filter(([key], i) => i < always || a?.[key] !== b?.[key]);
    if (!rows.length) return;
    const cells = rows.map(([key, title, write]) =>
      mwv.element(
        "tr",
        {},
        mwv.element("th", { scope: "row" }, title),
        ...numbers.map((of) => mwv.element("td", {}, of ? write(of[key]) : "lacking"))
      )
    );
    const sides = [0, 1].map((which) => mwv.element("th", { scope: "col" }, this.side(which)));
    const head = mwv.element("tr", {}, mwv.element("td", {}), ...sides);
    this.chosen.append(mwv.element("table", {}, mwv.element("thead", {}, head), mwv.element("tbody", {}, ...cells)));
  }

  remove() {
    this.section.hidden = true;
    this.section.replaceChildren();
  }
};
