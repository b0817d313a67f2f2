// @ts-check
"use strict";
/* The colours of a view in, a legend that is true out: what each colour stands for, and controls of palette and window. */

/** What the classes of codes are called, by sign: of values, and of a difference. @type {Record<string, [number, string][]>} */
mwv.SIGNS = {
  values: [[-1, "negative"], [0, "balanced"], [1, "positive"]],
  difference: [[-1, "fell"], [0, "both ways"], [1, "rose"]],
};

/** What the scale of a difference is in, by its metric. @type {Record<string, (told: any) => string>} */
mwv.SCALES = {
  rms: ({ a }) => `Brighter is further apart; 1 is about the RMS of the tensor in ${mwv.text.visible(a)}.`,
  "abs-log": () => "Brighter is further apart, in units of 1/1024.",
  exact: () => "Drawn is which way values moved, not how far.",
};

/** Ends of the scale that can be chosen, as log2 of a magnitude. */
mwv.SCALE = [-14, 12];

mwv.Legend = class {
  /**
   * @param {HTMLElement} box a disclosure with a `.strips` in its summary and a `.legend-body`; hidden while colours are not live
   * @param {any} view
   */
  constructor(box, view) {
    const { colours } = view;
    this.box = box;
    this.view = view;
    this.colours = colours;
    this.choice = mwv.element("select", { id: "palette" });
    this.choice.addEventListener("change", () => colours.setPalette(this.choice.value));
    this.fits = new Map([
      ["level", this.fit("level", "fit-window", "Fit level", "The scale follows all that is drawn at the level in view")],
      ["view", this.fit("view", "fit-view", "Fit view", "The scale follows what is in view")],
    ]);
    this.reset = mwv.element("button", { type: "button", id: "reset-colours", title: "The palette and the scale of the first view" }, "Reset");
    this.reset.addEventListener("click", () => {
      colours.setPalette("");
      this.follow("level");
    });
    this.strips = /** @type {HTMLElement} */ (box.querySelector(".strips"));
    /** What was drawn, and of what. @type {any} */
    this.drawn = null;
    this.sliders = ["low", "high"].map((end) => this.slider(end));
    /** Fields that are being typed in. @type {Set<HTMLElement>} */
    this.typing = new Set();
    this.fields = ["low", "high"].map((end) => this.field(end));
    this.swatches = mwv.element("ul", { class: "swatches" });
    const row = (/** @type {string} */ kind, /** @type {(Node | string)[]} */ ...nodes) => mwv.element("div", { class: `row ${kind}` }, ...nodes);
    this.classes = mwv.element("div", { class: "of-classes" });
    /** What a scale is in, where numbers alone do not tell. */
    this.unit = mwv.element("p", { class: "quiet unit" });
    box.querySelector(".legend-body")?.replaceChildren(
      this.classes,
      this.unit,
      mwv.element("div", { class: "sliders" }, ...this.sliders),
      row("window", this.fields[0], mwv.element("span", { class: "quiet" }, "to"), this.fields[1], ...this.fits.values()),
      row("", mwv.element("label", { for: "palette", class: "hidden" }, "Palette"), this.choice, this.reset),
      this.swatches
    );
    const show = () => {
      box.hidden = !view.live;
      const scenes = [view.scene, view.other].filter((scene) => scene?.base);
      // Hue is taken: what can be chosen about brightness is not worth the room.
      box.classList.toggle("with-classes", scenes.length > 0);
      const head = (/** @type {any} */ { folder, facts }) => mwv.element("h3", {}, `${mwv.text.visible(folder.record.title)}: ${facts.title}`);
      const legends = scenes.map((scene) => mwv.classLegend(scene));
      const lists = legends.flatMap(([list], i) => (scenes.length > 1 ? [head(scenes[i]), list] : [list]));
      // What is said of both is said once.
      const words = new Map(legends.map(([, text]) => [text.textContent, text]));
      this.classes.replaceChildren(...lists, ...words.values());
      if (scenes.length && !matchMedia("(max-width: 720px)").matches) box.setAttribute("open", "");
      box.classList.toggle("of-bytes", !colours.scaled);
      const told = view.scene.facts.difference;
      this.unit.hidden = !told;
      if (told) this.unit.textContent = mwv.SCALES[told.metric](told);
      this.choice.replaceChildren(...colours.palettes.map(({ name, title }) => mwv.element("option", { value: name }, title)));
      this.drawn = null;
      this.draw();
    };
    view.addEventListener("scene", show);
    view.addEventListener("other", show);
    show();
    view.addEventListener("read", () => this.mark());
    box.addEventListener("toggle", () => this.draw());
    colours.addEventListener("change", () => this.draw());
    this.draw();
  }

  /** A button that lets the window follow something. */
  fit(mode, id, label, title) {
    const button = mwv.element("button", { type: "button", id, title }, label);
    button.addEventListener("click", () => this.follow(mode));
    return button;
  }

  /** @param {string} mode see `Colours.fitted` */
  follow(mode) {
    this.colours.follow(mode);
    this.view.fit();
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
    input.addEventListener("input", () => this.set(end, Number(input.value)));
    return input;
  }

  /** The same end as a number; the arrow keys move it by a sixth of an octave, page keys by one. @param {string} end */
  field(end) {
    const input = mwv.element("input", {
      type: "text",
      inputmode: "decimal",
      autocomplete: "off",
      spellcheck: "false",
      id: `window-${end}`,
      "aria-label": end === "low" ? "Scale from" : "Scale to",
    });
    const { steps } = mwv.colours;
    const moves = { ArrowUp: steps / 6, ArrowDown: -steps / 6, PageUp: steps, PageDown: -steps };
    input.addEventListener("keydown", (event) => {
      if (!(event.key in moves)) return;
      event.preventDefault();
      this.set(end, this.colours[end] + moves[event.key]);
    });
    // What is being typed is not written over, though the window may be moving at the time.
    input.addEventListener("input", () => this.typing.add(input));
    input.addEventListener("blur", () => this.typing.delete(input));
    input.addEventListener("change", () => {
      this.typing.delete(input);
      const value = Number(input.value.replace("−", "-").replace(",", "."));
      if (value > 0 && Number.isFinite(value)) this.set(end, mwv.steps(value));
      else this.draw();
    });
    return input;
  }

  /** Set an end of the window by hand; the other gives way. @param {string} end @param {number} value in steps */
  set(end, value) {
    const { colours } = this;
    const { steps } = mwv.colours;
    const least = steps / 2;
    const [first, last] = mwv.SCALE.map((octave) => octave * steps);
    colours.follow("");
    if (end === "low") {
      const low = Math.min(Math.max(value, first), last - least);
      colours.setWindow(low, Math.max(colours.high, low + least), false);
    } else {
      const high = Math.min(Math.max(value, first + least), last);
      colours.setWindow(Math.min(colours.low, high - least), high, false);
    }
  }

  draw() {
    const { colours } = this;
    this.choice.value = colours.palette;
    for (const [mode, button] of this.fits) button.setAttribute("aria-pressed", String(colours.fitted === mode));
    [colours.low, colours.high].forEach((value, i) => {
      const slider = /** @type {HTMLInputElement} */ (this.sliders[i]);
      const text = mwv.text.number(mwv.fromSteps(value), 3);
      slider.value = String(value);
      slider.setAttribute("aria-valuetext", text);
      if (!this.typing.has(this.fields[i])) this.fields[i].value = text;
    });
    this.drawStrips();
    this.mark();
  }

  /**
   * One strip for each class of codes over the window and a little more, from the very table that colours the tiles. As the
   * window moves, frame by frame, bars only change their colours and what is seen of them.
   */
  drawStrips() {
    const { colours, box } = this;
    if (!colours.scaled) {
      this.drawBytes();
      return;
    }
    const { positions, signs, steps } = mwv.colours;
    const open = box.hasAttribute("open");
    const name = colours.needed || colours.palette;
    if (this.drawn?.palette !== name || this.drawn.open !== open) this.buildStrips(open);
    const { svg, strips, bars, marks, start, width, height } = this.drawn;
    const margin = Math.max(steps / 4, (colours.high - colours.low) * 0.06);
    const [from, to] = [colours.low - margin, colours.high + margin];
    const place = (/** @type {number} */ position) => start + ((position - from) / (to - from)) * width;
    for (const strip of strips) strip.setAttribute("viewBox", `${from} 0 ${to - from} 1`);
    for (const bar of bars) {
      const fill = `rgb(${colours.table[bar.code].join()})`;
      if (fill !== bar.fill) bar.rect.setAttribute("fill", fill);
      bar.fill = fill;
    }
    const edge = 12;
    const at = (/** @type {number} */ x) => mwv.fromSteps(from + ((x - start) / width) * (to - from));
    const ticks = mwv.ticks(at(start + edge), at(start + width - edge), width - 2 * edge).map((value) => {
      const x = place(Math.log2(value) * steps).toFixed(1);
      const line = mwv.svg("path", { class: "tick", d: `M${x} ${height}v3` });
      return mwv.svg("g", {}, line, mwv.svg("text", { x, y: height + 13, "text-anchor": "middle" }, mwv.text.number(value, 2)));
    });
    marks.replaceChildren(...ticks);
    const [low, top] = [colours.low, colours.high].map((value) => mwv.text.number(mwv.fromSteps(value), 3));
    svg.setAttribute("aria-label", `Magnitudes from ${low} to ${top} on a logarithmic scale`);
    /** Where a code stands on its strip: x, y, height; beyond the ends, at them. */
    this.spot = (/** @type {number} */ code) => {
      const { rows, pitch, thick } = this.drawn;
      const row = Math.max(rows.indexOf(signs[code]), 0);
      return [Math.min(Math.max(place(positions[code]), start), start + width), row * pitch, thick];
    };
  }

  /** The strip of all codes of a scene of bytes; opened, with what they mean. */
  drawBytes() {
    const { colours, box, view } = this;
    const [width, thick] = box.hasAttribute("open") ? [320, 14] : [240, 15];
    const { codes, marks, place, label } = view.scene.strip;
    const x = (/** @type {number} */ at) => (at / codes.length) * width;
    const bars = codes.map((/** @type {number} */ code, /** @type {number} */ at) =>
      mwv.svg("rect", { x: x(at), y: 0, width: width / codes.length + 0.3, height: thick, fill: `rgb(${colours.table[code].join()})` })
    );
    const ticks = marks.map((/** @type {[number, string, string?]} */ [at, text, anchor], /** @type {number} */ i) =>
      mwv.svg("text", { x: x(at), y: thick + 12, "text-anchor": anchor ?? (i ? (i === marks.length - 1 ? "end" : "middle") : "start") }, text)
    );
    this.marker = mwv.svg("path", { class: "marker", visibility: "hidden" });
    const frame = mwv.svg("path", { class: "frame", d: `M0 0h${width}v${thick}h${-width}z` });
    const about = { viewBox: `0 0 ${width} ${thick + 15}`, role: "img", "aria-label": label };
    this.strips.replaceChildren(mwv.svg("svg", about, ...bars, frame, ...ticks, this.marker));
    this.spot = (/** @type {number} */ code) => [x(place(code) + 0.5), 0, thick];
    this.classes.replaceChildren(...view.scene.legend(colours.table));
  }

  /** Make the strips of a palette with nothing in them that moves, and the swatches. @param {boolean} open */
  buildStrips(open) {
    const { positions, signs } = mwv.colours;
    const palette = mwv.palette(this.colours.needed || this.colours.palette);
    const signed = palette.negative.join() !== palette.positive.join();
    // Folded, three strips are as high as one line of text; of those of values it is known what they mean.
    const named = open || (signed && this.colours.kind === "difference");
    const [start, width, pitch, thin] = open ? [67, 253, 14, 11] : named ? [62, 178, 12, 9] : [0, 240, 5, 5];
    const classes = signed ? mwv.SIGNS[this.colours.kind] : [[0, "magnitude"]];
    const thick = classes.length === 1 && !open ? 3 * thin : thin;
    const bars = [];
    const strips = classes.map(([sign], row) => {
      const codes = positions.map((_, code) => code).filter((code) => positions[code] !== null && signs[code] === sign);
      // Bars meet halfway between codes; the outermost have no end.
      const meet = codes.slice(1).map((code, i) => (positions[code] + positions[codes[i]]) / 2);
      const ends = [positions[codes[0]] - 1e4, ...meet, positions[codes[codes.length - 1]] + 1e4];
      const rects = codes.map((code, i) => mwv.svg("rect", { x: ends[i], y: 0, width: ends[i + 1] - ends[i], height: 1 }));
      rects.forEach((rect, i) => bars.push({ rect, code: codes[i], fill: "" }));
      return mwv.svg("svg", { x: start, y: row * pitch, width, height: thick, preserveAspectRatio: "none" }, ...rects);
    });
    const frames = classes.map((_, row) => mwv.svg("path", { class: "frame", d: `M${start} ${row * pitch}h${width}v${thick}h${-width}z` }));
    const names = classes.map(([, name], row) => mwv.svg("text", { class: "class", x: 0, y: row * pitch + thin / 2 + 4 }, name));
    const height = (classes.length - 1) * pitch + thick;
    const marks = mwv.svg("g");
    this.marker = mwv.svg("path", { class: "marker", visibility: "hidden" });
    const about = { viewBox: `0 0 ${start + width} ${height + 15}`, role: "img" };
    const svg = mwv.svg("svg", about, ...(named ? names : []), ...strips, ...frames, marks, this.marker);
    const rows = classes.map(([sign]) => sign);
    this.drawn = { palette: palette.name, open, svg, strips, bars, marks, rows, start, width, pitch, thick, height };
    this.strips.replaceChildren(svg);
    this.drawSwatches();
  }

  /** Mark the colour, and the class, of what is read out. */
  mark() {
    const { scene, reading } = this.view;
    const code = reading?.code;
    const ofBytes = scene.facts.curve && typeof code === "number" ? [scene.classOf(code)] : [];
    const classes = scene.base ? (reading?.classes ?? []) : ofBytes;
    [...(this.classes.querySelector(".classes")?.children ?? [])].forEach((item, i) => {
      item.classList.toggle("on", classes.includes(i));
      if (classes[0] === i) item.scrollIntoView({ block: "nearest" });
    });
    const position = this.colours.scaled ? (mwv.colours.positions[code] ?? null) : typeof code === "number" ? code : null;
    this.marker.setAttribute("visibility", position === null ? "hidden" : "visible");
    for (const swatch of this.swatches.children) swatch.classList.toggle("on", Number(swatch.dataset.code) === code);
    if (position === null) return;
    const [x, y, height] = this.spot(code);
    this.marker.setAttribute("d", `M${x - 1.5} ${y - 1.5}h3v${height + 3}h-3z`);
  }

  drawSwatches() {
    const { table } = this.colours;
    const told = this.view.scene.facts.difference;
    /** @type {[number, string][]} */
    const items = told
      ? [[1, "identical"], [255, "NaN on one side"], [254, "infinite on one side"]]
      : [[255, "NaN"], [254, "Inf"], [1, "zero"], [0, "empty"], [251, "missing"]];
    this.swatches.replaceChildren(
      ...items.map(([code, name]) => {
        const [r, g, b] = table[code];
        const box = mwv.element("i", { style: `background-color: rgb(${r},${g},${b})`, ...(code === 251 ? { class: "hatched" } : {}) });
        return mwv.element("li", { "data-code": code }, box, name);
      }),
      ...mwv.sidesAlone(told).map((side) => {
        const box = mwv.element("i", { class: "hatched", style: `--hatch: ${mwv.hatchOf(told, side)}` });
        return mwv.element("li", {}, box, `only in ${mwv.text.visible(told[side])}`);
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
