// @ts-check
"use strict";
/* Lists of numbers in, small SVG pictures out. */
mwv.charts = {
  /**
   * Bars over a range of values; heights by square root, so that tails can be seen.
   * @param {number[]} counts
   * @param {number} low
   * @param {number} high
   */
  histogram(counts, low, high) {
    const [width, height] = [320, 72];
    const most = Math.sqrt(Math.max(...counts, 1));
    const bar = width / counts.length;
    const bars = counts.map((count, i) => {
      const tall = count ? Math.max(1, (Math.sqrt(count) / most) * height) : 0;
      return `M${(i * bar).toFixed(2)} ${height}v${(-tall).toFixed(2)}h${Math.max(bar - 0.6, 0.4).toFixed(2)}v${tall.toFixed(2)}z`;
    });
    const zero = low < 0 && high > 0 ? ((0 - low) / (high - low)) * width : -1;
    return mwv.svg(
      "svg",
      { class: "chart", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": "Histogram of values" },
      ...(zero >= 0 ? [mwv.svg("path", { class: "rule", d: `M${zero.toFixed(2)} 0V${height}` })] : []),
      mwv.svg("path", { class: "bars", d: bars.join("") })
    );
  },

  /**
   * A line of RMS values; gaps where there is none.
   * @param {(number | null)[]} values
   * @param {string} label
   */
  profile(values, label) {
    const [width, height] = [320, 40];
    const most = Math.max(...values.map((value) => value ?? 0)) || 1;
    const step = values.length > 1 ? width / (values.length - 1) : 0;
    let pen = "M";
    const path = values.map((value, i) => {
      if (value === null) {
        pen = "M";
        return "";
      }
      const point = `${pen}${(i * step).toFixed(1)} ${(height - (value / most) * (height - 2) - 1).toFixed(1)}`;
      pen = "L";
      return values.length > 1 ? point : `${point}h${width}`;
    });
    return mwv.svg(
      "svg",
      { class: "chart line", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
      mwv.svg("path", { class: "trace", d: path.join("") })
    );
  },
};
