// @ts-check
"use strict";
/* A scene of the entropy of bytes in, the questions about it answered that a scene of bytes answers. Codes: mwv/pyramid/byte_kernels.py. */
mwv.EntropyScene = class extends mwv.CurveScene {
  /** @param {any} reading */
  meaning({ code }) {
    return `≈ ${mwv.entropyOf(code).toFixed(2)} bits per byte`;
  }

  /** Where it lies among all, and whose entropy it is. @param {any} reading @returns {string[]} */
  lines({ level, elements: [element] }) {
    const { local } = this.facts;
    const whole = this.amongAll(element);
    // A pixel farther out has more bytes under it than an entropy is taken of.
    if (4 ** level >= local) return [...whole, `mean over pieces of ${mwv.text.thousands(local)} bytes`];
    const at = this.begin(element.placement) + element.cols[0];
    const first = at - (at % local);
    const piece = mwv.byteSpan({ cols: [first, Math.min(first + local, this.length) - 1] });
    return [...whole, `entropy of ${piece}${this.counted ? " of all" : ""}`];
  }

  get strip() {
    return { ...super.strip, marks: [0, 1, 2, 3, 4, 5, 6, 7, 8].map((bits) => [bits * 32, String(bits)]), label: "Entropy from 0 to 8 bits per byte" };
  }

  /** What the colours mean. */
  legend() {
    const words =
      `Shannon entropy in bits per byte, −Σ p·log2 p over the ${mwv.text.thousands(this.facts.local)} consecutive bytes that a byte is among ` +
      "(pieces begin at multiples of that). Farther out a pixel shows the mean. About 0: one byte repeated; 4 to 5: text; 6: machine code; " +
      "so few random bytes reach 7.8, as compressed and encrypted data do.";
    return [mwv.element("p", { class: "quiet" }, words)];
  }

  classOf() {
    return -1;
  }
};

/** The middle of the bin of an entropy code, in bits. @param {number} code */
mwv.entropyOf = (code) => (code <= 1 ? 0 : ((code - 0.5) * 8) / 254);
