// @ts-check
"use strict";
/*
 * A scene of classes in, its tiles in colour over the gray ones of its base out: hue tells the class, brightness the magnitude.
 * And its legend.
 */

/** Entries of a legend; more are counted. */
mwv.MOST_CLASSES = 24;

/** Colours of all codes, 256 × [red, green, blue]; what has no class leaves what lies under it as it is. @param {any} facts */
mwv.classTable = function (facts) {
  const table = Array.from({ length: 256 }, () => [255, 255, 255]);
  for (const [code, colour] of facts.classes) table[code] = mwv.rgb(colour);
  table[facts.unknown[0]] = mwv.rgb(facts.unknown[1]);
  return table;
};

/** Filters by scene; two scenes may be in sight at once. @type {Map<string, any>} */
mwv.classFilters = new Map();

/** The filter that colours the classes of a scene. @param {any} scene */
mwv.classFilter = function (scene) {
  const id = `mwv-classes-${scene.folder.record.slug}-${scene.facts.index}`;
  if (!mwv.classFilters.has(id)) {
    const filter = new mwv.CodeFilter(id);
    filter.set(mwv.classTable(scene.facts));
    mwv.classFilters.set(id, filter);
  }
  return mwv.classFilters.get(id);
};

mwv.ClassLayers = class {
  /**
   * @param {any} map
   * @param {any} scene
   * @param {string} [pane] of the tiles
   * @param {string} [over] pane of the borders
   */
  constructor(map, scene, pane = "classes", over = "overlayPane") {
    this.map = map;
    if (!map.getPane(pane)) map.createPane(pane);
    mwv.classFilter(scene).paint(map.getPane(pane));
    this.tiles = new mwv.TileLayer(scene, { pane });
    this.borders = new mwv.BorderLayer(scene, { pane: over });
  }

  add() {
    this.tiles.addTo(this.map);
    this.borders.addTo(this.map);
  }

  remove() {
    this.tiles.remove();
    this.borders.remove();
  }
};

/**
 * Which entries of the legend a reading is about, by their places: an element's by its bytes; further out those of the pixel's
 * code, which is that of the most frequent class.
 * @param {any} view
 * @param {any} reading
 * @param {number} x of the pixel, in pixels of the level
 * @param {number} y
 * @returns {Promise<number[]>}
 */
mwv.classesUnder = async function (view, { scene, level, elements: [{ placement, rows, cols }] }, x, y) {
  if (!scene.base || scene.missing(placement)) return [];
  const { classes, xorbs, tensors, placements } = scene.facts;
  let code = 0;
  if (level === 0) {
    const stored = mwv.storedIn(scene.folder);
    const file = tensors.shards[tensors.shard[placements.tensor[placement]]];
    const byte = mwv.Stored.byte(scene, placement, rows[0], cols[0]);
    const xorb = xorbs && stored.term(file, byte)?.xorb;
    if (xorb) return [xorbs.indexOf(xorb)];
    code = xorbs ? 0 : stored.shared(file, byte);
  } else if (view.hues) {
    code = await view.hues.at(level, x, y);
  }
  return classes.flatMap((/** @type {any[]} */ [own], /** @type {number} */ i) => (own === code ? [i] : []));
};

/** What the classes of a scene are, for the legend: name, colour and bytes of each. @param {any} scene */
mwv.classLegend = function (scene) {
  const { classes, files, xorbs } = scene.facts;
  const { size, plural, thousands } = mwv.text;
  const total = classes.reduce((/** @type {number} */ sum, /** @type {any[]} */ [, , , bytes]) => sum + bytes, 0);
  const items = classes.slice(0, mwv.MOST_CLASSES).map(([code, colour, label, bytes], /** @type {number} */ i) => {
    const of = xorbs && xorbs[i].model !== scene.folder.record.slug ? ` · first in ${mwv.text.visible(xorbs[i].model)}` : "";
    const share = `${size(bytes)} · ${mwv.text.number((100 * bytes) / total, 2)} %${of}`;
    return mwv.element(
      "li",
      { "data-code": code, title: xorbs?.[i].hash ?? "" },
      mwv.element("i", { style: `background-color: #${colour}` }),
      mwv.element("span", {}, mwv.text.visible(label)),
      mwv.element("small", {}, share)
    );
  });
  const more = classes.length - items.length;
  if (more > 0) items.push(mwv.element("li", { class: "quiet" }, `and ${thousands(more)} more xorb${plural(more)}, in the same colours again`));
  const local = xorbs && files.some((/** @type {any} */ file) => file.local);
  const words = xorbs
    ? local
      ? "Xorbs as uploads of these files would store them, model after model in the order in which they came into this site; chunks that the Hub is known to have lie in its own."
      : "Xorbs as the Hub stores these files."
    : "Bytes in chunks that other models of this site have, too.";
  return [mwv.element("ul", { class: "classes" }, ...items), mwv.element("p", { class: "quiet" }, `${words} Brightness is magnitude.`)];
};
