// @ts-check
"use strict";
/*
 * An element, a scene and the colours in, a map of the scene out. Whoever shows something about the map listens to it:
 * "select" (another placement is chosen), "scene" (another scene is shown), "move" (the view stands still after a move).
 */
mwv.View = class extends EventTarget {
  /**
   * @param {HTMLElement} element
   * @param {any} scene
   * @param {any} colours
   */
  constructor(element, scene, colours) {
    super();
    this.element = element;
    this.colours = colours;
    /** The chosen placement, -1 for none. */
    this.selected = -1;
    this.map = L.map(element, {
      crs: mwv.crs,
      attributionControl: false,
      zoomControl: false,
      zoomSnap: 0.25,
      maxZoom: 6,
      minZoom: -30,
      fadeAnimation: false,
      maxBoundsViscosity: 0.6,
      wheelPxPerZoomLevel: 90,
      wheelDebounceTime: 20,
    });
    this.show(scene);
    this.map.on("resize", () => this.limit());
    this.map.on("moveend", () => this.tell("move"));
    this.map.on("zoomend", () => this.fit());
  }

  /** Show a scene, whole; another one that was there goes. @param {any} scene */
  show(scene) {
    const { map } = this;
    const { bounds: box, tiles } = scene.facts;
    const before = this.scene;
    if (before) for (const layer of [this.layer, this.outlines]) layer.remove();
    this.scene = scene;
    this.bounds = L.latLngBounds([box[1], box[0]], [box[1] + box[3], box[0] + box[2]]);
    /** Whether the tiles can be had; from disk a browser cannot read inside archives. */
    this.readable = tiles.mode !== "pmtiles" || location.protocol !== "file:";
    /** Whether the pixels are codes, so that colours are applied here. */
    this.live = this.readable && !tiles.picture;
    map.getPane("tilePane").style.filter = "";
    if (this.live) this.colours.paint(map.getPane("tilePane"));
    if (!before || !before.facts.bounds.every((/** @type {number} */ n, /** @type {number} */ i) => n === box[i])) this.whole();
    this.limit();
    this.layer = this.readable ? new mwv.TileLayer(scene) : L.imageOverlay(this.element.dataset.overview, this.bounds);
    this.layer.addTo(map);
    this.outlines = new mwv.OutlineLayer(scene).addTo(map);
    this.fit(false);
    this.selected = -1;
    this.tell("scene");
  }

  /** @param {string} name */
  tell(name) {
    this.dispatchEvent(new Event(name));
  }

  /** Choose a placement; -1 for none. @param {number} placement */
  select(placement) {
    if (placement === this.selected) return;
    this.selected = placement;
    this.outlines.select(placement);
    this.tell("select");
  }

  /** What stands at a place of the map: placement, row and column of its grid; or null. @param {any} latlng */
  at(latlng) {
    return this.scene.at(Math.floor(latlng.lng), Math.floor(latlng.lat));
  }

  /** Zoom at which the whole scene fits. Leaflet's getBoundsZoom never goes below the least zoom, which is this one. */
  wholeZoom() {
    const { x, y } = this.map.getSize();
    const { zoomSnap } = this.map.options;
    const [, , width, height] = this.scene.facts.bounds;
    const zoom = Math.log2(Math.min(Math.max(x - 48, 1) / width, Math.max(y - 48, 1) / height));
    return Math.min(Math.floor(zoom / zoomSnap) * zoomSnap, 0);
  }

  /** Show the whole scene. */
  whole() {
    this.map.setView(this.bounds.getCenter(), this.wholeZoom());
  }

  /** Keep the reader from getting lost in the void. */
  limit() {
    this.map.setMinZoom(this.wholeZoom());
    this.map.setMaxBounds(this.bounds.pad(0.5));
  }

  /** Let the window follow the level in view, if it is to. */
  fit(gentle = true) {
    if (this.live && this.colours.fitted) {
      this.colours.setWindow(...mwv.fittedWindow(this.scene.facts, this.map.getZoom()), gentle);
    }
  }

  /**
   * Move to a rectangle of the canvas (x, y, width, height), so that all of it can be seen.
   * @param {number[]} box
   */
  fly([x, y, width, height]) {
    const bounds = L.latLngBounds([y, x], [y + height, x + width]);
    const zoom = Math.min(this.map.getBoundsZoom(bounds, false, L.point(96, 96)), 2);
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.map.setView(bounds.getCenter(), Math.max(zoom, this.map.getMinZoom()), { animate: !still });
  }
};
