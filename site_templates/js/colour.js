// @ts-check
"use strict";
/*
 * A palette and a window of magnitudes in, the colours on the screen out: an SVG filter on the pane of the tiles maps each
 * code to its colour. `table` is the integer arithmetic of mwv/pyramid/palette.py, so both give the same bytes.
 */

/** @param {string} colour RRGGBB */
mwv.rgb = (colour) => [0, 2, 4].map((at) => parseInt(colour.slice(at, at + 2), 16));

/** log2 of a magnitude in whole steps, halves up. @param {number} value */
mwv.steps = (value) => Math.floor(Math.log2(value) * mwv.colours.steps + 0.5);

/** @param {number} steps */
mwv.fromSteps = (steps) => 2 ** (steps / mwv.colours.steps);

/** @param {string} name */
mwv.palette = (name) => mwv.colours.palettes.find((palette) => palette.name === name);

/**
 * Colours of all codes, 256 × [red, green, blue].
 * @param {string} name
 * @param {number} low smallest magnitude of the window, in steps
 * @param {number} high largest magnitude of the window, in steps
 * @returns {number[][]}
 */
mwv.colourTable = function (name, low, high) {
  const { positions, signs, ground, zero, missing } = mwv.colours;
  const palette = mwv.palette(name);
  const ramps = new Map(
    [-1, 0, 1].map((sign) => [sign, [palette.balanced, palette.positive, palette.negative].at(sign).map(mwv.rgb)])
  );
  const width = Math.max(1, high - low);
  const table = positions.map((position, code) => {
    if (position === null) return mwv.rgb(ground);
    const part = Math.min(Math.max(position - low, 0), width);
    const index = Math.floor((2 * 255 * part + width) / (2 * width));
    const anchors = ramps.get(signs[code]);
    const place = Math.floor((index * (anchors.length - 1)) / 255);
    const fraction = (index * (anchors.length - 1)) % 255;
    const right = anchors[Math.min(place + 1, anchors.length - 1)];
    return anchors[place].map((a, i) => Math.floor((a * (255 - fraction) + right[i] * fraction + 127) / 255));
  });
  table[1] = mwv.rgb(zero);
  table[251] = mwv.rgb(missing);
  table[254] = mwv.rgb(palette.inf);
  table[255] = mwv.rgb(palette.nan);
  return table;
};

/** The colours in use: a palette and a window that may follow the level in view; a "change" event tells of every other table. */
mwv.Colours = class extends EventTarget {
  constructor() {
    super();
    this.palette = "signed";
    /** Whether the window follows the level in view. */
    this.fitted = true;
    this.low = mwv.steps(2 ** -10);
    this.high = mwv.steps(2);
    this.table = [];
    /** The frame that will move the window on; 0 when it stands still. */
    this.frame = 0;
    const channels = ["R", "G", "B"].map((c) => mwv.svg(`feFunc${c}`, { type: "discrete" }));
    this.channels = channels;
    const filter = mwv.svg(
      "filter",
      { id: "mwv-colours", "color-interpolation-filters": "sRGB", x: "0", y: "0", width: "100%", height: "100%" },
      mwv.svg("feComponentTransfer", {}, ...channels)
    );
    document.body.append(mwv.svg("svg", { class: "filters", width: 0, height: 0, "aria-hidden": "true" }, filter));
    this.apply();
  }

  /** Colour a pane whose pixels are codes. @param {HTMLElement} pane */
  paint(pane) {
    pane.style.filter = "url(#mwv-colours)";
  }

  /** Compute the table and hand it to the filter; (v + 0.5) / 255 makes every byte come out exact. */
  apply() {
    this.table = mwv.colourTable(this.palette, this.low, this.high);
    this.channels.forEach((channel, c) => {
      channel.setAttribute("tableValues", this.table.map((rgb) => ((rgb[c] + 0.5) / 255).toFixed(5)).join(" "));
    });
    this.dispatchEvent(new Event("change"));
  }

  /** @param {string} name */
  setPalette(name) {
    this.palette = name;
    this.apply();
  }

  /**
   * Move the window to [low, high] (in steps), gently unless told otherwise or motion is unwelcome.
   * @param {number} low
   * @param {number} high
   */
  setWindow(low, high, gentle = true) {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    if (low === this.low && high === this.high) return;
    if (!gentle || matchMedia("(prefers-reduced-motion: reduce)").matches) {
      [this.low, this.high] = [low, high];
      this.apply();
      return;
    }
    const [from, to, start] = [[this.low, this.high], [low, high], performance.now()];
    const step = (/** @type {number} */ now) => {
      const t = Math.min(Math.max((now - start) / 240, 0), 1);
      const eased = t * (2 - t);
      [this.low, this.high] = from.map((value, i) => Math.round(value + (to[i] - value) * eased));
      this.apply();
      this.frame = t < 1 ? requestAnimationFrame(step) : 0;
    };
    this.frame = requestAnimationFrame(step);
  }
};

/**
 * The window (in steps) that shows a scene best at a zoom: from a third of an octave below the 5th percentile of the level
 * in view to two thirds above the 95th, between two levels in proportion; `fitted` in mwv/pyramid/palette.py.
 * @param {any} facts
 * @param {number} zoom 0 at one pixel per element, less farther out
 * @returns {[number, number]}
 */
mwv.fittedWindow = function (facts, zoom) {
  const place = Math.min(Math.max(-zoom, 0), facts.levels - 1);
  const [near, far] = [Math.floor(place), Math.ceil(place)].map((level) => facts.magnitudes[level] || facts.window);
  const [low, high] = [0, 1].map((end) => {
    const [a, b] = [near[end], far[end]].map((value) => Math.log2(value > 0 ? value : facts.window[end]));
    return mwv.steps(2 ** (a + (b - a) * (place - Math.floor(place))));
  });
  return [low - mwv.colours.steps / 3, high + (2 * mwv.colours.steps) / 3];
};
