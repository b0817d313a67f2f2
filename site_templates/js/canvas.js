// @ts-check
"use strict";
/*
 * A map in, a Leaflet layer out that is a canvas over all of the view. What extends it has a `className`, and a `paint` that is
 * called once a frame at most.
 */

/**
 * A rectangle of the canvas in pixels of a view.
 * @param {{scale: number, x: number, y: number}} view
 * @param {ArrayLike<number>} box x, y, width, height
 * @returns {[number, number, number, number]}
 */
mwv.onScreen = function ({ scale, x, y }, box) {
  return [(box[0] - x) * scale, (box[1] - y) * scale, box[2] * scale, box[3] * scale];
};

mwv.CanvasLayer = L.Layer.extend({
  /** The frame in which it will paint; 0 when all is painted. */
  frame: 0,

  onAdd() {
    this.canvas = L.DomUtil.create("canvas", `${this.className} leaflet-zoom-animated`, this.getPane());
    this.canvas.setAttribute("aria-hidden", "true");
    this.context = this.canvas.getContext("2d");
    this.draw();
  },

  onRemove() {
    this.stop();
    this.canvas.remove();
  },

  getEvents() {
    return { move: this.draw, zoom: this.draw, viewreset: this.draw, resize: this.draw, moveend: this.draw, zoomanim: this.animate };
  },

  draw() {
    if (!this._map) return;
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.paint();
    });
  },

  stop() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
  },

  /* While Leaflet animates a zoom the drawing is scaled along; it is drawn afresh at the end. */
  animate({ zoom, center }) {
    this.stop();
    const map = this._map;
    if (!this.corner) return;
    const origin = map
      .project(center, zoom)
      .subtract(map.getSize().divideBy(2))
      .subtract(map.containerPointToLayerPoint([0, 0]));
    L.DomUtil.setTransform(this.canvas, map.project(this.corner, zoom).subtract(origin), map.getZoomScale(zoom, this.zoom));
  },

  /** Take note of what the map shows now. */
  look() {
    const map = this._map;
    const size = map.getSize();
    this.corner = map.containerPointToLatLng([0, 0]);
    this.zoom = map.getZoom();
    this.view = { width: size.x, height: size.y, scale: map.getZoomScale(this.zoom, 0), x: this.corner.lng, y: this.corner.lat };
  },

  /** Put the canvas, empty, over the view; then one unit of its context is one CSS pixel. */
  prepare() {
    this.look();
    const map = this._map;
    const size = map.getSize();
    const ratio = devicePixelRatio || 1;
    const [width, height] = [Math.round(size.x * ratio), Math.round(size.y * ratio)];
    if (this.canvas.width !== width || this.canvas.height !== height) {
      [this.canvas.width, this.canvas.height] = [width, height];
      this.canvas.style.width = `${size.x}px`;
      this.canvas.style.height = `${size.y}px`;
    }
    L.DomUtil.setTransform(this.canvas, map.containerPointToLayerPoint([0, 0]), 1);
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.context.clearRect(0, 0, size.x, size.y);
  },

  /** A rectangle of the canvas plane in pixels of the view: [x, y, width, height]. */
  onScreen(x, y, width, height) {
    return mwv.onScreen(this.view, [x, y, width, height]);
  },
});
