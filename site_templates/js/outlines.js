// @ts-check
"use strict";
/* A scene in, a Leaflet layer that draws outlines, heads and names over its tiles out, and then tells "draw". */
mwv.OutlineLayer = mwv.CanvasLayer.extend({
  className: "outlines",

  /**
   * @param {any} scene
   * @param {any} [options] of Leaflet's Layer, such as the pane
   */
  initialize(scene, options) {
    L.setOptions(this, options);
    this.scene = scene;
    this.selected = -1;
    this.labels = new mwv.Labels(scene);
    this.heads = mwv.heads(scene);
    /** What each placement covers, x, y, width, height; and whether that is missing or odd. */
    this.boxes = Float64Array.from(scene.shapes.flatMap((/** @type {any} */ shape) => shape.box));
    const { nan, inf } = scene.facts.placements;
    this.alone = mwv.alone(scene);
    this.marks = Uint8Array.from(scene.shapes, (_, /** @type {number} */ i) => (scene.missing(i) ? 1 : nan[i] || inf[i] ? 2 : 0));
  },

  /** @param {number} placement -1 for none */
  select(placement) {
    this.selected = placement;
    this.draw();
  },

  paint() {
    this.prepare();
    const seen = this.outline();
    this.labels.start(this.context, this.view, seen, this.covers());
    this.labels.draw();
    this.drawHeads(seen);
    this.fire("draw");
  },

  /** What lies over the map, in pixels of the view: other parts of the page, and what layers say they have `covered`. */
  covers() {
    const map = this._map.getContainer();
    const { left, top } = map.getBoundingClientRect();
    const boxes = Array.from(map.parentElement.querySelectorAll(".float, .half-name, .leaflet-control"), (element) => {
      const box = element.getBoundingClientRect();
      return [box.left - left, box.top - top, box.width, box.height];
    }).filter(([, , width]) => width > 0);
    this._map.eachLayer((/** @type {any} */ layer) => boxes.push(...(layer.covered?.() ?? [])));
    return boxes;
  },

  /** Draw the outlines in view, one around all panels of a tensor; what can be seen, as {placement, rect}. */
  outline() {
    const { context, scene, view, boxes, marks } = this;
    const { x: left, y: top, scale } = view;
    const [right, bottom] = [left + view.width / scale, top + view.height / scale];
    const seen = [];
    // Most of many thousand tensors are out of sight or too small to be parted by lines.
    for (let placement = 0, b = 0; placement < marks.length; placement += 1, b += 4) {
      if (boxes[b] > right || boxes[b + 1] > bottom || boxes[b] + boxes[b + 2] < left || boxes[b + 1] + boxes[b + 3] < top) continue;
      const [w, h] = [boxes[b + 2] * scale, boxes[b + 3] * scale];
      const [selected, mark] = [placement === this.selected, marks[placement]];
      const plain = !selected && !mark;
      if (w < 4 && plain) continue;
      const rect = this.onScreen(boxes[b], boxes[b + 1], boxes[b + 2], boxes[b + 3]);
      const [missing, odd] = [mark === 1, mark === 2];
      if (missing && w >= 2 && h >= 2) this.hatch(rect);
      if (w >= 4 && h >= 0.5) seen.push({ placement, rect });
      // Between small tensors lines would be brighter than what they part.
      const strength = Math.min((Math.min(w, h) - 12) / 48, 1) * 0.34;
      if (plain && strength <= 0) continue;
      context.lineWidth = selected ? 2 : 1;
      context.setLineDash(missing && !selected ? [4, 3] : []);
      context.strokeStyle = `rgba(226, 232, 240, ${strength})`;
      if (missing) context.strokeStyle = "rgba(200, 208, 220, 0.7)";
      if (odd) context.strokeStyle = "rgba(224, 120, 255, 0.95)";
      if (selected) context.strokeStyle = "#ffffff";
      this.trace(scene.shapes[placement]);
      context.stroke();
    }
    context.setLineDash([]);
    for (const { box, colour } of this.alone) {
      const [x, y, w, h] = this.onScreen(...box);
      if (w >= 2 && h >= 2 && x < view.width && y < view.height && x + w > 0 && y + h > 0) this.hatch([x, y, w, h], colour);
    }
    return seen;
  },

  /** Thin lines between the heads of what is seen where heads are wide enough, and their names where there is room. */
  drawHeads(seen) {
    const { context, view, labels, scene } = this;
    const tall = labels.letters + 6;
    context.lineWidth = 1;
    for (const { placement } of seen) {
      const heads = this.heads[placement];
      if (!heads || heads.size * view.scale < 12) continue;
      const down = heads.axis === "rows";
      const size = heads.size * view.scale;
      for (const piece of scene.pieces(placement)) {
        const { row, col } = piece;
        const [x, y, w, h] = this.onScreen(piece.x, piece.y, piece.w, piece.h);
        if (x > view.width || y > view.height || x + w < 0 || y + h < 0) continue;
        const [left, right] = [Math.max(x, 0), Math.min(x + w, view.width)];
        const [top, bottom] = [Math.max(y, 0), Math.min(y + h, view.height)];
        // Where head 0 begins in the view, and which heads are in sight.
        const origin = down ? y - row * view.scale : x - col * view.scale;
        const [start, end] = down ? [top, bottom] : [left, right];
        const last = Math.min(Math.ceil((end - origin) / size), heads.names.length) - 1;
        const lines = new Path2D();
        for (let head = Math.max(Math.floor((start - origin) / size), 0); head <= last; head += 1) {
          const from = origin + head * size;
          const line = Math.round(from) - 0.5;
          if (line > start + 1 && down) {
            lines.moveTo(left, line);
            lines.lineTo(right, line);
          } else if (line > start + 1) {
            lines.moveTo(line, top);
            lines.lineTo(line, bottom);
          }
          const name = heads.names[head];
          const wide = labels.width(name) + 6;
          const [first, beyond] = [Math.max(from, start), Math.min(from + size, end)];
          if (down && beyond - first >= tall + 6 && right - left >= 2 * wide) labels.write(name, right - wide - 4, first + 3, "#c9d4e4");
          if (!down && beyond - first >= wide + 6 && bottom - top >= 3 * tall) labels.write(name, first + 3, bottom - tall - 4, "#c9d4e4");
        }
        // Close up the pixels are as bright and as dark as lines can be: there a line has a dark edge.
        const strength = Math.min((size - 12) / 48, 1);
        context.strokeStyle = `rgba(245, 248, 252, ${0.4 + 0.5 * strength})`;
        context.stroke(lines);
        context.translate(down ? 0 : 1, down ? 1 : 0);
        context.strokeStyle = `rgba(8, 10, 14, ${0.75 * strength})`;
        context.stroke(lines);
        context.translate(down ? 0 : -1, down ? -1 : 0);
      }
    }
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

  /** Diagonal lines over what the files lack, or what one side alone has. */
  hatch([x, y, w, h], colour = "rgba(160, 172, 190, 0.45)") {
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
    context.strokeStyle = colour;
    context.stroke();
    context.restore();
  },
});
