// @ts-check
"use strict";
/*
 * The profiles of the chosen placement in, a layer out that draws them along its edges: RMS by row as a strip beside its
 * pixels, RMS by column as one below, each value at the height or place of what it tells of. A folded tensor has strips at
 * each of its panels.
 */
mwv.EdgeLayer = mwv.CanvasLayer.extend({
  className: "edges",

  initialize() {
    this.scene = null;
    this.placement = -1;
    /** @type {any[]} */
    this.profiles = [];
    /** Whether the strips are drawn; a mark is drawn in any case. */
    this.shown = true;
    /** The rows or columns that are pointed out: {profile, range}, or null. */
    this.mark = null;
    /** What the pointer is at: {profile, run, x, y}, or null. */
    this.pointed = null;
    /** Where strips were drawn, see `strip`. @type {any[]} */
    this.strips = [];
  },

  getEvents() {
    const hover = (/** @type {any} */ event) => this.hover(event.containerPoint);
    return { ...mwv.CanvasLayer.prototype.getEvents.call(this), mousemove: hover, mouseout: () => this.hover(null) };
  },

  /**
   * @param {any} scene
   * @param {number} placement -1 for none
   * @param {any[]} profiles
   */
  show(scene, placement, profiles) {
    [this.scene, this.placement, this.profiles] = [scene, placement, profiles];
    this.mark = this.pointed = null;
    this.draw();
    this.fire("strips");
  },

  /** @param {boolean} shown */
  toggle(shown) {
    this.shown = shown;
    this.draw();
    this.fire("strips");
  },

  /**
   * Point out rows or columns, and tell where they are: the box of those in the panel nearest to the middle of the view, cut so
   * that single elements can be seen.
   * @param {any} profile
   * @param {number[]} range
   */
  point(profile, range) {
    this.mark = { profile, range };
    this.draw();
    const size = this._map.getSize();
    const { lng, lat } = this._map.getCenter();
    const boxes = this.boxes(this.mark);
    const away = ([x, y, w, h]) => Math.max(x - lng, lng - x - w, 0) + Math.max(y - lat, lat - y - h, 0);
    const [x, y, w, h] = boxes.reduce((a, b) => (away(b) < away(a) ? b : a));
    const [wide, tall] = [Math.min(w, size.x / 2), Math.min(h, size.y / 2)];
    return [
      Math.min(Math.max(lng - wide / 2, x), x + w - wide),
      Math.min(Math.max(lat - tall / 2, y), y + h - tall),
      wide,
      tall,
    ];
  },

  /** Boxes on the canvas plane of a range of rows or columns. */
  boxes({ profile, range: [first, last] }) {
    return this.scene.pieces(this.placement).flatMap((/** @type {any} */ { x, y, row, col, rows, cols, w, h, high, wide }) => {
      if (profile.axis === "row") {
        const [from, to] = [Math.max(first, row), Math.min(last + 1, row + rows)];
        return from < to ? [[x, y + (from - row) * high, w, (to - from) * high]] : [];
      }
      const [from, to] = [Math.max(first, col), Math.min(last + 1, col + cols)];
      return from < to ? [[x + (from - col) * wide, y, (to - from) * wide, h]] : [];
    });
  },

  paint() {
    this.prepare();
    this.strips = this.placed();
    for (const strip of this.strips) this.drawStrip(strip);
    if (this.mark) this.drawMark(this.mark);
    if (this.pointed) this.drawReading(this.pointed);
  },

  /** Strips where they belong in the view that was last looked at, see `strip`. */
  placed() {
    if (!this.shown || this.placement < 0) return [];
    const pieces = this.scene.pieces(this.placement);
    return this.profiles
      .flatMap((/** @type {any} */ profile) => pieces.map((/** @type {any} */ piece) => this.strip(profile, piece, pieces)))
      .filter((/** @type {any} */ strip) => strip !== null);
  },

  /** Boxes of the map's present view that strips lie on, whether they are painted yet or not, as x, y, width, height. */
  covered() {
    this.look();
    return this.placed().map((/** @type {any} */ { profile, along: [from, to], base, grow }) => {
      const [near, deep] = [Math.min(base, base + grow), Math.abs(grow)];
      return profile.axis === "row" ? [near, from, deep, to - from] : [from, near, to - from, deep];
    });
  },

  /**
   * Where a profile goes at a piece, null if it cannot be seen: `along` [from, to] pixels of the view, `base` the coordinate
   * of zero, `grow` the signed length of the largest value, `first` the row at `from`, `pitch` the pixels of a row.
   */
  strip(profile, piece, pieces) {
    const { view } = this;
    const [x, y, w, h] = this.onScreen(piece.x, piece.y, piece.w, piece.h);
    if (x > view.width || y > view.height || x + w < 0 || y + h < 0) return null;
    const row = profile.axis === "row";
    const [start, length, edge, far, end] = row ? [y, h, x, x + w, view.width] : [x, w, y, y + h, view.height];
    if (length < 24) return null;
    // Next to another panel there is only the gap between them to stand in.
    const gap = row ? Math.min(...pieces.map((other) => other.x - piece.x - piece.w).filter((n) => n > 0)) * view.scale : Infinity;
    const thick = Math.max(Math.min(view.width > 2000 ? 44 : 30, gap), Math.min(w / 8, 12));
    const outside = far + 3;
    let [base, grow] = [outside, thick];
    if (outside + thick > end) {
      // No room there: on the other side, else within the view over the tensor's own pixels.
      const within = row ? [end - thick - 2, thick] : [thick + 2, -thick];
      [base, grow] = edge - 3 - thick >= 0 ? [edge - 3, -thick] : within;
    }
    const pitch = view.scale * (row ? piece.high : piece.wide);
    const [from, to] = [Math.max(start, 0), Math.min(start + length, row ? view.height : view.width)];
    return { profile, along: [from, to], start, pitch, first: row ? piece.row : piece.col, base, grow };
  },

  drawStrip(strip) {
    const { context } = this;
    const { profile, along: [from, to], start, pitch, first, base, grow } = strip;
    const [begin, end] = this.mark?.profile === profile ? this.mark.range : [Infinity, -Infinity];
    const row = profile.axis === "row";
    const fill = (/** @type {string} */ colour, /** @type {number} */ at, /** @type {number} */ size, /** @type {number} */ deep) => {
      context.fillStyle = colour;
      const [low, tall] = deep < 0 ? [base + deep, -deep] : [base, deep];
      if (row) context.fillRect(low, at, tall, size);
      else context.fillRect(at, low, size, tall);
    };
    fill("rgba(13, 15, 19, 0.86)", from, to - from, grow);
    const reach = (/** @type {number} */ value) => profile.height(value) * grow;
    for (let at = Math.floor(from); at < to; at += 1) {
      const [top, bottom] = [first + (at - start) / pitch, first + (at + 1 - start) / pitch];
      const [low, high] = profile.band(top, bottom);
      const marked = top <= end && bottom > begin;
      // A pixel may stand for many rows: the pale part reaches from the smallest to the largest.
      fill(marked ? "#ffc47a" : "rgba(134, 180, 255, 0.65)", at, 1, reach(high));
      if (!marked) fill("#a9cbff", at, 1, reach(low));
      if (low === 0) fill("#ffc47a", at, 1, Math.sign(grow) * 2);
    }
  },

  drawMark(mark) {
    const { context, view } = this;
    for (const box of this.boxes(mark)) {
      const [x, y, w, h] = this.onScreen(...box);
      const [left, top] = [Math.max(x, -9), Math.max(y, -9)];
      const [right, bottom] = [Math.min(x + w, view.width + 9), Math.min(y + h, view.height + 9)];
      if (right <= left || bottom <= top) continue;
      // A dark line around the bright one, so that it can be seen on any pixels.
      for (const [colour, line] of [["#0d0f13", 4], ["#ffc47a", 2]]) {
        [context.strokeStyle, context.lineWidth] = [colour, line];
        context.strokeRect(left - 2, top - 2, right - left + 4, bottom - top + 4);
      }
    }
  },

  /** What a pixel of the view says if it is in a strip: {profile, run, x, y}; else null. */
  at({ x, y }) {
    for (const strip of this.strips) {
      const row = strip.profile.axis === "row";
      const [along, across] = row ? [y, x] : [x, y];
      const [from, to] = strip.along;
      const depth = (across - strip.base) * Math.sign(strip.grow);
      if (along < from || along >= to || depth < -3 || depth > Math.abs(strip.grow)) continue;
      const { profile, first, start, pitch } = strip;
      // Of the rows of this pixel the one that stands out.
      const [begin, end] = [0, 1].map((n) => first + (Math.floor(along) + n - start) / pitch);
      let run = profile.run(Math.min(Math.max(Math.floor(begin), 0), profile.length - 1));
      for (let other = run + 1; other < profile.values.length && profile.range(other)[0] < end; other += 1) {
        if (profile.values[other] > profile.values[run]) run = other;
      }
      return { profile, run, x, y };
    }
    return null;
  },

  hover(point) {
    const pointed = point && this.at(point);
    if (!pointed && !this.pointed) return;
    this.pointed = pointed;
    this.draw();
  },

  drawReading({ profile, run, x, y }) {
    const { context, view } = this;
    const text = profile.tell(run);
    context.font = `500 ${view.width > 2000 ? 14 : 12}px ui-sans-serif, system-ui, "Segoe UI", sans-serif`;
    context.textBaseline = "middle";
    const [wide, tall] = [context.measureText(text).width + 14, 24];
    const left = Math.min(Math.max(x - wide - 12, 4), view.width - wide - 4);
    const top = Math.min(Math.max(y - tall - 10, 4), view.height - tall - 4);
    context.fillStyle = "#0d0f13";
    context.beginPath();
    context.roundRect(left, top, wide, tall, 5);
    context.fill();
    context.fillStyle = "#f4f6f9";
    context.fillText(text, left + 7, top + tall / 2 + 0.5);
  },
});
