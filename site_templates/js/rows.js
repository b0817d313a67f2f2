// @ts-check
"use strict";
/* A scene in, rows of the table of its tensors out; searched, filtered, sorted; as text for other programs. */

/**
 * A row of the table: what stands at one place of the map, so each expert of a fused tensor has its own; or a tensor that
 * stands nowhere, since it has no elements or is a part of a packed one. Numbers that nobody measured are null.
 * @typedef {object} Row
 * @property {number} placement −1 if it stands nowhere
 * @property {number} place where to look for it: its placement, or the first one of the tensor that it is a part of; or −1
 * @property {number} tensor −1 if the files lack it
 * @property {string} name as in the files
 * @property {string} shown the name as text that can be seen
 * @property {string} folded the same as it is searched
 * @property {string} order the same so that numbers in it sort as numbers
 * @property {string} dtype empty if the files lack it
 * @property {number[]} shape
 * @property {number} elements
 * @property {number} bytes
 * @property {number | null} xorbs how many it lies in, null where that is not known
 * @property {number | null} shared bytes in chunks that other models have, too
 * @property {number | null} rms
 * @property {number | null} minimum
 * @property {number | null} maximum
 * @property {number | null} zeros share of zeros, 0 to 1
 * @property {number} nan
 * @property {number} inf
 * @property {string} stack
 * @property {number | null} layer
 * @property {string} slot
 * @property {number | null} expert
 */

/** @param {any} scene @returns {Row[]} */
mwv.rows = function (scene) {
  const stored = mwv.storedIn(scene.folder);
  const { tensors, placements } = scene.facts;
  const placed = new Set(placements.tensor);
  const row = (/** @type {number} */ placement, /** @type {number} */ tensor, /** @type {string} */ name) => {
    const shown = mwv.text.visible(name);
    return {
      placement,
      place: placement < 0 ? placements.tensor.indexOf(tensors.parts[tensor]) : placement,
      tensor,
      name,
      shown,
      folded: mwv.fuzzy.fold(shown),
      order: shown.replace(/\d+/g, (digits) => digits.padStart(12, "0")),
      dtype: tensor < 0 ? "" : tensors.dtypes[tensors.dtype[tensor]],
      shape: tensor < 0 ? [] : tensors.shapes[tensors.shape[tensor]],
      elements: 0,
      bytes: tensor < 0 ? 0 : tensors.bytes[tensor],
      xorbs: null,
      shared: null,
      rms: null,
      minimum: null,
      maximum: null,
      zeros: null,
      nan: 0,
      inf: 0,
      stack: "",
      layer: null,
      slot: "",
      expert: null,
    };
  };
  const rows = placements.tensor.map((/** @type {number} */ tensor, /** @type {number} */ placement) => {
    const made = { ...row(placement, tensor, scene.name(placement)), ...scene.role(placement) };
    if (tensor < 0) return { ...made, shape: scene.grid(placement).slice(0, 2) };
    if (scene.facts.curve) return { ...made, elements: made.bytes, ...scene.row(placement) };
    const [, , , elements] = scene.grid(placement);
    made.bytes /= made.shape.reduce((a, b) => a * b, 1) / elements;
    made.shape = scene.shape(placement);
    const [rms, minimum, maximum] = [placements.rms, placements.minimum, placements.maximum].map((column) => column[placement]);
    const [nan, inf] = [placements.nan[placement] ?? 0, placements.inf[placement] ?? 0];
    const zeros = rms === null && nan + inf < elements ? null : placements.zeros[placement] / elements;
    if (stored && made.bytes) {
      const { xorbs, classes } = stored.about(scene, placement);
      made.xorbs = xorbs.length;
      if (stored.sharing) made.shared = made.bytes - (classes.get(1) ?? 0);
    }
    return { ...made, elements, rms, minimum, maximum, zeros, nan, inf, ...mwv.changeOf(scene, placement) };
  });
  tensors.name.forEach((/** @type {string} */ name, /** @type {number} */ tensor) => {
    if (!placed.has(tensor)) rows.push(row(-1, tensor, name));
  });
  return rows;
};

/** Columns of the table: a field's name, its title, and what a row shows. */
mwv.COLUMNS = [
  { key: "order", title: "Name", show: (/** @type {Row} */ row) => row.shown },
  { key: "dtype", title: "Type", show: (/** @type {Row} */ row) => (row.tensor < 0 ? "missing" : mwv.text.visible(row.dtype)) },
  { key: "shape", title: "Shape", show: (/** @type {Row} */ row) => mwv.text.shape(row.shape) },
  { key: "elements", title: "Elements", number: true, show: (/** @type {Row} */ row) => mwv.text.thousands(row.elements) },
  { key: "bytes", title: "Bytes", number: true, show: (/** @type {Row} */ row) => mwv.text.thousands(row.bytes) },
  { key: "rms", title: "RMS", number: true, show: (/** @type {Row} */ row) => mwv.text.number(row.rms) },
  { key: "minimum", title: "Min", number: true, show: (/** @type {Row} */ row) => mwv.text.number(row.minimum) },
  { key: "maximum", title: "Max", number: true, show: (/** @type {Row} */ row) => mwv.text.number(row.maximum) },
  {
    key: "zeros",
    title: "Zeros %",
    number: true,
    show: (/** @type {Row} */ row) => (row.zeros === null ? "–" : mwv.text.number(100 * row.zeros, 3)),
  },
  { key: "odd", title: "NaN/Inf", number: true, show: (/** @type {Row} */ row) => mwv.text.thousands(row.nan + row.inf) },
  { key: "layer", title: "Layer", number: true, show: (/** @type {Row} */ row) => String(row.layer ?? "") },
  { key: "slot", title: "Slot", show: (/** @type {Row} */ row) => mwv.text.visible(row.slot) },
];

/** Columns that are there where it is known how the model is stored, and what it shares. */
mwv.STORED_COLUMNS = [
  { key: "xorbs", title: "Xorbs", number: true, show: (/** @type {Row} */ row) => (row.xorbs === null ? "–" : mwv.text.thousands(row.xorbs)) },
  { key: "shared", title: "Shared", number: true, show: (/** @type {Row} */ row) => (row.shared === null ? "–" : mwv.text.thousands(Math.round(row.shared))) },
];

const percent = (/** @type {number | null} */ part) => (part === null ? "–" : mwv.text.number(100 * part, 3));
const digits = (/** @type {number | null} */ value) => (value === null ? "–" : mwv.text.number(value, 3));

/** Columns that tell how far two models differ, in the place of what is measured of one. */
mwv.CHANGE_COLUMNS = [
  { key: "share", title: "Changed %", number: true, show: (/** @type {any} */ row) => percent(row.share) },
  { key: "changeRms", title: "RMS Δ", number: true, show: (/** @type {any} */ row) => digits(row.changeRms) },
  { key: "relative", title: "Relative %", number: true, show: (/** @type {any} */ row) => percent(row.relative) },
  { key: "max", title: "Max |Δ|", number: true, show: (/** @type {any} */ row) => digits(row.max) },
  { key: "cosine", title: "Cosine", number: true, show: (/** @type {any} */ row) => (row.cosine === null ? "–" : row.cosine.toFixed(6)) },
  { key: "snr", title: "SNR dB", number: true, show: (/** @type {any} */ row) => (row.snr === null ? "–" : mwv.decibels(row.snr, "")) },
];

/** Why two tensors belong together. */
mwv.MATCH_COLUMN = {
  key: "match",
  title: "Matched by",
  show: (/** @type {any} */ row) => mwv.text.visible([row.match || (row.share === null ? "one side only" : ""), row.names].filter((text) => text).join(": ")),
};

/** The columns of the table of a scene. @param {any} scene */
mwv.tableColumns = function (scene) {
  if (scene.facts.curve) return scene.columns;
  const { folder } = scene;
  if (folder.scenes[0].difference) {
    const kept = mwv.COLUMNS.filter(({ key }) => !["bytes", "rms", "minimum", "maximum", "zeros", "odd"].includes(key));
    return [...kept.toSpliced(4, 0, ...mwv.CHANGE_COLUMNS), mwv.MATCH_COLUMN];
  }
  const stored = mwv.storedIn(folder);
  const at = mwv.COLUMNS.findIndex(({ key }) => key === "rms");
  return mwv.COLUMNS.toSpliced(at, 0, ...(stored ? mwv.STORED_COLUMNS.slice(0, stored.sharing ? 2 : 1) : []));
};

/**
 * What a row is sorted by; null sorts last.
 * @param {any} row
 * @param {string} key
 */
mwv.sortValue = function (row, key) {
  if (row.tensor < 0 && ["elements", "bytes", "odd"].includes(key)) return null;
  if (key === "odd") return row.nan + row.inf;
  if (key === "shape") return row.shape.map((/** @type {number} */ n) => String(n).padStart(12, "0")).join();
  return row[key] === "" ? null : row[key];
};

/**
 * @typedef {object} Wanted
 * @property {string} query words, each of which a name must hold
 * @property {string} dtype "" for all
 * @property {string | null} stack null for all; "" is what belongs to no stack
 * @property {number | null} layer null for all
 * @property {boolean} odd only those with NaN or Inf
 * @property {string} sort a column's key; "" for the best first, or without a query as in the model
 * @property {boolean} down
 */

/**
 * The rows that are wanted, in the order wanted.
 * @param {Row[]} rows
 * @param {Wanted} wanted
 * @returns {Row[]}
 */
mwv.wantedRows = function (rows, { query, dtype, stack, layer, odd, sort, down }) {
  const words = mwv.fuzzy.words(query);
  /** @type {{row: Row, value: any, place: number}[]} */
  const found = [];
  rows.forEach((row, place) => {
    if ((dtype && row.dtype !== dtype) || (stack !== null && row.stack !== stack) || (layer !== null && row.layer !== layer)) return;
    if (odd && !(row.nan + row.inf)) return;
    const score = words.length ? mwv.fuzzy.score(words, row.folded) : 0;
    if (score === null) return;
    // Of equally good names the short one is meant.
    found.push({ row, value: sort ? mwv.sortValue(row, sort) : words.length ? row.folded.length - 1000 * score : 0, place });
  });
  const sign = sort && down ? -1 : 1;
  found.sort((a, b) => {
    if (a.value === b.value) return a.place - b.place;
    if (a.value === null || b.value === null) return a.value === null ? 1 : -1;
    return a.value < b.value ? -sign : sign;
  });
  return found.map(({ row }) => row);
};

/**
 * Rows for other programs, with everything that the table knows.
 * @param {any} scene
 * @param {Row[]} rows
 */
mwv.records = function (scene, rows) {
  const { tensors, placements } = scene.facts;
  if (scene.facts.curve) return rows.map((row) => scene.record(row));
  const stored = mwv.tableColumns(scene).filter((column) => mwv.STORED_COLUMNS.includes(column));
  return rows.map((row) => {
    const { name, dtype, shape, elements, bytes, rms, minimum, maximum, nan, inf, stack, layer, slot, expert, tensor, placement } = row;
    const missing = tensor < 0;
    const zeros = row.zeros === null ? null : placements.zeros[placement];
    const file = missing ? null : tensors.shards[tensors.shard[tensor]];
    const digest = missing ? null : tensors.digest[tensor];
    const told = Object.fromEntries(stored.map(({ key }) => [key, row[key] === null ? null : Math.round(row[key])]));
    const measured = { elements, bytes, ...told, ...mwv.changeOf(scene, placement), rms, minimum, maximum, zeros, nan, inf };
    const known = missing ? Object.fromEntries(Object.keys(measured).map((key) => [key, null])) : measured;
    return { name, missing, dtype: missing ? null : dtype, shape, ...known, stack, layer, slot, expert, file, digest };
  });
};

/**
 * Records as CSV (RFC 4180) with a head. A text that a spreadsheet would take for a formula gets an apostrophe before it.
 * @param {Record<string, any>[]} records
 */
mwv.csv = function (records) {
  const cell = (/** @type {any} */ value) => {
    if (value === null) return "";
    if (typeof value === "number" || typeof value === "boolean") return String(value);
    const text = Array.isArray(value) ? value.join("x") : value.replace(/^[=+\-@\t\r]/, "'$&");
    return /[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
  };
  const keys = records.length ? Object.keys(records[0]) : [];
  return [keys, ...records.map((record) => Object.values(record))].map((values) => `${values.map(cell).join()}\r\n`).join("");
};
