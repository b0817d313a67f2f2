// @ts-check
"use strict";
/*
 * A scene in, a Leaflet layer that draws outlines and names over its tiles out. Names appear by size, stand above, beside or
 * inside what they name, and never overlap each other.
 */
mwv.OutlineLayer = L.Layer.extend({
  /**
   * @param {any} scene
   * @param {any} [options] of Leaflet's Layer, such as the pane
   */
  initialize(scene, options) {
    L.setOptions(this, options);
    this.scene = scene;
    this.selected = -1;
    this.widths = new Map();
  },

  onAdd() {
    this.canvas = L.DomUtil.create("canvas", "outlines leaflet-zoom-animated", this.getPane());
    this.canvas.setAttribute("aria-hidden", "true");
    this.context = this.canvas.getContext("2d");
    this.draw();
  },

  onRemove() {
    this.canvas.remove();
  },

  getEvents() {
    return { move: this.draw, zoom: this.draw, viewreset: this.draw, resize: this.draw, moveend: this.draw, zoomanim: this.animate };
  },

  /** @param {number} placement -1 for none */
  select(placement) {
    this.selected = placement;
    this.draw();
  },

  /* While Leaflet animates a zoom the drawing is scaled along; it is drawn afresh at the end. */
  animate({ zoom, center }) {
    const map = this._map;
    const origin = map
      .project(center, zoom)
      .subtract(map.getSize().divideBy(2))
      .subtract(map.containerPointToLayerPoint([0, 0]));
    L.DomUtil.setTransform(this.canvas, map.project(this.corner, zoom).subtract(origin), map.getZoomScale(zoom, this.zoom));
  },

  draw() {
    const map = this._map;
    const size = map.getSize();
    const ratio = devicePixelRatio || 1;
    const [width, height] = [Math.round(size.x * ratio), Math.round(size.y * ratio)];
    if (this.canvas.width !== width || this.canvas.height !== height) {
      [this.canvas.width, this.canvas.height] = [width, height];
      this.canvas.style.width = `${size.x}px`;
      this.canvas.style.height = `${size.y}px`;
    }
    this.corner = map.containerPointToLatLng([0, 0]);
    this.zoom = map.getZoom();
    L.DomUtil.setTransform(this.canvas, map.containerPointToLayerPoint([0, 0]), 1);
    const context = this.context;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, size.x, size.y);
    const letters = size.x > 2000 ? 13 : 11;
    if (letters !== this.letters) this.widths.clear();
    this.letters = letters;
    context.font = `500 ${letters}px ui-sans-serif, system-ui, "Segoe UI", sans-serif`;
    context.textBaseline = "middle";
    this.view = { width: size.x, height: size.y, scale: map.getZoomScale(this.zoom, 0), x: this.corner.lng, y: this.corner.lat };
    this.taken = [];
    const seen = this.outline();
    this.labelLayers(seen);
    this.labelTensors(seen);
    this.labelStacks();
  },

  /** A rectangle of the canvas plane in pixels of the view: [x, y, width, height]. */
  onScreen(x, y, width, height) {
    const { scale, x: left, y: top } = this.view;
    return [(x - left) * scale, (y - top) * scale, width * scale, height * scale];
  },

  /** Draw the outlines in view, one around all panels of a tensor; what can be seen, as {placement, rect}. */
  outline() {
    const { context, scene, view } = this;
    const { nan, inf } = scene.facts.placements;
    const seen = [];
    scene.shapes.forEach((/** @type {any} */ shape, /** @type {number} */ placement) => {
      const rect = this.onScreen(...shape.box);
      const [x, y, w, h] = rect;
      if (x > view.width || y > view.height || x + w < 0 || y + h < 0) return;
      const missing = scene.missing(placement);
      const odd = nan[placement] || inf[placement];
      if (missing) this.hatch(rect);
      if (w >= 4) seen.push({ placement, rect });
      // Between small tensors lines would be brighter than what they part.
      const strength = Math.min((Math.min(w, h) - 12) / 48, 1) * 0.34;
      const selected = placement === this.selected;
      if (!selected && !missing && !odd && strength <= 0) return;
      context.lineWidth = selected ? 2 : 1;
      context.setLineDash(missing && !selected ? [4, 3] : []);
      context.strokeStyle = `rgba(226, 232, 240, ${strength})`;
      if (missing) context.strokeStyle = "rgba(200, 208, 220, 0.7)";
      if (odd) context.strokeStyle = "rgba(224, 120, 255, 0.95)";
      if (selected) context.strokeStyle = "#ffffff";
      this.trace(shape);
      context.stroke();
    });
    context.setLineDash([]);
    return seen;
  },

  /** Make the path around a shape, half a pixel outside it; cut near the view, since far beyond it would only cost time. */
  trace({ box, steps }) {
    const { context, view } = this;
    const across = (/** @type {number} */ x, /** @type {number} */ out) =>
      Math.min(Math.max(Math.round((x - view.x) * view.scale), -9), view.width + 9) + out;
    const down = (/** @type {number} */ y, /** @type {number} */ out) =>
      Math.min(Math.max(Math.round((y - view.y) * view.scale), -9), view.height + 9) + out;
    context.beginPath();
    context.moveTo(across(box[0], -0.5), down(box[1], -0.5));
    context.lineTo(across(box[0] + box[2], 0.5), down(box[1], -0.5));
    for (let i = steps.length - 1; i >= 0; i -= 1) {
      const [right, bottom] = steps[i];
      context.lineTo(across(right, 0.5), down(bottom, 0.5));
      context.lineTo(i ? across(steps[i - 1][0], 0.5) : across(box[0], -0.5), down(bottom, 0.5));
    }
    context.closePath();
  },

  /** Diagonal lines over what the files lack. */
  hatch([x, y, w, h]) {
    const { context, view } = this;
    const [left, top] = [Math.max(x, 0), Math.max(y, 0)];
    const [right, bottom] = [Math.min(x + w, view.width), Math.min(y + h, view.height)];
    context.save();
    context.beginPath();
    context.rect(left, top, right - left, bottom - top);
    context.clip();
    context.beginPath();
    const phase = (x + y) % 9;
    for (let d = left + top - ((left + top - phase) % 9); d < right + bottom; d += 9) {
      context.moveTo(d - top, top);
      context.lineTo(d - bottom, bottom);
    }
    context.lineWidth = 1;
    context.strokeStyle = "rgba(160, 172, 190, 0.45)";
    context.stroke();
    context.restore();
  },

  /** @param {string} text */
  width(text) {
    let width = this.widths.get(text);
    if (width === undefined) {
      width = Math.ceil(this.context.measureText(text).width);
      this.widths.set(text, width);
    }
    return width;
  },

  /** Write a name on a small dark ground unless another one stands there; whether it was written. */
  write(text, x, y, colour) {
    const box = [x, y, this.width(text) + 6, this.letters + 6];
    const [w, h] = [box[2], box[3]];
    if (x < 0 || y < 0 || x + w > this.view.width || y + h > this.view.height) return false;
    for (const other of this.taken) {
      if (x < other[0] + other[2] && other[0] < x + w && y < other[1] + other[3] + 2 && other[1] < y + h + 2) return false;
    }
    this.taken.push([...box, text]);
    const { context } = this;
    context.fillStyle = "rgba(15, 17, 21, 0.78)";
    context.beginPath();
    context.roundRect(x, y, w, h, 4);
    context.fill();
    context.fillStyle = colour;
    context.fillText(text, x + 3, y + h / 2 + 0.5);
    return true;
  },

  /** Whether no tensor in view lies under a box of the view. */
  free(seen, x, y, w, h) {
    return seen.every(({ rect: [a, b, c, d] }) => x >= a + c || a >= x + w || y >= b + d || b >= y + h);
  },

  /** Names of layers beside them, all on the side and in the form for which most have room; every other where rows are low. */
  labelLayers(seen) {
    const { view, letters } = this;
    /** @type {Map<string, any[]>} */
    const columns = new Map();
    for (const [kind, label, stack, layer, ...box] of this.scene.facts.regions) {
      if (kind !== "layer") continue;
      const [x, y, w, h] = this.onScreen(...box);
      if (x > view.width || y > view.height || x + w < 0 || y + h < 0) continue;
      const key = `${stack}/${box[0]}`;
      if (!columns.has(key)) columns.set(key, []);
      columns.get(key)?.push({ text: mwv.text.visible(label), layer, rect: [x, y, w, h] });
    }
    const tall = letters + 6;
    for (const layers of columns.values()) {
      const pitch = layers.length > 1 ? layers[1].rect[1] - layers[0].rect[1] : Math.max(layers[0].rect[3], tall + 1);
      const every = [1, 2, 5, 10, 20, 50, 100].find((n) => n * pitch > tall);
      if (!every) continue;
      const numbered = layers.filter(({ layer }) => layer % every === 0);
      const choices = ["left", "right", "inside"].flatMap((side) =>
        ["text", "number"].map((form) => numbered.map((item) => this.besides(item, side, form, seen)).filter((spot) => spot !== null))
      );
      const best = choices.reduce((a, b) => (b.length > 1.2 * a.length ? b : a));
      for (const [text, left, top] of best) this.write(text, left, top, "#a9cbff");
    }
  },

  /** Where a layer's name or mere number may stand on a side of it: [text, x, y]; null if nowhere. */
  besides({ text, layer, rect: [x, y, w, h] }, side, form, seen) {
    const { view, letters } = this;
    const tall = letters + 6;
    const name = form === "text" ? text : String(layer);
    const wide = this.width(name) + 6;
    const top = Math.min(Math.max(y + 1, 2), Math.max(y + h - tall, y + 1));
    if (side === "inside") return view.scale <= 0.7 && x < 40 && x + w > 120 && h > 2 * tall ? [name, 2, top] : null;
    const left = side === "left" ? x - wide - 5 : x + w + 5;
    return left >= 2 && left + wide <= view.width && this.free(seen, left, top, wide, tall) ? [name, left, top] : null;
  },

  /** Names of stacks above them, and above the names of their slots. */
  labelStacks() {
    for (const [kind, label, , , ...box] of this.scene.facts.regions) {
      const [x, y, w] = this.onScreen(...box);
      const text = mwv.text.visible(label);
      if (kind !== "stack" || w < this.width(text) + 6) continue;
      const line = this.letters + 10;
      for (const lines of [1, 2]) if (this.write(text, Math.max(x, 2), y - lines * line, "#ffd9a8")) break;
    }
  },

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
    for (const item of large.slice(0, 400)) this.labelTensor(item, this.names(item.placement), seen);
    const heads = tensors.filter((item) => !close(item)).sort((a, b) => a.rect[1] - b.rect[1] || a.rect[0] - b.rect[0]);
    const done = new Set();
    for (const item of heads) {
      const { placement, rect } = item;
      const inStack = layer[placement] >= 0;
      const key = inStack ? `${stack[placement]}/${slot[placement]}/${Math.round(rect[0])}` : `${placement}`;
      if (done.has(key)) continue;
      const names = this.names(placement);
      if (this.labelTensor(item, inStack ? names.slice(3) : names.slice(1), seen)) done.add(key);
      if (done.size > 400) return;
    }
  },

  /** Write the first of some names of a tensor for which there is a place; whether there was one. */
  labelTensor({ rect: [x, y, w, h] }, names, seen) {
    const { view, letters } = this;
    const tall = letters + 6;
    const left = Math.max(x, 0);
    const room = Math.min(x + w, view.width) - left;
    for (const name of names) {
      const wide = this.width(name) + 6;
      // A head may stand out a little over its column, but not so far that it seems to name the next one.
      if (wide <= room + 10 && this.free(seen, left, y - tall - 2, wide, tall) && this.write(name, left, y - tall - 2, "#f4f6f9")) {
        return true;
      }
      const top = Math.max(y, 0) + 4;
      if (wide + 8 > room || Math.min(y + h, view.height) - top < tall + 2) continue;
      if (this.write(name, left + 4, top, "#f4f6f9") || this.write(name, left + 4, top + tall + 3, "#f4f6f9")) return true;
    }
    return false;
  },

  /** What a placement may be called, from the long to the short. */
  names(placement) {
    const { scene } = this;
    const short = scene.shortNames[placement];
    const end = short.split(".").slice(-2).join(".");
    const slot = scene.slot(placement);
    const names = [scene.name(placement), slot, slot.replace(/\.weight$/, ""), short, end === short ? short : `…${end}`];
    const shown = names.map(mwv.text.visible);
    return scene.missing(placement) ? shown.map((name) => `${name} (missing)`).concat("missing") : shown;
  },
});
