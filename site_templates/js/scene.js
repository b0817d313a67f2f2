// @ts-check
"use strict";
/* The facts of a scene in, questions about it answered: which tensor stands where, what it is called, which tiles exist. */

/** Numbers of a piece in the column `pieces`: x, y, row, col, rows, cols. */
mwv.PIECE_FIELDS = 6;
/** Tiles on each side of a piece of the tile map. */
mwv.MAP_PIECE = 16;

mwv.Scene = class {
  /**
   * @param {any} folder what the data scripts of the model's folder told, see `mwv.folder`
   * @param {number} [index]
   */
  constructor(folder, index = 0) {
    const own = folder.scenes[index];
    /** The scene with the same canvas that this one is laid over; null if it stands alone. @type {any} */
    this.base = own.base === undefined ? null : new mwv.Scene(folder, own.base);
    const facts = this.base ? { ...this.base.facts, ...own } : own;
    this.folder = folder;
    this.facts = facts;
    this.count = facts.placements.tensor.length;
    /** Rectangles of all pieces: x, y, width, height; one after the other. */
    this.rects = [];
    /** Placement of each rectangle. */
    this.owner = [];
    /** First rectangle of each placement. */
    this.first = [];
    /** Rectangles by cells of the canvas, once they are asked for. @type {number[][] | null} */
    this.cells = null;
    /** What each placement covers: its panels and the gaps between them. */
    this.shapes = [];
    for (let placement = 0; placement < this.count; placement += 1) {
      this.first.push(this.owner.length);
      for (const { x, y, w, h } of this.pieces(placement)) {
        this.rects.push(x, y, w, h);
        this.owner.push(placement);
      }
      this.shapes.push(mwv.shape(this.rects.slice(4 * this.first[placement])));
    }
    this.shortNames = mwv.shortNames(facts.placements);
  }

  /** The scene whose tiles are codes of values. */
  get values() {
    return this.base ?? this;
  }

  /** [rows, cols, elements in a storage row, elements, patch height, patch width, thickness down, thickness across]. */
  grid(placement) {
    const { grids, grid } = this.facts.placements;
    return grids[grid[placement]];
  }

  /**
   * Windows of a placement's grid: pixel and element at the corner, rows and columns, pixels across and down (`w`, `h`), those of
   * an element (`wide`, `high`).
   * @param {number} placement
   */
  pieces(placement) {
    const numbers = this.facts.placements.pieces[placement];
    const [, , , , , , high, wide] = this.grid(placement);
    return Array.from({ length: numbers.length / mwv.PIECE_FIELDS }, (_, i) => {
      const [x, y, row, col, rows, cols] = numbers.slice(i * mwv.PIECE_FIELDS, (i + 1) * mwv.PIECE_FIELDS);
      return { x, y, row, col, rows, cols, w: cols * wide, h: rows * high, high, wide };
    });
  }

  /** @param {number} placement */
  name(placement) {
    const { names, tensor } = this.facts.placements;
    return names[placement] ?? this.facts.tensors.name[tensor[placement]];
  }

  /** Whether the files lack what stands here. @param {number} placement */
  missing(placement) {
    return this.facts.placements.tensor[placement] < 0;
  }

  /** @param {number} placement */
  slot(placement) {
    const { slots, slot } = this.facts.placements;
    return slots[slot[placement]];
  }

  /** {stack, layer, slot, expert}; layer and expert are null where they mean nothing. @param {number} placement */
  role(placement) {
    const { stacks, stack, layer, expert } = this.facts.placements;
    const optional = (/** @type {number} */ n) => (n < 0 ? null : n);
    return {
      stack: stacks[stack[placement]],
      layer: optional(layer[placement]),
      slot: this.slot(placement),
      expert: optional(expert[placement]),
    };
  }

  /**
   * What is drawn at a pixel of the canvas: placement, and row and column of its grid; null where there is nothing.
   * @param {number} x
   * @param {number} y
   */
  at(x, y) {
    const { rects } = this;
    const hit = this.near(x, y).find((i) => {
      const [left, top, width, height] = rects.slice(4 * i, 4 * i + 4);
      return x >= left && y >= top && x < left + width && y < top + height;
    });
    if (hit === undefined) return null;
    const { placement, piece } = this.piece(hit);
    return {
      placement,
      row: piece.row + Math.floor((y - piece.y) / piece.high),
      col: piece.col + Math.floor((x - piece.x) / piece.wide),
    };
  }

  /** The placement and the piece that a rectangle is of. @param {number} i */
  piece(i) {
    const placement = this.owner[i];
    return { placement, piece: this.pieces(placement)[i - this.first[placement]] };
  }

  /** Rectangles that reach into the cell of a pixel, in their order. @param {number} x @param {number} y @returns {number[]} */
  near(x, y) {
    const { bounds } = this.facts;
    // About as many cells as rectangles: few to fill, and few rectangles in each.
    const across = Math.ceil(Math.sqrt(this.owner.length));
    const part = (/** @type {number} */ at, /** @type {0 | 1} */ axis) =>
      Math.min(Math.max(Math.floor(((at - bounds[axis]) / bounds[axis + 2]) * across), 0), across - 1);
    if (!this.cells) {
      this.cells = Array.from({ length: across * across }, () => /** @type {number[]} */ ([]));
      for (let i = 0; i < this.owner.length; i += 1) {
        const [left, top, width, height] = this.rects.slice(4 * i, 4 * i + 4);
        const [last, lowest] = [part(left + width, 0), part(top + height, 1)];
        for (let row = part(top, 1); row <= lowest; row += 1) {
          for (let column = part(left, 0); column <= last; column += 1) this.cells[row * across + column].push(i);
        }
      }
    }
    return this.cells[part(y, 1) * across + part(x, 0)] ?? [];
  }

  /**
   * Name of a tile in its map, "" where there is none; at once if the map's piece is there, else a promise of it. Of tiles in
   * archives: name of the archive that has it, if it is there.
   * @param {number} level
   * @param {number} x
   * @param {number} y
   * @returns {string | Promise<string>}
   */
  tile(level, x, y) {
    const [column, row] = [Math.floor(x / mwv.MAP_PIECE), Math.floor(y / mwv.MAP_PIECE)];
    const { map, pieces, archives } = this.facts.tiles;
    if (archives) {
      const up = mwv.ARCHIVE_LEVELS - 1 - level;
      return (up < 0 ? archives.top : archives[`${x >> up},${y >> up}`]) ?? "";
    }
    const place = (y - row * mwv.MAP_PIECE) * mwv.MAP_PIECE + (x - column * mwv.MAP_PIECE);
    const pick = (/** @type {string[] | undefined} */ keys) => keys?.[place] ?? "";
    if (map[level]) return pick(map[level][`${column},${row}`]);
    const hash = pieces[level]?.[`${column},${row}`];
    if (!hash) return "";
    const id = `${this.facts.index}/${level}/${column}/${row}`;
    const told = this.folder.pieces;
    if (told.has(id)) return pick(told.get(id));
    const file = `tiles-${this.facts.index}-${level}-${column}-${row}-${hash}.js`;
    return mwv.load(file, this.folder.address).then(() => pick(told.get(id)));
  }

  /**
   * The shape of what a placement shows: its tensor's, or of one expert.
   * @param {number} placement
   * @returns {number[]}
   */
  shape(placement) {
    const { tensors, placements } = this.facts;
    const whole = tensors.shapes[tensors.shape[placements.tensor[placement]]];
    if (placements.panel[placement] < 0) return whole;
    return whole.length > 2 ? whole.slice(1) : [this.grid(placement)[3] / whole[1], whole[1]];
  }

  /**
   * What was measured of a placement: {digest, stats}; stats is null where nothing was.
   * @param {number} placement
   */
  async details(placement) {
    const { tensor, panel } = this.facts.placements;
    const { first, files } = this.facts.details;
    let file = files.length - 1;
    while (first[file] > tensor[placement]) file -= 1;
    await mwv.load(files[file], this.folder.address);
    const entry = this.folder.details.get(`${this.values.facts.index}/${first[file]}`)[tensor[placement] - first[file]];
    return { digest: entry.digest, stats: entry.panels[Math.max(panel[placement], 0)] ?? null };
  }
};

/**
 * The shape that panels side by side make together: `box` [x, y, width, height] around them, and for each column of panels
 * the pixel after its right edge and the one after its lower edge. Panels stand at one height; only the last may be shorter.
 * @param {number[]} rects x, y, width, height; one after the other
 */
mwv.shape = function (rects) {
  /** @type {Map<number, number[]>} */
  const columns = new Map();
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let r = 0; r < rects.length; r += 4) {
    const [x, y, w, h] = rects.slice(r, r + 4);
    const column = columns.get(x) ?? [x + w, y + h];
    columns.set(x, [Math.max(column[0], x + w), Math.max(column[1], y + h)]);
    [left, top, right, bottom] = [Math.min(left, x), Math.min(top, y), Math.max(right, x + w), Math.max(bottom, y + h)];
  }
  const steps = [...columns].sort((a, b) => a[0] - b[0]).map(([, step]) => step);
  return { box: [left, top, right - left, bottom - top], steps };
};

/**
 * For each placement the shortest end of its slot's name that no other slot of its stack ends in; ".weight" goes without saying.
 * @param {any} placements
 * @returns {string[]}
 */
mwv.shortNames = function ({ stack, slot, slots }) {
  /** For each slot of a stack, the ends of its name from the shortest to the whole of it. @type {Map<string, string[]>} */
  const ends = new Map();
  /** How many slots of a stack end so. @type {Map<string, number>} */
  const uses = new Map();
  const keys = stack.map((/** @type {number} */ owner, /** @type {number} */ i) => `${owner}/${slot[i]}`);
  keys.forEach((/** @type {string} */ key, /** @type {number} */ i) => {
    if (ends.has(key)) return;
    const parts = slots[slot[i]].replace(/\.weight$/, "").split(".");
    const all = parts.map((/** @type {string} */ _, /** @type {number} */ n) => parts.slice(parts.length - 1 - n).join("."));
    ends.set(key, all);
    for (const end of all) uses.set(`${stack[i]}/${end}`, (uses.get(`${stack[i]}/${end}`) ?? 0) + 1);
  });
  /** @type {Map<string, string>} */
  const names = new Map();
  for (const [key, all] of ends) {
    const owner = key.slice(0, key.indexOf("/"));
    names.set(key, all.find((end) => uses.get(`${owner}/${end}`) === 1) ?? all[all.length - 1]);
  }
  return keys.map((/** @type {string} */ key) => names.get(key));
};
