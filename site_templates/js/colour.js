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

/** What is to be coloured in a scene, see `Colours.kind`. @param {any} scene */
mwv.kindOf = ({ facts }) => (facts.curve ? facts.kind : facts.difference ? "difference" : "values");

/** A filter on the screen alone: pixels that are codes get the colours of a table. */
mwv.CodeFilter = class {
  /** @param {string} id of the element that it adds to the page */
  constructor(id) {
    this.id = id;
    this.channels = ["R", "G", "B"].map((c) => mwv.svg(`feFunc${c}`, { type: "discrete" }));
    const filter = mwv.svg(
      "filter",
      { id, "color-interpolation-filters": "sRGB", x: "0", y: "0", width: "100%", height: "100%" },
      mwv.svg("feComponentTransfer", {}, ...this.channels)
    );
    document.body.append(mwv.svg("svg", { class: "filters", width: 0, height: 0, "aria-hidden": "true" }, filter));
  }

  /** Colour an element whose pixels are codes. @param {HTMLElement} element */
  paint(element) {
    element.style.filter = `url(#${this.id})`;
  }

  /** Take the colours of a table; (v + 0.5) / 255 makes every byte come out exact. @param {number[][]} table */
  set(table) {
    this.channels.forEach((channel, c) => {
      channel.setAttribute("tableValues", table.map((rgb) => ((rgb[c] + 0.5) / 255).toFixed(5)).join(" "));
    });
  }
};

/** The colours in use: a palette and a window that may follow the level in view; a "change" event tells of every other table. */
mwv.Colours = class extends EventTarget {
  /** @param {string} id of the filter @param {string} kind */
  constructor(id = "mwv-colours", kind = "values") {
    super();
    /** What is coloured: "values" or a "difference" of such; or scenes of "bytes", "entropy" or "byte-changes", whose palettes are simply listed. */
    this.kind = kind;
    /** Colours of scenes of another kind that are seen beside those which have these; made when they are needed. @type {Map<string, any>} */
    this.others = new Map();
    /** The palette of each kind that was chosen. @type {Record<string, string>} */
    this.chosen = { values: mwv.colours.palettes[0].name };
    /** The palette that a scene needs, whatever was chosen; "" for none. */
    this.needed = "";
    /** What the window follows: "level" all that is drawn at the level in view, "view" what is in view, "" nothing. */
    this.fitted = "level";
    this.low = mwv.steps(2 ** -10);
    this.high = mwv.steps(2);
    this.table = [];
    /** The frame that will move the window on; 0 when it stands still. */
    this.frame = 0;
    this.filter = new mwv.CodeFilter(id);
    this.apply();
  }

  /** Whether codes are magnitudes on a scale. */
  get scaled() {
    return !mwv.colours.tables[this.kind];
  }

  /** The palettes there are. @returns {{name: string, title: string}[]} */
  get palettes() {
    const listed = mwv.colours.tables[this.kind];
    if (listed) return listed.map(([name, title]) => ({ name, title }));
    const own = ({ name }) => Number(name === this.kind);
    return mwv.colours.palettes.toSorted((a, b) => own(b) - own(a));
  }

  get palette() {
    return this.chosen[this.kind] ?? this.palettes[0].name;
  }

  /** Colour another kind of scene from now on. @param {string} kind */
  use(kind) {
    if (kind === this.kind) return;
    this.kind = kind;
    this.apply();
  }

  /**
   * The colours for a scene beside one that has these: the same, so that both can be compared; or others with a window of their
   * own where it shows another kind of thing.
   * @param {any} scene
   */
  beside(scene) {
    const kind = mwv.kindOf(scene);
    if (kind === this.kind) return this;
    if (!this.others.has(kind)) this.others.set(kind, new mwv.Colours(`${this.filter.id}-${kind}`, kind));
    const made = this.others.get(kind);
    [made.chosen, made.needed] = [this.chosen, this.needed];
    made.apply();
    return made;
  }

  /** Colours of all codes for a window (in steps), which counts for values alone. */
  tableFor(low, high) {
    const listed = mwv.colours.tables[this.kind];
    if (!listed) return mwv.colourTable(this.needed || this.palette, low, high);
    const [, , hex] = listed.find(([name]) => name === this.palette);
    return Array.from({ length: 256 }, (_, code) => mwv.rgb(hex.slice(6 * code, 6 * code + 6)));
  }

  /** Colour a pane whose pixels are codes. @param {HTMLElement} pane */
  paint(pane) {
    this.filter.paint(pane);
  }

  /** Compute the table and hand it to the filter. */
  apply() {
    this.table = this.tableFor(this.low, this.high);
    this.filter.set(this.table);
    this.dispatchEvent(new Event("change"));
  }

  /** Let the window follow something else. @param {string} mode see `fitted` */
  follow(mode) {
    this.fitted = mode;
    this.dispatchEvent(new Event("change"));
  }

  /** @param {string} name see `needed` */
  need(name) {
    if (name === this.needed) return;
    this.needed = name;
    this.apply();
  }

  /** @param {string} name the first palette is taken for one that is none */
  setPalette(name) {
    this.chosen[this.kind] = (this.palettes.find((palette) => palette.name === name) ?? this.palettes[0]).name;
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
    if (!gentle || !mwv.animated()) {
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
 * The window between a low and a high magnitude (in steps): from a third of an octave below to two thirds above; `fitted` in
 * mwv/pyramid/palette.py.
 * @param {number} low
 * @param {number} high
 * @returns {[number, number]}
 */
mwv.fittedWindow = (low, high) => [low - mwv.colours.steps / 3, high + (2 * mwv.colours.steps) / 3];

/**
 * The window that shows a scene best at a zoom: fitted to the 5th and the 95th percentile of the level in view, between two
 * levels in proportion.
 * @param {any} facts
 * @param {number} zoom 0 at one pixel per element, less farther out
 * @returns {[number, number]}
 */
mwv.levelWindow = function (facts, zoom) {
  const place = Math.min(Math.max(-zoom, 0), facts.levels - 1);
  const [near, far] = [Math.floor(place), Math.ceil(place)].map((level) => facts.magnitudes[level] || facts.window);
  const [low, high] = [0, 1].map((end) => {
    const [a, b] = [near[end], far[end]].map((value) => Math.log2(value > 0 ? value : facts.window[end]));
    return mwv.steps(2 ** (a + (b - a) * (place - Math.floor(place))));
  });
  return mwv.fittedWindow(low, high);
};

/** The level that a map shows: between two levels the finer one. @param {any} view */
mwv.levelInView = (view) => Math.min(Math.max(-Math.floor(view.map.getZoom() + 1e-6), 0), view.scene.facts.levels - 1);

/**
 * The window that shows best what is in view: by the codes of its pixels, or, where they cannot be read, by the RMS of the
 * tensors in view. Null where nothing in view has a magnitude.
 * @param {any} view
 * @returns {Promise<[number, number] | null>}
 */
mwv.viewWindow = async function (view) {
  const level = mwv.levelInView(view);
  const bounds = view.map.getBounds();
  // With y growing downward, Leaflet's south is above.
  const box = [bounds.getWest(), bounds.getSouth(), bounds.getEast(), bounds.getNorth()];
  const { positions } = mwv.colours;
  /** Position in steps and weight. @type {[number, number][]} */
  let found;
  try {
    if (!view.codes) throw new Error("not readable");
    const pixels = box.map((n, i) => Math.max((i < 2 ? Math.floor : Math.ceil)(n / 2 ** level), 0));
    const counts = await view.codes.histogram(level, pixels);
    found = counts.map((count, code) => [positions[code] ?? 0, positions[code] === null ? 0 : count]);
  } catch {
    found = mwv.spread(view.scene, box, level);
  }
  const all = found.filter(([, weight]) => weight > 0).sort((a, b) => a[0] - b[0]);
  const total = all.reduce((sum, [, weight]) => sum + weight, 0);
  const percentile = (/** @type {number} */ share) => {
    let reached = 0;
    for (const [position, weight] of all) {
      reached += weight;
      if (reached >= share * total) return position;
    }
    return all[all.length - 1][0];
  };
  return all.length ? mwv.fittedWindow(Math.round(percentile(0.05)), Math.round(percentile(0.95))) : null;
};

/**
 * Magnitudes (in steps) in a box of the canvas and how much of it has them, guessed from the RMS of the placements as if
 * values were normal: of n elements under a pixel the RMS lies within 1 ∓ 1.645/√(2n) of that of all in nine cases of ten, a
 * single magnitude between 0.063 and 1.96 of it.
 * @param {any} scene
 * @param {number[]} box left, top, right, bottom
 * @param {number} level
 * @returns {[number, number][]}
 */
mwv.spread = function (scene, [left, top, right, bottom], level) {
  const { tensors, placements } = scene.facts;
  const part = 1.645 / Math.sqrt(2 * 4 ** level);
  const ends = level ? [1 - part, 1 + part] : [0.063, 1.96];
  /** @type {[number, number][]} */
  const found = [];
  scene.owner.forEach((/** @type {number} */ placement, /** @type {number} */ i) => {
    const [x, y, w, h] = scene.rects.slice(4 * i, 4 * i + 4);
    const area = Math.max(Math.min(x + w, right) - Math.max(x, left), 0) * Math.max(Math.min(y + h, bottom) - Math.max(y, top), 0);
    const rms = placements.rms[placement];
    if (!area || !rms) return;
    const unit = tensors.exponents[placements.tensor[placement]] ?? 0;
    for (const end of ends) found.push([(Math.log2(rms * end) + unit) * mwv.colours.steps, area / 2]);
  });
  return found;
};
