// @ts-check
"use strict";
/*
 * A scene of files that lie beside others in, questions about it answered: which byte of either side stands where, what a code
 * of changes says, where one side has nothing. Its codes are those of mwv/pyramid/change_kernels.py.
 */

/** Kinds of stretches. */
mwv.STRETCH = { equal: 0, changed: 1, onlyA: 2, onlyB: 3 };

/** Classes of codes: first code, name; `{a}` and `{b}` stand for the names of the sides. @type {[number, string][]} */
mwv.CHANGE_CLASSES = [
  [1, "the same in both"],
  [2, "grew"],
  [44, "shrank"],
  [86, "grew and shrank, under one pixel"],
  [128, "only in {a}"],
  [192, "only in {b}"],
];

mwv.AlignedScene = class extends mwv.CurveScene {
  /**
   * @param {any} folder
   * @param {number} index
   */
  constructor(folder, index) {
    super(folder, index);
    this.beside = this.facts.beside;
    /** Stretches of each file once they were asked for: kind, where each begins along the curve, in a and in b. @type {any[]} */
    this.known = [];
    /** Codes of the scenes of both sides, by side. @type {any[]} */
    this.sides = [];
  }

  /** A text in which `{a}` and `{b}` are the names of the sides. @param {string} text */
  named(text) {
    const [a, b] = this.beside.titles.map(mwv.text.visible);
    return text.replace("{a}", a).replace("{b}", b);
  }

  /** @param {number} file */
  stretches(file) {
    if (this.known[file]) return this.known[file];
    const told = this.folder.scenes[this.beside.scene].beside.stretches[file];
    const count = told.length / 2;
    const found = { kind: new Uint8Array(count), at: new Float64Array(count + 1), a: new Float64Array(count + 1), b: new Float64Array(count + 1) };
    for (let i = 0; i < count; i += 1) {
      const [kind, length] = [told[2 * i], told[2 * i + 1]];
      found.kind[i] = kind;
      found.at[i + 1] = found.at[i] + length;
      found.a[i + 1] = found.a[i] + (kind === mwv.STRETCH.onlyB ? 0 : length);
      found.b[i + 1] = found.b[i] + (kind === mwv.STRETCH.onlyA ? 0 : length);
    }
    this.known[file] = found;
    return found;
  }

  /** The stretch of a file that a place of it along the curve lies in. @param {number} file @param {number} place */
  stretch(file, place) {
    return mwv.after(this.stretches(file).at, place) - 1;
  }

  /** How many bytes of a side come before a place of a file. @param {number} file @param {"a" | "b"} side @param {number} place */
  before(file, side, place) {
    const found = this.stretches(file);
    if (place >= found.at[found.kind.length]) return found[side][found.kind.length];
    const i = this.stretch(file, place);
    return Math.min(found[side][i] + place - found.at[i], found[side][i + 1]);
  }

  /** The place along the curve of a byte of a side of a file. @param {number} file @param {"a" | "b"} side @param {number} byte */
  placeOf(file, side, byte) {
    const found = this.stretches(file);
    const i = mwv.after(found[side], byte) - 1;
    return found.at[i] + byte - found[side][i];
  }

  /** The byte of all at which a byte of a file stands, in the side that is shown, or else in b; null if there is none. */
  placed(file, byte) {
    const [a, b] = this.beside.sizes[file];
    const side = this.beside.side === "a" || b === null ? "a" : "b";
    const size = side === "a" ? a : b;
    return size !== null && byte < size ? this.begin(file) + this.placeOf(file, side, byte) : null;
  }

  /** First and last byte of a side among places of a file; null if it has none there. @param {any} element @param {"a" | "b"} side */
  own({ placement, cols: [from, to] }, side) {
    const [first, end] = [this.before(placement, side, from), this.before(placement, side, to + 1)];
    return end > first ? [first, end - 1] : null;
  }

  /** Where bytes of a file lie, in both or in the side that is shown. @param {any} element */
  span(element) {
    const [a, b] = ["a", "b"].map((side) => this.own(element, /** @type {"a" | "b"} */ (side)));
    const { side } = this.beside;
    const [own, other] = side === "b" ? [b, a] : [a, b];
    const text = (/** @type {number[]} */ cols) => mwv.byteSpan({ cols });
    if (side !== "both") return own ? text(own) : this.named(side === "a" ? "nothing here: only in {b}" : "nothing here: only in {a}");
    if (!own || !other) return `${text(own ?? other)}, ${this.named(own ? "only in {a}" : "only in {b}")}`;
    return String(own) === String(other) ? text(own) : `${text(own)} → ${text(other)}`;
  }

  /** Stretches with nothing of the side that is shown: first byte along the curve and length of each. */
  get holes() {
    const { side } = this.beside;
    if (side === "both") return [];
    const lacking = side === "a" ? mwv.STRETCH.onlyB : mwv.STRETCH.onlyA;
    return this.ends.flatMap((/** @type {number} */ _, /** @type {number} */ file) => {
      const { kind, at } = this.stretches(file);
      return [...kind].flatMap((one, i) => (one === lacking ? [{ first: this.begin(file) + at[i], length: at[i + 1] - at[i] }] : []));
    });
  }

  /** The largest squares that together are a range of bytes, as in mwv/layout/hilbert.py: [x, y, side] each. */
  squares(first, length) {
    const found = [];
    for (let begin = first, end = first + length; begin < end; ) {
      let side = 1;
      while (begin % (4 * side * side) === 0 && begin + 4 * side * side <= end && 2 * side <= this.side) side *= 2;
      const [x, y] = this.point(begin);
      found.push([x - (x % side), y - (y % side), side]);
      begin += side * side;
    }
    return found;
  }

  /** The next place of a change after one of all, or before it; -1 if there is none. @param {number} place @param {1 | -1} by */
  change(place, by) {
    const at = place < 0 ? (by > 0 ? 0 : this.length - 1) : place;
    for (let file = this.file(at), from = at - this.begin(file); file >= 0 && file < this.ends.length; file += by) {
      const found = this.stretches(file);
      const count = found.kind.length;
      const start = from === null ? (by > 0 ? 0 : count - 1) : this.stretch(file, from) + (place < 0 ? 0 : by);
      for (let i = start; i >= 0 && i < count; i += by) if (found.kind[i] !== mwv.STRETCH.equal) return this.begin(file) + found.at[i];
      from = null;
    }
    return -1;
  }

  /** The byte of a side at a pixel of the leaf; null where it cannot be read. @param {0 | 1} which */
  async byteAt(which, x, y) {
    const scene = mwv.sceneOf(this.folder, this.beside.scene + 1 + which);
    if (!mwv.Codes.readable(scene.facts)) return null;
    this.sides[which] ??= new mwv.Codes(new mwv.TileLayer(scene));
    return this.sides[which].at(0, x, y);
  }
};

/** Index in `mwv.CHANGE_CLASSES` of a code; -1 for padding. @param {number} code */
mwv.changeClass = (code) => mwv.CHANGE_CLASSES.filter(([first]) => code >= first).length - 1;

/** What a code of changes says. @param {any} scene @param {number} level @param {number} code */
mwv.changeText = function (scene, level, code) {
  const kind = mwv.changeClass(code);
  if (kind < 0) return "";
  const [first, name] = mwv.CHANGE_CLASSES[kind];
  if (kind === 0) return name;
  if (kind > 3) return `${level ? "mostly " : ""}${scene.named(name)}`;
  const size = 2 ** ((code - first - 17.5) / 3);
  return level ? `${["", "grew", "shrank", "grew and shrank"][kind]}, RMS Δ ≈ ${mwv.text.number(size, 2)}` : `${name} by ≈ ${Math.round(size)}`;
};

/** The value of a reading of changes: both bytes where they could be read. @param {any} reading */
mwv.changeReading = function ({ scene, level, code, bytes }) {
  if (code instanceof Promise) return "…";
  if (code === null) return "";
  const [a, b] = bytes ?? [null, null];
  const kind = mwv.changeClass(code);
  if (a === null || b === null || kind < 0) return mwv.changeText(scene, level, code);
  if (kind > 3) return mwv.byteText(kind === 4 ? a : b);
  if (kind === 0) return mwv.byteText(a);
  return `${mwv.hex(a)} → ${mwv.hex(b)} (${b > a ? "+" : "−"}${Math.abs(b - a)})`;
};

/** Both bytes under a pixel of the leaf of a scene of changes; null elsewhere. @param {any} reading */
mwv.bytesBeside = async function ({ scene, level, elements }) {
  if (level || scene.facts.kind !== "byte-changes") return null;
  const [{ placement, cols }] = elements;
  const [x, y] = scene.point(scene.begin(placement) + cols[0]);
  return Promise.all([scene.byteAt(0, x, y), scene.byteAt(1, x, y)]);
};

/** Of the file that is chosen: how large it is on both sides, and what became of it. @param {any} scene @param {number} file */
mwv.besideFacts = function (scene, file) {
  const { size, thousands, number } = mwv.text;
  const { sizes, changes } = scene.beside;
  const [a, b] = sizes[file];
  const told = (/** @type {number | null} */ bytes) => (bytes === null ? "not there" : `${size(bytes)} (${thousands(bytes)} bytes)`);
  /** @type {[string, string][]} */
  const rows = [[scene.named("Size in {a}"), told(a)], [scene.named("Size in {b}"), told(b)]];
  const whole = changes[file].reduce((/** @type {number} */ sum, /** @type {number} */ n) => sum + n, 0);
  ["Same in both", "Changed", "Only in {a}", "Only in {b}"].forEach((name, kind) => {
    const count = changes[file][kind];
    if (count) rows.push([scene.named(name), `${thousands(count)} bytes, ${number((100 * count) / whole, 3)} %`]);
  });
  return rows;
};

/** What the colours of changes mean, and how many bytes are of each kind. @param {any} scene @param {number[][]} colours */
mwv.changeLegend = function (scene, colours) {
  const totals = [0, 1, 2, 3].map((kind) => scene.beside.changes.reduce((/** @type {number} */ sum, /** @type {number[]} */ of) => sum + of[kind], 0));
  const all = totals.reduce((sum, n) => sum + n, 0);
  const share = (/** @type {number} */ kind) => `${mwv.text.number((100 * totals[kind]) / all, 3)} %`;
  const shares = [share(0), `changed ${share(1)}`, "", "", share(2), share(3)];
  const items = mwv.CHANGE_CLASSES.map(([first, name], kind) => {
    const bright = [1, 43, 85, 127, 191, 255][kind];
    const fill = kind ? `linear-gradient(90deg, rgb(${colours[first].join()}), rgb(${colours[bright].join()}))` : `rgb(${colours[1].join()})`;
    return mwv.element("li", {}, mwv.element("i", { style: `background: ${fill}` }), mwv.element("span", {}, scene.named(name)), mwv.element("small", {}, shares[kind]));
  });
  const words =
    "One pixel is one byte along a Hilbert curve; bytes are aligned by content, so what is inserted moves nothing after it. Brighter is " +
    "a larger change, or a larger byte. Farther out a pixel shows what most changes under it are, and their root mean square; it is black " +
    "only where all is the same.";
  return [mwv.element("ul", { class: "classes" }, ...items), mwv.element("p", { class: "quiet" }, words)];
};

/** The strip of the legend of changes: codes in the order in which they stand there, and marks at places of it. */
mwv.changeStrip = function () {
  const run = (/** @type {number} */ first, /** @type {number} */ count) => Array.from({ length: count }, (_, i) => first + i);
  const codes = [...run(44, 42).reverse(), 1, ...run(2, 42), ...run(128, 64), ...run(192, 64)];
  return { codes, marks: [[0, "−255"], [42.5, "0"], [85, "+255"], [117, "removed"], [181, "added"]] };
};

/** Columns where rows are pairs of files. */
mwv.BESIDE_COLUMNS = [
  { key: "order", title: "Name", show: (/** @type {any} */ row) => row.shown },
  ...[["sizeA", "Bytes before"], ["sizeB", "Bytes after"], ["same", "Same"], ["changed", "Changed"], ["onlyA", "Removed"], ["onlyB", "Added"]].map(([key, title]) => ({
    key,
    title,
    number: true,
    show: (/** @type {any} */ row) => (row[key] === null ? "–" : mwv.text.thousands(row[key])),
  })),
  { key: "differs", title: "Differs %", number: true, show: (/** @type {any} */ row) => mwv.text.number(row.differs, 3) },
];

/** What the table tells of a pair of files. @param {any} scene @param {number} file */
mwv.besideRow = function (scene, file) {
  const [sizeA, sizeB] = scene.beside.sizes[file];
  const [same, changed, onlyA, onlyB] = scene.beside.changes[file];
  return { sizeA, sizeB, same, changed, onlyA, onlyB, differs: (100 * (changed + onlyA + onlyB)) / (same + changed + onlyA + onlyB) };
};
