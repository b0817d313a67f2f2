// @ts-check
"use strict";
/*
 * A view and the reader's choice of another scene of the site in, a comparison of the two out: by swipe, by blink or side by
 * side, with names on both and a bar to control it. What it shows can be told in one line of the address.
 */

/** What can be chosen as mode, and what it is called. @type {[string, string, string][]} */
mwv.COMPARISONS = [
  ["swipe", "Swipe", "One model left of a handle, the other right of it"],
  ["blink", "Blink", "One model in place of the other"],
  ["beside", "Side by side", "Two maps that move as one"],
];

mwv.Compare = class {
  /**
   * @param {HTMLElement} box over the map, empty while nothing is compared
   * @param {any} view
   * @param {HTMLElement} button
   * @param {HTMLElement} section of the panel
   */
  constructor(box, view, button, section) {
    this.box = box;
    this.view = view;
    this.button = button;
    this.section = section;
    /** What is shown or on its way: {mode, slug, index, place}; null for nothing. @type {any} */
    this.choice = null;
    /** What is shown: {pair, titles, listening}; null for nothing. @type {any} */
    this.shown = null;
    this.dialog = new mwv.CompareDialog(this);
    button.addEventListener("click", () => this.toggle());
    mwv.state.add("c", this);
  }

  /** The comparison in the address: mode, folder, scene, place of the handle in percent. */
  read() {
    if (!this.choice) return "";
    const { mode, slug, index, place } = this.choice;
    return [mode, slug, index, ...(mode === "swipe" ? [Math.round(1000 * place) / 10] : [])].join(",");
  }

  /** @param {string} text */
  write(text) {
    if (text === this.read()) return;
    const [mode, slug, index, percent] = text.split(",");
    if (!mwv.COMPARISONS.some(([name]) => name === mode) || !/^[a-z0-9][a-z0-9._-]*$/.test(slug ?? "")) {
      this.end();
      return;
    }
    const place = percent === undefined ? 0.5 : Math.min(Math.max(Number(percent) / 100, 0), 1) || 0;
    const choice = { mode, slug, index: Number(index) || 0, place };
    if (this.shown && this.choice?.slug === slug && this.choice.index === choice.index) {
      this.choice = choice;
      this.apply();
      return;
    }
    this.begin(choice).catch((error) => this.dialog.open(error.message));
  }

  /** Open what is needed to choose, or end the comparison. */
  toggle() {
    if (this.choice) {
      this.end();
      mwv.state.changed(true);
    } else {
      this.dialog.toggle();
    }
  }

  /**
   * The other scene, loaded; an error says why it cannot be compared.
   * @param {string} slug
   * @param {number} index
   */
  async scene(slug, index) {
    const own = this.view.scene.folder;
    if (slug === own.record.slug) {
      if (own.scenes[index]) return mwv.sceneOf(own, index);
      throw new Error("This model has no such scene.");
    }
    const models = await mwv.compareList();
    const model = models.find((/** @type {any} */ one) => one.slug === slug);
    // A scene of classes is laid over the first one, and its borders follow from all of its kind.
    const names = index < model?.scenes.length ? [model.scenes[index]] : [model?.scenes[0], ...(model?.stored ?? [])];
    if (!model) throw new Error(`There is no ${slug} in this site any more.`);
    if (index >= model.scenes.length + (model.stored ?? []).length) throw new Error(`${slug} has no such scene.`);
    const address = new URL(`../${slug}/`, mwv.here).href;
    await Promise.all([model.model, ...names].map((name) => mwv.load(name, address)));
    return mwv.sceneOf(mwv.folder(address), index);
  }

  /** Start a comparison; an error says why it cannot be. @param {any} choice */
  async begin(choice) {
    this.end();
    this.choice = choice;
    try {
      const scene = await this.scene(choice.slug, choice.index);
      if (this.choice === choice) this.start(new mwv.Pair(this.view.scene, scene));
    } catch (error) {
      if (this.choice !== choice) return; // the reader chose something else meanwhile
      this.choice = null;
      throw error;
    }
  }

  /** @param {any} pair */
  start(pair) {
    const why = this.obstacle(pair);
    if (why) throw new Error(why);
    const listening = new AbortController();
    const { signal } = listening;
    this.shown = { pair, titles: this.titles(pair.other), listening };
    this.view.accompany(pair.other);
    this.view.addEventListener("select", () => this.select(), { signal });
    this.view.addEventListener("scene", () => (this.view.scene === pair.scene ? this.select() : this.end()), { signal });
    this.list = new mwv.Differences(this.section, this.view, this.shown);
    this.button.setAttribute("aria-pressed", "true");
    this.apply();
  }

  /** Why a pair cannot be compared, "" if it can. @param {any} pair */
  obstacle(pair) {
    const { mode } = pair.other.facts.tiles;
    if (!this.view.readable || (mode === "pmtiles" && location.protocol === "file:" && !mwv.tilesRoot)) {
      return "Tiles lie in archives that a browser cannot read from disk. Serve the folder: mwv serve";
    }
    if (mode === "pmtiles" && typeof pmtiles === "undefined") {
      return "Its tiles lie in archives, which this page does not read. Open that model and compare it with this one.";
    }
    if (!pair.fits) return `Another layout: ${pair.together} of ${pair.scene.count} tensors stand at the same place.`;
    return "";
  }

  /** Names of both, told apart. @param {any} other a scene */
  titles(other) {
    const scenes = [this.view.scene, other];
    const [a, b] = scenes.map((scene) => mwv.text.visible(scene.folder.record.title));
    if (a !== b) return [a, b];
    return scenes.map(({ folder, facts }, i) => {
      const { slug } = folder.record;
      if (folder === scenes[1 - i].folder && (folder.scenes[0].difference || facts.beside)) return mwv.text.visible(facts.title);
      return `${[a, b][i]} (${folder === scenes[1 - i].folder ? mwv.text.visible(facts.title) : slug})`;
    });
  }

  /** Show what was chosen, in the mode that was chosen. */
  apply() {
    const { mode } = this.choice;
    if (this.mode?.name !== mode) {
      const Mode = { swipe: mwv.Swipe, blink: mwv.Blink, beside: mwv.Beside }[mode];
      this.mode?.remove();
      this.bar();
      this.mode = new Mode(this);
      this.select();
    }
    this.mode.update?.();
  }

  /** Put another mode in place of this one. @param {string} mode */
  switch(mode) {
    this.choice = { ...this.choice, mode };
    this.apply();
    mwv.state.changed(true);
  }

  /** The layer of the other scene. */
  get layer() {
    return this.mode?.layer;
  }

  /** Outline the chosen tensor on the other, too. */
  select() {
    const { pair } = this.shown;
    const placement = this.view.selected;
    this.mode.select(placement < 0 ? -1 : pair.twins[placement]);
    this.list.select(placement);
  }

  /** Modes, what a mode adds (`extras`), and the way out. */
  bar() {
    const modes = mwv.COMPARISONS.map(([name, text, title]) => {
      const pressed = String(name === this.choice.mode);
      const button = mwv.element("button", { type: "button", title, "aria-pressed": pressed, "data-mode": name }, text);
      button.addEventListener("click", () => {
        if (name === this.choice.mode) return;
        this.switch(name);
        /** @type {HTMLElement} */ (this.box.querySelector(`[data-mode="${name}"]`)).focus();
      });
      return button;
    });
    this.extras = mwv.element("div", { class: "extras" });
    const close = mwv.element("button", { type: "button", class: "icon", title: "End the comparison" }, "×");
    close.setAttribute("aria-label", close.title);
    close.addEventListener("click", () => {
      this.toggle();
      this.button.focus();
    });
    const group = mwv.element("div", { class: "modes", role: "group", "aria-label": "Ways to compare" }, ...modes);
    const about = { class: "float compare-bar", role: "group", "aria-label": "Comparison" };
    const bar = mwv.element("div", about, group, this.extras, close);
    this.box.replaceChildren(bar);
  }

  /** A name on the map. @param {number} which 0 for the view's scene, 1 for the other */
  label(which) {
    return mwv.element("p", { class: `half-name ${which ? "other" : "own"}` }, this.shown.titles[which]);
  }

  /** Leave the page as it was before. */
  end() {
    this.choice = null;
    if (!this.shown) return;
    this.shown.listening.abort();
    this.view.accompany(null);
    this.mode.remove();
    this.list.remove();
    this.box.replaceChildren();
    this.button.removeAttribute("aria-pressed");
    [this.shown, this.mode, this.list, this.extras] = [null, null, null, null];
  }
};

/** The models of the site, from `site.js`; an error says so where it is lacking. */
mwv.compareList = async function () {
  try {
    await mwv.load("../site.js");
  } catch {
    throw new Error("The list of this site’s models (site.js) is not there; mwv writes it with the next build.");
  }
  return mwv.models;
};
