// @ts-check
"use strict";
/*
 * A scene in, a Leaflet layer that draws outlines and names over its tiles out. Names appear by size, stay inside what they
 * name or beside it, and never overlap each other.
 */
mwv.OutlineLayer = L.Layer.extend({
  /** @param {any} scene */
  initialize(scene) {
    this.scene = scene;
    this.selected = -1;
    this.widths = new Map();
  },

  onAdd(map) {
    this.canvas = L.DomUtil.create("canvas", "outlines leaflet-zoom-animated", map.getPane("overlayPane"));
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
    this.labelRegions(seen);
    this.labelTensors(seen);
  },

  /** A rectangle of the canvas plane in pixels of the view: [x, y, width, height]. */
  onScreen(x, y, width, height) {
    const { scale, x: left, y: top } = this.view;
    return [(x - left) * scale, (y - top) * scale, width * scale, height * scale];
  },

  /** Draw the outlines in view; the rectangles as wide as a name or so, with their placements. */
  outline() {
    const { context, scene, view } = this;
    const { nan, inf } = scene.facts.placements;
    const seen = [];
    for (let i = 0, r = 0; i < scene.owner.length; i += 1, r += 4) {
      const rect = this.onScreen(scene.rects[r], scene.rects[r + 1], scene.rects[r + 2], scene.rects[r + 3]);
      const [x, y, w, h] = rect;
      if (x > view.width || y > view.height || x + w < 0 || y + h < 0) continue;
      const placement = scene.owner[i];
      const missing = scene.missing(placement);
      const odd = nan[placement] || inf[placement];
      if (missing) this.hatch(rect);
      if (w >= 24) seen.push({ placement, rect });
      if (placement !== this.selected && !missing && !odd && (w < 6 || h < 6)) continue;
      context.lineWidth = 1;
      context.setLineDash(missing ? [4, 3] : []);
      context.strokeStyle = odd ? "rgba(224, 120, 255, 0.95)" : missing ? "rgba(200, 208, 220, 0.7)" : "rgba(226, 232, 240, 0.34)";
      if (placement === this.selected) {
        context.lineWidth = 2;
        context.strokeStyle = "#ffffff";
      }
      // Cut near the view: far beyond it a line would only cost time.
      const [left, top] = [Math.max(Math.round(x), -9) - 0.5, Math.max(Math.round(y), -9) - 0.5];
      const [right, bottom] = [Math.min(Math.round(x + w), view.width + 9) + 0.5, Math.min(Math.round(y + h), view.height + 9) + 0.5];
      context.strokeRect(left, top, Math.max(2, right - left), Math.max(2, bottom - top));
    }
    context.setLineDash([]);
    return seen;
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
    const box = [x, y, this.width(text) + 10, this.letters + 6];
    const [w, h] = [box[2], box[3]];
    if (x < 0 || y < 0 || x + w > this.view.width || y + h > this.view.height) return false;
    for (const other of this.taken) {
      if (x < other[0] + other[2] + 2 && other[0] < x + w + 2 && y < other[1] + other[3] + 2 && other[1] < y + h + 2) return false;
    }
    this.taken.push(box);
    const { context } = this;
    context.fillStyle = "rgba(15, 17, 21, 0.78)";
    context.beginPath();
    context.roundRect(x, y, w, h, 4);
    context.fill();
    context.fillStyle = colour;
    context.fillText(text, x + 5, y + h / 2 + 0.5);
    return true;
  },

  /** Names of stacks above them, of layers left of them; at the edge of the view where they begin outside it. */
  labelRegions(seen) {
    const { view } = this;
    for (const [kind, label, , layer, ...rect] of this.scene.facts.regions) {
      const [x, y, w, h] = this.onScreen(...rect);
      if (x > view.width || y > view.height || x + w < 0 || y + h < 0) continue;
      const text = mwv.text.visible(label);
      if (kind === "stack") {
        if (w >= this.width(text) + 10) this.write(text, Math.max(x, 2), Math.max(y - 21, 2), "#ffd9a8");
      } else if (kind === "layer" && h >= 18) {
        this.labelLayer(text, layer, [x, y, w, h], seen);
      }
    }
  },

  /** "layer 7" left of a layer, or "7" where a tensor leaves no room for more. */
  labelLayer(text, layer, [x, y, w, h], seen) {
    const top = Math.min(Math.max(y + 1, 2), y + h - 18);
    const free = (/** @type {number} */ left) =>
      left >= 2 && seen.every(({ rect: [a, b, c, d] }) => left > a + c || a >= x || top > b + d || top + 17 < b);
    for (const name of [text, String(layer)]) {
      const left = x - this.width(name) - 15;
      if (free(left)) {
        this.write(name, left, top, "#a9cbff");
        return;
      }
    }
    if (x < 40 && x + w > 120) this.write(text, 2, top, "#a9cbff");
  },

  /** Names of tensors in their top left corners, the largest first, in the longest form that fits. */
  labelTensors(seen) {
    const area = (/** @type {any} */ item) => item.rect[2] * item.rect[3];
    const named = seen.filter(({ rect }) => rect[3] >= 15).sort((a, b) => area(b) - area(a));
    for (const { placement, rect } of named.slice(0, 600)) {
      const [x, y, w, h] = rect;
      const left = Math.max(x, 0) + 4;
      const top = Math.max(y, 0) + 4;
      const room = Math.min(x + w, this.view.width) - left - 4;
      if (Math.min(y + h, this.view.height) - top < (h < 25 ? 11 : 19)) continue;
      const text = this.names(placement).find((name) => this.width(name) + 10 <= room);
      if (text) this.write(text, left, h < 25 ? y + h / 2 - 8.5 : top, "#f4f6f9");
    }
  },

  /** What a placement may be called, from the long to the short. */
  names(placement) {
    const slot = mwv.text.visible(this.scene.slot(placement));
    const short = slot.replace(/\.weight$/, "");
    const parts = short.split(".");
    const names = [mwv.text.visible(this.scene.name(placement)), slot, short, parts.slice(-2).join("."), parts[parts.length - 1]];
    return this.scene.missing(placement) ? names.map((name) => `${name} (missing)`).concat("missing") : names;
  },
});
