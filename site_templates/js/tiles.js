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

  /** Set the source and wait until it can be seen; whether there is one. */
  show(image, name, level, coords) {
    return mwv.patiently(async () => {
      const address = await this.url(name, level, coords);
      if (address === "") return false;
      image.src = address;
      // Loaded is not yet decoded: a tile that replaces others before it is decoded would flash.
      await image.decode();
      return true;
    });
  },

  /** Address of a tile; "" if its archive has none such. */
  url(name, level, { x, y }) {
    const { mode, suffix } = this.scene.facts.tiles;
    const base = new URL(this.scene.facts.tiles.base, this.scene.folder.address).href;
    if (mode === "pmtiles") return this.archived(name, level, x, y);
    const [stem, own] = name.split(".");
    if (mode === "files") return `${base}${stem.slice(0, 2)}/${stem}.${own ?? suffix}`;
    return `${base}${this.scene.facts.levels - 1 - level}/${x}/${y}.${own ?? suffix}`;
  },

  /** A tile inside a PMTiles archive as an object URL. */
  async archived(name, level, x, y) {
    const top = this.scene.facts.levels - 1;
    const up = mwv.ARCHIVE_LEVELS - 1 - level;
    const [column, row] = [x >> up, y >> up];
    const address = up >= 0 ? [Math.min(mwv.ARCHIVE_LEVELS - 1, top) - level, x - (column << up), y - (row << up)] : [top - level, x, y];
    // The tiles may lie elsewhere than the page.
    const base = mwv.tilesRoot ? `${mwv.tilesRoot}tiles/` : new URL(this.scene.facts.tiles.base, this.scene.folder.address).href;
    const tile = await mwv.archiveTile(`${base}${name.slice(0, 2)}/${name}.pmtiles`, ...address);
    return tile ? URL.createObjectURL(tile) : "";
  },
});
