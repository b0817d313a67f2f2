// @ts-check
"use strict";
/* A view in, a small picture of the whole scene out, with the part in view marked; a click or a drag in it moves the view. */
mwv.Minimap = class {
  /**
   * @param {HTMLElement} box a disclosure with a `.picture`
   * @param {any} view
   */
  constructor(box, view) {
    this.box = /** @type {HTMLDetailsElement} */ (box);
    this.view = view;
    this.picture = /** @type {HTMLElement} */ (box.querySelector(".picture"));
    this.frame = mwv.element("div", { class: "frame" });
    this.filter = new mwv.CodeFilter("mwv-overview");
    /** The palette that the filter has. */
    this.palette = "";
    const move = (/** @type {PointerEvent} */ event) => this.moveTo(event.clientX, event.clientY);
    this.picture.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      this.picture.setPointerCapture(event.pointerId);
      move(event);
    });
    this.picture.addEventListener("pointermove", (event) => {
      if (this.picture.hasPointerCapture(event.pointerId)) move(event);
    });
    box.addEventListener("toggle", () => this.draw());
    view.addEventListener("scene", () => this.attach());
    view.colours.addEventListener("change", () => view.colours.palette === this.palette || this.colour());
    this.attach();
  }

  /** Fold it if it is open; what opens it again. */
  fold() {
    const { box } = this;
    const { open } = box;
    box.open = false;
    return () => {
      box.open ||= open;
    };
  }

  /** Colours of the palette in use, over a window of its own: the whole scene must stay legible wherever the view is. */
  colour() {
    const { palette } = this.view.colours;
    const { facts } = this.view.scene;
    this.palette = palette;
    this.filter.set(mwv.colourTable(palette, ...mwv.levelWindow(facts, 1 - facts.levels)));
  }

  /** Show another scene: its tensors as gray boxes, and its top level when there is nothing else to load. */
  attach() {
    const { view, picture } = this;
    const { scene } = view;
    const [left, top, width, height] = scene.facts.bounds;
    const side = innerWidth > 2000 ? 260 : 168;
    this.shrink = Math.min(side / width, side / height);
    const [wide, high] = [width, height].map((n) => Math.max(Math.round(n * this.shrink), 20));
    picture.style.width = `${wide}px`;
    picture.style.height = `${high}px`;
    const canvas = /** @type {HTMLCanvasElement} */ (mwv.element("canvas", { width: 2 * wide, height: 2 * high, "aria-hidden": "true" }));
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.scale((2 * wide) / width, (2 * high) / height);
    context.fillStyle = "#8b8f98";
    for (let r = 0; r < scene.rects.length; r += 4) {
      context.fillRect(scene.rects[r] - left, scene.rects[r + 1] - top, scene.rects[r + 2], scene.rects[r + 3]);
    }
    picture.replaceChildren(canvas, this.frame);
    view.outlines.on("draw", () => this.draw());
    this.colour();
    const image = /** @type {HTMLImageElement} */ (mwv.element("img", { alt: "", draggable: "false" }));
    const { layer } = view;
    layer.once("load", async () => {
      if (view.readable) await this.top(image, layer);
      else if (scene.facts.index === 0) image.src = view.element.dataset.overview;
      if (view.scene === scene && image.src) canvas.after(image);
    });
  }

  /**
   * Let an image show the one tile of the top level where it belongs in the picture.
   * @param {HTMLImageElement} image
   * @param {any} layer of the tiles
   */
  async top(image, layer) {
    const { facts } = layer.scene;
    const level = facts.levels - 1;
    const side = mwv.TILE * 2 ** level;
    const [left, top, width, height] = facts.bounds;
    const place = { left: -left / width, top: -top / height, width: side / width, height: side / height };
    for (const [name, part] of Object.entries(place)) image.style.setProperty(name, `${100 * part}%`);
    if (!facts.tiles.picture) this.filter.paint(image);
    try {
      const name = await layer.scene.tile(level, 0, 0);
      if (name !== "") await layer.show(image, name, level, { x: 0, y: 0 });
    } catch {
      image.removeAttribute("src"); // the boxes do
    }
  }

  /** Put what lies under a point of the window into the middle of the view. */
  moveTo(clientX, clientY) {
    const { left, top, width, height } = this.picture.getBoundingClientRect();
    const [x, y, w, h] = this.view.scene.facts.bounds;
    const part = (/** @type {number} */ n) => Math.min(Math.max(n, 0), 1);
    this.view.map.setView(
      [y + h * part((clientY - top) / height), x + w * part((clientX - left) / width)],
      this.view.map.getZoom(),
      { animate: false }
    );
  }

  draw() {
    if (!this.box.open) return;
    const { view, frame } = this;
    const [x, y, w, h] = view.scene.facts.bounds;
    const sight = view.map.getBounds();
    const part = (/** @type {number} */ n) => Math.min(Math.max(n, 0), 1);
    const [left, right] = [part((sight.getWest() - x) / w), part((sight.getEast() - x) / w)];
    const [top, bottom] = [part((sight.getSouth() - y) / h), part((sight.getNorth() - y) / h)];
    const place = { left, top, width: right - left, height: bottom - top };
    for (const [name, value] of Object.entries(place)) frame.style.setProperty(name, `${(100 * value).toFixed(2)}%`);
  }
};
