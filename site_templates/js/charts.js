// @ts-check
"use strict";
/* Lists of numbers in, small pictures out that can be read by mouse, finger, keys and ear. */

/**
 * A figure of so many places side by side, one of which can be read at a time: that under the pointer, or by keys.
 * @typedef {object} PlotOptions
 * @property {string} kind tells this figure from others of the panel
 * @property {string} label what is shown
 * @property {string} sentence the same with its most important numbers, for those who cannot see it
 * @property {string} rest what stands beside the label while nothing is pointed at
 * @property {number} count number of places
 * @property {Element} picture
 * @property {(place: number) => string} tell a place in words
 * @property {string[]} ends what stands below the axis: at its left end, at its right end
 * @property {[number, string][]} [ticks] more below the axis: where (0 to 1) and what
 * @property {number} [current] the place that is marked, and where keys begin
 * @property {(place: number) => void} [choose] what a click does, and Enter
 * @property {boolean} [following] whether each step of the keys chooses
 */
mwv.Plot = class {
  /** @param {PlotOptions} options */
  constructor(options) {
    const { kind, label, sentence, rest, count, picture, ends, ticks = [], current, choose, following } = options;
    this.options = options;
    this.place = current ?? 0;
    this.told = mwv.element("span", { class: "told" }, rest);
    this.cursor = mwv.element("i", { class: "cursor", hidden: "" });
    this.frame = mwv.element(
      "div",
      {
        class: choose ? "frame choosing" : "frame",
        role: "slider",
        tabindex: 0,
        "data-plot": kind,
        "aria-label": label,
        "aria-description": sentence,
        "aria-valuemin": 0,
        "aria-valuemax": count - 1,
        ...(choose && following ? {} : { "aria-readonly": "true" }),
      },
      picture,
      this.cursor
    );
    const axis = mwv.element("div", { class: "axis", "aria-hidden": "true" });
    ends.forEach((text, i) => axis.append(mwv.element("span", { class: i ? "end" : "begin" }, text)));
    for (const [x, text] of ticks) axis.append(mwv.element("span", { class: "tick", style: `left: ${(100 * x).toFixed(2)}%` }, text));
    this.figure = mwv.element(
      "figure",
      { class: "plot" },
      mwv.element("figcaption", {}, mwv.element("span", {}, label), this.told),
      this.frame,
      axis
    );
    this.value();
    this.frame.addEventListener("pointermove", (event) => this.read(this.under(event)));
    this.frame.addEventListener("pointerleave", () => this.read(document.activeElement === this.frame ? this.place : null));
    this.frame.addEventListener("focus", () => this.frame.matches(":focus-visible") && this.read(this.place));
    this.frame.addEventListener("blur", () => this.read(null));
    this.frame.addEventListener("keydown", (event) => this.key(event));
    if (choose) this.frame.addEventListener("click", (event) => choose(this.under(event)));
  }

  /** The place under the pointer. @param {MouseEvent} event */
  under(event) {
    const box = this.frame.getBoundingClientRect();
    const place = Math.floor(((event.clientX - box.left) / box.width) * this.options.count);
    return Math.min(Math.max(place, 0), this.options.count - 1);
  }

  /** Show what is at a place, or at none. @param {number | null} place */
  read(place) {
    const { count, tell, rest } = this.options;
    this.told.textContent = place === null ? rest : tell(place);
    this.told.classList.toggle("now", place !== null);
    this.cursor.hidden = place === null;
    if (place === null) return;
    this.cursor.style.left = `${(100 * place) / count}%`;
    this.cursor.style.width = `${100 / count}%`;
  }

  value() {
    this.frame.setAttribute("aria-valuenow", String(this.place));
    this.frame.setAttribute("aria-valuetext", this.options.tell(this.place));
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const { count, choose, following } = this.options;
    const page = Math.max(Math.round(count / 10), 1);
    /** @type {Record<string, number>} */
    const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -page, PageUp: page, Home: -count, End: count };
    const step = steps[event.key];
    const enter = choose && event.key === "Enter";
    if (step === undefined && !enter) return;
    event.preventDefault();
    event.stopPropagation();
    const before = this.place;
    this.place = Math.min(Math.max(this.place + (step ?? 0), 0), count - 1);
    this.value();
    this.read(this.place);
    if (choose && (enter || (following && this.place !== before))) choose(this.place);
  }
};

/** Width and height of the pictures in units of their own; they are stretched to the figure. */
mwv.PICTURE = [320, 64];

mwv.charts = {
  /** @param {...(Node)} children */
  picture(...children) {
    const [width, height] = mwv.PICTURE;
    const attributes = { class: "chart", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" };
    return mwv.svg("svg", attributes, ...children);
  },

  /** A path of bars, side by side over the whole width. @param {number[]} heights 0 to 1 @param {number} [gap] */
  bars(heights, gap = 0) {
    const [width, height] = mwv.PICTURE;
    const bar = width / heights.length;
    return heights
      .map((share, i) => {
        const tall = share > 0 ? Math.max(1, share * height) : 0;
        return tall ? `M${(i * bar).toFixed(2)} ${height}v${(-tall).toFixed(2)}h${(bar - gap).toFixed(2)}v${tall.toFixed(2)}z` : "";
      })
      .join("");
  },

  /** Values in bins; heights by square root, so that tails can be seen. @param {any} stats */
  histogram(stats) {
    const { histogram: counts, minimum: low, maximum: high, percentiles } = stats;
    const n = mwv.text.number;
    const most = Math.max(...counts, 1);
    const edge = (/** @type {number} */ i) => low + ((high - low) * i) / counts.length;
    const zero = low < 0 && high > 0 ? -low / (high - low) : null;
    const percentile = (/** @type {number} */ p) => percentiles.find(([percent]) => percent === p)?.[1] ?? null;
    const [lower, upper] = [percentile(5), percentile(95)];
    const sum = counts.reduce((/** @type {number} */ a, /** @type {number} */ b) => a + b, 0);
    const peak = counts.indexOf(most);
    const middle = lower === null ? "" : ` 90 % of them lie between ${n(lower, 3)} and ${n(upper, 3)}.`;
    const [, height] = mwv.PICTURE;
    const x = (/** @type {number} */ share) => (share * mwv.PICTURE[0]).toFixed(2);
    return new mwv.Plot({
      kind: "histogram",
      label: "Histogram of values",
      sentence:
        `${mwv.text.thousands(sum)} values from ${n(low, 3)} to ${n(high, 3)}.${middle}` +
        (peak < 0 ? "" : ` Most of one bin: ${mwv.text.thousands(most)} from ${n(edge(peak), 3)} to ${n(edge(peak + 1), 3)}.`),
      rest: "heights by √",
      count: counts.length,
      picture: mwv.charts.picture(
        ...(zero === null ? [] : [mwv.svg("path", { class: "rule", d: `M${x(zero)} 0V${height}` })]),
        mwv.svg("path", { class: "bars", d: mwv.charts.bars(counts.map((/** @type {number} */ c) => Math.sqrt(c / most)), 0.8) })
      ),
      tell: (i) => `${n(edge(i), 3)} … ${n(edge(i + 1), 3)}: ${mwv.text.thousands(counts[i])} (${n((100 * counts[i]) / sum, 3)} %)`,
      ends: [n(low, 3), n(high, 3)],
      ticks: zero !== null && zero > 0.2 && zero < 0.8 ? [[zero, "0"]] : [],
      current: Math.max(peak, 0),
    });
  },

  /**
   * RMS by row or column: pale from the smallest to the largest where a stripe of the picture stands for several.
   * @param {any} profile see `mwv.Profile`
   * @param {(range: number[]) => void} choose
   */
  profile(profile, choose) {
    const n = mwv.text.number;
    const { values, most, length, noun } = profile;
    const stripes = Math.min(values.length, mwv.PICTURE[0]);
    const bands = Array.from({ length: stripes }, (_, i) => profile.band((i * length) / stripes, ((i + 1) * length) / stripes));
    const { largest, smallest } = profile.extremes(1);
    const single = noun === "element";
    const ends = [0, length - 1].map(String);
    return new mwv.Plot({
      kind: profile.axis,
      label: single ? "Magnitude by element" : `RMS by ${noun}`,
      sentence: largest.length
        ? `${mwv.text.thousands(length)} ${noun}s. Largest: ${profile.name(largest[0].range)} with ${n(largest[0].value, 3)}; ` +
          `smallest: ${profile.name(smallest[0].range)} with ${n(smallest[0].value, 3)}.`
        : `${mwv.text.thousands(length)} ${noun}s, all with ${n(most, 3)}.`,
      rest: `up to ${n(most, 3)}${profile.rooted ? ", heights by √" : ""}`,
      count: values.length,
      picture: mwv.charts.picture(
        mwv.svg("path", { class: "bars pale", d: mwv.charts.bars(bands.map(([, high]) => profile.height(high))) }),
        mwv.svg("path", { class: "bars", d: mwv.charts.bars(bands.map(([low]) => profile.height(low))) })
      ),
      tell: (run) => profile.tell(run),
      ends,
      choose: (run) => choose(profile.range(run)),
    });
  },

  /**
   * RMS of like tensors, one bar each: the same slot in other layers, or other experts.
   * @param {"layer" | "expert"} noun
   * @param {{number: number, placement: number, rms: number | null, state: string}[]} members `state` tells what is odd about one
   * @param {number} placement the one that is marked
   * @param {(placement: number) => void} choose
   */
  members(noun, members, placement, choose) {
    const n = mwv.text.number;
    const [width, height] = mwv.PICTURE;
    const current = members.findIndex((member) => member.placement === placement);
    const measured = members.filter(({ rms }) => rms !== null);
    const most = measured.reduce((a, { rms }) => Math.max(a, rms ?? 0), 0);
    const share = members.map(({ rms }) => (most && rms ? (0.84 * rms) / most : 0));
    const bar = width / members.length;
    const gap = Math.min(bar * 0.22, 3);
    const others = mwv.svg("path", { class: "bars pale", d: mwv.charts.bars(share.map((s, i) => (i === current ? 0 : s)), gap) });
    const own = mwv.svg("path", { class: "bars", d: mwv.charts.bars(share.map((s, i) => (i === current ? s : 0)), gap) });
    const dots = members.flatMap(({ state }, i) =>
      state ? [mwv.svg("path", { class: "dot", d: `M${((i + 0.5) * bar - gap / 2).toFixed(2)} ${(height * (1 - share[i]) - 5).toFixed(2)}h0` })] : []
    );
    const tell = (/** @type {number} */ i) => {
      const { number, rms, state } = members[i];
      return [`${noun} ${number}:`, ...(rms === null ? [] : [n(rms, 3)]), ...(state ? [state] : [])].join(" ");
    };
    const by = (/** @type {number} */ sign) => measured.reduce((a, b) => (sign * ((b.rms ?? 0) - (a.rms ?? 0)) > 0 ? b : a));
    const range = measured.length
      ? ` Largest: ${noun} ${by(1).number} with ${n(by(1).rms, 3)}; smallest: ${noun} ${by(-1).number} with ${n(by(-1).rms, 3)}.`
      : "";
    return new mwv.Plot({
      kind: noun,
      label: `RMS by ${noun}`,
      sentence: `${members.length} ${noun}s; this is ${tell(current)}.${range}`,
      rest: tell(current),
      count: members.length,
      picture: mwv.charts.picture(others, own, ...dots),
      tell,
      ends: [members[0], members[members.length - 1]].map(({ number }) => String(number)),
      current,
      choose: (i) => choose(members[i].placement),
      following: true,
    });
  },
};
