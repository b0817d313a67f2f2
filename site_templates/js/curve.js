// @ts-check
"use strict";
/*
 * A scene of bytes in, questions about it answered: which byte lies where on its Hilbert curve, in which file; what its codes say
 * in the read-out, the legend, the panel and the table. Other kinds of scenes of bytes answer the same questions in their own way.
 * The curve is that of mwv/layout/hilbert.py, the classes are those of mwv/pyramid/byte_kernels.py.
 */

/** Classes of bytes: their names, the last byte, which shows their colour best, and short names. @type {[string, number, string][]} */
mwv.BYTE_CLASSES = [
  ["zero (0x00)", 0, "zero"],
  ["control (0x01–0x1F)", 0x1f, "control"],
  ["ASCII text (0x20–0x7E)", 0x7e, "text"],
  ["high (0x7F–0xFE)", 0xfe, "high"],
  ["0xFF", 0xff, "0xFF"],
];

/** The class of a byte. @param {number} byte */
mwv.byteClass = (byte) => mwv.BYTE_CLASSES.findIndex(([, last]) => byte <= last);

/** @param {number} n */
mwv.hex = (n, digits = 2) => `0x${n.toString(16).toUpperCase().padStart(digits, "0")}`;

mwv.CurveScene = class extends mwv.Scene {
  /**
   * @param {any} folder
   * @param {number} index
   */
  constructor(folder, index) {
    super(folder, index);
    const { areas, curve, ends } = this.facts;
    this.ends = ends;
    this.side = curve[1];
    this.shapes = areas.map(([box]) => ({ box, steps: [[box[0] + box[2], box[1] + box[3]]] }));
    // Boxes stand for the files in the small picture until its tiles are there.
    this.rects = areas.length === 1 ? areas[0][0] : [];
    this.shortNames = this.facts.tensors.name;
  }

  get length() {
    return this.ends[this.ends.length - 1];
  }

  /** First byte of a file. @param {number} file */
  begin(file) {
    return file ? this.ends[file - 1] : 0;
  }

  /** The file that a byte lies in. @param {number} offset */
  file(offset) {
    return mwv.after(this.ends, offset);
  }

  /** The byte at a pixel of the canvas; it may lie beyond the last. Numbers may be larger than 32 bits. */
  offset(x, y) {
    const square = Math.floor(x / this.side);
    let found = square * this.side * this.side;
    x -= square * this.side;
    for (let half = this.side / 2; half >= 1; half /= 2) {
      const [across, down] = [x >= half ? 1 : 0, y >= half ? 1 : 0];
      found += half * half * ((3 * across) ^ down);
      x %= half;
      y %= half;
      if (!down) {
        if (across) [x, y] = [half - 1 - x, half - 1 - y];
        [x, y] = [y, x];
      }
    }
    return found;
  }

  /** The pixel of a byte. @param {number} offset @returns {[number, number]} */
  point(offset) {
    const area = this.side * this.side;
    const square = Math.floor(offset / area);
    let rest = offset % area;
    let [x, y] = [0, 0];
    for (let side = 1; side < this.side; side *= 2) {
      const part = rest % 4;
      const across = part >> 1;
      const down = (part ^ across) & 1;
      if (!down) {
        if (across) [x, y] = [side - 1 - x, side - 1 - y];
        [x, y] = [y, x];
      }
      [x, y] = [x + side * across, y + side * down];
      rest = Math.floor(rest / 4);
    }
    return [x + square * this.side, y];
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

  at(x, y) {
    const [left, top, width, height] = this.facts.bounds;
    if (x < left || y < top || x >= left + width || y >= top + height) return null;
    const offset = this.offset(x, y);
    if (offset >= this.length) return null;
    const placement = this.file(offset);
    return { placement, row: 0, col: offset - this.begin(placement) };
  }

  /** The bytes under a square of pixels, as `mwv.elementsUnder` tells elements; a square of a level is a range of bytes. */
  under(x, y, side) {
    const [width, height] = this.facts.curve;
    if (x < 0 || y < 0 || x >= width || y >= height) return [];
    const first = this.offset(x, y);
    const start = first - (first % (side * side));
    const end = Math.min(start + side * side, this.length);
    const found = [];
    for (let file = this.file(start); file < this.ends.length && this.begin(file) < end; file += 1) {
      const begin = this.begin(file);
      found.push({ placement: file, rows: [0, 0], cols: [Math.max(start, begin) - begin, Math.min(end, this.ends[file]) - 1 - begin] });
    }
    return found;
  }

  async details(file) {
    const { first, files } = this.facts.details;
    let at = files.length - 1;
    while (first[at] > file) at -= 1;
    await mwv.load(files[at], this.folder.address);
    return this.folder.details.get(`${this.facts.index}/${first[at]}`)[file - first[at]];
  }

  /** Stretches in which there is nothing though files go on: first byte along the curve and length of each. */
  get holes() {
    return [];
  }

  /** Whether bytes are counted over all files, too. */
  get counted() {
    return this.count > 1;
  }

  /** The byte of all that a byte of a file is; null if the file has none there. @param {number} file @param {number} byte */
  placed(file, byte) {
    return byte < this.ends[file] - this.begin(file) ? this.begin(file) + byte : null;
  }

  /** Where bytes of a file lie, in words. @param {any} element */
  span(element) {
    return mwv.byteSpan(element);
  }

  /** The same behind the file's name, in a line of text. @param {any} element */
  reference({ cols: [from, to] }) {
    return ` [${from === to ? from : `${from}–${to}`}]`;
  }

  /** The value of a reading. @param {any} reading */
  value(reading) {
    if (reading.code instanceof Promise) return "…";
    return reading.code === null ? "" : this.meaning(reading);
  }

  /** What the code of a reading says. @param {any} reading */
  meaning({ level, code }) {
    if (level === 0) return mwv.byteText(code);
    const [, last, short] = mwv.BYTE_CLASSES[mwv.byteClass(code)];
    return `mostly ${short}${last === 0 || last === 255 ? "" : `, mean ${mwv.hex(code)}`}`;
  }

  /** What else is told of a reading: where it lies among all, its class. @param {any} reading @returns {string[]} */
  lines({ level, elements: [element], code }) {
    return [...this.amongAll(element), ...(level === 0 && typeof code === "number" ? [mwv.BYTE_CLASSES[mwv.byteClass(code)][0]] : [])];
  }

  /** @param {any} element */
  amongAll({ placement, cols }) {
    const begin = this.begin(placement);
    return this.counted ? [`${mwv.byteSpan({ cols: cols.map((/** @type {number} */ at) => begin + at) })} of all`] : [];
  }

  /** What the panel tells of a file, and what its bytes are like. @param {number} file @returns {[string, string][]} */
  told(file) {
    const { size, thousands, number } = mwv.text;
    const bytes = this.facts.tensors.bytes[file];
    /** @type {[string, string][]} */
    const rows = [["Size", `${size(bytes)} (${thousands(bytes)} bytes)`]];
    if (this.counted) rows.push(["Bytes of all", `${thousands(this.begin(file))} – ${thousands(this.ends[file] - 1)}`]);
    rows.push(["Entropy", `${number(this.facts.entropy[file], 4)} bits per byte`]);
    mwv.BYTE_CLASSES.forEach(([name], kind) => {
      rows.push([name[0].toUpperCase() + name.slice(1), `${number((100 * this.facts.classes[file][kind]) / bytes, 3)} %`]);
    });
    return rows;
  }

  /** The strip of the legend: its codes in order, marks at places of it, where a code stands, what it shows in words. */
  get strip() {
    return {
      codes: Array.from({ length: 256 }, (_, code) => code),
      marks: [0, 32, 64, 96, 127, 160, 192, 224, 255].map((n) => [n + 0.5, mwv.hex(n).slice(2)]),
      place: (/** @type {number} */ code) => code,
      label: "Bytes from 00 to FF",
    };
  }

  /** What the colours mean, and how many bytes there are of each class. @param {number[][]} colours */
  legend(colours) {
    const totals = mwv.sums(this.facts.classes);
    const whole = totals.reduce((sum, n) => sum + n, 0); // holes are of no class
    const items = mwv.BYTE_CLASSES.map(([name, byte], kind) =>
      mwv.legendItem(`background-color: rgb(${colours[byte].join()})`, name, mwv.text.share(totals[kind], whole))
    );
    const words = "One pixel is one byte along a Hilbert curve. Farther out a pixel shows the class that most bytes under it are of, and the mean of these.";
    return [mwv.element("ul", { class: "classes" }, ...items), mwv.element("p", { class: "quiet" }, words)];
  }

  /** The item of the legend that a code belongs to; -1 for none. @param {number} code */
  classOf(code) {
    return mwv.byteClass(code);
  }

  /** Columns of the table of its files. */
  get columns() {
    return mwv.BYTE_COLUMNS;
  }

  /** What a row of the table tells of a file, beyond what is told of every tensor. @param {number} file */
  row(file) {
    const bytes = this.facts.tensors.bytes[file];
    const shares = this.facts.classes[file].map((/** @type {number} */ n, /** @type {number} */ kind) => [`class${kind}`, bytes ? (100 * n) / bytes : null]);
    return { begin: this.begin(file), entropy: this.facts.entropy[file], ...Object.fromEntries(shares) };
  }

  /** A row for other programs. @param {any} row */
  record({ name, begin, bytes, entropy, tensor }) {
    const [zero, control, text, high, full] = this.facts.classes[tensor];
    return { name, begin, bytes, entropy, zero, control, text, high, full, digest: this.facts.tensors.digest[tensor] };
  }
};

/** Columns where rows are files. */
mwv.BYTE_COLUMNS = [
  { key: "order", title: "Name", show: (/** @type {any} */ row) => row.shown },
  { key: "begin", title: "Begins at", number: true, show: (/** @type {any} */ row) => mwv.text.thousands(row.begin) },
  { key: "bytes", title: "Bytes", number: true, show: (/** @type {any} */ row) => mwv.text.thousands(row.bytes) },
  { key: "entropy", title: "Entropy", number: true, show: (/** @type {any} */ row) => mwv.text.number(row.entropy, 3) },
  ...["Zero %", "Control %", "Text %", "High %", "0xFF %"].map((title, kind) => ({
    key: `class${kind}`,
    title,
    number: true,
    show: (/** @type {any} */ row) => mwv.text.number(row[`class${kind}`], 3),
  })),
];

/** The sum of each column of rows of numbers. @param {number[][]} rows @returns {number[]} */
mwv.sums = (rows) => rows[0].map((_, column) => rows.reduce((sum, row) => sum + row[column], 0));

/** A class in a legend. @param {string} style of its colour @param {string} name @param {string} share */
mwv.legendItem = (style, name, share) => mwv.element("li", {}, mwv.element("i", { style }), mwv.element("span", {}, name), mwv.element("small", {}, share));

/** What a byte is, for people: hexadecimal, decimal, character. @param {number} byte */
mwv.byteText = function (byte) {
  const names = new Map([[0, "NUL"], [9, "tab"], [10, "line feed"], [13, "carriage return"], [27, "escape"], [32, "space"], [127, "delete"]]);
  const shown = names.get(byte) ?? (byte > 32 && byte < 127 ? `‘${String.fromCharCode(byte)}’` : "");
  return [mwv.hex(byte), String(byte), shown].filter((text) => text).join(" · ");
};

/** Where bytes of a file lie: "byte 1 234 (0x4D2)" or "bytes 0–63 (0x0–0x3F)". @param {any} element */
mwv.byteSpan = function ({ cols: [from, to] }) {
  const { thousands } = mwv.text;
  const hex = (/** @type {number} */ n) => mwv.hex(n, 1);
  return from === to ? `byte ${thousands(from)} (${hex(from)})` : `bytes ${thousands(from)}–${thousands(to)} (${hex(from)}–${hex(to)})`;
};

/** The byte of a scene that text names: of the file chosen, else of all; null if there is none. @param {any} view @param {string} text */
mwv.namedByte = function ({ scene, selected }, text) {
  const clean = text.trim().toLowerCase().replace(/[\s_,\u202f]/g, "");
  if (!/^(0x[0-9a-f]+|[0-9a-f]+h|\d+)$/.test(clean)) return null;
  const number = clean.endsWith("h") && !clean.startsWith("0x") ? parseInt(clean, 16) : Number(clean);
  if (selected >= 0) return scene.placed(selected, number);
  return number < scene.length ? number : null;
};

/** How often each byte occurs, as a chart whose bars have the colours of the bytes. @param {number[]} counts */
mwv.byteChart = function (counts) {
  const [, , bright] = mwv.colours.tables.bytes[1];
  const most = Math.max(...counts);
  // By square root: a few bytes are most of many files, and the others would be nothing.
  const height = (/** @type {number} */ count) => (count ? Math.max(Math.sqrt(count / most) * 80, 0.8) : 0);
  const bars = counts.map((count, byte) => {
    const tall = height(count);
    const fill = byte === 0 || byte === 255 ? "var(--quiet)" : `#${bright.slice(6 * byte, 6 * byte + 6)}`;
    const title = mwv.svg("title", {}, `${mwv.byteText(byte)}: ${mwv.text.thousands(count)}`);
    return mwv.svg("rect", { x: byte, y: 80 - tall, width: 1, height: tall, fill }, title);
  });
  const ticks = [0, 32, 64, 96, 128, 160, 192, 224, 255].map((byte) =>
    mwv.svg("text", { x: byte + 0.5, y: 91, "text-anchor": byte ? (byte === 255 ? "end" : "middle") : "start" }, byte.toString(16).toUpperCase().padStart(2, "0"))
  );
  return mwv.svg("svg", { class: "byte-chart", viewBox: "0 0 256 94", role: "img", "aria-label": "How often each byte occurs" }, ...bars, ...ticks);
};
