// @ts-check
"use strict";
/*
 * The one global name of a page. Data scripts call mwv.model, mwv.scene, mwv.tileMap, mwv.details and mwv.site with one value
 * each (FORMAT.md says which); the other files add their parts as properties. What a script tells is kept by the folder that
 * the script lies in, so a page may load another model's facts beside its own.
 */
var mwv = {
  /** @type {Map<string, any>} What was told, by the address of the folder. */
  folders: new Map(),
  /** The models of the site: what `site.js` tells, or null until it is loaded. */
  models: null,
  /** What `palette.export` gives. */
  colours: null,

  model(value) {
    mwv.teller().record = value;
  },
  scene(value) {
    mwv.teller().scenes[value.index] = value;
  },
  tileMap(value) {
    mwv.teller().pieces.set(`${value.scene}/${value.level}/${value.x}/${value.y}`, value.keys);
  },
  details(value) {
    mwv.teller().details.set(`${value.scene}/${value.first}`, value.tensors);
  },
  chunks(value) {
    let end = value.offset;
    const ends = Float64Array.from(value.lengths, (/** @type {number} */ length) => (end += length));
    const name = new URL(/** @type {HTMLScriptElement} */ (document.currentScript).src).pathname.split("/").pop();
    mwv.teller().chunks.set(name, { first: value.first, offset: value.offset, end, ends });
  },
  site(value) {
    mwv.models = value.models;
  },
  palettes(value) {
    mwv.colours = value;
  },
};

/** Address of the folder of this page. */
mwv.here = new URL(".", location.href).href;

/** Address of the folder in which the site's `tiles` lie, if they lie elsewhere; else "". */
mwv.tilesRoot = document.documentElement.dataset.tiles ?? "";

/**
 * What the data scripts of a folder told so far: the model's `record`, facts of `scenes` by index, `pieces` of tile maps by
 * "scene/level/column/row", `details` of tensors by "scene/first", lengths of `chunks` by the script's name.
 * @param {string} address
 */
mwv.folder = function (address) {
  let folder = mwv.folders.get(address);
  if (!folder) {
    folder = { address, record: null, scenes: [], pieces: new Map(), details: new Map(), chunks: new Map() };
    mwv.folders.set(address, folder);
  }
  return folder;
};

/** The folder of the data script that is running. */
mwv.teller = function () {
  const script = /** @type {HTMLScriptElement} */ (document.currentScript);
  return mwv.folder(new URL(".", script.src).href);
};

/** Scripts on their way or there, by address. */
mwv.loading = new Map();

/**
 * Load a data script once; a failed one may be asked for again.
 * @param {string} file
 * @param {string} [folder] address of the folder it lies in, by default that of the page
 * @returns {Promise<void>}
 */
mwv.load = function (file, folder = mwv.here) {
  const address = new URL(file, folder).href;
  let promise = mwv.loading.get(address);
  if (!promise) {
    promise = new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = address;
      script.onload = () => resolve();
      script.onerror = () => {
        mwv.loading.delete(address);
        script.remove();
        reject(new Error(`${file} could not be loaded`));
      };
      document.head.append(script);
    });
    mwv.loading.set(address, promise);
  }
  return promise;
};
