// @ts-check
"use strict";
/* A view in, a section of the panel out where files lie beside others: how much of them differs, which most, and ways to go there. */
mwv.ByteChanges = class {
  /** How many files are listed. */
  static MOST = 50;

  /**
   * @param {HTMLElement} section
   * @param {any} view
   */
  constructor(section, view) {
    this.section = section;
    this.view = view;
    view.addEventListener("scene", () => this.show());
    view.addEventListener("select", () => this.mark());
    this.show();
  }

  show() {
    const { scene } = this.view;
    this.section.hidden = !scene.beside;
    if (!scene.beside) return;
    const button = (/** @type {string} */ text, /** @type {string} */ key, /** @type {1 | -1} */ by) => {
      const made = mwv.element("button", { type: "button", title: `${text} (${key})` }, text);
      made.addEventListener("click", () => this.step(by));
      return made;
    };
    const ways = mwv.element("div", { class: "row" }, button("Previous change", "[", -1), button("Next change", "]", 1));
    ways.hidden = scene.change(-1, 1) < 0;
    this.section.replaceChildren(mwv.element("h2", {}, "Difference of bytes"), ...this.summary(), ways, ...this.files());
    this.mark();
  }

  summary() {
    const { scene } = this.view;
    const { size, share } = mwv.text;
    const { totals } = scene;
    const all = totals.reduce((/** @type {number} */ sum, /** @type {number} */ n) => sum + n, 0);
    const list = mwv.element("dl", { class: "numbers" });
    mwv.FATES.forEach((name, kind) => {
      const text = `${size(totals[kind])} · ${share(totals[kind], all)}`;
      if (kind < 2 || totals[kind]) list.append(mwv.element("div", {}, mwv.element("dt", {}, scene.named(name)), mwv.element("dd", {}, text)));
    });
    const sides = mwv.element("p", { class: "sides" }, ...["{a}", " → ", "{b}"].map((text, i) => (i === 1 ? text : mwv.element("b", {}, scene.named(text)))));
    return [sides, list];
  }

  /** Files that differ, those first of which most bytes do. */
  files() {
    const { view } = this;
    const { scene } = view;
    if (scene.count < 2) return [];
    const { size, visible, thousands } = mwv.text;
    const found = scene.beside.changes
      .map(([, ...of], /** @type {number} */ file) => ({ file, differs: of.reduce((/** @type {number} */ sum, /** @type {number} */ n) => sum + n, 0) }))
      .filter(({ differs }) => differs)
      .sort((/** @type {any} */ a, /** @type {any} */ b) => b.differs - a.differs);
    const list = mwv.element("ol", { class: "most" });
    for (const { file, differs } of found.slice(0, mwv.ByteChanges.MOST)) {
      const [a, b] = scene.beside.sizes[file];
      const what = a === null ? scene.named("only in {b}") : b === null ? scene.named("only in {a}") : "";
      const button = mwv.element(
        "button",
        { type: "button", "data-file": file },
        mwv.element("span", { class: "name" }, visible(scene.name(file))),
        mwv.element("span", { class: "what" }, `${size(differs)} ${what || "differ"}`)
      );
      button.addEventListener("click", () => {
        view.select(file);
        view.fly(scene.shapes[file].box);
      });
      list.append(mwv.element("li", {}, button));
    }
    const equal = scene.count - found.length;
    const words = `${thousands(found.length)} of ${thousands(scene.count)} files ${found.length === 1 ? "differs" : "differ"}${equal ? `, ${thousands(equal)} ${equal === 1 ? "is" : "are"} the same` : ""}.`;
    return [mwv.element("p", { class: "quiet" }, words), list];
  }

  mark() {
    for (const button of this.section.querySelectorAll("[data-file]")) button.toggleAttribute("aria-current", button.getAttribute("data-file") === String(this.view.selected));
  }

  /** Go to the next change, or to the one before. @param {1 | -1} by */
  step(by) {
    const { scene } = this.view;
    if (!scene.beside) return;
    const next = scene.change(mwv.offset.found, by);
    if (next >= 0) mwv.offset.go(next);
  }
};
