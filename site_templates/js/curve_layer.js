// @ts-check
"use strict";
/*
 * A scene of bytes in, a Leaflet layer out that draws the borders of its files along the curve, and their names: the largest
 * first, none over another; and covers what lies beyond the last byte.
 */

/** Files whose names are looked at in one view. */
mwv.MOST_NAMES = 1000;

mwv.CurveOutlines = mwv.OutlineLayer.extend({
  /**
   * @param {any} scene
   * @param {any} [options]
   */
  initialize(scene, options) {
    mwv.OutlineLayer.prototype.initialize.call(this, scene, options);
    const { bytes } = scene.facts.tensors;
    this.bySize = bytes.map((_, /** @type {number} */ file) => file).sort((a, b) => bytes[b] - bytes[a] || a - b);
  },

  paint() {
    this.prepare();
    this.cover();
    this.coverHoles();
    const { scene, view } = this;
    const seen = this.bySize
      .map((/** @type {number} */ file) => ({ placement: file, rect: this.onScreen(...scene.facts.areas[file][0]) }))
      .filter(({ rect: [x, y, w, h] }) => x < view.width && y < view.height && x + w > 0 && y + h > 0 && (w >= 2 || h >= 2))
      .slice(0, mwv.MOST_NAMES);
    if (scene.count > 1) [...seen].reverse().forEach(({ placement }, i) => this.border(placement, seen.length - 1 - i));
    else if (this.selected >= 0) this.border(this.selected, 0);
    this.labels.start(this.context, view, [], this.covers());
    if (scene.count > 1) for (const { placement, rect } of seen) this.name(placement, rect);
    this.fire("draw");
  },

  /** Fill what lies beyond the last byte with the ground: in tiles it has the code of zero. */
  cover() {
    const { context, scene } = this;
    context.fillStyle = `#${mwv.colours.ground}`;
    for (const [x, y, side] of scene.facts.rest) {
      const [left, top, width, height] = this.onScreen(x, y, side, side);
      if (left > this.view.width || top > this.view.height || left + width < 0 || top + height < 0) continue;
      const [x0, y0] = [Math.max(Math.round(left), -9), Math.max(Math.round(top), -9)];
      const [x1, y1] = [Math.min(Math.round(left + width), this.view.width + 9), Math.min(Math.round(top + height), this.view.height + 9)];
      context.fillRect(x0, y0, x1 - x0, y1 - y0);
    }
  },

  /** Cover what one side has nothing of with the ground, hatched: in tiles it has the code of zero, too. */
  coverHoles() {
    const { context, scene, view } = this;
    this.holes ??= scene.holes;
    for (const hole of this.holes) {
      if (hole.length * view.scale * view.scale < 4) continue;
      hole.squares ??= scene.squares(hole.first, hole.length);
      for (const [x, y, side] of hole.squares) {
        const [left, top, size] = this.onScreen(x, y, side, side);
        if (size < 0.5 || left > view.width || top > view.height || left + size < 0 || top + size < 0) continue;
        context.fillStyle = `#${mwv.colours.ground}`;
        context.fillRect(left, top, size, size);
        this.hatch([left, top, size, size]);
      }
    }
  },

  /** Draw the border of a file, a light line with a dark edge. @param {number} file @param {number} rank by size, 0 the largest */
  border(file, rank) {
    const { context, view, scene } = this;
    const [, , across, down] = scene.facts.areas[file];
    const path = new Path2D();
    const inside = (/** @type {number} */ at, /** @type {number} */ most) => Math.min(Math.max(at, -9), most + 9);
    const put = (/** @type {number[]} */ lines, /** @type {number} */ wide) => {
      for (let i = 0; i < lines.length; i += 3) {
        const [x, y] = [(lines[i] - view.x) * view.scale, (lines[i + 1] - view.y) * view.scale];
        const [toX, toY] = [x + wide * lines[i + 2] * view.scale, y + (1 - wide) * lines[i + 2] * view.scale];
        if (x > view.width || y > view.height || toX < 0 || toY < 0) continue;
        path.moveTo(inside(Math.round(x), view.width), inside(Math.round(y), view.height));
        path.lineTo(inside(Math.round(toX), view.width), inside(Math.round(toY), view.height));
      }
    };
    put(across, 1);
    put(down, 0);
    const chosen = file === this.selected;
    context.lineCap = "square";
    const lines = [["rgba(8, 10, 14, 0.8)", chosen ? 5 : rank < 3 ? 4 : 3], [chosen ? "#ffffff" : this.colour(file), chosen ? 2.5 : rank < 3 ? 2 : 1]];
    for (const [colour, width] of lines) {
      [context.strokeStyle, context.lineWidth] = [String(colour), Number(width)];
      context.stroke(path);
    }
    context.lineCap = "butt";
  },

  /** Neighbours along the curve get hues far apart. @param {number} file */
  colour: (file) => `hsl(${Math.round((file * 137.508 + 40) % 360)}, 85%, 68%)`,

  /** Write the name of a file about its middle, or what of that is in view, with a dot at the middle itself. */
  name(file, [x, y, w, h]) {
    const { labels, view, scene, context } = this;
    const text = mwv.text.visible(scene.name(file));
    const wide = labels.width(text) + 6;
    const tall = labels.letters + 6;
    if (w * h < 60) return;
    const [, [ax, ay]] = scene.facts.areas[file];
    const [cx, cy] = [(ax + 0.5 - view.x) * view.scale, (ay + 0.5 - view.y) * view.scale];
    const within = (/** @type {number} */ at, /** @type {number} */ least, /** @type {number} */ most) => Math.max(Math.min(at, most), least);
    // The part of the file's box that is in view holds the name.
    const [left, right] = [Math.max(x, 0), Math.min(x + w, view.width)];
    const [top, bottom] = [Math.max(y, 0), Math.min(y + h, view.height)];
    const nameX = within(within(cx, left, right) - wide / 2, 4, view.width - wide - 4);
    const nameY = within(within(cy, top, bottom) - tall - 5, 4, view.height - tall - 4);
    if (!labels.write(text, nameX, nameY, this.colour(file))) return;
    if (cx < 0 || cy < 0 || cx > view.width || cy > view.height) return;
    context.fillStyle = "rgba(8, 10, 14, 0.9)";
    context.beginPath();
    context.arc(cx, cy, 4.5, 0, 7);
    context.fill();
    context.fillStyle = this.colour(file);
    context.beginPath();
    context.arc(cx, cy, 3, 0, 7);
    context.fill();
  },
});

/** The outlines of a scene. @param {any} scene @param {any} [options] */
mwv.outlinesOf = (scene, options) => (scene.facts.curve ? new mwv.CurveOutlines(scene, options) : new mwv.OutlineLayer(scene, options));
