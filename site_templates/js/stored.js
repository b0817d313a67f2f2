// @ts-check
"use strict";
/*
 * A model's scenes of classes in, questions about its bytes answered: where those of an element lie, in which xorb and chunk, and
 * who shares them. "Where an element's bytes lie" in FORMAT.md.
 */
mwv.Stored = class {
  /** @param {any} folder of the model, see `mwv.folder` */
  constructor(folder) {
    this.folder = folder;
    const known = folder.scenes.filter((/** @type {any} */ facts) => facts?.kind === "classes");
    /** Facts of the scene of xorbs, and of that of sharing; null where there is none. */
    this.xorbs = known.find((/** @type {any} */ facts) => facts.xorbs) ?? null;
    this.sharing = known.find((/** @type {any} */ facts) => !facts.xorbs) ?? null;
    /** Ends of terms or runs, by what they are of. @type {Map<any, Float64Array>} */
    this.ends = new Map();
  }

  /** First byte of a tensor in its file, how many it has, and how many elements. @param {any} scene @param {number} tensor */
  static tensor(scene, tensor) {
    const { tensors } = scene.facts;
    const shape = tensors.shapes[tensors.shape[tensor]];
    const elements = shape.reduce((/** @type {number} */ a, /** @type {number} */ b) => a * b, 1);
    return { offset: tensors.offset[tensor], bytes: tensors.bytes[tensor], elements, file: tensors.shards[tensors.shard[tensor]] };
  }

  /** The byte of the file in which an element begins. @param {any} scene @param {number} placement */
  static byte(scene, placement, row, col) {
    const { tensors, placements } = scene.facts;
    const tensor = placements.tensor[placement];
    const { offset, bytes, elements } = mwv.Stored.tensor(scene, tensor);
    const place = mwv.elementPlace(scene, placement, row, col);
    const strides = tensors.strides[tensor];
    if (!strides) return offset + Math.floor(place * (bytes / elements));
    const shape = tensors.shapes[tensors.shape[tensor]];
    const reach = shape.reduce((/** @type {number} */ sum, /** @type {number} */ n, /** @type {number} */ i) => sum + (n - 1) * strides[i], 1);
    return offset + place * (bytes / reach);
  }

  /** What is told of a file, and its number; null if nothing is. @param {any} facts @param {string} name */
  file(facts, name) {
    const number = facts ? facts.files.findIndex((/** @type {any} */ file) => file.name === name) : -1;
    return number < 0 ? null : { number, ...facts.files[number] };
  }

  /**
   * Ends of the parts of a row of numbers, `step` for each part, whose lengths are the last of each.
   * @param {number[]} numbers
   * @param {number} step
   */
  reach(numbers, step) {
    let ends = this.ends.get(numbers);
    if (!ends) {
      let sum = 0;
      ends = Float64Array.from({ length: numbers.length / step }, (_, i) => (sum += numbers[step * i + step - 1]));
      this.ends.set(numbers, ends);
    }
    return ends;
  }

  /** The parts of a row that bytes `from` to `to` touch: first, and last. */
  parts(numbers, step, from, to) {
    const ends = this.reach(numbers, step);
    return [mwv.after(ends, from), mwv.after(ends, to)];
  }

  /** The code of a byte in the scene of sharing, 0 where that is not known. @param {string} name @param {number} byte */
  shared(name, byte) {
    const file = this.file(this.sharing, name);
    if (!file) return 0;
    const [at] = this.parts(file.runs, 2, byte, byte);
    return file.runs[2 * at] ?? 0;
  }

  /** The term that a byte lies in: {xorb, first, last, begin, end}; null where that is not known. */
  term(name, byte) {
    const file = this.file(this.xorbs, name);
    if (!file) return null;
    const [at] = this.parts(file.terms, 4, byte, byte);
    if (4 * at >= file.terms.length) return null;
    const [xorb, first, last, length] = file.terms.slice(4 * at, 4 * at + 4);
    const end = this.reach(file.terms, 4)[at];
    return { xorb: this.xorbs.xorbs[xorb], first, last, begin: end - length, end };
  }

  /** Ends of the chunks of a file around some bytes, and the number of the first; null where they are not known. */
  async chunks(name, byte) {
    const file = this.file(this.xorbs, name);
    if (!file?.chunks.length) return null;
    // A script has 8,192 chunks; on average that is half a gigabyte, so the right one is near.
    for (const script of file.chunks) {
      await mwv.load(script, this.folder.address);
      const told = this.folder.chunks.get(script);
      // Between two scripts may lie chunks whose lengths are not known.
      if (byte < told.end) return byte < told.offset ? null : told;
    }
    return null;
  }

  /** The chunk that a byte lies in: {number in its xorb, begin, end}; null where that is not known. */
  async chunk(name, byte) {
    const term = this.term(name, byte);
    const told = term && (await this.chunks(name, byte));
    if (!told) return null;
    const at = mwv.after(told.ends, byte);
    const begin = at ? told.ends[at - 1] : told.offset;
    const opening = await this.chunks(name, term.begin);
    const before = told.first + at - (opening.first + mwv.after(opening.ends, term.begin));
    return { number: term.first + before, begin, end: told.ends[at] };
  }

  /** What a tensor, or an expert inside one, is stored in and who shares it: xorbs, chunks, bytes by class of sharing. */
  about(scene, placement) {
    const { tensor, panel } = scene.facts.placements;
    const { offset, bytes, elements, file } = mwv.Stored.tensor(scene, tensor[placement]);
    const own = panel[placement] < 0 ? elements : scene.grid(placement)[3];
    const size = (bytes * own) / elements;
    const from = offset + Math.max(panel[placement], 0) * size;
    return this.range(file, from, size);
  }

  /** The same of a range of bytes of a file. */
  range(name, from, size) {
    const stored = this.file(this.xorbs, name);
    const shared = this.file(this.sharing, name);
    /** @type {Map<number, number>} */
    const classes = new Map();
    if (shared && size > 0) {
      const ends = this.reach(shared.runs, 2);
      for (let [at, last] = this.parts(shared.runs, 2, from, from + size - 1); at <= last && at < ends.length; at += 1) {
        const part = Math.min(ends[at], from + size) - Math.max(at ? ends[at - 1] : 0, from);
        classes.set(shared.runs[2 * at], (classes.get(shared.runs[2 * at]) ?? 0) + part);
      }
    }
    const xorbs = new Set();
    if (stored && size > 0) {
      const [first, last] = this.parts(stored.terms, 4, from, from + size - 1);
      for (let at = first; at <= last && 4 * at < stored.terms.length; at += 1) xorbs.add(stored.terms[4 * at]);
    }
    return { bytes: size, xorbs: [...xorbs].map((i) => this.xorbs.xorbs[i].number), classes };
  }

  /** What a class of sharing is called. @param {number} code */
  label(code) {
    return this.sharing?.classes.find((/** @type {any[]} */ [own]) => own === code)?.[2] ?? "";
  }
};

/** How many of some ascending numbers are not greater than a number. @param {ArrayLike<number>} ends @param {number} byte */
mwv.after = function (ends, byte) {
  let [low, high] = [0, ends.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ends[middle] <= byte) low = middle + 1;
    else high = middle;
  }
  return low;
};

/** What is known of how a folder's model is stored, null if nothing is. @param {any} folder */
mwv.storedIn = function (folder) {
  folder.stored ??= new mwv.Stored(folder);
  return folder.stored.xorbs ? folder.stored : null;
};

/** In which xorb, chunk and bytes an element lies, and who has them, as lines of text. @param {any} scene @param {any} element */
mwv.storedLines = async function (scene, { placement, rows, cols }) {
  const stored = mwv.storedIn(scene.folder);
  if (!stored || scene.missing(placement)) return [];
  const { file } = mwv.Stored.tensor(scene, scene.facts.placements.tensor[placement]);
  const byte = mwv.Stored.byte(scene, placement, rows[0], cols[0]);
  const term = stored.term(file, byte);
  if (!term) return [];
  const chunk = await stored.chunk(file, byte).catch(() => null);
  const { thousands } = mwv.text;
  const span = (/** @type {number} */ from, /** @type {number} */ to) => (to - from > 1 ? `${thousands(from)}–${thousands(to - 1)}` : thousands(from));
  const lines = [
    chunk
      ? `xorb ${term.xorb.number}, chunk ${thousands(chunk.number)} · bytes ${span(chunk.begin, chunk.end)}`
      : `xorb ${term.xorb.number}, chunks ${span(term.first, term.last)} · bytes ${span(term.begin, term.end)}`,
  ];
  const shared = stored.label(stored.shared(file, byte));
  if (shared) lines.push(shared.startsWith("with") ? `shared ${shared}` : shared);
  return lines;
};
