// @ts-check
"use strict";
/*
 * RMS of the rows or columns of a grid in, what can be read off it out. Up to 1,024 rows have a value each; of more, each of
 * 1,024 nearly equal runs of rows has one.
 */
mwv.Profile = class {
  /**
   * @param {"row" | "column"} axis
   * @param {(number | null)[]} values
   * @param {number} length rows or columns of the grid
   * @param {boolean} [single] whether a row or column is a single element, as in a vector
   */
  constructor(axis, values, length, single = false) {
    this.axis = axis;
    this.values = values.map((value) => value ?? 0);
    this.length = length;
    this.noun = single ? "element" : axis;
    this.most = this.values.reduce((a, b) => Math.max(a, b), 0);
    const middle = [...this.values].sort((a, b) => a - b)[this.values.length >> 1];
    /** Whether heights are by square root, lest an outlier flattens the rest. */
    this.rooted = this.most > 3 * middle;
  }

  /** How high a value is drawn, 0 to 1. @param {number} value */
  height(value) {
    const share = this.most ? value / this.most : 0;
    return this.rooted ? Math.sqrt(share) : share;
  }

  /** First and last row of a run. @param {number} run */
  range(run) {
    const { length, values } = this;
    return [Math.floor((run * length) / values.length), Math.floor(((run + 1) * length) / values.length) - 1];
  }

  /** The run that a row belongs to. @param {number} row */
  run(row) {
    return Math.ceil(((row + 1) * this.values.length) / this.length) - 1;
  }

  /** "row 77" or "rows 512–519". @param {number[]} range */
  name([first, last]) {
    return first === last ? `${this.noun} ${first}` : `${this.noun}s ${first}–${last}`;
  }

  /** The same with its value. @param {number} run */
  tell(run) {
    return `${this.name(this.range(run))}: ${mwv.text.number(this.values[run], 3)}`;
  }

  /**
   * Where the values are largest and smallest, the most extreme first; neighbours that are exactly equal count as one.
   * @param {number} [count] how many of each
   * @returns {{largest: {range: number[], value: number}[], smallest: {range: number[], value: number}[]}}
   */
  extremes(count = 3) {
    /** @type {{range: number[], value: number}[]} */
    const spans = [];
    this.values.forEach((value, run) => {
      const [first, last] = this.range(run);
      const before = spans[spans.length - 1];
      if (before?.value === value) before.range[1] = last;
      else spans.push({ range: [first, last], value });
    });
    if (spans.length < 2) return { largest: [], smallest: [] };
    spans.sort((a, b) => b.value - a.value || a.range[0] - b.range[0]);
    const few = Math.min(count, spans.length >> 1);
    return { largest: spans.slice(0, few), smallest: spans.slice(-few).reverse() };
  }

  /**
   * Least and largest value of the rows that begin at `from` and end before `to`, which need not be whole numbers.
   * @param {number} from
   * @param {number} to
   */
  band(from, to) {
    const last = this.run(Math.min(Math.max(Math.ceil(to) - 1, Math.floor(from)), this.length - 1));
    let [low, high] = [Infinity, 0];
    for (let run = this.run(Math.max(Math.floor(from), 0)); run <= last; run += 1) {
      low = Math.min(low, this.values[run]);
      high = Math.max(high, this.values[run]);
    }
    return [low, high];
  }
};

/**
 * Both profiles of a placement, as far as they have more than one value.
 * @param {number[]} grid
 * @param {any} stats
 */
mwv.profiles = function (grid, stats) {
  const [rows, cols] = grid;
  return [
    new mwv.Profile("row", stats.row_rms, rows, cols === 1),
    new mwv.Profile("column", stats.col_rms, cols, rows === 1),
  ].filter(({ values }) => values.length > 1);
};
