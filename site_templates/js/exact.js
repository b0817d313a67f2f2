// @ts-check
"use strict";
/*
 * An element in, its stored value as text out: from `mwv serve` where that has the source at hand, or, only when the reader
 * asks, from the public address of the source by a request for the element's bytes.
 */

/** Rows and columns that are asked for at once, since the next element to be looked at is near. */
mwv.VALUES_SIDE = 64;
/** Windows of values that are kept. */
mwv.VALUES_KEPT = 64;

mwv.Exact = class {
  /** @param {any} folder of the model, see `mwv.folder` */
  constructor(folder) {
    this.folder = folder;
    /** @type {Map<string, Promise<any>>} */
    this.windows = new Map();
  }

  /** Whether this server reads out values; it says so in its answer about the page, so that nothing is asked for in vain. */
  offered() {
    if (this.offer === undefined) {
      this.offer = location.protocol.startsWith("http")
        ? fetch(new URL("index.html", this.folder.address), { method: "HEAD", cache: "no-store" }).then(
            (answer) => answer.headers.get("X-Mwv-Values") === "yes",
            () => false
          )
        : Promise.resolve(false);
    }
    return this.offer;
  }

  /**
   * The value as the server decodes it, null where it does not; an Error says what the reader must know.
   * @param {any} scene
   * @param {number} placement
   * @param {number} row
   * @param {number} col
   * @returns {Promise<string | null>}
   */
  async served(scene, placement, row, col) {
    if (!(await this.offered())) return null;
    const side = mwv.VALUES_SIDE;
    const [top, left] = [row - (row % side), col - (col % side)];
    const query = `scene=${scene.values.facts.index}&placement=${placement}&row=${top}&col=${left}&rows=${side}&cols=${side}`;
    let window = this.windows.get(query);
    this.windows.delete(query);
    window ??= fetch(`${this.folder.address}values?${query}`, { cache: "no-store" }).then((answer) => answer.json());
    this.windows.set(query, window);
    if (this.windows.size > mwv.VALUES_KEPT) this.windows.delete(this.windows.keys().next().value);
    let told;
    try {
      told = await window;
    } catch {
      this.windows.delete(query);
      throw new Error("The exact value could not be loaded.");
    }
    if (told.problem) throw new Error(told.problem);
    return mwv.valueText(told.values[row - top][col - left]);
  }

  /** Whether the public source can be asked for an element. @param {any} scene @param {number} placement */
  published(scene, placement) {
    const { tensors, placements } = scene.facts;
    const tensor = placements.tensor[placement];
    return Boolean(this.folder.record.url) && tensor >= 0 && !tensors.packed.includes(tensor) && tensors.dtypes[tensors.dtype[tensor]] in mwv.PLAIN_TYPES;
  }

  /**
   * The value by a request for its bytes alone; an Error says why there is none.
   * @param {any} scene
   * @param {number} placement
   * @param {number} row
   * @param {number} col
   * @param {number | null} code what the picture shows there, null where that is not known
   * @returns {Promise<string>}
   */
  async fetched(scene, placement, row, col, code) {
    const { tensors, placements } = scene.facts;
    const tensor = placements.tensor[placement];
    const [size, read] = mwv.PLAIN_TYPES[tensors.dtypes[tensors.dtype[tensor]]];
    const first = tensors.offset[tensor] + mwv.elementPlace(scene, placement, row, col) * size;
    const address = new URL(encodeURIComponent(tensors.shards[tensors.shard[tensor]]), this.folder.record.url);
    const stop = new AbortController();
    let answer;
    try {
      answer = await fetch(address, {
        headers: { Range: `bytes=${first}-${first + size - 1}` },
        credentials: "omit",
        referrerPolicy: "no-referrer",
        signal: stop.signal,
      });
    } catch {
      throw new Error(`${address.host} does not let pages of other sites read this file.`);
    }
    if (answer.status !== 206) {
      stop.abort(); // it may be sending all of a large file
      throw new Error(answer.ok ? `${address.host} does not give out parts of files.` : `${address.host} answers ${answer.status}.`);
    }
    const bytes = await answer.arrayBuffer();
    if (bytes.byteLength !== size) throw new Error(`${address.host} gave other bytes than those asked for.`);
    const value = read(new DataView(bytes), !tensors.bigEndian.includes(tensor));
    if (code !== null && !mwv.standsFor(code, Number(value) * 2 ** (tensors.exponents[tensor] ?? 0))) {
      throw new Error(`${address.host} has ${mwv.valueText(value)} there: another file than this picture shows.`);
    }
    return mwv.valueText(value);
  }
};

/**
 * Place of an element in its tensor, in elements from where the tensor's bytes begin; FORMAT.md, "Where an element lies".
 * @param {any} scene
 * @param {number} placement
 * @param {number} row
 * @param {number} col
 */
mwv.elementPlace = function (scene, placement, row, col) {
  const { tensors, placements } = scene.facts;
  const tensor = placements.tensor[placement];
  const [, , rowElements, elements, high, wide] = scene.grid(placement);
  const [down, across] = [Math.floor(row / high), Math.floor(col / wide)];
  const inside = (row % high) * wide + (col % wide);
  let index = Math.max(placements.panel[placement], 0) * elements + down * rowElements + across * high * wide + inside;
  const strides = tensors.strides[tensor];
  if (!strides) return index;
  let place = 0;
  const shape = tensors.shapes[tensors.shape[tensor]];
  for (let axis = shape.length - 1; axis >= 0; axis -= 1) {
    place += (index % shape[axis]) * strides[axis];
    index = Math.floor(index / shape[axis]);
  }
  return place;
};

/** The shortest text that gives a float32 again. @param {number} x */
mwv.shortest = function (x) {
  for (let digits = 1; digits < 9; digits += 1) {
    if (Math.fround(Number(x.toPrecision(digits))) === x) return String(Number(x.toPrecision(digits)));
  }
  return Number.isFinite(x) ? String(Number(x.toPrecision(9))) : String(x);
};

/** A half-precision float of 16 bits. @param {number} bits */
mwv.half = function (bits) {
  const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
};

/** Types whose elements stand alone: bytes, and how they are read (little endian or not). @type {Record<string, [number, (view: DataView, little: boolean) => string]>} */
mwv.PLAIN_TYPES = {
  F64: [8, (view, little) => String(view.getFloat64(0, little))],
  F32: [4, (view, little) => mwv.shortest(view.getFloat32(0, little))],
  F16: [2, (view, little) => mwv.shortest(mwv.half(view.getUint16(0, little)))],
  BF16: [
    2,
    (view, little) => {
      const wide = new DataView(new ArrayBuffer(4));
      wide.setUint16(0, view.getUint16(0, little));
      return mwv.shortest(wide.getFloat32(0));
    },
  ],
  I8: [1, (view) => String(view.getInt8(0))],
  I16: [2, (view, little) => String(view.getInt16(0, little))],
  I32: [4, (view, little) => String(view.getInt32(0, little))],
  I64: [8, (view, little) => String(view.getBigInt64(0, little))],
  U8: [1, (view) => String(view.getUint8(0))],
  U16: [2, (view, little) => String(view.getUint16(0, little))],
  U32: [4, (view, little) => String(view.getUint32(0, little))],
  U64: [8, (view, little) => String(view.getBigUint64(0, little))],
  BOOL: [1, (view) => (view.getUint8(0) ? "1" : "0")],
};

/** A stored value as any side writes it, as people read it. @param {string} text */
mwv.valueText = function (text) {
  const lower = text.toLowerCase();
  if (lower === "nan") return "NaN";
  if (/^-?inf/.test(lower)) return lower.startsWith("-") ? "−∞" : "∞";
  // A double writes the shortest text of any shorter float, too; whole numbers may be longer than a double.
  const plain = /^-?[0-9.]+(e[-+]?[0-9]+)?$/.test(lower) && /[.e]/.test(lower) ? String(Number(text)) : text;
  return plain.replace(/-/g, "−").replace("e+", "e");
};
