// @ts-check
"use strict";
/*
 * A view and what others register in, the address of exactly this view out: every part of it is a `key=text` of the address's
 * fragment. A fragment may be typed, cut off or made up by anyone: a part that cannot be read means its default.
 */

/** Milliseconds without a change after which the address is written; browsers refuse to write it at every frame. */
mwv.CALM = 250;

mwv.State = class {
  /**
   * @param {any} view
   * @param {any[]} scenes the scenes of the page, by their index
   */
  constructor(view, scenes) {
    this.view = view;
    /** @type {Map<string, {read: () => string, write: (text: string) => void}>} */
    this.parts = new Map();
    /** What the entry of the history holds, and what it will hold when all is calm. */
    this.text = "";
    this.pending = "";
    /** Whether that will be an entry of its own. */
    this.pushing = false;
    /** Whether an address is being followed, so that changes are not news. */
    this.following = true;
    this.timer = 0;
    // The tensor comes before the place, since a panel that opens beside the map moves its centre.
    this.add("s", {
      read: () => (view.scene === scenes[0] ? "" : String(view.scene.facts.index)),
      write: (text) => view.show(scenes[/^\d+$/.test(text) ? Number(text) : 0] ?? scenes[0]),
    });
    this.add("t", { read: () => this.chosen(), write: (text) => view.select(this.find(text)) });
    this.add("at", { read: () => this.place(), write: (text) => this.moveTo(text) });
    this.add("p", {
      read: () => (view.colours.palette === view.colours.palettes[0].name ? "" : view.colours.palette),
      write: (text) => view.colours.setPalette(text),
    });
    this.add("w", { read: () => this.window(), write: (text) => this.setWindow(text) });
    view.addEventListener("leave", () => this.leave());
    for (const name of ["move", "select", "scene"]) view.addEventListener(name, () => this.changed());
    view.colours.addEventListener("change", () => this.changed());
    view.map.on("movestart", () => clearTimeout(this.timer));
  }

  /**
   * Make something part of the address, written and followed in the order of these calls.
   * @param {string} key
   * @param {{read: () => string, write: (text: string) => void}} part `read` gives "" for the default, and what was asked for
   *   even while it is on its way; `write` gets "" for the default and takes any other text without harm
   */
  add(key, part) {
    this.parts.set(key, part);
  }

  /** Follow the address of the page, now and whenever someone goes back, forward or edits it. */
  start() {
    this.follow(location.hash.slice(1));
    addEventListener("hashchange", () => {
      const text = location.hash.slice(1);
      if (text !== this.text) this.follow(text);
    });
  }

  /**
   * To be called after a change of a part. The address follows when all is calm.
   * @param {boolean} [push] whether this was a jump, that "back" undoes
   */
  changed(push = false) {
    if (this.following) return;
    if (push && !this.pushing) {
      this.flush();
      this.pushing = true;
    }
    this.pending = this.read();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.flush(), mwv.CALM);
  }

  /** Before a jump of the view: the present entry keeps what is shown now. */
  leave() {
    if (this.following || this.pushing) return;
    this.pending = this.read();
    this.flush();
    this.pushing = true;
  }

  /** Bring the history up to date. */
  flush() {
    clearTimeout(this.timer);
    if (this.pending !== this.text) {
      const address = location.href.split("#")[0] + (this.pending && `#${this.pending}`);
      if (this.pushing) history.pushState(null, "", address);
      else history.replaceState(null, "", address);
      this.text = this.pending;
    }
    this.pushing = false;
  }

  /** The fragment for what is shown now. */
  read() {
    const parts = new URLSearchParams();
    for (const [key, part] of this.parts) {
      const text = part.read();
      if (text) parts.set(key, text);
    }
    // These may stand in a fragment as they are.
    return parts.toString().replace(/%2C/g, ",").replace(/%3A/g, ":").replace(/%2F/g, "/");
  }

  /** Show what a fragment says. @param {string} text */
  follow(text) {
    clearTimeout(this.timer);
    this.following = true;
    const { view } = this;
    const parts = new URLSearchParams(text);
    for (const [key, part] of this.parts) part.write(parts.get(key) ?? "");
    // An address that names a tensor alone is about that tensor.
    if (!parts.has("at") && view.selected >= 0) view.fly(view.scene.shapes[view.selected].box, false);
    view.fit(false);
    this.following = false;
    this.text = this.pending = text;
    this.pushing = false;
  }

  /** Name of the chosen tensor; for an expert inside one, and its number. */
  chosen() {
    return this.view.selected < 0 ? "" : this.label(this.view.selected);
  }

  /** @param {number} placement */
  label(placement) {
    const { scene } = this.view;
    const panel = scene.facts.placements.panel[placement];
    const name = panel < 0 ? scene.name(placement) : `${scene.name(placement)}:${panel}`;
    // No address can hold half of a pair of surrogates.
    return name.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "\ufffd");
  }

  /** Placement of a label, -1 for none. @param {string} label */
  find(label) {
    const { count } = this.view.scene;
    for (let placement = 0; label && placement < count; placement += 1) if (this.label(placement) === label) return placement;
    return -1;
  }

  /** Centre and zoom, to a hundredth of a pixel of the screen. */
  place() {
    const { map } = this.view;
    if (this.view.atWhole()) return this.view.selected < 0 ? "" : "whole";
    const { lng, lat } = map.getCenter();
    const zoom = map.getZoom();
    const digits = Math.max(0, Math.ceil(zoom * Math.log10(2)) + 2);
    return [lng.toFixed(digits), lat.toFixed(digits), zoom.toFixed(4)].map(Number).join();
  }

  /** @param {string} text */
  moveTo(text) {
    const { view } = this;
    const numbers = text.split(",").map((part) => (part.trim() ? Number(part) : NaN));
    if (numbers.length === 3 && numbers.every(Number.isFinite)) view.place(...numbers);
    else view.whole(false);
  }

  /** What the window follows, "" for the level in view; or the two magnitudes at its ends. */
  window() {
    const { fitted, low, high } = this.view.colours;
    if (fitted) return fitted === "level" ? "" : fitted;
    return [low, high].map((steps) => Number(mwv.fromSteps(steps).toPrecision(4))).join();
  }

  /** @param {string} text two magnitudes on the scale or less than an octave beyond its ends */
  setWindow(text) {
    const { colours } = this.view;
    const [low, high] = text.split(",").map((part) => mwv.steps(Number(part)));
    const [least, most] = [mwv.SCALE[0] - 1, mwv.SCALE[1] + 1].map((octave) => octave * mwv.colours.steps);
    const numbers = low > least && low < high && high < most;
    colours.follow(numbers ? "" : text === "view" ? text : "level");
    if (numbers) colours.setWindow(low, high, false);
  }
};
