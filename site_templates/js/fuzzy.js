// @ts-check
"use strict";
/*
 * Words and a text in, how well the text fits them and which characters fit out. The letters of a word stand in the text in
 * order, with gaps; of all ways to find them the best counts: letters side by side, at starts of parts, with few gaps.
 * The scores follow fzf's second algorithm (https://github.com/junegunn/fzf/blob/master/src/algo/algo.go).
 */
mwv.fuzzy = {
  LETTER: 16,
  GAP: -3,
  LONGER_GAP: -1,
  /** For a letter after a dot, and the first one of all. */
  PART: 10,
  /** For one after any other sign, or where digits begin or end. */
  WORD: 8,
  /** The least for a letter right after the one before. */
  NEXT: 6,
  /** Characters of a text that are looked at. */
  LONGEST: 512,
  /** Room for `align`, which is called for every name at every key. */
  scratch: { bonus: new Int16Array(0), scores: new Int16Array(0), runs: new Int16Array(0) },

  /**
   * The words of a query, all of which a text must hold.
   * @param {string} query
   * @returns {string[]}
   */
  words(query) {
    return query.toLowerCase().split(/\s+/).filter((word) => word !== "").map((word) => word.slice(0, 64));
  },

  /**
   * How a text is compared: in small letters, if they stand where the text's own do.
   * @param {string} text
   */
  fold(text) {
    const lower = text.toLowerCase();
    return (lower.length === text.length ? lower : text).slice(0, mwv.fuzzy.LONGEST);
  },

  /**
   * What a character of a folded text is worth more than another, by what stands before it.
   * @param {string} text
   * @param {number} i
   */
  bonus(text, i) {
    const here = mwv.fuzzy.kind(text.charCodeAt(i));
    if (here === 0) return 0;
    if (i === 0 || text[i - 1] === ".") return mwv.fuzzy.PART;
    return mwv.fuzzy.kind(text.charCodeAt(i - 1)) === here ? 0 : mwv.fuzzy.WORD;
  },

  /** 0 for signs, 1 for digits, 2 for letters; what is not ASCII counts as a letter. @param {number} code */
  kind(code) {
    if (code >= 48 && code <= 57) return 1;
    return (code >= 97 && code <= 122) || (code >= 65 && code <= 90) || code > 127 ? 2 : 0;
  },

  /**
   * The score of a text for all words, null if one of them is not in it; the higher the better.
   * @param {string[]} words
   * @param {string} text folded
   * @returns {number | null}
   */
  score(words, text) {
    let sum = 0;
    for (const word of words) {
      if (!mwv.fuzzy.holds(word, text)) return null;
      sum += mwv.fuzzy.align(word, text);
    }
    return sum;
  },

  /** Whether the letters of a word stand in a text in order. @param {string} word @param {string} text */
  holds(word, text) {
    let at = -1;
    for (let i = 0; i < word.length; i += 1) {
      at = text.indexOf(word[i], at + 1);
      if (at < 0) return false;
    }
    return true;
  },

  /**
   * Places of the characters that fit the words, ascending.
   * @param {string[]} words each in the text
   * @param {string} text folded
   */
  places(words, text) {
    const places = new Set();
    for (const word of words) mwv.fuzzy.align(word, text, places);
    return [...places].sort((a, b) => a - b);
  },

  /**
   * The score of the best way to find a word in a text that holds it.
   * @param {string} word
   * @param {string} text folded
   * @param {Set<number>} [places] here go the places of the letters
   * @returns {number}
   */
  align(word, text, places) {
    const { LETTER, GAP, LONGER_GAP, NEXT, scratch } = mwv.fuzzy;
    const [m, n] = [word.length, text.length];
    const none = -30000;
    if (scratch.bonus.length < n) scratch.bonus = new Int16Array(n);
    if (scratch.scores.length < m * n) [scratch.scores, scratch.runs] = [new Int16Array(m * n), new Int16Array(m * n)];
    const { bonus, scores, runs } = scratch;
    for (let j = 0; j < n; j += 1) bonus[j] = mwv.fuzzy.bonus(text, j);
    // Of the first i + 1 letters, the last one at j: the best score, the length of the run that ends there.
    scores.fill(none, 0, m * n);
    for (let i = 0; i < m; i += 1) {
      let gapped = none; // the best of letters before this one that end at j − 2 or earlier, less the gap
      for (let j = i; j < n; j += 1) {
        const here = i * n + j;
        const before = here - n - 1;
        if (i > 0 && j > 1) gapped = Math.max(gapped + LONGER_GAP, scores[before - 1] + GAP, none);
        if (word[i] !== text[j]) continue;
        let best = i === 0 ? LETTER + 2 * bonus[j] : gapped > none ? gapped + LETTER + bonus[j] : none;
        let run = 1;
        if (i > 0 && scores[before] > none) {
          const first = bonus[j - runs[before]];
          const joined = scores[before] + LETTER + Math.max(bonus[j], first, NEXT);
          if (joined >= best) [best, run] = [joined, runs[before] + 1];
        }
        [scores[here], runs[here]] = [best, run];
      }
    }
    const last = scores.subarray((m - 1) * n, m * n);
    let end = m - 1;
    for (let j = m; j < n; j += 1) if (last[j] > last[end]) end = j;
    let j = end;
    for (let i = m - 1; places && i >= 0; ) {
      const run = runs[i * n + j];
      for (let k = 0; k < run; k += 1) places.add(j - k);
      i -= run;
      if (i < 0) break;
      // The letter before the gap is the one whose score, less the gap, is what this run began with.
      const start = j - run + 1;
      const from = scores[(i + 1) * n + start] - LETTER - bonus[start];
      j = start - 2;
      while (scores[i * n + j] + GAP + (start - 2 - j) * LONGER_GAP !== from) j -= 1;
    }
    return last[end];
  },
};
