// @ts-check
"use strict";
/* A view and another scene in, the other scene over the view's own in panes that can be cut or hidden out: swipe and blink. */
mwv.Overlaid = class {
  /**
   * @param {any} view
   * @param {any} other a scene
   */
  constructor(view, other) {
    const { map } = view;
    this.view = view;
    const made = { "other-tiles": 202, "other-classes": 203, "other-outlines": 401 };
    this.names = Object.keys(made);
    for (const [name, height] of Object.entries(made)) map.createPane(name).style.zIndex = String(height);
    const { values } = other;
    const colours = view.colours.beside(values);
    if (!values.facts.tiles.picture) colours.paint(map.getPane("other-tiles"));
    /** Colours of its own that have a scale follow the level in view. */
    this.fit = () => colours === view.colours || !colours.scaled || colours.setWindow(...mwv.levelWindow(values.facts, map.getZoom()));
    map.on("moveend", this.fit);
    this.fit();
    this.layer = new mwv.TileLayer(values, { pane: "other-tiles" }).addTo(map);
    this.outlines = mwv.outlinesOf(other, { pane: "other-outlines" }).addTo(map);
    /** What is laid over the tiles of values; null where nothing is. */
    this.classes = other.base ? new mwv.ClassLayers(map, other, "other-classes", "other-outlines") : null;
    this.classes?.add();
    /** Panes of the view's scene, panes of the other. @type {HTMLElement[][]} */
    this.panes = [["tilePane", "classes", "overlayPane"], this.names].map((names) => names.map((name) => map.getPane(name)).filter(Boolean));
    /** Where one scene ends and the other begins, as a part of the width; null if neither is cut. @type {number | null} */
    this.place = null;
    this.cut = () => this.clip();
    map.on("move viewreset resize", this.cut);
  }

  /** Outline a tensor of the other scene. @param {number} twin -1 for none */
  select(twin) {
    this.outlines.select(twin);
  }

  /** Show the view's scene left of a place (0 to 1) of the map, the other right of it. @param {number} place */
  split(place) {
    this.place = place;
    this.clip();
    this.hide([]);
  }

  /** Show one scene alone. @param {number} shown 0 for the view's own, 1 for the other */
  show(shown) {
    this.place = null;
    this.clip();
    this.hide(this.panes[1 - shown]);
  }

  /** @param {HTMLElement[]} panes */
  hide(panes) {
    for (const pane of this.panes.flat()) pane.style.visibility = panes.includes(pane) ? "hidden" : "";
  }

  /** Panes move with the map, the cut does not; it lies on a whole pixel. */
  clip() {
    const { map } = this.view;
    const { x: width, y: height } = map.getSize();
    const { x: left, y: top } = map.containerPointToLayerPoint([0, 0]);
    const at = Math.round(width * (this.place ?? 0));
    [[0, at], [at, width]].forEach(([from, to], which) => {
      const corners = [[from, 0], [to, 0], [to, height], [from, height]];
      const path = corners.map(([x, y]) => `${left + x}px ${top + y}px`).join();
      for (const pane of this.panes[which]) pane.style.clipPath = this.place === null ? "" : `polygon(${path})`;
    });
  }

  remove() {
    const { map } = this.view;
    this.show(0);
    map.off("move viewreset resize", this.cut).off("moveend", this.fit);
    for (const layer of [this.layer, this.outlines, this.classes]) layer?.remove();
    for (const name of this.names) {
      map.getPane(name).remove();
      delete map.getPanes()[name];
    }
  }
};
