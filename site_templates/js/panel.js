// @ts-check
"use strict";
/* A chosen placement in, what is known about its tensor in the panel out. */
mwv.Panel = class {
  /**
   * @param {HTMLElement} section
   * @param {any} view
   */
  constructor(section, view) {
    this.section = section;
    this.view = view;
  }

  get scene() {
    return this.view.scene;
  }

  /** @param {number} placement -1 for none */
  async show(placement) {
    this.section.hidden = placement < 0;
    if (placement < 0) {
      this.section.replaceChildren();
      return;
    }
    const close = mwv.element("button", { type: "button", class: "close", title: "Close" }, "×");
    close.addEventListener("click", () => this.view.select(-1));
    const name = mwv.element("h2", { class: "name" }, mwv.text.visible(this.scene.name(placement)));
    const measured = mwv.element("div", { class: "measured" });
    this.section.replaceChildren(close, name, this.facts(placement), measured);
    this.section.closest("aside")?.scrollTo({ top: 0 });
    if (this.scene.missing(placement)) return;
    measured.append(mwv.element("p", { class: "quiet" }, "…"));
    try {
      const { digest, stats } = await this.scene.details(placement);
      if (this.view.selected === placement) measured.replaceChildren(...this.measured(placement, digest, stats));
    } catch {
      if (this.view.selected === placement) {
        measured.replaceChildren(mwv.element("p", { class: "note" }, "The statistics could not be loaded. Click again to retry."));
      }
    }
  }

  /** @param {[string, string][]} rows */
  pairs(rows) {
    const list = mwv.element("dl", { class: "pairs" });
    for (const [term, value] of rows) list.append(mwv.element("dt", {}, term), mwv.element("dd", {}, value));
    return list;
  }

  /** What the small facts tell. @param {number} placement */
  facts(placement) {
    const { tensors, placements } = this.scene.facts;
    const { stack, layer, slot, expert } = this.scene.role(placement);
    /** @type {[string, string][]} */
    const rows = [];
    if (stack) rows.push(["Stack", mwv.text.visible(stack)]);
    if (layer !== null) rows.push(["Layer", String(layer)]);
    if (slot) rows.push(["Slot", mwv.text.visible(slot)]);
    if (expert !== null) rows.push(["Expert", String(expert)]);
    const tensor = placements.tensor[placement];
    if (tensor < 0) {
      const [rows_, cols] = this.scene.grid(placement);
      rows.push(["State", "missing: the configuration promises it, the files lack it"], ["Expected", mwv.text.shape([rows_, cols])]);
      return this.pairs(rows);
    }
    const offset = tensors.offset[tensor];
    const bytes = tensors.bytes[tensor];
    rows.push(
      ["Type", mwv.text.visible(tensors.dtypes[tensors.dtype[tensor]])],
      ["Shape", mwv.text.shape(tensors.shapes[tensors.shape[tensor]])],
      ["Size", mwv.text.size(bytes)],
      ["File", mwv.text.visible(tensors.shards[tensors.shard[tensor]])],
      ["Bytes", bytes ? `${mwv.text.thousands(offset)} – ${mwv.text.thousands(offset + bytes - 1)}` : "none"]
    );
    const note = tensors.notes[tensor];
    const list = this.pairs(rows);
    if (!note) return list;
    return mwv.element("div", {}, list, mwv.element("p", { class: "note" }, mwv.text.visible(note)));
  }

  /** What the details tell. */
  measured(placement, digest, stats) {
    const identity = mwv.element("p", { class: "digest", title: "BLAKE3 of the tensor's values" }, digest);
    if (!stats) return [identity];
    const n = mwv.text.number;
    const percent = stats.elements ? (100 * stats.zeros) / stats.elements : 0;
    /** @type {[string, string][]} */
    const rows = [
      ["Elements", mwv.text.thousands(stats.elements)],
      ["RMS", n(stats.rms)],
      ["Mean", n(stats.mean)],
      ["Std. deviation", n(stats.std)],
      ["Minimum", n(stats.minimum)],
      ["Maximum", n(stats.maximum)],
      ["Kurtosis", n(stats.kurtosis)],
      ["Zeros", stats.zeros ? `${mwv.text.thousands(stats.zeros)} (${Number(percent.toPrecision(3))} %)` : "0"],
    ];
    if (stats.nan) rows.push(["NaN", mwv.text.thousands(stats.nan)]);
    if (stats.inf) rows.push(["Infinite", mwv.text.thousands(stats.inf)]);
    const nodes = [this.pairs(rows)];
    if (stats.minimum !== null && stats.histogram.length) {
      nodes.push(
        mwv.element(
          "figure",
          {},
          mwv.charts.histogram(stats.histogram, stats.minimum, stats.maximum),
          mwv.element("div", { class: "ends" }, mwv.element("span", {}, n(stats.minimum, 3)), mwv.element("span", {}, n(stats.maximum, 3))),
          mwv.element("figcaption", {}, "Values (heights by square root)")
        )
      );
    }
    for (const [values, caption] of [[stats.row_rms, "RMS by row"], [stats.col_rms, "RMS by column"]]) {
      if (values.length > 1) nodes.push(mwv.element("figure", {}, mwv.charts.profile(values, caption), mwv.element("figcaption", {}, caption)));
    }
    if (stats.percentiles.length) {
      const list = mwv.element("dl", { class: "percentiles" });
      for (const [p, value] of stats.percentiles) {
        list.append(mwv.element("div", {}, mwv.element("dt", {}, String(p)), mwv.element("dd", {}, n(value, 3))));
      }
      nodes.push(mwv.element("h3", {}, "Percentiles"), list);
    }
    nodes.push(identity);
    return nodes;
  }
};
