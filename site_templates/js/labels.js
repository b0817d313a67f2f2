// @ts-check
"use strict";
/*
 * A scene in, names over its map out: of tensors, layers and stacks. They appear by size, stand above, beside or inside what
 * they name, and never overlap each other.
 */

/** Height of the bands by which it is looked up what is drawn in a part of the view. */
mwv.BAND = 64;

/**
 * The columns of layers of a scene, layers from above: {stack, box, layers: [{layer, label, box}]}.
 * @param {any} scene
 * @returns {any[]}
 */
mwv.columns = function (scene) {
  const columns = new Map();
  for (const [kind, label, stack, layer, ...box] of scene.facts.regions) {
    if (kind !== "layer") continue;
    const key = `${box[0]}/${stack}`;
    if (!columns.has(key)) columns.set(key, { stack, layers: [] });
    columns.get(key).layers.push({ layer, label: mwv.text.visible(label), box });
  }
  for (const column of columns.values()) {
    column.layers.sort((/** @type {any} */ a, /** @type {any} */ b) => a.box[1] - b.box[1]);
    column.box = mwv.shape(column.layers.flatMap((/** @type {any} */ { box }) => box)).box;
  }
  return [...columns.values()];
};

/** Of numbers at some distance from each other, take every so many to have room for things of some height. */
mwv.every = function (/** @type {number} */ pitch, /** @type {number} */ tall) {
  return [1, 2, 5, 10, 20, 50, 100, 200, 500].find((n) => n * pitch > tall);
};

mwv.Labels = class {
  /** @param {any} scene */
  constructor(scene) {
    this.scene = scene;
    this.widths = new Map();
    this.columns = mwv.columns(scene);
    /** Whether a ruler tells the layers of the main column, the one that fills most of the view. */
    this.ruled = false;
    /** Size of the letters in pixels. */
    this.letters = 0;
    /** Where names stand: x, y, width, height, name. */
    this.taken = [];
  }

  /**
   * Begin a drawing.
   * @param {any} context
   * @param {any} view the size of the view, pixels of it to a pixel of the canvas, and its corner there
   * @param {any[]} seen what is drawn in the view, as {placement, rect}
   * @param {number[][]} covers what lies over the view, as x, y, width, height
   */
  start(context, view, seen, covers) {
    const letters = view.width > 2000 ? 13 : 11;
    if (letters !== this.letters) this.widths.clear();
    this.letters = letters;
    context.font = `500 ${letters}px ui-sans-serif, system-ui, "Segoe UI", sans-serif`;
    context.textBaseline = "middle";
    this.context = context;
    this.view = view;
    this.taken = [];
    this.seen = seen;
    this.covers = covers;
    this.bands = this.banded(seen);
    this.main = this.mainColumn();
  }

  /** Write all names but those of heads. */
  draw() {
    this.labelLayers();
    this.labelTensors(this.seen);
    this.labelStacks();
  }

  /** The column of layers that fills most of the view, or else is nearest to its middle; null if there is none. */
  mainColumn() {
    const { width, height } = this.view;
    const rank = (/** @type {any} */ column) => {
      const [x, y, w, h] = mwv.onScreen(this.view, column.box);
      const wide = Math.min(x + w, width) - Math.max(x, 0);
      const high = Math.min(y + h, height) - Math.max(y, 0);
      if (wide > 0 && high > 0) return wide * high;
      return -Math.hypot(Math.max(-wide, 0), Math.max(-high, 0));
    };
    const ranks = this.columns.map(rank);
    return this.columns[ranks.indexOf(Math.max(...ranks))] ?? null;
  }

  /** What is seen, by bands of the view that it reaches into. */
  banded(seen) {
    const bands = Array.from({ length: Math.ceil(this.view.height / mwv.BAND) }, () => []);
    for (const { rect } of seen) {
      const last = Math.min(Math.floor((rect[1] + rect[3]) / mwv.BAND), bands.length - 1);
      for (let band = Math.max(Math.floor(rect[1] / mwv.BAND), 0); band <= last; band += 1) bands[band].push(rect);
    }
    return bands;
  }

  /** @param {string} text */
  width(text) {
    let width = this.widths.get(text);
    if (width === undefined) {
      width = Math.ceil(this.context.measureText(text).width);
      this.widths.set(text, width);
    }
    return width;
  }

  /** Write a name on a small dark ground unless another one stands there; whether it was written. */
  write(text, x, y, colour) {
    const box = [x, y, this.width(text) + 6, this.letters + 6];
    const [w, h] = [box[2], box[3]];
    if (x < 0 || y < 0 || x + w > this.view.width || y + h > this.view.height) return false;
    const free = ([a, b, c, d]) => x >= a + c || a >= x + w || y >= b + d + 2 || b >= y + h + 2;
    if (!this.covers.every(free) || !this.taken.every(free)) return false;
    this.taken.push([...box, text]);
    const { context } = this;
    context.fillStyle = "rgba(15, 17, 21, 0.78)";
    context.beginPath();
    context.roundRect(x, y, w, h, 4);
    context.fill();
    context.fillStyle = colour;
    context.fillText(text, x + 3, y + h / 2 + 0.5);
    return true;
  }

  /** Whether no tensor in view lies under a box of the view. */
  free(x, y, w, h) {
    const last = Math.min(Math.floor((y + h) / mwv.BAND), this.bands.length - 1);
    for (let band = Math.max(Math.floor(y / mwv.BAND), 0); band <= last; band += 1) {
      for (const [a, b, c, d] of this.bands[band]) if (x < a + c && a < x + w && y < b + d && b < y + h) return false;
    }
    return true;
  }

  /** Names of layers beside them, all on the side and in the form for which most have room; every other where rows are low. */
  labelLayers() {
    const { view, letters } = this;
    for (const column of this.columns) {
      if (this.ruled && column === this.main) continue;
      const layers = column.layers
        .map((/** @type {any} */ { layer, label, box }) => ({ text: label, layer, rect: mwv.onScreen(this.view, box) }))
        .filter((/** @type {any} */ { rect: [x, y, w, h] }) => x <= view.width && y <= view.height && x + w >= 0 && y + h >= 0);
      if (!layers.length) continue;
      const tall = letters + 6;
      const pitch = layers.length > 1 ? layers[1].rect[1] - layers[0].rect[1] : Math.max(layers[0].rect[3], tall + 1);
      const every = mwv.every(pitch, tall);
      if (!every) continue;
      const numbered = layers.filter((/** @type {any} */ { layer }) => layer % every === 0);
      const choices = ["left", "right", "inside"].flatMap((side) =>
        ["text", "number"].map((form) =>
          numbered.map((/** @type {any} */ item) => this.besides(item, side, form)).filter((/** @type {any} */ spot) => spot !== null)
        )
      );
      const best = choices.reduce((a, b) => (b.length > 1.2 * a.length ? b : a));
      for (const [text, left, top] of best) this.write(text, left, top, "#a9cbff");
    }
  }

  /** Where a layer's name or mere number may stand on a side of it: [text, x, y]; null if nowhere. */
  besides({ text, layer, rect: [x, y, w, h] }, side, form) {
    const { view, letters } = this;
    const tall = letters + 6;
    const name = form === "text" ? text : String(layer);
    const wide = this.width(name) + 6;
    const top = Math.min(Math.max(y + 1, 2), Math.max(y + h - tall, y + 1));
    if (side === "inside") return view.scale <= 0.7 && x < 40 && x + w > 120 && h > 2 * tall ? [name, 2, top] : null;
    const left = side === "left" ? x - wide - 5 : x + w + 5;
    return left >= 2 && left + wide <= view.width && this.free(left, top, wide, tall) ? [name, left, top] : null;
  }

  /** Names of stacks above them, and above the names of their slots. */
  labelStacks() {
    for (const [kind, label, , , ...box] of this.scene.facts.regions) {
      const [x, y, w] = mwv.onScreen(this.view, box);
      const text = mwv.text.visible(label);
      if (kind !== "stack" || w < this.width(text) + 6) continue;
      const line = this.letters + 10;
      for (const lines of [1, 2]) if (this.write(text, Math.max(x, 2), y - lines * line, "#ffd9a8")) break;
    }
  }

  /**
   * Names of tensors: close up of all of them, the largest first. Farther away of those outside stacks, and in a stack of those
   * of the first layer in view, like the heads of columns. Above the tensor where that is free, else in its top left corner.
   */
  labelTensors(seen) {
    const { stack, layer, slot } = this.scene.facts.placements;
    const { width, height, scale } = this.view;
    const tensors = seen.filter(
      ({ rect: [x, y, w, h] }) => Math.min(x + w, width) - Math.max(x, 0) >= 24 && Math.min(y + h, height) - Math.max(y, 0) >= 5
    );
    const close = (/** @type {any} */ { rect: [, , w, h] }) => (scale > 0.7 && w >= 120) || (w >= 400 && h >= 250);
    const large = tensors.filter(close).sort((a, b) => b.rect[2] * b.rect[3] - a.rect[2] * a.rect[3]);
    for (const item of large.slice(0, 400)) this.labelTensor(item, this.names(item.placement));
    const heads = tensors.filter((item) => !close(item)).sort((a, b) => a.rect[1] - b.rect[1] || a.rect[0] - b.rect[0]);
    const done = new Set();
    for (const item of heads) {
      const { placement, rect } = item;
      const inStack = layer[placement] >= 0;
      const key = inStack ? `${stack[placement]}/${slot[placement]}/${Math.round(rect[0])}` : `${placement}`;
      if (done.has(key)) continue;
      const names = this.names(placement);
      if (this.labelTensor(item, inStack ? names.slice(3) : names.slice(1))) done.add(key);
      if (done.size > 400) return;
    }
  }

  /** Write the first of some names of a tensor for which there is a place; whether there was one. */
  labelTensor({ rect: [x, y, w, h] }, names) {
    const { view, letters } = this;
    const tall = letters + 6;
    const left = Math.max(x, 0);
    const room = Math.min(x + w, view.width) - left;
    for (const name of names) {
      const wide = this.width(name) + 6;
      // A head may stand out a little over its column, but not so far that it seems to name the next one.
      if (wide <= room + 10 && this.free(left, y - tall - 2, wide, tall) && this.write(name, left, y - tall - 2, "#f4f6f9")) {
        return true;
      }
      const top = Math.max(y, 0) + 4;
      const margin = Math.min(Math.floor((room - wide) / 2), 4);
      const lines = Math.floor((Math.min(y + h, view.height) - top + 1) / (tall + 3));
      if (margin < 0) continue;
      for (let line = 0; line < Math.min(lines, 3); line += 1) {
        if (this.write(name, left + margin, top + line * (tall + 3), "#f4f6f9")) return true;
      }
    }
    return false;
  }

  /** What a placement may be called, from the long to the short. */
  names(placement) {
    const { scene } = this;
    const short = scene.shortNames[placement];
    const end = short.split(".").slice(-2).join(".");
    const slot = scene.slot(placement);
    const names = [scene.name(placement), slot, slot.replace(/\.weight$/, ""), short, end === short ? short : `…${end}`];
    const shown = names.map(mwv.text.visible);
    return scene.missing(placement) ? shown.map((name) => `${name} (missing)`).concat("missing") : shown;
  }
};
