// @ts-check
"use strict";
/* A chosen placement in, what is known about its tensor in the panel out, and its profiles on the map. */
mwv.Panel = class {
  /**
   * @param {HTMLElement} section
   * @param {any} view
   */
  constructor(section, view) {
    this.section = section;
    this.view = view;
    this.edges = new mwv.EdgeLayer().addTo(view.map);
    this.edges.on("strips", () => view.outlines.draw());
    /** Whether the statistics of the chosen placement could not be loaded. */
    this.failed = false;
    this.spoken = mwv.element("p", { class: "hidden", role: "status" });
    section.before(this.spoken);
    view.addEventListener("select", () => this.show(view.selected));
    view.addEventListener("scene", () => this.show(-1));
    view.map.on("click", (/** @type {any} */ event) => this.click(event));
  }

  get scene() {
    return this.view.scene;
  }

  /**
   * Point out what a strip tells at a point of the view; whether there is a strip.
   * @param {any} point
   */
  pick(point) {
    const hit = this.edges.at(point);
    if (hit) this.edges.point(hit.profile, hit.profile.range(hit.run));
    return hit !== null;
  }

  /** Try again what failed, when its tensor is clicked again. */
  click({ latlng }) {
    if (this.failed && this.view.at(latlng)?.placement === this.view.selected) this.measure(this.view.selected);
  }

  /** @param {number} placement -1 for none */
  show(placement) {
    const { section, scene } = this;
    this.failed = false;
    this.edges.show(scene, -1, []);
    section.hidden = placement < 0;
    if (placement < 0) {
      this.spoken.textContent = "";
      this.kin = "";
      section.replaceChildren();
      return;
    }
    // From layer to layer the reader stays where he was, on what he held.
    const { stack, slot } = scene.role(placement);
    const kin = `${stack}/${slot}`;
    const held = section.contains(document.activeElement) ? document.activeElement?.getAttribute("data-plot") : null;
    const before = this.kin === kin ? (this.measured?.offsetHeight ?? 0) : 0;
    if (this.kin !== kin) section.closest("aside")?.scrollTo({ top: 0 });
    this.kin = kin;
    const name = mwv.text.visible(scene.name(placement));
    this.spoken.textContent = name;
    this.measured = mwv.element("div", { class: "measured", style: `min-height: ${before}px` });
    const heading = mwv.element("h2", { class: "name" }, ...mwv.breakable(name));
    section.replaceChildren(
      mwv.element("div", { class: "title" }, heading, this.copyButton(scene.name(placement)), this.closeButton()),
      ...this.facts(placement),
      ...this.members(placement),
      this.measured
    );
    const again = held && /** @type {HTMLElement | null} */ (section.querySelector(`[data-plot="${held}"]`));
    if (again) again.focus({ preventScroll: true });
    if (!scene.missing(placement)) this.measure(placement);
  }

  /** Load the statistics of the chosen placement and show them. @param {number} placement */
  async measure(placement) {
    const { scene, measured } = this;
    this.failed = false;
    const here = () => this.view.selected === placement && this.scene === scene && this.measured === measured;
    try {
      const { digest, stats, counts } = await scene.details(placement);
      if (!here()) return;
      if (counts) {
        measured.replaceChildren(mwv.element("h3", {}, "Bytes from 00 to FF"), mwv.byteChart(counts));
        measured.style.minHeight = "";
        return;
      }
      measured.replaceChildren(...this.statistics(placement, digest, stats));
      if (stats) this.edges.show(scene, placement, this.profiles);
    } catch {
      if (!here()) return;
      this.failed = true;
      const again = mwv.element("button", { type: "button" }, "Try again");
      again.addEventListener("click", () => this.measure(placement));
      const words = mwv.element("span", {}, "The statistics could not be loaded. ");
      measured.replaceChildren(mwv.element("p", { class: "note failed", role: "alert" }, words, again));
    }
    measured.style.minHeight = "";
  }

  closeButton() {
    const button = mwv.element("button", { type: "button", class: "icon plain-button", title: "Close", "aria-label": "Close" }, "×");
    button.addEventListener("click", () => this.view.select(-1));
    return button;
  }

  /** @param {string} name */
  copyButton(name) {
    const button = mwv.element("button", { type: "button", class: "icon plain-button copy", title: "Copy the name", "aria-label": "Copy the name" });
    button.addEventListener("click", () => {
      mwv.copy(name).then(() => {
        button.classList.add("done");
        this.spoken.textContent = "Copied";
        setTimeout(() => button.classList.remove("done"), 1500);
      }, () => {
        this.spoken.textContent = "The browser does not let the page copy";
      });
    });
    return button;
  }

  /** @param {string} kind @param {[string, string | Node][]} rows */
  pairs(kind, rows) {
    const list = mwv.element("dl", { class: kind });
    for (const [term, value] of rows) list.append(mwv.element("div", {}, mwv.element("dt", {}, term), mwv.element("dd", {}, value)));
    return list;
  }

  /** What the small facts tell. @param {number} placement */
  facts(placement) {
    if (this.scene.facts.curve) return [this.pairs("facts", this.scene.told(placement))];
    const { tensors, placements } = this.scene.facts;
    const { visible, thousands, shape, size } = mwv.text;
    const { stack, layer, slot, expert } = this.scene.role(placement);
    /** @type {[string, string][]} */
    const rows = [];
    if (stack) rows.push(["Stack", visible(stack)]);
    if (layer !== null) rows.push(["Layer", String(layer)]);
    if (slot) rows.push(["Slot", visible(slot)]);
    if (expert !== null) rows.push(["Expert", String(expert)]);
    const tensor = placements.tensor[placement];
    if (tensor < 0) {
      rows.push(["Expected", shape(this.scene.grid(placement).slice(0, 2))]);
      const words = "This tensor is missing: the configuration promises it, the files lack it.";
      return [this.pairs("facts", rows), mwv.element("p", { class: "note" }, words)];
    }
    const canonical = tensors.canonical[tensor];
    if (canonical) rows.push(["In Hugging Face", visible(canonical)]);
    const [offset, bytes, whole] = [tensors.offset[tensor], tensors.bytes[tensor], tensors.shapes[tensors.shape[tensor]]];
    const fused = placements.panel[placement] >= 0;
    rows.push(
      ["Type", visible(tensors.dtypes[tensors.dtype[tensor]])],
      ["Shape", fused ? `${shape(this.scene.shape(placement))} of ${shape(whole)}` : shape(whole)],
      ["Elements", thousands(this.scene.grid(placement)[3])]
    );
    if (bytes) rows.push([fused ? "Size of all experts" : "Size", `${size(bytes)} (${thousands(bytes)} bytes)`]);
    const file = visible(tensors.shards[tensors.shard[tensor]]);
    if (file) rows.push(["File", file]);
    if (bytes) rows.push(["Bytes in the file", `${thousands(offset)} – ${thousands(offset + bytes - 1)}`]);
    for (const part of Object.keys(tensors.parts).map(Number)) {
      if (tensors.parts[part] !== tensor) continue;
      const told = `${visible(tensors.dtypes[tensors.dtype[part]])}, ${shape(tensors.shapes[tensors.shape[part]])}`;
      rows.push([`Made with ${visible(tensors.name[part].split(".").pop() ?? "")}`, told]);
    }
    const stored = mwv.storedIn(this.scene.folder);
    if (stored && bytes) {
      const { bytes: own, xorbs, classes } = stored.about(this.scene, placement);
      const first = xorbs.slice(0, 4).join(", ");
      if (xorbs.length) rows.push([`Xorb${mwv.text.plural(xorbs.length)}`, xorbs.length > 4 ? `${first} and ${xorbs.length - 4} more` : first]);
      for (const [code, count] of [...classes].sort((a, b) => b[1] - a[1])) {
        const share = `${size(count)}, ${mwv.text.number((100 * count) / own, 3)} %`;
        rows.push([code === 1 ? "Chunks only here" : `Chunks ${visible(stored.label(code))}`, share]);
      }
    }
    rows.push(...mwv.changeFacts(this.scene, placement));
    const note = tensors.notes[tensor];
    return [this.pairs("facts", rows), ...(note ? [mwv.element("p", { class: tensors.packed.includes(tensor) ? "quiet" : "note" }, visible(note))] : [])];
  }

  /** RMS of the same slot in the other layers, and of the other experts of this layer. @param {number} placement */
  members(placement) {
    const { placements } = this.scene.facts;
    const { stack, slot, layer, expert, tensor, rms, nan, inf } = placements;
    /** @type {[("layer" | "expert"), (i: number) => boolean][]} */
    const kinds = [
      ["layer", (i) => expert[i] === expert[placement]],
      ["expert", (i) => layer[i] === layer[placement]],
    ];
    return kinds.flatMap(([noun, same]) => {
      const numbers = placements[noun];
      if (numbers[placement] < 0) return [];
      const members = [];
      for (let i = 0; i < stack.length; i += 1) {
        if (stack[i] !== stack[placement] || slot[i] !== slot[placement] || numbers[i] < 0 || !same(i)) continue;
        const odd = [[nan[i], "NaN"], [inf[i], "Inf"]].filter(([count]) => count).map(([count, what]) => `${mwv.text.thousands(count)} ${what}`);
        const state = tensor[i] < 0 ? "missing" : odd.join(", ");
        members.push({ number: numbers[i], placement: i, rms: rms[i], state });
      }
      if (members.length < 2) return [];
      members.sort((a, b) => a.number - b.number);
      return [mwv.charts.members(noun, members, placement, (i) => this.go(i)).figure];
    });
  }

  /** Choose a placement and move to it. @param {number} placement */
  go(placement) {
    if (placement === this.view.selected) return;
    this.view.select(placement);
    this.view.fly(this.scene.shapes[placement].box);
  }

  /** What the details tell. */
  statistics(placement, digest, stats) {
    const identity = mwv.element("p", { class: "digest", title: "BLAKE3 of the tensor's values" }, "Digest ", mwv.element("span", {}, digest));
    if (!stats) return digest ? [identity] : [];
    const n = mwv.text.number;
    const { thousands } = mwv.text;
    // A handful among millions is better told by number.
    const share = (/** @type {number} */ count) =>
      count < stats.elements / 10000 ? thousands(count) : `${n((100 * count) / stats.elements, 3)} %`;
    const warned = (/** @type {number} */ count) => mwv.element("b", { class: "odd" }, thousands(count));
    /** @type {[string, any][]} */
    const rows = [
      ["RMS", stats.rms],
      ["Std. dev.", stats.std],
      ["Min", stats.minimum],
      ["Max", stats.maximum],
      ["Mean", stats.mean],
      ["Kurtosis", stats.kurtosis],
      ["Zeros", stats.zeros ? share(stats.zeros) : "none"],
      ["NaN", stats.nan ? warned(stats.nan) : "none"],
      ["Infinite", stats.inf ? warned(stats.inf) : "none"],
    ];
    /** @type {[string, string | Node][]} */
    const known = rows.filter(([, value]) => value !== null).map(([term, value]) => [term, typeof value === "number" ? n(value) : value]);
    const nodes = [mwv.element("h3", {}, "Statistics"), this.pairs("statistics", known)];
    if (stats.nan + stats.inf === stats.elements) nodes.push(mwv.element("p", { class: "note" }, "No element is finite, so there is nothing to measure."));
    if (stats.percentiles.length) {
      const heads = stats.percentiles.map(([p]) => mwv.element("th", { scope: "col" }, `${p} %`));
      const cells = stats.percentiles.map(([, value]) => mwv.element("td", {}, n(value, 2)));
      const half = Math.ceil(cells.length / 2);
      const rows_ = [heads.slice(0, half), cells.slice(0, half), heads.slice(half), cells.slice(half)];
      nodes.push(mwv.element("h3", {}, "Percentiles"), mwv.element("table", { class: "percentiles" }, ...rows_.map((row) => mwv.element("tr", {}, ...row))));
    }
    if (stats.minimum !== null && stats.histogram.length && stats.maximum > stats.minimum) nodes.push(mwv.charts.histogram(stats).figure);
    this.profiles = mwv.profiles(this.scene.grid(placement), stats);
    if (this.profiles.length) nodes.push(...this.outline());
    nodes.push(identity);
    return nodes;
  }

  /** The profiles with their extremes, and the switch of their strips on the map. */
  outline() {
    const { edges } = this;
    const toggle = mwv.element("input", { type: "checkbox", id: "edges" });
    toggle.checked = edges.shown;
    toggle.addEventListener("change", () => edges.toggle(toggle.checked));
    const show = (/** @type {any} */ profile, /** @type {number[]} */ range) => this.view.fly(edges.point(profile, range));
    return [
      mwv.element("div", { class: "head" }, mwv.element("h3", {}, "Along the edges"), mwv.element("label", { class: "check" }, toggle, "on the map")),
      ...this.profiles.flatMap((/** @type {any} */ profile) => {
        const { largest, smallest } = profile.extremes();
        const list = (/** @type {string} */ title, /** @type {any[]} */ spans) =>
          mwv.element(
            "div",
            { class: "extremes" },
            mwv.element("span", {}, title),
            mwv.element("div", {}, ...spans.map(({ range, value }) => {
              const text = range[0] === range[1] ? String(range[0]) : `${range[0]}–${range[1]}`;
              const label = `Show ${profile.name(range)}, ${mwv.text.number(value, 3)}`;
              const button = mwv.element("button", { type: "button", title: label, "aria-label": label }, text, mwv.element("small", {}, mwv.text.number(value, 2)));
              button.addEventListener("click", () => show(profile, range));
              return button;
            }))
          );
        return [
          mwv.charts.profile(profile, (range) => show(profile, range)).figure,
          ...(largest.length ? [list("Largest", largest), list("Smallest", smallest)] : []),
        ];
      }),
    ];
  }
};
