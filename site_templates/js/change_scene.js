// @ts-check
"use strict";
/*
 * A scene of how bytes changed in, the questions about it answered that a scene of bytes answers. Its codes are those of
 * mwv/pyramid/change_kernels.py.
 */

/** Levels of a class of changes and of a class of bytes of one side, and the level of a change by one: three an octave. */
mwv.CHANGE_LEVELS = { change: 42, byte: 64, one: 18 };

/**
 * Classes of codes: first code, name, and how a pixel of many bytes says it; `{a}` and `{b}` stand for the names of the sides.
 * @type {[number, string, string][]}
 */
mwv.CHANGE_CLASSES = [
  [1, "the same in both", "the same in both"],
  [2, "rose", "rose"],
  [44, "fell", "fell"],
  [86, "rose and fell, under one pixel", "rose and fell"],
  [128, "only in {a}", "mostly only in {a}"],
  [192, "only in {b}", "mostly only in {b}"],
];

/** Places in `mwv.CHANGE_CLASSES`. */
mwv.CHANGE = { same: 0, grew: 1, shrank: 2, mixed: 3, onlyA: 4, onlyB: 5 };

/** Index in `mwv.CHANGE_CLASSES` of a code; -1 for padding. @param {number} code */
mwv.changeClass = (code) => mwv.CHANGE_CLASSES.findLastIndex(([first]) => code >= first);

mwv.ChangesScene = class extends mwv.AlignedScene {
  /**
   * @param {any} folder
   * @param {number} index
   */
  constructor(folder, index) {
    super(folder, index);
    /** Codes of the scenes of both sides, by side. @type {any[]} */
    this.sides = [];
  }

  /** Where bytes of a file lie on both sides. @param {any} element */
  span(element) {
    const [a, b] = [this.own(element, "a"), this.own(element, "b")];
    const text = (/** @type {number[]} */ cols) => mwv.byteSpan({ cols });
    if (!a || !b) return `${text(a ?? b)}, ${this.named(a ? "only in {a}" : "only in {b}")}`;
    return String(a) === String(b) ? text(a) : `${text(a)} → ${text(b)}`;
  }

  /** Both bytes under a pixel of the leaf, null where they cannot be read; null elsewhere. @param {any} reading */
  async bytesUnder({ level, elements: [{ placement, cols }] }) {
    if (level) return null;
    const [x, y] = this.point(this.begin(placement) + cols[0]);
    return Promise.all([this.byteAt(0, x, y), this.byteAt(1, x, y)]);
  }

  /** The byte of a side at a pixel of the leaf; null where it cannot be read. @param {0 | 1} which */
  async byteAt(which, x, y) {
    const scene = mwv.sceneOf(this.folder, this.beside.scene + 1 + which);
    if (!mwv.Codes.readable(scene.facts)) return null;
    this.sides[which] ??= new mwv.Codes(new mwv.TileLayer(scene));
    return this.sides[which].at(0, x, y);
  }

  /** Both bytes where they could be read, else what the code says. @param {any} reading */
  meaning({ level, code, bytes }) {
    const [a, b] = bytes ?? [null, null];
    const kind = mwv.changeClass(code);
    if (a === null || b === null || kind < 0) return this.codeText(level, code);
    if (kind === mwv.CHANGE.onlyB) return mwv.byteText(b);
    if (kind === mwv.CHANGE.onlyA || kind === mwv.CHANGE.same) return mwv.byteText(a);
    return `${mwv.hex(a)} → ${mwv.hex(b)} (${b > a ? "+" : "−"}${Math.abs(b - a)})`;
  }

  /** What a code says by itself. @param {number} level @param {number} code */
  codeText(level, code) {
    const kind = mwv.changeClass(code);
    if (kind < 0) return "";
    const [first, one, many] = mwv.CHANGE_CLASSES[kind];
    const name = this.named(level ? many : one);
    if (kind === mwv.CHANGE.same || kind >= mwv.CHANGE.onlyA) return name;
    const size = 2 ** ((code - first - mwv.CHANGE_LEVELS.one + 0.5) / 3);
    return level ? `${name}, RMS Δ ≈ ${mwv.text.number(size, 2)}` : `${name} by ≈ ${Math.round(size)}`;
  }

  /** @param {any} reading @returns {string[]} */
  lines({ level, code, bytes }) {
    const kind = mwv.changeClass(code); // from disk there is no code
    return level === 0 && bytes && kind >= 0 ? [this.named(mwv.CHANGE_CLASSES[kind][1])] : [];
  }

  /** @param {number} file @returns {[string, string][]} */
  told(file) {
    const { size, thousands } = mwv.text;
    const [a, b] = this.beside.sizes[file].map((/** @type {number | null} */ bytes) => (bytes === null ? "not there" : `${size(bytes)} (${thousands(bytes)} bytes)`));
    return [[this.named("Size in {a}"), a], [this.named("Size in {b}"), b], ...this.fate(file)];
  }

  /** What shrank, from the largest change; what is the same; what grew; what did both; what one side has alone. */
  get strip() {
    const { change, byte } = mwv.CHANGE_LEVELS;
    const [same, grew, shrank, mixed, onlyA, onlyB] = mwv.CHANGE_CLASSES.map(([first]) => first);
    const run = (/** @type {number} */ first, /** @type {number} */ count) => Array.from({ length: count }, (_, i) => first + i);
    const codes = [...run(shrank, change).reverse(), same, ...run(grew, change), ...run(mixed, change), ...run(onlyA, byte), ...run(onlyB, byte)];
    const middle = (/** @type {number} */ first, /** @type {number} */ count) => codes.indexOf(first) + count / 2;
    return {
      codes,
      marks: [
        [0, "−255"],
        [change + 0.5, "0"],
        [2 * change + 1, "+255", "end"],
        [middle(mixed, change), "both"],
        [middle(onlyA, byte), "removed"],
        [middle(onlyB, byte), "added", "middle"],
      ],
      place: (/** @type {number} */ code) => codes.indexOf(code),
      label: "Changes from −255 to +255, both under one pixel, and bytes on one side only",
    };
  }

  /** What the colours mean, and how many bytes are of each kind. @param {number[][]} colours */
  legend(colours) {
    const { totals } = this;
    const all = totals.reduce((sum, n) => sum + n, 0);
    const [same, changed, onlyA, onlyB] = totals.map((count) => mwv.text.share(count, all));
    const shares = [same, `changed ${changed}`, "", "", onlyA, onlyB];
    const items = mwv.CHANGE_CLASSES.map(([first, name], kind) => {
      const last = (mwv.CHANGE_CLASSES[kind + 1]?.[0] ?? colours.length) - 1;
      const [dark, bright] = [first, last].map((code) => `rgb(${colours[code].join()})`);
      return mwv.legendItem(`background: ${last > first ? `linear-gradient(90deg, ${dark}, ${bright})` : dark}`, this.named(name), shares[kind]);
    });
    const words =
      "One pixel is one byte along a Hilbert curve; bytes are aligned by content, so what is inserted moves nothing after it. Brighter is " +
      "a larger change, or a larger byte. Farther out a pixel shows what most changes under it are, and their root mean square; it is black " +
      "only where all is the same.";
    return [mwv.element("ul", { class: "classes" }, ...items), mwv.element("p", { class: "quiet" }, words)];
  }

  /** @param {number} code */
  classOf(code) {
    return mwv.changeClass(code);
  }

  get columns() {
    return mwv.BESIDE_COLUMNS;
  }

  /** @param {number} file */
  row(file) {
    const [sizeA, sizeB] = this.beside.sizes[file];
    const [same, changed, onlyA, onlyB] = this.beside.changes[file];
    return { sizeA, sizeB, same, changed, onlyA, onlyB, differs: (100 * (changed + onlyA + onlyB)) / (same + changed + onlyA + onlyB) };
  }

  /** @param {any} row */
  record({ name, sizeA, sizeB, same, changed, onlyA, onlyB }) {
    return { name, sizeA, sizeB, same, changed, onlyA, onlyB };
  }
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

/** The scene of some facts that a folder has told. @param {any} folder @param {number} [index] @returns {any} */
mwv.sceneOf = function (folder, index = 0) {
  const { kind, curve, beside } = folder.scenes[index];
  const Kind = !curve ? mwv.Scene : kind === "entropy" ? mwv.EntropyScene : !beside ? mwv.CurveScene : beside.side === "both" ? mwv.ChangesScene : mwv.SideScene;
  return new Kind(folder, index);
};
