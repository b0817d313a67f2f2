// @ts-check
"use strict";
/*
 * The tiles of a scene in, codes of single pixels out, and what a code says about the elements under it. Pixels can be read
 * over http alone; the colours on the screen take no part, for they are laid over the tiles and never in them.
 */

/** Decoded tiles that are kept: 96 of 256 KiB. */
mwv.DECODED_TILES = 96;

/** Tiles on each side of which a level is made. */
mwv.TILE = 512;

mwv.Codes = class {
  /** @param {any} layer the scene's `mwv.TileLayer` */
  constructor(layer) {
    this.layer = layer;
    this.scene = layer.scene;
    /** Codes of a tile, or a promise of them, by "level/x/y"; the least recently used comes first. @type {Map<string, any>} */
    this.tiles = new Map();
  }

  /** Whether codes of this scene can be read here at all. @param {any} facts @returns {boolean} */
  static readable({ tiles }) {
    return location.protocol !== "file:" && !tiles.picture && mwv.exactCanvas();
  }

  /**
   * Codes of a tile along rows, null where there is none; at once if they were asked for before.
   * @param {number} level
   * @param {number} x
   * @param {number} y
   * @returns {Uint8Array | null | Promise<Uint8Array | null>}
   */
  tile(level, x, y) {
    const id = `${level}/${x}/${y}`;
    let codes = this.tiles.get(id);
    this.tiles.delete(id);
    if (codes === undefined) {
      codes = this.decoded(level, x, y).then(
        (found) => {
          if (this.tiles.has(id)) this.tiles.set(id, found);
          return found;
        },
        (error) => {
          this.tiles.delete(id);
          throw error;
        }
      );
    }
    this.tiles.set(id, codes);
    if (this.tiles.size > mwv.DECODED_TILES) this.tiles.delete(this.tiles.keys().next().value);
    return codes;
  }

  /** The same, from the file. */
  async decoded(level, x, y) {
    const name = await this.scene.tile(level, x, y);
    if (name === "") return null;
    return mwv.patiently(async () => {
      const address = await this.layer.url(name, level, { x, y });
      if (address === "") return null;
      const answer = await fetch(address);
      if (!answer.ok) throw new Error(`${address} could not be loaded`);
      const blob = await answer.blob();
      if (address.startsWith("blob:")) URL.revokeObjectURL(address);
      return mwv.gray(await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" }));
    });
  }

  /**
   * Code of a pixel of a level, 0 where no tile is; at once if its tile was asked for before.
   * @param {number} level
   * @param {number} x
   * @param {number} y
   * @returns {number | Promise<number>}
   */
  at(level, x, y) {
    const side = mwv.TILE;
    const pick = (/** @type {Uint8Array | null} */ codes) => (codes ? codes[(y % side) * side + (x % side)] : 0);
    const codes = this.tile(level, Math.floor(x / side), Math.floor(y / side));
    return codes instanceof Promise ? codes.then(pick) : pick(codes);
  }

  /**
   * How often each code occurs in a rectangle of a level (left, top, right, bottom in its pixels).
   * @param {number} level
   * @param {number[]} box
   * @returns {Promise<number[]>}
   */
  async histogram(level, [left, top, right, bottom]) {
    const side = mwv.TILE;
    const counts = new Array(256).fill(0);
    const jobs = [];
    for (let y = Math.floor(top / side); y * side < bottom; y += 1) {
      for (let x = Math.floor(left / side); x * side < right; x += 1) {
        const count = (/** @type {Uint8Array | null} */ codes) => {
          if (!codes) return;
          const [from, to] = [Math.max(left - x * side, 0), Math.min(right - x * side, side)];
          for (let row = Math.max(top - y * side, 0); row < Math.min(bottom - y * side, side); row += 1) {
            for (let at = row * side + from; at < row * side + to; at += 1) counts[codes[at]] += 1;
          }
        };
        jobs.push(Promise.resolve(this.tile(level, x, y)).then(count));
      }
    }
    await Promise.all(jobs);
    return counts;
  }
};

/** The gray values of a picture, which is given back. @param {ImageBitmap} picture */
mwv.gray = function (picture) {
  const canvas = Object.assign(document.createElement("canvas"), { width: picture.width, height: picture.height });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  context.drawImage(picture, 0, 0);
  picture.close();
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  return Uint8Array.from({ length: data.length / 4 }, (_, i) => data[4 * i]);
};

/** Whether this browser's canvas gives back what was put in; some add noise against being recognised. @returns {boolean} */
mwv.exactCanvas = function () {
  if (mwv.exactCanvas.known === undefined) {
    const canvas = Object.assign(document.createElement("canvas"), { width: 16, height: 16 });
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
    const picture = context.createImageData(16, 16);
    picture.data.forEach((_, i) => (picture.data[i] = i % 4 === 3 ? 255 : i >> 2));
    context.putImageData(picture, 0, 0);
    mwv.exactCanvas.known = context.getImageData(0, 0, 16, 16).data.every((value, i) => value === picture.data[i]);
  }
  return mwv.exactCanvas.known;
};

/**
 * The elements under a square of pixels of the canvas: for each placement that it touches first and last row and column of
 * the grid, counted from 0.
 * @param {any} scene
 * @param {number} x
 * @param {number} y
 * @param {number} side
 * @returns {{placement: number, rows: [number, number], cols: [number, number]}[]}
 */
mwv.elementsUnder = function (scene, x, y, side) {
  if (scene.facts.curve) return scene.under(x, y, side);
  const { rects } = scene;
  /** @type {Map<number, any>} */
  const found = new Map();
  for (let i = 0, r = 0; r < rects.length; i += 1, r += 4) {
    const [left, top, width, height] = [rects[r], rects[r + 1], rects[r + 2], rects[r + 3]];
    if (x >= left + width || y >= top + height || x + side <= left || y + side <= top) continue;
    const { placement, piece } = scene.piece(i);
    const span = (/** @type {number} */ first, /** @type {number} */ from, /** @type {number} */ to, /** @type {number} */ thick) => [
      first + Math.floor(from / thick),
      first + Math.floor((to - 1) / thick),
    ];
    const rows = span(piece.row, Math.max(y - top, 0), Math.min(y + side - top, height), piece.high);
    const cols = span(piece.col, Math.max(x - left, 0), Math.min(x + side - left, width), piece.wide);
    const known = found.get(placement) ?? { placement, rows, cols };
    const union = (/** @type {number[]} */ a, /** @type {number[]} */ b) => [Math.min(a[0], b[0]), Math.max(a[1], b[1])];
    found.set(placement, { placement, rows: union(known.rows, rows), cols: union(known.cols, cols) });
  }
  return [...found.values()];
};

/** Codes that stand for no magnitude: words for one element, words for many. @type {Record<number, [string, string]>} */
mwv.CODE_WORDS = {
  0: ["nothing here", "nothing here"],
  1: ["zero", "all zero"],
  251: ["missing from the files", "missing from the files"],
  254: ["infinite", "some element is infinite"],
  255: ["NaN", "some element is NaN"],
};

/**
 * Code of an element, as `leaf_codes` in mwv/pyramid/code.py gives it.
 * @param {number} value value × unit
 */
mwv.leafCode = function (value) {
  if (Number.isNaN(value)) return 255;
  if (value === 0) return 1;
  if (!Number.isFinite(value)) return 254;
  const octave = Math.log2(Math.abs(value));
  let level = Math.min(Math.max(Math.floor(octave) + 14, 0), 2);
  if (octave >= -11) level = 3 + Math.floor(3 * (octave + 11));
  if (octave >= 2) level = Math.min(42 + Math.floor((octave - 2) / 2), 46);
  return (value < 0 ? 2 : 200) + level;
};

/** Whether a code of the leaf can stand for a value × unit; at the very edge of a bin both that meet there can. */
mwv.standsFor = (/** @type {number} */ code, /** @type {number} */ value) =>
  [1 - 1e-9, 1, 1 + 1e-9].some((near) => mwv.leafCode(value * near) === code);

/**
 * What a code says, in words and figures.
 * @param {number} code
 * @param {number} level 0 for a single element
 * @param {number} exponent the unit is 2^exponent; figures are in stored values
 */
mwv.codeText = function (code, level, exponent) {
  const { positions, signs, steps } = mwv.colours;
  const words = mwv.CODE_WORDS[code];
  if (words) return words[level > 0 ? 1 : 0];
  const position = positions[code];
  if (position === null) return "a code without a meaning";
  // The outermost bins have no end: everything below 2^-13, everything from 2^10 on.
  const edge = position === mwv.SCALE[0] * steps + steps / 2 ? -13 : position === (mwv.SCALE[1] - 1) * steps ? 10 : null;
  const size = 2 ** ((edge === null ? position / steps : edge) - exponent);
  const figure = mwv.text.number(size, signs[code] || edge !== null ? 2 : 3);
  if (level > 0) {
    const how = edge === null ? "≈ ±" : edge < 0 ? "below ±" : "±";
    const balance = ["balanced", "mostly positive", "mostly negative"].at(signs[code]);
    return `${how}${figure}${edge === 10 ? " or more" : ""} RMS, ${balance}`;
  }
  const minus = signs[code] < 0 ? "−" : "";
  if (edge === null) return `≈ ${minus}${figure}`;
  return edge < 0 ? `between 0 and ${minus}${figure}` : `${minus}${figure} or ${minus ? "less" : "more"}`;
};
