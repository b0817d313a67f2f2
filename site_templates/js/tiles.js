// @ts-check
"use strict";
/* A scene in, a Leaflet layer of its tiles out that never asks for a tile that does not exist. */

/** Zoom 0 is one pixel per element; y grows downward. */
mwv.crs = L.extend({}, L.CRS.Simple, { transformation: new L.Transformation(1, 0, 1, 0) });

/** Levels that one super-block archive holds, from the leaf up. */
mwv.ARCHIVE_LEVELS = 5;

/**
 * What an attempt gives; two more attempts, after half a second and two, when it fails.
 * @template T
 * @param {() => Promise<T>} attempt
 * @returns {Promise<T>}
 */
mwv.patiently = async function (attempt) {
  for (const wait of [500, 2000]) {
    try {
      return await attempt();
    } catch {
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
  return attempt();
};

mwv.TileLayer = L.GridLayer.extend({
  /**
   * @param {any} scene
   * @param {any} [options] of Leaflet's GridLayer, such as the pane
   */
  initialize(scene, options) {
    const { bounds, levels } = scene.facts;
    this.scene = scene;
    this.archives = new Map();
    L.GridLayer.prototype.initialize.call(this, {
      tileSize: 512,
      minNativeZoom: 1 - levels,
      maxNativeZoom: 0,
      minZoom: -Infinity,
      maxZoom: Infinity,
      noWrap: true,
      keepBuffer: 1,
      ...options,
      bounds: [[bounds[1], bounds[0]], [bounds[1] + bounds[3], bounds[0] + bounds[2]]],
    });
  },

  onAdd(map) {
    L.GridLayer.prototype.onAdd.call(this, map);
    this.on("tileunload", ({ tile }) => {
      if (tile.src.startsWith("blob:")) URL.revokeObjectURL(tile.src);
    });
  },

  /* Between two levels show the finer one enlarged: shrinking pixels would lose some, and with them perhaps a NaN. */
  _setView(center, zoom, noPrune, noUpdate) {
    L.GridLayer.prototype._setView.call(this, center, Math.floor(zoom + 1e-6), noPrune, noUpdate);
    this._setZoomTransforms(center, zoom);
  },

  createTile(coords, done) {
    const image = document.createElement("img");
    image.alt = "";
    image.decoding = "async";
    const level = -coords.z;
    const name = this.scene.tile(level, coords.x, coords.y);
    if (name === "") {
      setTimeout(done, 0, null, image);
    } else {
      Promise.resolve(name)
        .then((found) => (found === "" ? null : this.show(image, found, level, coords)))
        .then(() => done(null, image))
        .catch((error) => {
          image.classList.add("broken");
          done(error, image);
        });
    }
    return image;
  },

  /** Set the source and wait until it can be seen. */
  show(image, name, level, coords) {
    return mwv.patiently(async () => {
      image.src = await this.url(name, level, coords);
      // Loaded is not yet decoded: a tile that replaces others before it is decoded would flash.
      await image.decode();
    });
  },

  url(name, level, { x, y }) {
    const { mode, suffix } = this.scene.facts.tiles;
    const base = new URL(this.scene.facts.tiles.base, this.scene.folder.address).href;
    const [stem, own] = name.split(".");
    if (mode === "files") return `${base}${stem.slice(0, 2)}/${stem}.${own ?? suffix}`;
    if (mode === "xyz") return `${base}${this.scene.facts.levels - 1 - level}/${x}/${y}.${own ?? suffix}`;
    return this.archived(level, x, y, own ?? suffix);
  },

  /** A tile inside a PMTiles archive as an object URL. */
  async archived(level, x, y, suffix) {
    const { base, archives } = this.scene.facts.tiles;
    const top = this.scene.facts.levels - 1;
    const up = mwv.ARCHIVE_LEVELS - 1 - level;
    const inside = up >= 0;
    const [column, row] = [x >> up, y >> up];
    const digest = inside ? archives[`${column},${row}`] : archives.top;
    const address = inside
      ? [Math.min(mwv.ARCHIVE_LEVELS - 1, top) - level, x - (column << up), y - (row << up)]
      : [top - level, x, y];
    const url = new URL(`${base}${digest.slice(0, 2)}/${digest}.pmtiles`, this.scene.folder.address).href;
    if (!this.archives.has(url)) this.archives.set(url, new pmtiles.PMTiles(url));
    const tile = await this.archives.get(url).getZxy(...address);
    if (!tile) throw new Error(`${url} lacks tile ${address.join("/")}`);
    return URL.createObjectURL(new Blob([tile.data], { type: `image/${suffix}` }));
  },
});
