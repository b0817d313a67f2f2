// @ts-check
"use strict";
/*
 * An element, a scene and the colours in, a map of the scene out. Whoever shows something about the map listens to it:
 * "select" (another placement is chosen), "scene" (another scene is shown), "other" (another one is compared with it, or none), "move" (the view stands still after a move), "leave"
 * (a jump is about to happen), "read" (`reading`, what the pointer is on, is another).
 */

/** A rectangle of the canvas (x, y, width, height) in the words of the map. @param {number[]} box */
mwv.latLngBox = ([x, y, width, height]) => L.latLngBounds([y, x], [y + height, x + width]);

/** Whether movement is to be shown. */
mwv.animated = () => !matchMedia("(prefers-reduced-motion: reduce)").matches;

/** Leaflet's map, which where motion is unwelcome is at once where it goes to: also where its limits send it back. */
mwv.Map = L.Map.extend({
  options: { zoomAnimation: mwv.animated(), inertia: mwv.animated() },

  /** End a zoom that is being shown: until then Leaflet drops whatever else moves the map, or undoes it at the end. */
  land() {
    if (this._animatingZoom) this._onZoomTransitionEnd();
  },

  setZoom(/** @type {number} */ zoom, /** @type {any} */ options) {
    this.land();
    return L.Map.prototype.setZoom.call(this, zoom, options);
  },

  panBy(/** @type {any} */ offset, /** @type {any} */ options) {
    this.land();
    return L.Map.prototype.panBy.call(this, offset, mwv.animated() ? options : { ...options, animate: false });
  },
});

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
    /** What is read out, see `mwv.Readout`. @type {any} */
    this.reading = null;
    /** The chosen placement, -1 for none. */
    this.selected = -1;
    /** The scene that this one is compared with; null if it is not. @type {any} */
    this.other = null;
    /** Height of the lower part of the view that something lies over, so that jumps end above it. */
    this.covered = 0;
    this.map = new mwv.Map(element, {
      crs: mwv.crs,
      attributionControl: false,
      zoomControl: false,
      keyboard: false,
      zoomSnap: 0.25,
      maxZoom: 6,
      minZoom: -30,
      fadeAnimation: false,
      maxBoundsViscosity: 0.6,
      wheelPxPerZoomLevel: 90,
      wheelDebounceTime: 20,
    });
    this.show(scene);
    /** Size of the view, and whether it shows the whole scene. */
    this.size = this.map.getSize();
    this.isWhole = true;
    this.map.on("resize", () => this.resize());
    this.map.on("moveend", () => {
      if (this.map.getSize().equals(this.size)) this.isWhole = this.atWhole();
    });
    this.map.on("moveend", () => this.tell("move"));
    this.map.on("moveend", () => this.fit());
  }

  /** Show a scene, whole; another one that was there goes. @param {any} scene */
  show(scene) {
    const { map } = this;
    const { bounds: box, tiles } = scene.facts;
    const before = this.scene;
    if (scene === before) return;
    this.tell("leave");
    if (before) for (const layer of [this.layer, this.outlines, this.classes]) layer?.remove();
    this.scene = scene;
    this.bounds = mwv.latLngBox(box);
    /** Whether the tiles can be had; from disk a browser cannot read inside archives. */
    this.readable = tiles.mode !== "pmtiles" || location.protocol !== "file:" || mwv.tilesRoot !== "";
    /** Whether the pixels are codes, so that colours are applied here. */
    this.live = this.readable && !tiles.picture;
    map.getPane("tilePane").style.filter = "";
    if (this.live) this.colours.paint(map.getPane("tilePane"));
    if (!before || !before.facts.bounds.every((/** @type {number} */ n, /** @type {number} */ i) => n === box[i])) {
      // The limits of the scene before must not hold this one.
      map.setMinZoom(-30).setMaxBounds(null);
      this.whole(false);
    }
    this.limit();
    const layer = this.readable
      ? new mwv.TileLayer(scene.values)
      : L.imageOverlay(this.element.dataset.overview, this.bounds, { pane: "tilePane" });
    this.layer = layer;
    /** What is laid over the tiles of values; null where nothing is. */
    this.classes = this.readable && scene.base ? new mwv.ClassLayers(map, scene) : null;
    this.colours.use(mwv.kindOf(scene));
    this.need();
    /** Codes of pixels, null where they cannot be read. */
    this.codes = this.live && mwv.Codes.readable(scene.values.facts) ? new mwv.Codes(layer) : null;
    /** The same of classes. */
    this.hues = this.codes && this.classes ? new mwv.Codes(this.classes.tiles) : null;
    // Tiles are asked for when the running script is done: it may know a place to look at, and no tile of another one is wanted.
    layer.on("load", () => this.fit());
    queueMicrotask(() => {
      if (this.layer !== layer) return;
      layer.addTo(map);
      this.classes?.add();
    });
    this.outlines = mwv.outlinesOf(scene).addTo(map);
    this.fit(false);
    const chosen = this.selected;
    this.selected = -1;
    this.tell("scene");
    // Where everything stands at the same place, what was chosen still is.
    if (chosen >= 0 && before?.facts.layout === scene.facts.layout) this.select(chosen);
    else if (chosen >= 0) this.tell("select");
  }

  /** Another scene is in sight beside the own one from now on, or none is. @param {any} other */
  accompany(other) {
    this.other = other;
    this.need();
    this.tell("other");
  }

  /** Where classes are in sight, hue is for them alone. */
  need() {
    this.colours.need([this.scene, this.other].some((scene) => scene?.base) && this.readable ? "gray" : "");
  }

  /** @param {string} name */
  tell(name) {
    this.dispatchEvent(new Event(name));
  }

  /** Choose a placement; -1 for none. @param {number} placement */
  select(placement) {
    if (placement === this.selected) return;
    this.tell("leave");
    this.selected = placement;
    this.outlines.select(placement);
    this.tell("select");
  }

  /** What stands at a place of the map: placement, row and column of its grid; or null. @param {any} latlng */
  at(latlng) {
    return this.scene.at(Math.floor(latlng.lng), Math.floor(latlng.lat));
  }

  /** Zoom at which a rectangle fits into a part of the view, whatever zoom is allowed at present. */
  fitting(width, height, wide, high) {
    const scale = Math.min(Math.max(wide, 1) / Math.max(width, 1), Math.max(high, 1) / Math.max(height, 1));
    const snap = this.map.options.zoomSnap;
    return Math.floor(Math.log2(scale) / snap + 1e-6) * snap;
  }

  /** Zoom at which the whole scene fits, with the folded legend below it. */
  wholeZoom() {
    const [, , width, height] = this.scene.facts.bounds;
    const { x, y } = this.map.getSize();
    return Math.min(this.fitting(width, height, x - 48, y - 128), 0);
  }

  /** Centre of the view that has the middle of the scene in the middle of what is not covered. @param {number} zoom */
  middle(zoom) {
    const { lat, lng } = this.bounds.getCenter();
    return L.latLng(lat + this.covered / 2 / this.map.getZoomScale(zoom, 0), lng);
  }

  /** Show the whole scene. */
  whole(animate = true) {
    this.tell("leave");
    const zoom = this.wholeZoom();
    this.go(this.middle(zoom), zoom, animate);
  }

  /** The view has another size: what was seen whole still is. */
  resize() {
    this.size = this.map.getSize();
    this.limit();
    if (!this.isWhole) return;
    const zoom = this.wholeZoom();
    this.go(this.middle(zoom), zoom, false);
  }

  /** Whether the whole scene is shown, as `whole` shows it. */
  atWhole() {
    const { map } = this;
    const zoom = map.getZoom();
    return zoom === this.wholeZoom() && map.project(this.middle(zoom)).distanceTo(map.project(map.getCenter())) < 1;
  }

  /**
   * Show a place of the canvas in the middle, at once; what lies beyond its ends is taken for the end.
   * @param {number} x
   * @param {number} y
   * @param {number} zoom
   */
  place(x, y, zoom) {
    const [left, top, width, height] = this.scene.facts.bounds;
    const within = (/** @type {number} */ n, /** @type {number} */ least, /** @type {number} */ most) =>
      Math.min(Math.max(n, least), most);
    const { map } = this;
    const center = [within(y, top - height / 2, top + 1.5 * height), within(x, left - width / 2, left + 1.5 * width)];
    this.go(center, within(zoom, map.getMinZoom(), map.getMaxZoom()), false);
  }

  /** Move by pixels of the screen. @param {number} x @param {number} y */
  pan(x, y) {
    this.map.panBy([x, y]);
  }

  /** Jump by pixels of the canvas. @param {number} x @param {number} y */
  shift(x, y) {
    this.tell("leave");
    const { lat, lng } = this.map.getCenter();
    this.go([lat + y, lng + x], this.map.getZoom());
  }

  /** @param {any} center @param {number} zoom */
  go(center, zoom, animate = true) {
    this.map.land();
    if (animate && mwv.animated()) {
      this.map.setView(center, zoom);
    } else {
      // A movement that is cut off by `setView` alone would go on after it, back into the bounds.
      this.map.stop();
      this.map.setView(center, zoom, { reset: true });
    }
  }

  /** Something lies over this height of the lower part of the view from now on. @param {number} height */
  cover(height) {
    this.covered = height;
    this.limit();
  }

  /** Keep the reader from getting lost in the void. */
  limit() {
    const zoom = this.wholeZoom();
    this.map.setMinZoom(zoom);
    const limits = this.bounds.pad(0.5);
    // What is covered must have somewhere to go; lat grows downward.
    const below = this.covered / this.map.getZoomScale(zoom, 0);
    this.map.setMaxBounds(limits.extend([limits.getNorth() + below, limits.getWest()]));
  }

  /** Let the window follow the level, or what is in view, if it is to. */
  async fit(gentle = true) {
    const { colours, scene, map } = this;
    const { fitted } = colours;
    if (!this.live || !fitted || scene.facts.curve) return;
    if (fitted === "level") {
      colours.setWindow(...mwv.levelWindow(scene.facts, map.getZoom()), gentle);
      return;
    }
    const turn = (this.fits = (this.fits ?? 0) + 1);
    const window = await mwv.viewWindow(this);
    if (window && turn === this.fits && colours.fitted === fitted && this.scene === scene) colours.setWindow(...window, gentle);
  }

  /**
   * Move to a rectangle of the canvas (x, y, width, height), so that all of it can be seen.
   * @param {number[]} box
   */
  fly([x, y, width, height], animate = true) {
    this.tell("leave");
    const { map, covered } = this;
    const size = map.getSize();
    const zoom = Math.max(Math.min(this.fitting(width, height, size.x - 96, size.y - covered - 96), 2), map.getMinZoom());
    const below = covered / 2 / map.getZoomScale(zoom, 0);
    this.go([y + height / 2 + below, x + width / 2], zoom, animate);
  }
};
