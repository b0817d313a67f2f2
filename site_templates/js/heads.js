// @ts-check
"use strict";
/*
 * A scene and its model's configuration in, where attention heads begin and end in its tensors out. Grids are as stored: rows
 * are outputs, but for GPT-2's Conv1D, which stores them as columns.
 */

/** What the last parts of a slot's name say about an attention projection. */
mwv.PROJECTIONS = [
  ["query", /(^|\.)(q_proj|query|attn_q|q_lin|wq|to_q|SelfAttention\.q)$/],
  ["key", /(^|\.)(k_proj|key|attn_k|k_lin|wk|to_k|SelfAttention\.k)$/],
  ["value", /(^|\.)(v_proj|value|attn_v|v_lin|wv|to_v|SelfAttention\.v)$/],
  ["output", /(^|\.)(o_proj|out_proj|out_lin|attn_output|attention\.output\.dense|(self_)?attention\.dense|attn\.c_proj|wo|SelfAttention\.o)$/],
  // All queries, then all keys, then all values.
  ["blocks", /(^|\.)(c_attn|qkv_proj|attn_qkv|Wqkv|in_proj_weight)$/],
  // Query, key and value of the first head, then of the second: GPT-NeoX, BLOOM.
  ["turns", /(^|\.)query_key_value$/],
];

/**
 * What a configuration says about the heads of a stack: how many, how many share their keys and values, rows of one; null where
 * it says nothing. A decoder may have another number than the encoder.
 * @param {any} facts
 * @param {string} stack
 */
mwv.headFacts = function (facts, stack) {
  // The configuration is that of the text model.
  if (/vision|visual|audio|image/i.test(stack)) return null;
  const own = /decoder/i.test(stack) ? facts.decoder_attention_heads : null;
  const heads = own ?? facts.num_attention_heads;
  const shared = facts.num_key_value_heads ?? heads;
  const size = facts.head_dim ?? facts.hidden_size / heads;
  const known = [heads, shared, size].every((n) => Number.isInteger(n) && n > 0) && heads * size <= 2 ** 24;
  return known ? { heads, shared, size } : null;
};

/**
 * For each placement its heads: {axis: "rows" | "columns", size: rows or columns of one, names}; null where there are none or
 * where the shapes leave a doubt. A layer in which one projection does not fit the configuration shows none.
 * @param {any} scene
 * @returns {any[]}
 */
mwv.heads = function (scene) {
  const { placements } = scene.facts;
  const facts = scene.folder.record?.facts ?? {};
  const found = Array(scene.count).fill(null);
  const kinds = placements.slots.map((/** @type {string} */ slot) => {
    const name = slot.replace(/\.weight$/, "");
    return mwv.PROJECTIONS.find(([, pattern]) => /** @type {RegExp} */ (pattern).test(name))?.[0];
  });
  const known = placements.stacks.map((/** @type {string} */ stack) => mwv.headFacts(facts, stack));
  /** @type {Map<string, number[]>} */
  const layers = new Map();
  for (let placement = 0; placement < scene.count; placement += 1) {
    const [rows, cols, stored, elements] = scene.grid(placement);
    const plain = rows > 1 && cols > 1 && stored === cols && elements === rows * cols && placements.expert[placement] < 0;
    if (!kinds[placements.slot[placement]] || !plain || !known[placements.stack[placement]]) continue;
    const key = `${placements.stack[placement]}/${placements.layer[placement]}`;
    layers.set(key, [...(layers.get(key) ?? []), placement]);
  }
  const named = (/** @type {string} */ name, /** @type {number} */ n) => Array.from({ length: n }, (_, i) => `${name} ${i}`);
  for (const layer of layers.values()) {
    const { heads, shared, size } = known[placements.stack[layer[0]]];
    const queries = named("q", heads);
    const all = [...queries, ...named("k", shared), ...named("v", shared)];
    const turns = queries.flatMap((_, i) => [`q ${i}`, `k ${i}`, `v ${i}`]);
    const fit = (/** @type {number} */ length, /** @type {string} */ axis, /** @type {string[]} */ names) =>
      length === names.length * size ? { axis, size, names } : null;
    const kind = (/** @type {number} */ placement) => kinds[placements.slot[placement]];
    // Conv1D gives itself away by the shape of its fused projection.
    const turned = layer.some((placement) => {
      const [rows, cols] = scene.grid(placement);
      return kind(placement) === "blocks" && cols === all.length * size && rows !== cols;
    });
    const fits = layer.map((placement) => {
      const [rows, cols] = scene.grid(placement);
      const [out, into, outputs, inputs] = turned ? [cols, rows, "columns", "rows"] : [rows, cols, "rows", "columns"];
      switch (kind(placement)) {
        case "query":
          return fit(out, outputs, named("head", heads));
        case "key":
        case "value":
          return fit(out, outputs, named("head", shared));
        case "output":
          return fit(into, inputs, named("head", heads));
        case "blocks":
          return fit(out, outputs, all);
        default:
          return shared === heads ? fit(out, outputs, turns) : null;
      }
    });
    if (fits.every((one) => one !== null)) layer.forEach((placement, i) => (found[placement] = fits[i]));
  }
  return found;
};
