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
    /** Images of tiles and where they lie on the canvas plane. @type {{image: HTMLImageElement, box: number[]}[]} */
    this.tiles = [];
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

  /** Show another scene: its tensors as gray boxes, and its pixels when there is nothing else to load. */
  attach() {
    const { view, picture } = this;
    const { scene, layer } = view;
    const [left, top, width, height] = scene.facts.bounds;
    const side = innerWidth > 2000 ? 260 : 168;
    this.shrink = Math.min(side / width, side / height);
    const [wide, high] = [width, height].map((n) => Math.max(Math.round(n * this.shrink), 20));
    picture.style.width = `${wide}px`;
    picture.style.height = `${high}px`;
    const canvas = /** @type {HTMLCanvasElement} */ (mwv.element("canvas", { width: 2 * wide, height: 2 * high, "aria-hidden": "true" }));
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.scale((2 * wide) / width, (2 * high) / height);
    context.translate(-left, -top);
    context.fillStyle = "#8b8f98";
    for (let r = 0; r < scene.rects.length; r += 4) {
      context.fillRect(scene.rects[r], scene.rects[r + 1], scene.rects[r + 2], scene.rects[r + 3]);
    }
    this.context = context;
    this.tiles = [];
    picture.replaceChildren(canvas, this.frame);
    view.outlines.on("draw", () => this.draw());
    layer.once("load", () => (view.readable && context.filter ? this.load(layer) : this.still(scene)));
  }

  /** The picture of the first scene, where a browser can neither read tiles nor colour what it draws. @param {any} scene */
  still(scene) {
    if (this.view.scene !== scene || scene.facts.index !== 0) return;
    this.frame.before(mwv.element("img", { alt: "", draggable: "false", src: this.view.element.dataset.overview }));
  }

  /** Take the tiles of the level below the top, four at most. @param {any} layer */
  async load(layer) {
    const { scene } = layer;
    const { bounds, levels } = scene.facts;
    const level = Math.max(levels - 2, 0);
    const side = mwv.TILE * 2 ** level;
    const [last, lowest] = [0, 1].map((axis) => Math.floor((bounds[axis] + bounds[axis + 2] - 1) / side));
    const tiles = [];
    for (let y = 0; y <= lowest; y += 1) {
      for (let x = 0; x <= last; x += 1) {
        const image = new Image();
        try {
          const name = await scene.tile(level, x, y);
          if (name === "") continue;
          if (!(await layer.show(image, name, level, { x, y }))) continue;
          tiles.push({ image, box: [x * side, y * side, side, side] });
        } catch {
          continue; // boxes are there
        }
      }
    }
    if (this.view.scene !== scene) return;
    this.tiles = tiles;
    this.colour();
  }

  /** Draw the tiles in the palette in use, over a window of their own: all must stay legible wherever the view is. */
  colour() {
    const { colours, scene } = this.view;
    const { levels, tiles } = scene.facts;
    this.palette = colours.palette;
    this.filter.set(colours.tableFor(...(scene.facts.curve ? [0, 0] : mwv.levelWindow(scene.facts, 2 - levels))));
    // Codes become colours before they are shrunk: between two codes lies no third.
    const tile = /** @type {HTMLCanvasElement} */ (mwv.element("canvas", { width: mwv.TILE, height: mwv.TILE }));
    const context = /** @type {CanvasRenderingContext2D} */ (tile.getContext("2d"));
    if (!tiles.picture) context.filter = `url(#${this.filter.id})`;
    this.context.imageSmoothingQuality = "high";
    for (const { image, box: [x, y, width, height] } of this.tiles) {
      context.drawImage(image, 0, 0);
      this.context.drawImage(tile, x, y, width, height);
    }
    this.context.fillStyle = `#${mwv.colours.ground}`;
    for (const [x, y, side] of scene.facts.rest ?? []) this.context.fillRect(x, y, side, side);
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
