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

mwv.ClassLayers = class {
  /**
   * @param {any} map
   * @param {any} scene
   */
  constructor(map, scene) {
    this.map = map;
    if (!map.getPane("classes")) map.createPane("classes");
    const pane = map.getPane("classes");
    mwv.classFilter ??= new mwv.CodeFilter("mwv-classes");
    mwv.classFilter.set(mwv.classTable(scene.facts));
    mwv.classFilter.paint(pane);
    this.tiles = new mwv.TileLayer(scene, { pane: "classes" });
    this.borders = new mwv.BorderLayer(scene);
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
      ? "Xorbs as uploads of these files would store them, model after model in the order in which they came into this site."
      : "Xorbs as the Hub stores these files."
    : "Bytes in chunks that other models of this site have, too.";
  return [mwv.element("ul", { class: "classes" }, ...items), mwv.element("p", { class: "quiet" }, `${words} Brightness is magnitude.`)];
};
