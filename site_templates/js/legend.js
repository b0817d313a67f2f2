// @ts-check
"use strict";
/* The colours of a view in, a legend that is true out: what each colour stands for, and controls of palette and window. */

/** Ends of the scale that can be chosen, as log2 of a magnitude. */
mwv.SCALE = [-14, 12];

mwv.Legend = class {
  /**
   * @param {HTMLElement} box a disclosure with a `.legend-body`; hidden while colours are not live
   * @param {any} view
   */
  constructor(box, view) {
    const { colours } = view;
    this.colours = colours;
    this.choice = mwv.element("select", { id: "palette" });
    for (const palette of mwv.colours.palettes) this.choice.append(mwv.element("option", { value: palette.name }, palette.title));
    this.choice.value = colours.palette;
    this.choice.addEventListener("change", () => colours.setPalette(this.choice.value));
    this.fit = mwv.element("button", { type: "button", id: "fit-window", title: "Let the scale follow the level in view" }, "Auto");
    this.fit.addEventListener("click", () => {
      colours.fitted = true;
      view.fit();
      this.draw();
    });
    this.strips = mwv.element("div", { class: "strips" });
    this.sliders = ["low", "high"].map((end) => this.slider(end));
    this.swatches = mwv.element("ul", { class: "swatches" });
    box.querySelector(".legend-body")?.replaceChildren(
      mwv.element("div", { class: "row" }, mwv.element("label", { for: "palette", class: "hidden" }, "Palette"), this.choice, this.fit),
      this.strips,
      mwv.element("div", { class: "sliders" }, ...this.sliders),
      this.swatches
    );
    const show = () => {
      box.hidden = !view.live;
    };
    view.addEventListener("scene", show);
    show();
    colours.addEventListener("change", () => this.draw());
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
    const [start, width, pitch] = [62, 258, 14];
    const margin = Math.max(steps / 4, (colours.high - colours.low) * 0.06);
    const [from, to] = [colours.low - margin, colours.high + margin];
    const place = (/** @type {number} */ position) => start + ((position - from) / (to - from)) * width;
    const palette = mwv.palette(colours.palette);
    const signed = palette.negative.join() !== palette.positive.join();
    const classes = signed ? [[-1, "negative"], [0, "balanced"], [1, "positive"]] : [[0, "magnitude"]];
    const rows = classes.map(([sign, name], row) => {
      const codes = positions.map((_, code) => code).filter((code) => positions[code] !== null && signs[code] === sign);
      const rects = codes.map((code, i) => {
        const half = (/** @type {number} */ other) => (positions[code] + positions[other]) / 2;
        const left = Math.max(start, i ? place(half(codes[i - 1])) : start);
        const right = Math.min(start + width, i + 1 < codes.length ? place(half(codes[i + 1])) : start + width);
        if (right <= left) return "";
        const fill = `rgb(${colours.table[code].join()})`;
        return mwv.svg("rect", { x: left.toFixed(2), y: row * pitch, width: (right - left + 0.3).toFixed(2), height: 11, fill });
      });
      const frame = mwv.svg("path", { class: "frame", d: `M${start} ${row * pitch}h${width}v11h${-width}z` });
      const title = mwv.svg("text", { class: "class", x: 0, y: row * pitch + 9.5 }, name);
      return mwv.svg("g", {}, title, ...rects.filter((rect) => rect !== ""), frame);
    });
    const height = rows.length * pitch;
    const edge = 12;
    const at = (/** @type {number} */ x) => mwv.fromSteps(from + ((x - start) / width) * (to - from));
    const ticks = mwv.ticks(at(start + edge), at(start + width - edge), width - 2 * edge).map((value) => {
      const x = place(Math.log2(value) * steps);
      return mwv.svg(
        "g",
        {},
        mwv.svg("path", { class: "tick", d: `M${x.toFixed(1)} ${height - 2}v4` }),
        mwv.svg("text", { x: x.toFixed(1), y: height + 14, "text-anchor": "middle" }, mwv.text.number(value, 2))
      );
    });
    const [low, high] = [colours.low, colours.high].map((value) => mwv.text.number(mwv.fromSteps(value), 3));
    const label = `Magnitudes from ${low} to ${high} on a logarithmic scale`;
    this.strips.replaceChildren(
      mwv.svg("svg", { viewBox: `0 0 ${start + width} ${height + 18}`, role: "img", "aria-label": label }, ...rows, ...ticks)
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
 * Round values between two magnitudes for a logarithmic axis of some width, the roundest first, none too close to another.
 * @param {number} low
 * @param {number} high
 * @param {number} width
 * @returns {number[]}
 */
mwv.ticks = function (low, high, width) {
  const pixel = Math.log10(high / low) / width;
  const half = (/** @type {number} */ value) => (mwv.text.number(value, 2).length * 6.5 + 9) / 2;
  const ticks = [];
  for (const digits of [[1], [2, 5], [3, 7], [1.5, 4, 6]]) {
    for (let decade = Math.floor(Math.log10(low)); decade <= Math.log10(high); decade += 1) {
      for (const digit of digits) {
        const value = Number(`${digit}e${decade}`);
        const free = ticks.every((other) => Math.abs(Math.log10(value / other)) >= (half(value) + half(other)) * pixel);
        if (value >= low && value <= high && free) ticks.push(value);
      }
    }
  }
  return ticks.sort((a, b) => a - b);
};
