// @ts-check
"use strict";
/* A view and another scene in, a second map beside the view's out; the two move as one and mirror the pointer. */

/** A view that leaves the bounds of movement to the one it follows, and the window of colours that are those of both. */
mwv.FollowingView = class extends mwv.View {
  limit() {
    this.map.setMinZoom(this.wholeZoom());
  }

  resize() {
    this.limit();
  }

  async fit(gentle = true) {
    if (this.apart) await super.fit(gentle);
  }

  /** Whether the colours are none of the other view's. */
  get apart() {
    return this.colours !== mwv.view.colours;
  }

  need() {}
};

mwv.Beside = class {
  name = "beside";

  /** @param {any} compare */
  constructor(compare) {
    const { view, box, shown } = compare;
    this.view = view;
    this.stage = /** @type {HTMLElement} */ (view.element.parentElement);
    this.stage.classList.add("beside");
    /** Opens the overview again, which would lie on a corner of the second map. */
    this.unfold = mwv.minimap.fold();
    /** Takes back what was added to the view's map. @type {(() => void)[]} */
    this.undo = [];
    view.map.invalidateSize({ animate: false });
    const element = mwv.element("div", { id: "other-map", class: "map", role: "application" });
    element.setAttribute("aria-label", `Map of ${shown.titles[1]}. It moves with the other map.`);
    this.halves = [0, 1].map((which) => mwv.element("div", { class: "half" }, compare.label(which)));
    box.prepend(element, ...this.halves);
    this.second = new mwv.FollowingView(element, shown.pair.other, view.colours.beside(shown.pair.other.values));
    const [a, b] = [view.map, this.second.map];
    this.on(b, "click", (/** @type {any} */ { latlng }) => {
      const hit = this.second.at(latlng);
      view.select(hit ? shown.pair.back[hit.placement] : -1);
    });
    /** The map that is on its way to where the other went. */
    this.following = null;
    b.setView(a.getCenter(), a.getZoom(), { animate: false });
    this.align(a, b);
    this.link(a, b);
    this.link(b, a);
    this.on(a, "resize", () => {
      b.invalidateSize({ pan: false });
      this.align(a, b);
    });
  }

  get layer() {
    return this.second.layer;
  }

  /** Outline a tensor of the other scene. @param {number} twin -1 for none */
  select(twin) {
    this.second.select(twin);
  }

  on(map, names, listener) {
    map.on(names, listener);
    this.undo.push(() => map.off(names, listener));
  }

  /** Make a map go where another goes, and show where the pointer is on the other. */
  link(from, to) {
    this.on(from, "zoomanim", (/** @type {any} */ { center, zoom }) => {
      if (this.following) return;
      this.following = to;
      to.setView(center, zoom, { animate: true });
    });
    this.on(from, "move", () => {
      if (!this.following) this.align(from, to);
    });
    this.on(from, "moveend", () => {
      if (this.following === from) {
        this.following = null;
        this.align(to, from);
      } else if (!this.following) {
        this.align(from, to);
        this.following = to;
        to._moveEnd(true);
        this.following = null;
      }
    });
    const cross = mwv.element("div", { class: "mirrored", "aria-hidden": "true" });
    to.getContainer().append(cross);
    cross.hidden = true;
    this.on(from, "mousemove", (/** @type {any} */ { latlng }) => {
      const { x, y } = to.latLngToContainerPoint(latlng);
      cross.hidden = false;
      cross.style.transform = `translate(${x}px, ${y}px)`;
    });
    this.on(from, "mouseout", () => {
      cross.hidden = true;
    });
    this.undo.push(() => cross.remove());
  }

  /** Put a map to the very pixel where another is, without a word about it: its own listeners would answer. */
  align(from, to) {
    const [center, zoom] = [from.getCenter(), from.getZoom()];
    const before = this.following;
    this.following = to;
    if (zoom === to.getZoom()) {
      const offset = to.project(center).subtract(to.project(to.getCenter())).round();
      if (offset.x || offset.y) {
        to._rawPanBy(offset);
        to.fire("move");
      }
    } else {
      to._move(center, zoom);
    }
    this.following = before;
  }

  remove() {
    for (const undo of this.undo) undo();
    this.second.map.remove();
    for (const element of [this.second.element, ...this.halves]) element.remove();
    this.stage.classList.remove("beside");
    this.unfold();
    this.view.map.invalidateSize({ animate: false });
  }
};
