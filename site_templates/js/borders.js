// @ts-check
"use strict";
/* A scene of classes in, a Leaflet layer out that draws, close up, where chunks and xorbs end. */

/** A chunk of fewer square pixels on the screen has no border: lines would hide what they part. */
mwv.CHUNK_AREA = 500;
/** Bytes of a chunk on average. */
mwv.CHUNK_BYTES = 65536;

mwv.BorderLayer = mwv.CanvasLayer.extend({
  className: "borders",

  /** @param {any} scene @param {any} [options] of the layer */
  initialize(scene, options) {
    L.setOptions(this, options);
    this.scene = scene;
    this.stored = mwv.storedIn(scene.folder);
  },

  paint() {
    this.prepare();
    const { scene, view } = this;
    const box = [view.x, view.y, view.x + view.width / view.scale, view.y + view.height / view.scale];
    scene.owner.forEach((/** @type {number} */ placement, /** @type {number} */ i) => {
      const [x, y, w, h] = scene.rects.slice(4 * i, 4 * i + 4);
      if (x > box[2] || y > box[3] || x + w < box[0] || y + h < box[1] || scene.missing(placement)) return;
      // Elements of a view with strides lie in no order that a line could follow.
      if (!scene.facts.tensors.strides[scene.facts.placements.tensor[placement]]) this.piece(placement, scene.piece(i).piece, box);
    });
  },

  /** Draw what is in view of a piece. @param {number} placement @param {any} piece @param {number[]} box */
  piece(placement, piece, box) {
    const { scene, stored, view } = this;
    const [, columns, stride, elements, high, wide] = scene.grid(placement);
    const told = mwv.Stored.tensor(scene, scene.facts.placements.tensor[placement]);
    const each = told.bytes / told.elements;
    const first = Math.max(scene.facts.placements.panel[placement], 0) * elements;
    // Storage rows in view, and the bytes under them.
    const down = (/** @type {number} */ y) => (piece.row + (y - piece.y) / piece.high) / high;
    const rows = [Math.floor(down(Math.max(box[1], piece.y))), Math.ceil(down(Math.min(box[3], piece.y + piece.h)))];
    const [from, to] = rows.map((row) => told.offset + (first + Math.min(row * stride, elements)) * each);
    const file = stored.file(stored.xorbs, told.file);
    if (!file) return;
    const area = (mwv.CHUNK_BYTES / each) * piece.wide * piece.high * view.scale ** 2;
    this.near = area >= mwv.CHUNK_AREA;
    if (this.near) this.chunks(told.file, from, to).forEach((/** @type {number} */ end) => this.border(end, false));
    const ends = stored.reach(file.terms, 4);
    for (let at = mwv.after(ends, from); at < ends.length - 1 && ends[at] < to; at += 1) {
      if (file.terms[4 * at] !== file.terms[4 * (at + 1)]) this.border(ends[at], true);
    }
    this.flush(placement, piece, { told, each, first, columns, stride, high, wide });
  },

  /** Ends of chunks between two bytes, as far as they are loaded; those that are not are asked for. */
  chunks(name, from, to) {
    const found = [];
    for (let byte = from; byte < to; ) {
      const told = this.known(name, byte);
      if (!told) break;
      for (let at = mwv.after(told.ends, byte); at < told.ends.length && told.ends[at] < to; at += 1) found.push(told.ends[at]);
      byte = told.end;
    }
    return found;
  },

  known(name, byte) {
    const { stored } = this;
    const file = stored.file(stored.xorbs, name);
    for (const script of file.chunks) {
      const told = stored.folder.chunks.get(script);
      if (!told) {
        mwv.load(script, stored.folder.address).then(() => this.draw(), () => {});
        return null;
      }
      if (byte < told.end) return told;
    }
    return null;
  },

  border(byte, xorb) {
    (this.pending ??= []).push([byte, xorb]);
  },

  /** Draw what was noted: along the row, down one, and back along the next. */
  flush(placement, piece, { told, each, first, columns, stride, high, wide }) {
    const { context } = this;
    const lines = [new Path2D(), new Path2D()];
    for (const [byte, xorb] of this.pending ?? []) {
      const element = Math.ceil((byte - told.offset) / each) - first;
      const row = Math.floor(element / stride) * high;
      const col = Math.floor((element % stride) / high / wide) * wide;
      const path = lines[Number(xorb)];
      const across = (/** @type {number} */ c) => Math.min(Math.max(c - piece.col, 0), piece.cols) * piece.wide + piece.x;
      const level = (/** @type {number} */ r) => Math.min(Math.max(r - piece.row, 0), piece.rows) * piece.high + piece.y;
      const [left, step, right] = [across(0), across(col), across(columns)];
      const [top, bottom] = [level(row), level(row + high)];
      const [x0, y0, width, height] = this.onScreen(left, top, right - left, bottom - top);
      const middle = Math.round(this.onScreen(step, top, 0, 0)[0]);
      const [high0, low0] = [Math.round(y0), Math.round(y0 + height)];
      if (row >= piece.row && row < piece.row + piece.rows && step < right) {
        path.moveTo(x0 + width, high0);
        path.lineTo(middle, high0);
      } else {
        path.moveTo(middle, high0);
      }
      if (col) {
        path.lineTo(middle, low0);
        path.lineTo(x0, low0);
      }
    }
    this.pending = [];
    // A light line with dark edges is seen on every ground; that of a xorb is thicker.
    const strokes = [["rgba(8, 10, 14, 0.55)", 2.5, 0], ["rgba(255, 255, 255, 0.85)", 1, 0], ["rgba(8, 10, 14, 0.8)", this.near ? 5 : 3, 1], ["#ffffff", this.near ? 2.5 : 1, 1]];
    for (const [colour, thick, kind] of strokes) {
      context.strokeStyle = String(colour);
      context.lineWidth = Number(thick);
      context.stroke(lines[Number(kind)]);
    }
  },
});
