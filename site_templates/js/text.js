// @ts-check
"use strict";
/* Names and numbers in, text for people out, by the same rules as mwv/site/text.py; and the elements that hold it. */
mwv.text = {
  /**
   * Text in which every character that cannot be seen, or that rearranges others, is written as ⟨U+…⟩.
   * @param {string} text
   */
  visible(text) {
    const invisible =
      // eslint-disable-next-line no-control-regex
      /[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
    return text.replace(invisible, (c) => `⟨U+${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
  },

  /**
   * A whole number with thin spaces between groups of three digits.
   * @param {number} n
   */
  thousands(n) {
    return String(n).replace(/\B(?=(\d{3})+$)/g, "\u202f");
  },

  /** What a noun ends in after a number of things. @param {number} n */
  plural: (n) => (n === 1 ? "" : "s"),

  /**
   * Bytes in binary units, three digits.
   * @param {number} n
   */
  size(n) {
    if (n < 1000) return `${n} B`;
    let unit = -1;
    do {
      n /= 1024;
      unit += 1;
    } while (n >= 999.5 && unit < 4);
    return `${Number(n.toPrecision(3))} ${["KiB", "MiB", "GiB", "TiB", "PiB"][unit]}`;
  },

  /**
   * A measured number to `digits` digits, in the shorter of two notations.
   * @param {number | null} x
   */
  number(x, digits = 4) {
    if (x === null || x === undefined) return "–";
    const size = Math.abs(x);
    if (size !== 0 && (size < 1e-4 || size >= 1e6)) {
      return x.toExponential(digits - 1).replace(/\.?0+e/, "e").replace("e+", "e").replace(/-/g, "−");
    }
    return String(Number(x.toPrecision(digits))).replace("-", "−");
  },

  /** How much of a whole a part is: neither nothing if it is something, nor everything if it is not all. @param {number} part @param {number} whole */
  share(part, whole) {
    const percent = whole && (100 * part) / whole;
    if (part && percent < 0.01) return "< 0.01 %";
    return part < whole && Number(percent.toPrecision(3)) === 100 ? "> 99.9 %" : `${mwv.text.number(percent, 3)} %`;
  },

  /** @param {number[]} shape */
  shape(shape) {
    return shape.length ? shape.join(" × ") : "scalar";
  },
};

/**
 * An element with attributes and children; text is always set as text, never as markup.
 * @param {string} tag
 * @param {Record<string, string | number>} [attributes]
 * @param {...(Node | string)} children
 */
mwv.element = function (tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
};

/**
 * The same for SVG.
 * @param {string} tag
 * @param {Record<string, string | number>} [attributes]
 * @param {...(Node | string)} children
 */
mwv.svg = function (tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
};

/** A name in pieces with places between its parts where a line may break. @param {string} name */
mwv.breakable = (name) => name.split(/(?<=[./_])/).flatMap((part, i) => (i ? [mwv.element("wbr"), part] : [part]));

/**
 * Put a text on the clipboard. Only secure contexts have one; elsewhere a field is copied from. Throws where neither may be.
 * @param {string} text
 */
mwv.copy = async function (text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const field = mwv.element("textarea", { class: "hidden", readonly: "" }, text);
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    if (!done) throw new Error("not copied");
  }
};
