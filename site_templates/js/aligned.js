// @ts-check
"use strict";
/*
 * A scene of files that lie beside others in, questions about it answered: which byte of either side stands where, and where one
 * side has nothing. The kinds of stretches are those of mwv/files/stretches.py.
 */

/** Kinds of stretches. */
mwv.STRETCH = { equal: 0, changed: 1, onlyA: 2, onlyB: 3 };

/** What becomes of bytes, by kind of stretch; `{a}` and `{b}` stand for the names of the sides. */
mwv.FATES = ["Same in both", "Changed", "Only in {a}", "Only in {b}"];

/** What scenes of files beside others have in common. */
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
  }

  /** Places along the curve are of two files: they are no offsets. */
  get counted() {
    return false;
  }

  /** How many places of all files are of each kind of stretch. @returns {number[]} */
  get totals() {
    return mwv.sums(this.beside.changes);
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

  /** The place of all at which a byte of the side that is shown stands, or else of b; null if there is none. */
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

  /** @param {any} element */
  reference(element) {
    return `, ${this.span(element)}`;
  }

  /** What became of a file: how many places are of each kind of stretch. @param {number} file @returns {[string, string][]} */
  fate(file) {
    const { thousands, share } = mwv.text;
    const counts = this.beside.changes[file];
    const whole = counts.reduce((/** @type {number} */ sum, /** @type {number} */ n) => sum + n, 0);
    const told = mwv.FATES.map((name, kind) => [this.named(name), `${thousands(counts[kind])} bytes, ${share(counts[kind], whole)}`]);
    return /** @type {[string, string][]} */ (told.filter((_, kind) => counts[kind]));
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
};

/** One side: its bytes where it has any. */
mwv.SideScene = class extends mwv.AlignedScene {
  get holes() {
    const lacking = this.beside.side === "a" ? mwv.STRETCH.onlyB : mwv.STRETCH.onlyA;
    return this.ends.flatMap((/** @type {number} */ _, /** @type {number} */ file) => {
      const { kind, at } = this.stretches(file);
      return [...kind].flatMap((one, i) => (one === lacking ? [{ first: this.begin(file) + at[i], length: at[i + 1] - at[i] }] : []));
    });
  }

  /** @param {any} element */
  span(element) {
    const { side } = this.beside;
    const own = this.own(element, side);
    return own ? mwv.byteSpan({ cols: own }) : this.named(side === "a" ? "nothing here: only in {b}" : "nothing here: only in {a}");
  }

  /** @param {any} reading */
  value(reading) {
    return this.own(reading.elements[0], this.beside.side) ? super.value(reading) : "nothing";
  }

  /** @param {number} file @returns {[string, string][]} */
  told(file) {
    return this.facts.tensors.bytes[file] ? [...super.told(file), ...this.fate(file)] : [["Size", "not there"]];
  }
};
