// @ts-check
"use strict";
/*
 * The one global name of a page. Data scripts call mwv.model, mwv.scene, mwv.tileMap and mwv.details with one value each
 * (FORMAT.md says which); the other files add their parts as properties. Nothing here touches the document.
 */
var mwv = {
  /** What the page knows about the model, or null. */
  record: null,
  /** Facts of each scene by its index. */
  facts: [],
  /** Pieces of tile maps by "scene/level/column/row". */
  pieces: new Map(),
  /** Details of tensors by "scene/first". */
  detailed: new Map(),
  /** What `palette.export` gives. */
  colours: null,

  model(value) {
    mwv.record = value;
  },
  scene(value) {
    mwv.facts[value.index] = value;
  },
  tileMap(value) {
    mwv.pieces.set(`${value.scene}/${value.level}/${value.x}/${value.y}`, value.keys);
  },
  details(value) {
    mwv.detailed.set(`${value.scene}/${value.first}`, value.tensors);
  },
  palettes(value) {
    mwv.colours = value;
  },
};

/** Scripts on their way or there, by file name. */
mwv.loading = new Map();

/**
 * Load a data script of this model's folder once; a failed one may be asked for again.
 * @param {string} file
 * @returns {Promise<void>}
 */
mwv.load = function (file) {
  let promise = mwv.loading.get(file);
  if (!promise) {
    promise = new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = file;
      script.onload = () => resolve();
      script.onerror = () => {
        mwv.loading.delete(file);
        script.remove();
        reject(new Error(`${file} could not be loaded`));
      };
      document.head.append(script);
    });
    mwv.loading.set(file, promise);
  }
  return promise;
};
