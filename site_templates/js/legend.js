// @ts-check
"use strict";
/* The colours in use in, a legend that is true out: what each colour stands for, and controls of palette and window. */

/** Ends of the scale that can be chosen, as log2 of a magnitude. */
mwv.SCALE = [-14, 12];

mwv.Legend = class {
  /**
   * @param {HTMLElement} body
   * @param {any} colours
   * @param {() => void} refit called when the window is to follow the level again
   */
  constructor(body, colours, refit) {
    this.colours = colours;
    this.choice = mwv.element("select", { id: "palette" });
    for (const palette of mwv.colours.palettes) this.choice.append(mwv.element("option", { value: palette.name }, palette.title));
    this.choice.value = colours.palette;
    this.choice.addEventListener("change", () => colours.setPalette(this.choice.value));
    this.fit = mwv.element("button", { type: "button", id: "fit-window", title: "Let the scale follow the level in view" }, "Auto");
    this.fit.addEventListener("click", () => {
      colours.fitted = true;
      refit();
      this.draw();
    });
    this.strips = mwv.element("div", { class: "strips" });
    this.sliders = ["low", "high"].map((end) => this.slider(end));
    this.swatches = mwv.element("ul", { class: "swatches" });
    body.replaceChildren(
      mwv.element("div", { class: "row" }, mwv.element("label", { for: "palette", class: "hidden" }, "Palette"), this.choice, this.fit),
      this.strips,
      mwv.element("div", { class: "sliders" }, ...this.sliders),
      this.swatches
    );
    colours.listeners.push(() => this.draw());
    this.draw();
  }

  /** One handle of the window. @param {string} end */
  slider(end) {
    const { steps } = mwv.colours;
    const input = mwv.element("input", {
      type: "range",
      min: mwv.SCALE[0] * steps,
      max: mwv.SCALE[1] * steps,
      step: steps / 6,
      "aria-label": end === "low" ? "Smallest magnitude of the scale" : "Largest magnitude of the scale",
    });
    input.addEventListener("input", () => {
      const { colours } = this;
      colours.fitted = false;
      const value = Number(input.value);
      const least = steps / 2;
      if (end === "low") colours.setWindow(value, Math.max(colours.high, value + least), false);
      else colours.setWindow(Math.min(colours.low, value - least), value, false);
    });
    return input;
  }

  draw() {
    const { colours } = this;
    this.choice.value = colours.palette;
    this.fit.setAttribute("aria-pressed", String(colours.fitted));
    [colours.low, colours.high].forEach((value, i) => {
      const slider = /** @type {HTMLInputElement} */ (this.sliders[i]);
      slider.value = String(value);
      slider.setAttribute("aria-valuetext", mwv.text.number(mwv.fromSteps(value), 3));
    });
    this.drawStrips();
    this.drawSwatches();
  }

  /** One strip for each class of codes over the window and a little more, from the very table that colours the tiles. */
  drawStrips() {
    const { colours } = this;
    const { positions, signs, steps } = mwv.colours;
    const width = 240;
    const margin = Math.max(steps / 4, (colours.high - colours.low) * 0.06);
    const [from, to] = [colours.low - margin, colours.high + margin];
    const place = (/** @type {number} */ position) => ((position - from) / (to - from)) * width;
    const palette = mwv.palette(colours.palette);
    const signed = palette.negative.join() !== palette.positive.join();
    const rows = (signed ? [-1, 0, 1] : [0]).map((sign, row) => {
      const codes = positions.map((_, code) => code).filter((code) => positions[code] !== null && signs[code] === sign);
      const rects = codes.map((code, i) => {
        const half = (/** @type {number} */ other) => (positions[code] + positions[other]) / 2;
        const left = Math.max(0, i ? place(half(codes[i - 1])) : 0);
        const right = Math.min(width, i + 1 < codes.length ? place(half(codes[i + 1])) : width);
        if (right <= left) return "";
        const [r, g, b] = colours.table[code];
        return mwv.svg("rect", { x: left.toFixed(2), y: row * 13, width: (right - left + 0.3).toFixed(2), height: 11, fill: `rgb(${r},${g},${b})` });
      });
      return mwv.svg("g", { "data-sign": sign }, ...rects.filter((rect) => rect !== ""));
    });
    const height = rows.length * 13;
    const ticks = mwv.ticks(mwv.fromSteps(from), mwv.fromSteps(to)).map((value) => {
      const x = place(Math.log2(value) * steps);
      return mwv.svg(
        "g",
        {},
        mwv.svg("path", { class: "tick", d: `M${x.toFixed(1)} ${height - 1}v4` }),
        mwv.svg("text", { x: Math.min(Math.max(x, 10), width - 10).toFixed(1), y: height + 14, "text-anchor": "middle" }, mwv.text.number(value, 2))
      );
    });
    const names = signed ? ["negative", "balanced", "positive"] : ["magnitude"];
    this.strips.replaceChildren(
      mwv.element("div", { class: "names" }, ...names.map((name) => mwv.element("span", {}, name))),
      mwv.svg(
        "svg",
        { viewBox: `0 0 ${width} ${height + 18}`, role: "img", "aria-label": `Magnitudes from ${mwv.text.number(mwv.fromSteps(colours.low), 3)} to ${mwv.text.number(mwv.fromSteps(colours.high), 3)} on a logarithmic scale` },
        ...rows,
        ...ticks
      )
    );
  }

  drawSwatches() {
    const { table } = this.colours;
    const items = [[255, "NaN"], [254, "Inf"], [1, "zero"], [0, "empty"], [251, "missing"]];
    this.swatches.replaceChildren(
      ...items.map(([code, name]) => {
        const [r, g, b] = table[code];
        const box = mwv.element("i", { style: `background-color: rgb(${r},${g},${b})`, ...(code === 251 ? { class: "hatched" } : {}) });
        return mwv.element("li", {}, box, String(name));
      })
    );
  }
};

/**
 * Round values between two magnitudes for a logarithmic axis: at most seven.
 * @param {number} low
 * @param {number} high
 * @returns {number[]}
 */
mwv.ticks = function (low, high) {
  const first = Math.floor(Math.log10(low));
  const last = Math.ceil(Math.log10(high));
  for (const digits of [[1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9], [1, 2, 3, 5, 7], [1, 2, 5], [1, 3], [1]]) {
    const ticks = [];
    for (let decade = first; decade <= last; decade += 1) {
      for (const digit of digits) {
        const value = Number(`${digit}e${decade}`);
        if (value >= low && value <= high) ticks.push(value);
      }
    }
    if (ticks.length <= 6) return ticks;
  }
  const decades = [];
  for (let decade = first; decade <= last; decade += 2) decades.push(Number(`1e${decade}`));
  return decades.filter((value) => value >= low && value <= high);
};
