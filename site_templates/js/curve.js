// @ts-check
"use strict";
/*
 * A scene of bytes in, questions about it answered: which byte lies where on its Hilbert curve, in which file, what a code says.
 * The curve is that of mwv/layout/hilbert.py.
 */

/** Classes of bytes: their names, and the byte that shows their colour best. @type {[string, number][]} */
mwv.BYTE_CLASSES = [
  ["zero (0x00)", 0],
  ["control (0x01–0x1F)", 0x1f],
  ["ASCII text (0x20–0x7E)", 0x7e],
  ["high (0x7F–0xFE)", 0xfe],
  ["0xFF", 0xff],
];

/** The class of a byte. @param {number} byte */
mwv.byteClass = (byte) => (byte === 0 ? 0 : byte === 255 ? 4 : byte < 32 ? 1 : byte < 127 ? 2 : 3);

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
};

/** The scene of some facts that a folder has told. @param {any} folder @param {number} [index] @returns {any} */
mwv.sceneOf = function (folder, index = 0) {
  const { curve, beside } = folder.scenes[index];
  const Kind = beside ? mwv.AlignedScene : curve ? mwv.CurveScene : mwv.Scene;
  return new Kind(folder, index);
};

/** What a byte is, for people: hexadecimal, decimal, character. @param {number} byte */
mwv.byteText = function (byte) {
  const names = new Map([[0, "NUL"], [9, "tab"], [10, "line feed"], [13, "carriage return"], [27, "escape"], [32, "space"], [127, "delete"]]);
  const shown = names.get(byte) ?? (byte > 32 && byte < 127 ? `‘${String.fromCharCode(byte)}’` : "");
  return [mwv.hex(byte), String(byte), shown].filter((text) => text).join(" · ");
};

/** The value of a reading of a scene of bytes. @param {any} reading */
mwv.byteReading = function (reading) {
  const { scene, level, code, elements } = reading;
  if (scene.facts.kind === "byte-changes") return mwv.changeReading(reading);
  if (scene.beside && !scene.own(elements[0], scene.beside.side)) return "nothing";
  if (code instanceof Promise) return "…";
  if (code === null) return "";
  if (scene.facts.kind === "entropy") return `≈ ${mwv.entropyOf(code).toFixed(2)} bits per byte`;
  if (level === 0) return mwv.byteText(code);
  const kind = mwv.byteClass(code);
  const mean = kind === 0 || kind === 4 ? "" : `, mean ${mwv.hex(code)}`;
  return `mostly ${["zero", "control", "text", "high", "0xFF"][kind]}${mean}`;
};

/** The middle of the bin of an entropy code, in bits. @param {number} code */
mwv.entropyOf = (code) => (code <= 1 ? 0 : ((code - 0.5) * 8) / 254);

/** Where bytes of a file lie: "byte 1 234 (0x4D2)" or "bytes 0–63 (0x0–0x3F)". @param {any} element */
mwv.byteSpan = function ({ cols: [from, to] }) {
  const { thousands } = mwv.text;
  const hex = (/** @type {number} */ n) => mwv.hex(n, 1);
  return from === to ? `byte ${thousands(from)} (${hex(from)})` : `bytes ${thousands(from)}–${thousands(to)} (${hex(from)}–${hex(to)})`;
};

/** What else is told of a reading: its class, where it lies among all, whose entropy it is. @param {any} reading */
mwv.byteLines = function ({ scene, level, elements, code, bytes }) {
  const [{ placement, cols }] = elements;
  const begin = scene.begin(placement);
  const lines = [];
  if (scene.facts.kind === "byte-changes") return level === 0 && bytes ? [scene.named(mwv.CHANGE_CLASSES[mwv.changeClass(code)][1])] : [];
  if (scene.count > 1 && !scene.beside) lines.push(`${mwv.byteSpan({ cols: [begin + cols[0], begin + cols[1]] })} of all`);
  if (scene.facts.kind === "entropy" && level < 5) {
    const { local } = scene.facts;
    const first = begin + cols[0] - ((begin + cols[0]) % local);
    lines.push(`entropy of ${mwv.byteSpan({ cols: [first, Math.min(first + local, scene.length) - 1] })}${scene.count > 1 ? " of all" : ""}`);
  } else if (scene.facts.kind === "entropy") {
    lines.push(`mean over pieces of ${mwv.text.thousands(scene.facts.local)} bytes`);
  } else if (level === 0 && typeof code === "number") {
    lines.push(mwv.BYTE_CLASSES[mwv.byteClass(code)][0]);
  }
  return lines;
};

/** The byte of a scene that text names: of the file chosen, else of all; null if there is none. @param {any} view @param {string} text */
mwv.namedByte = function ({ scene, selected }, text) {
  const clean = text.trim().toLowerCase().replace(/[\s_,\u202f]/g, "");
  if (!/^(0x[0-9a-f]+|[0-9a-f]+h|\d+)$/.test(clean)) return null;
  const number = clean.endsWith("h") && !clean.startsWith("0x") ? parseInt(clean, 16) : Number(clean);
  if (scene.beside && selected >= 0) return scene.placed(selected, number);
  const [begin, end] = selected < 0 ? [0, scene.length] : [scene.begin(selected), scene.ends[selected]];
  return number < end - begin ? begin + number : null;
};

/** The file that is chosen in the panel: its facts and what its bytes are like. @param {any} scene @param {number} file */
mwv.byteFacts = function (scene, file) {
  const { size, thousands, number } = mwv.text;
  const { bytes } = scene.facts.tensors;
  const begin = scene.begin(file);
  if (scene.facts.kind === "byte-changes") return mwv.besideFacts(scene, file);
  const share = (/** @type {number} */ count) => `${number((100 * count) / bytes[file], 3)} %`;
  /** @type {[string, string][]} */
  const rows = [["Size", `${size(bytes[file])} (${thousands(bytes[file])} bytes)`]];
  if (scene.beside && !bytes[file]) return [["Size", "not there"]];
  if (scene.ends.length > 1 && !scene.beside) rows.push(["Bytes of all", `${thousands(begin)} – ${thousands(scene.ends[file] - 1)}`]);
  rows.push(["Entropy", `${number(scene.facts.entropy[file], 4)} bits per byte`]);
  mwv.BYTE_CLASSES.forEach(([name], kind) => rows.push([name[0].toUpperCase() + name.slice(1), share(scene.facts.classes[file][kind])]));
  if (scene.beside) rows.push(...mwv.besideFacts(scene, file).slice(2));
  return rows;
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

/** What the colours of bytes mean, for the legend, and how many there are of each class. @param {any} scene @param {number[][]} colours */
mwv.byteLegend = function (scene, colours) {
  const totals = mwv.BYTE_CLASSES.map((_, kind) => scene.facts.classes.reduce((/** @type {number} */ sum, /** @type {number[]} */ counts) => sum + counts[kind], 0));
  const items = mwv.BYTE_CLASSES.map(([name, byte], kind) =>
    mwv.element(
      "li",
      {},
      mwv.element("i", { style: `background-color: rgb(${colours[byte].join()})` }),
      mwv.element("span", {}, name),
      mwv.element("small", {}, `${mwv.text.number((100 * totals[kind]) / scene.length, 3)} %`)
    )
  );
  const words = "One pixel is one byte along a Hilbert curve. Farther out a pixel shows the class that most bytes under it are of, and the mean of these.";
  return [mwv.element("ul", { class: "classes" }, ...items), mwv.element("p", { class: "quiet" }, words)];
};

/** What the colours of entropies mean. @param {any} scene */
mwv.entropyLegend = function (scene) {
  const words =
    `Shannon entropy in bits per byte, −Σ p·log2 p over the ${mwv.text.thousands(scene.facts.local)} consecutive bytes that a byte is among ` +
    "(pieces begin at multiples of that). Farther out a pixel shows the mean. About 0: one byte repeated; 4 to 5: text; 6: machine code; " +
    "so few random bytes reach 7.8, as compressed and encrypted data do.";
  return [mwv.element("p", { class: "quiet" }, words)];
};
